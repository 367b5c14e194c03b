"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gpustack.errors import StackError, UsageError
from gpustack.io.decode import probe
from gpustack.io.discover import Found, discover
from gpustack.model.stack import Stack
from gpustack.settings import (
    RAM_SHARE,
    VRAM_SHARE,
    BackendName,
    BadFrame,
    Brightness,
    Crop,
    DecoderName,
    Interpolation,
    Method,
    Model,
    Settings,
)

DEFAULT = Settings()
DEFAULT_DEVICES = ",".join(map(str, DEFAULT.devices))

Inputs = Annotated[
    list[str],
    typer.Argument(
        help="Frames: files, folders, globs, @list.txt, or - for a list on stdin.", show_default=False
    ),
]
MethodOption = Annotated[
    Method,
    typer.Option(
        help="How frames are fused: auto (weighted pyramid), pyramid (Helicon C, Zerene PMax), "
        "depthmap (Helicon B, Zerene DMap), average (Helicon A)."
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
BadFrameOption = Annotated[
    BadFrame,
    Brightness,
    typer.Option(help="A frame that cannot be aligned, or is shaken: skip it with a warning, or fail."),
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
OverwriteOption = Annotated[bool, typer.Option("--overwrite", "-y", help="Replace files that exist.")]

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


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


def find(
    inputs: list[str], *, outputs: list[Path] | None = None, flat: Path | None = None, quiet: bool = False
) -> Stack:
    """The stack that the inputs name; says on stderr what was left out.

    A result of an earlier run that lies among the frames is not taken for one, nor is the flat field.
    """
    found = discover(inputs, sys.stdin)
    results = {path.resolve() for path in outputs or []}
    paths = [path for path in found.paths if path.resolve() not in results]
    if not quiet:
        _tell_left_out(found, len(found.paths) - len(paths))
    paths = [path for path in paths if flat is None or path.resolve() != flat.resolve()]
    if not paths:
        raise StackError("There is no frame to stack.", "Name picture files, or a folder that holds some.")
    return Stack(tuple(frame for path in paths for frame in probe(path)))


def _tell_left_out(found: Found, results: int) -> None:
    for left in found.left_out:
        typer.echo(f"left out {left.path.name}: {left.reason}", err=True)
    if results:
        typer.echo("left out the output file itself, which lies among the frames", err=True)
