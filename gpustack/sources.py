"""From files or arrays to a stack, and what reads its frames as they are to be fused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.engine.feed import Read, Source, filled
from gpustack.errors import DecodeError, UsageError
from gpustack.io.decode import Decoder, probe_all
from gpustack.io.flat import Flat
from gpustack.io.profiles import Profiles
from gpustack.model.frame import Frame, Kind, PixelType
from gpustack.model.stack import Stack
from gpustack.settings import Brightness, Settings

Pixels = npt.NDArray[Any]

LARGEST_FLOAT = 1e6
"""Floating point samples beyond this are damage, not light; their squares would swamp the focus measure."""


def open_stack(paths: Sequence[str | Path], raw_developer: str | None = None, *, every: int = 1) -> Stack:
    """Read the headers of files and check that they belong together; take every so many-th frame of them.

    Of RAW files that another program develops, see `Settings`, the first is made. Raises DecodeError,
    StackError, UsageError.
    """
    return Stack(probe_all(map(Path, paths), raw_developer)[::every], every)


@contextmanager
def held(decoder: Decoder | None) -> Iterator[None]:
    """Let go in the end what a decoder has kept."""
    try:
        yield
    finally:
        if decoder is not None:
            decoder.close()


def opened(
    frames: Sequence[str | Path | Pixels] | Stack,
    settings: Settings,
    *,
    colours: bool = False,
    fuses: bool = False,
) -> tuple[Stack, Source, Decoder | None]:
    """The stack, and what reads its frames, as the reference was taken; the decoder of files. `colours`: they
    are wanted of small pictures, too, where else the luma may do. `fuses`: frames must have one colour
    profile, or are converted to one. Raises as `stack`."""
    if not isinstance(frames, Stack):
        arrays = [frame for frame in frames if isinstance(frame, np.ndarray)]
        paths = [frame for frame in frames if not isinstance(frame, np.ndarray)]
        if arrays and paths:
            raise UsageError("Files and arrays cannot be mixed in one stack.", "Give one or the other.")
        if arrays:
            whole, read = _in_memory(arrays)
            whole.refuse_raw_options(settings)
            source = Source(read) if settings.flat is None else _flattened(read, whole, settings.flat)
            return whole, replace(source, read=_sane(source.read)), None
        frames = open_stack(paths, settings.raw_developer)
    if settings.raw_developer is not None and frames.kind is Kind.RAW:
        frames = open_stack([frame.path for frame in frames], settings.raw_developer)
    frames.refuse_raw_options(settings)
    reference = frames.reference(settings.reference)
    decoder = Decoder(frames.frames[reference], settings.wb, settings.demosaic, settings.raw_developer)
    profiles = _profiles(frames, reference, settings) if fuses else None
    if settings.flat is not None:
        source = _flattened(decoder, frames, settings.flat)
    else:
        # Light is compared: that of the luma alone is another than that of the colours.
        coded = settings.brightness is Brightness.CHANNELS or any(f.kind is not Kind.JPEG for f in frames)
        colours = colours or coded or profiles is not None
        source = Source(decoder, decoder.unpack, partial(decoder.reduced, colours=colours))
    source = replace(source, read=_sane(source.read))
    return frames, source if profiles is None else _converted(source, profiles), decoder


def _profiles(frames: Stack, reference: int, settings: Settings) -> Profiles | None:
    """What converts frames to the reference's colours, where some mean others; refused unless asked for."""
    profiles = Profiles(frames, reference)
    if not settings.convert_profile:
        profiles.refuse()
    return profiles or None


def _converted(source: Source, profiles: Profiles) -> Source:
    """Read frames in one colour profile; that is done here, so nothing is left to backends."""
    shrink = source.shrink

    def shrunk(frame: Frame, by: int) -> Pixels:
        assert shrink is not None
        return profiles.convert(frame, shrink(frame, by), None)

    def read(frame: Frame, out: Pixels | None) -> Pixels:
        pixels = source.read(frame, out)
        return profiles.convert(frame, pixels, pixels if out is None and pixels.flags.writeable else out)

    return Source(read, None, None if shrink is None else shrunk)


def _flattened(read: Read, frames: Stack, path: str) -> Source:
    """Read frames, divided by the flat field in a file; that is done here, so nothing is left to backends."""
    decoder = read if isinstance(read, Decoder) else None
    flat = Flat(Path(path), frames, decoder)

    def shrunk(frame: Frame, by: int) -> Pixels:
        assert decoder is not None
        pixels = decoder.reduced(frame, by, colours=True)
        small = replace(frame, width=pixels.shape[1], height=pixels.shape[0])
        return flat.divide(small, pixels, None)

    return Source(
        lambda frame, out: flat.divide(frame, read(frame, out), out), None, shrunk if decoder else None
    )


def _in_memory(arrays: list[Pixels]) -> tuple[Stack, Read]:
    described = tuple(_described(array, index) for index, array in enumerate(arrays))
    pictures = [np.ascontiguousarray(array if array.ndim == 3 else array[..., None]) for array in arrays]
    return Stack(described), lambda frame, out: filled(pictures[frame.page], out)


def _sane(read: Read) -> Read:
    """Read frames, but refuse NaN, infinity and absurd values: a pyramid spreads one over the picture."""

    def checked(frame: Frame, out: Pixels | None) -> Pixels:
        pixels = read(frame, out)
        if pixels.dtype == np.float32 and not max(-pixels.min(), pixels.max()) <= LARGEST_FLOAT:
            problem = f"it holds samples that are not numbers, or beyond {LARGEST_FLOAT:.0e}."
            raise DecodeError(frame.name, problem, "Replace them, 0 is black and 1 white, or leave it out.")
        return pixels

    return checked


def _described(picture: Pixels, index: int) -> Frame:
    fits = picture.ndim in (2, 3) and picture.size > 0 and picture.dtype.name in list(PixelType)
    height, width, channels = (*picture.shape, 1)[:3] if fits else (0, 0, 0)
    if not 1 <= channels <= 4:
        raise UsageError(
            f"Frame {index} has shape {picture.shape} and dtype {picture.dtype}.",
            "Give (h, w) or (h, w, 1 to 4) arrays of uint8, uint16 or float32.",
        )
    kind = PixelType(picture.dtype.name)
    return Frame(Path("array"), width, height, channels, kind, Kind.ARRAY, page=index, pages=1 << 30)
