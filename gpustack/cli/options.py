"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpustack.errors import StackError, UsageError
from gpustack.model.stack import Stack
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

if TYPE_CHECKING:
    from gpustack.io.discover import Found

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

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


_READ: dict[str, Callable[[Any], Any]] = {
    "flat": lambda path: None if path is None else str(path),
    "slab": lambda text: slab_of(text),
    "wb": lambda text: balance_of(text),
    "devices": lambda text: devices_of(text),
}


def settings_of(given: Mapping[str, Any], **more: Any) -> Settings:
    """The settings among a command's arguments, which bear the same names. Raises UsageError."""
    chosen = {field.name: given[field.name] for field in fields(Settings) if field.name in given}
    chosen |= {name: read(chosen[name]) for name, read in _READ.items() if name in chosen}
    memory = {f"{name}_bytes": bytes_of(given[name]) for name in ("ram", "vram") if name in given}
    return Settings(**chosen | memory | more)


def bytes_of(text: str | None) -> int | None:
    """8G, 500M, 1.5GiB -> bytes; a unit is a power of 1024. Raises UsageError."""
    if text is None:
        return None
    digits = text.strip().upper().removesuffix("B").removesuffix("I")
    number = digits[:-1] if digits[-1:] in _UNITS else digits
    try:
        size = int(float(number) * _UNITS.get(digits[-1:], 1))
    except (ValueError, OverflowError):
        size = 0
    if size <= 0:
        raise UsageError(f"'{text}' is no amount of memory.", "Write it as 8G or 500M.")
    return size


def devices_of(text: str) -> tuple[int, ...]:
    """0,1 -> (0, 1). Raises UsageError."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
        raise UsageError(
            f"'{text}' is no list of GPUs.", "Write their numbers, as doctor shows them: 0, or 0,1 for two."
        )
    numbers = tuple(int(part) for part in parts)
    if len(set(numbers)) < len(numbers):
        raise UsageError(f"--devices {text} names a GPU twice.", "Name each once.")
    return numbers


def slab_of(text: str | None) -> tuple[int, int] | None:
    """10,3 -> (10, 3). Raises UsageError."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
        raise UsageError(f"'{text}' is no size and overlap.", "Write --slab as two numbers of frames: 10,3.")
    return int(parts[0]), int(parts[1])


def balance_of(text: str) -> WhiteBalance | tuple[float, float, float]:
    """camera, daylight, auto-first, or 2.1,1,1.6 -> (2.1, 1.0, 1.6). Raises UsageError."""
    if text in list(WhiteBalance):
        return WhiteBalance(text)
    try:
        red, green, blue = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"'{text}' is no white balance.",
            "Write --wb as camera, daylight, auto-first, or three numbers: 2.1,1,1.6.",
        ) from None
    return red, green, blue


def find(
    inputs: list[str],
    *,
    outputs: list[Path] | None = None,
    flat: Path | None = None,
    developer: str | None = None,
    every: int = 1,
    quiet: bool = False,
) -> Stack:
    """The stack that the inputs name; says on stderr what was left out.

    A result of an earlier run that lies among the frames is not taken for one, nor is the flat field.
    `developer` is the command that develops RAW files.
    """
    from gpustack.io.decode import probe_all
    from gpustack.io.discover import discover

    found = discover(inputs, sys.stdin)
    results = {path.resolve() for path in outputs or []}
    paths = [path for path in found.paths if path.resolve() not in results]
    if not quiet:
        _tell_left_out(found, len(found.paths) - len(paths))
    paths = [path for path in paths if flat is None or path.resolve() != flat.resolve()]
    if not paths:
        raise StackError("There is no frame to stack.", "Name picture files, or a folder that holds some.")
    return Stack(probe_all(paths, developer)[::every], every)


def _tell_left_out(found: Found, results: int) -> None:
    for left in found.left_out:
        typer.echo(f"left out {left.path.name}: {left.reason}", err=True)
    if results:
        typer.echo("left out the output file itself, which lies among the frames", err=True)
