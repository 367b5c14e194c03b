"""Options that several commands share. `cli/given.py` reads their values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpustack.settings import (
    RAM_SHARE,
    SCRATCH_SHARE,
    VRAM_SHARE,
    BackendName,
    BadFrame,
    Brightness,
    Crop,
    DecoderName,
    Deghost,
    Demosaic,
    Interpolation,
    Method,
    Model,
    Prefer,
    Settings,
    WhiteBalance,
)

DEFAULT = Settings()
DEFAULT_DEVICES = ",".join(map(str, DEFAULT.devices))
DEFAULT_BALANCE = WhiteBalance.CAMERA.value

Inputs = Annotated[
    list[str],
    typer.Argument(
        help="Frames: files, folders, globs, @list.txt, or - for a list on stdin.", show_default=False
    ),
]
PictureOption = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        help="The picture: .jpg, .png, .tif or .jxl; of RAW frames .dng, too.",
        show_default=False,
    ),
]
EveryOption = Annotated[
    int, typer.Option(min=1, help="Take every so many-th frame only: of a video, few are focused anew.")
]
MethodOption = Annotated[
    Method,
    typer.Option(
        help="How frames are fused: auto (weighted pyramid), pyramid (Helicon C, Zerene PMax), "
        "depthmap (Helicon B, Zerene DMap), average (Helicon A)."
    ),
]
RadiusOption = Annotated[
    float, typer.Option(help="Blur of the focus measure in pixels: more joins wider areas, less is finer.")
]
SmoothingOption = Annotated[
    float,
    typer.Option(help="Noise levels added before frames are compared: more averages more frames, 0 chooses."),
]
SlabOption = Annotated[
    str | None,
    typer.Option(
        help="Fuse slabs of SIZE frames that share OVERLAP with the next, write each beside the output, and "
        "fuse these: SIZE,OVERLAP.",
        metavar="SIZE,OVERLAP",
        show_default=False,
    ),
]
PreferOption = Annotated[
    Prefer,
    typer.Option(
        help="What is taken where two things are equally sharp, a hair and what is behind: near is what the "
        "first frames show, far the last."
    ),
]
AlignOption = Annotated[
    Model, typer.Option(help="What a frame may do against the reference; none moves no pixel, auto chooses.")
]
ReferenceOption = Annotated[
    str,
    typer.Option(
        help="The frame that gives geometry and brightness: first, middle, last, or a number from 0."
    ),
]
CropOption = Annotated[
    Crop, typer.Option(help="auto keeps what every frame covers, none the reference's exact size.")
]
InterpolationOption = Annotated[
    Interpolation,
    typer.Option(
        help="How moved frames are resampled: lanczos keeps more of the finest detail, and takes longer."
    ),
]
BrightnessOption = Annotated[
    Brightness,
    typer.Option(
        help="How frames are brought to the reference's brightness: by a gain, by a gain and an offset of "
        "each colour (channels), or not at all (none)."
    ),
]
FlatOption = Annotated[
    Path | None,
    typer.Option(help="A picture of an even surface with the same lens: its vignetting is divided out."),
]
WhiteBalanceOption = Annotated[
    str,
    typer.Option(
        help="White balance of RAW frames: camera is what the reference was shot with, daylight, auto-first "
        "is estimated from the reference, or what the colours are multiplied with, R,G,B.",
        metavar="camera|daylight|auto-first|R,G,B",
    ),
]
DemosaicOption = Annotated[
    Demosaic,
    typer.Option(
        help="How the colours between the filters of a RAW frame's sensor are found: rcd is best, malvar "
        "fastest; ppg and ahd are LibRaw's, on the CPU."
    ),
]
ExposureOption = Annotated[float, typer.Option(help="Show RAW frames brighter, by so many EV.", metavar="EV")]
DeveloperOption = Annotated[
    str | None,
    typer.Option(
        help="Have another program develop RAW frames to TIFF of 16 bits: its command, with {input} and "
        "{output} in it.",
        metavar="COMMAND",
    ),
]
BadFrameOption = Annotated[
    BadFrame,
    typer.Option(help="A frame that cannot be aligned, or is shaken: skip it with a warning, or fail."),
]
DeghostOption = Annotated[
    Deghost,
    typer.Option(
        help="Show things that moved once: auto does where frames are aligned, on always, off never."
    ),
]
ConvertProfileOption = Annotated[
    bool,
    typer.Option("--convert-profile", help="Convert frames of another colour profile to the reference's."),
]
LayersOption = Annotated[
    Path | None,
    typer.Option(
        help="Write the picture and one masked layer for each frame that it is made of, for Photoshop and "
        "others: .psd, .psb or .tif."
    ),
]
StripGpsOption = Annotated[
    bool, typer.Option("--strip-gps", help="Leave the place where the frames were taken out of the result.")
]
DepthOption = Annotated[
    Path | None, typer.Option(help="Write the depth map: .tif (float, frames) or .png (16 bit).")
]
ConfidenceOption = Annotated[Path | None, typer.Option(help="Write how sure the depth is, 0 to 1.")]
ReportOption = Annotated[
    Path | None,
    typer.Option(help="Write a page that shows and tells what became of the stack: .html."),
]
SaveTransformsOption = Annotated[Path | None, typer.Option(help="Write the alignment as JSON.")]
SaveStepsOption = Annotated[Path | None, typer.Option(help="Write steps of the work into this folder.")]
NoSidecarOption = Annotated[
    bool, typer.Option("--no-sidecar", help="Write no JSON beside the picture that tells how it was made.")
]
BackendOption = Annotated[
    BackendName,
    typer.Option(help="Where the pixels are worked on; auto is CUDA where that works, else the CPU."),
]
DecoderOption = Annotated[
    DecoderName,
    typer.Option(help="Where JPEG files are decoded; auto is the CPU. gpu needs CUDA and nvImageCodec."),
]
RamOption = Annotated[
    str | None,
    typer.Option(
        help=f"Memory to stay within, such as 8G or 500M.  [default: {RAM_SHARE:.0%} of what is free]"
    ),
]
ScratchOption = Annotated[
    str | None,
    typer.Option(
        help=f"Disk for frames fetched from object storage.  [default: {SCRATCH_SHARE:.0%} of what is free]",
        show_default=False,
    ),
]
VramOption = Annotated[
    str | None,
    typer.Option(
        help=f"Memory of each GPU to stay within, such as 4G.  [default: {VRAM_SHARE:.0%} of what is free]"
    ),
]
DevicesOption = Annotated[
    str, typer.Option(help="GPUs to use, by the numbers that doctor shows; several share the frames.")
]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="Threads to use.  [default: all processors]")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the trace of an error.")]
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Keep checkpoints beside the output, and go on from those that an interrupted run has left.",
    ),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", "-y", help="Replace files that exist.")]
