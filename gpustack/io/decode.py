"""From files to pixels: their headers as frames, their pixels as arrays."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.errors import DecodeError, UsageError
from gpustack.io import exr, heif, jpeg, jxl, png, raw, sensor, tiff, video, webp
from gpustack.io.clip import Clip
from gpustack.io.developer import Developer, developer_of
from gpustack.io.guard import check_squeezed, guarded
from gpustack.io.metadata import read_metadata
from gpustack.io.overview import read_overview, steps_of
from gpustack.io.recognise import kind_of
from gpustack.io.sensor import Colour
from gpustack.io.shots import Shot, of_exif
from gpustack.model.frame import Frame, Kind
from gpustack.model.jpeg import Jpeg
from gpustack.model.mosaic import Mosaic
from gpustack.settings import DEMOSAIC, Demosaic, WhiteBalance

__all__ = ["Colour", "Decoder", "probe", "probe_all", "sensor_of", "working_colour"]

_PROBES = {
    Kind.JPEG: jpeg.probe,
    Kind.PNG: png.probe,
    Kind.TIFF: tiff.probe,
    Kind.RAW: raw.probe,
    Kind.HEIC: heif.probe_heic,
    Kind.AVIF: heif.probe_avif,
    Kind.JXL: jxl.probe,
    Kind.WEBP: webp.probe,
    Kind.EXR: exr.probe,
    Kind.VIDEO: video.probe,
}
_DECODERS = {
    Kind.PNG: png.decode,
    Kind.TIFF: tiff.decode,
    Kind.HEIC: heif.decode_heic,
    Kind.AVIF: heif.decode_avif,
    Kind.JXL: jxl.decode,
    Kind.WEBP: webp.decode,
    Kind.EXR: exr.decode,
}


_FINEST_STEPS = 3
"""Halvings of the smallest size that JPEG files are decoded at."""

_BY_FILE = {Kind.HEIC, Kind.AVIF, Kind.JXL, Kind.WEBP, Kind.EXR, Kind.VIDEO}
"""What a picture may claim is told by the size of the whole file; the readers of the others look closer."""


def probe(path: Path, program: Developer | None = None) -> tuple[Frame, ...]:
    """Describe the frames of a file from its headers: one, or one for each full-size page of a TIFF file. A
    RAW file is developed, where a program is given that does so.

    The content decides what the file is, its name does not. Raises: DecodeError for files that cannot be
    read, are no picture, damaged as far as headers show, too large, or of a kind that is not handled.
    """
    with guarded(path.name):
        kind = kind_of(path)
        if kind is Kind.RAW and program is not None:
            return (program.probe(path),)
        frames = _PROBES[kind](path)
        if kind in _BY_FILE:
            check_squeezed(path.name, frames[0].nbytes, path.stat().st_size)
        return frames


def probe_all(paths: Iterable[Path], developer: str | None = None) -> tuple[Frame, ...]:
    """The frames of files, in order, as `probe` describes them; where `developer` is the command of a program
    that develops RAW files, these as it makes the first of them.

    Raises: as `probe` does; UsageError for no such program, a command that is none, and no RAW file.
    """
    if developer is None:
        return tuple(frame for path in paths for frame in probe(path))
    first: Frame | None = None
    frames: list[Frame] = []
    with closing(developer_of(developer)) as program:
        for path in paths:
            with guarded(path.name):
                is_raw_file = kind_of(path) is Kind.RAW
            if is_raw_file:
                first = first or probe(path, program)[0]
                frames.append(replace(first, path=path))
            else:
                frames += probe(path)
    if first is None:
        raise UsageError("--raw-developer takes RAW frames, and these are developed.", "Leave it out.")
    return tuple(frames)


def working_colour(reference: Frame) -> Colour | None:
    """The map from a RAW stack's pixels to linear sRGB; None for developed files, which keep their encoding.

    Raises: DecodeError where the file is no longer what it was.
    """
    if reference.kind is not Kind.RAW:
        return None
    with guarded(reference.name):
        return sensor.working_colour(reference)


def sensor_of(reference: Frame, wish: raw.Balance, exposure: float) -> sensor.Sensor:
    """What a stack of RAW frames says of colour, for a DNG file; see `sensor`. Raises as `working_colour`."""
    with guarded(reference.name):
        return sensor.sensor(reference, wish, exposure)


class Decoder:
    """Decodes the frames of one stack; may be called from several threads at once.

    What must not vary over a RAW stack (white balance as wished for, levels) is read from `reference` once,
    and kept here; so is what another program, `developer`, makes of RAW files, until `close`.
    """

    def __init__(
        self,
        reference: Frame,
        wish: raw.Balance = WhiteBalance.CAMERA,
        demosaic: Demosaic = DEMOSAIC,
        developer: str | None = None,
    ) -> None:
        self._developer = None if developer is None else developer_of(developer)
        with guarded(reference.name):
            self._recipe = raw.lock(reference, wish, demosaic) if reference.kind is Kind.RAW else None
        self._clips: dict[Path, Clip] = {}
        self._opening = threading.Lock()

    def close(self) -> None:
        """Let go what was kept on disk; nothing is developed after it."""
        program, self._developer = self._developer, None
        if program is not None:
            program.close()

    def probe(self, path: Path) -> tuple[Frame, ...]:
        """Describe a file that goes with the stack, as `probe` does: a RAW one as the program makes it that
        makes the frames."""
        return probe(path, self._developer)

    def __call__(self, frame: Frame, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """The pixels of `frame`: (h, w, c), C-contiguous, of its `pixel_type`, not turned by EXIF; in `out`
        if given.

        Developed files keep their encoding; RAW becomes linear camera RGB with the reference's white balance.
        Raises: DecodeError for damaged files; StackError for a RAW frame of another camera than the
        reference's.
        """
        with guarded(frame.name):
            pixels = self._decode(frame, out)
        return _kept(frame, pixels, out)

    def sketch(self, frame: Frame) -> tuple[int, npt.NDArray[Any]] | None:
        """The picture halved some times, and how often, where its file gives that for much less than the
        whole: (ceil(h / 2^n), ceil(w / 2^n), c), the edge repeated. Raises: as decoding does.
        """
        steps = steps_of(frame.width, frame.height)
        if frame.kind is Kind.TIFF:
            small = read_overview(frame)
            return None if small is None else (steps, small)
        steps = min(steps, _FINEST_STEPS)
        if frame.kind is not Kind.JPEG or steps == 0:
            return None
        small = self.reduced(frame, 1 << steps, colours=True)
        missing = (
            -(-side >> steps) - own
            for side, own in zip((frame.height, frame.width), small.shape, strict=False)
        )
        return steps, np.pad(small, [*((0, rest) for rest in missing), (0, 0)], mode="edge")

    def parts(
        self, frame: Frame, work: Callable[[int, int, npt.NDArray[Any]], None], threads: int
    ) -> Iterator[int]:
        """Hand the parts that a file is made of to `work`, in several threads: their first row and column,
        and their pixels. Yields how many rows from the top are through; parts of TIFF files come one after
        the other, and never all together. Raises: as decoding does.
        """
        with guarded(frame.name):
            if frame.kind is Kind.TIFF:
                yield from tiff.parts(frame, work, threads)
                return
        work(0, 0, self(frame))
        yield frame.height

    def agrees(self, other: Decoder) -> bool:
        """Whether another decoder, whose reference is another frame, makes the same of every frame."""
        mine, its = self._recipe, other._recipe
        if mine is None or its is None:
            return mine is its
        return replace(mine, name=its.name) == its

    def shot(self, frame: Frame) -> Shot:
        """How a frame was taken; empty where its file does not say, for pages, which share a file, and for
        RAW frames that were not decoded yet."""
        if frame.kind is Kind.RAW:
            return self._recipe.shots.get(frame.path, Shot()) if self._recipe is not None else Shot()
        return Shot() if frame.pages > 1 else of_exif(read_metadata(frame).exif)

    def reduced(self, frame: Frame, by: int, *, colours: bool = False) -> npt.NDArray[Any]:
        """The picture at 1 / `by` of its size, (h // by, w // by, c) of its `pixel_type`, for one of its
        kind's `Kind.reductions`: nearly the mean over by x by pixels, without a rest at the lower and right
        edge. One channel suffices where only the luma is wanted, not the `colours`.

        Raises: as decoding does.
        """
        with guarded(frame.name):
            if frame.kind is Kind.JPEG:
                return jpeg.reduced(frame, by, colours=colours)
            if frame.kind is Kind.RAW and self._recipe is not None and by == 2:
                return raw.halved(frame, self._recipe)
        return self(frame)

    def unpack(self, frame: Frame, out: npt.NDArray[Any]) -> Mosaic | Jpeg | None:
        """Decode `frame` into `out`, C-contiguous (h, w, c) of its `pixel_type`; or leave its Bayer mosaic,
        or the bytes of its JPEG file, in the `room` of `out`, and return how they become the pixels.

        None is returned where `out` holds the pixels. Raises: as decoding does, as far as damage shows
        without it.
        """
        found: Mosaic | Jpeg | npt.NDArray[Any]
        with guarded(frame.name):
            if frame.kind is Kind.JPEG:
                found = jpeg.unpack(frame, out)
            elif frame.kind is Kind.RAW and self._recipe is not None:
                found = raw.unpack(frame, self._recipe, out)
            else:
                found = self._decode(frame, out)
        if isinstance(found, Mosaic | Jpeg):
            return found
        _kept(frame, found, out)
        return None

    def _decode(self, frame: Frame, out: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
        if frame.kind is Kind.JPEG:
            pixels = jpeg.decode(frame, out)
        elif frame.kind is Kind.DEVELOPED:
            pixels = self._by_developer(frame)
        elif frame.kind is Kind.VIDEO:
            pixels = video.decode(frame, self._clip(frame))
        elif frame.kind is not Kind.RAW:
            pixels = _DECODERS[frame.kind](frame)
        elif self._recipe is None:
            raise DecodeError(frame.name, "it is a RAW file in a stack of developed ones.", "Leave it out.")
        else:
            pixels = raw.decode(frame, self._recipe)
        return np.ascontiguousarray(pixels)

    def _by_developer(self, frame: Frame) -> npt.NDArray[Any]:
        if self._developer is None:
            raise UsageError(
                f"What develops {frame.name} is not named.", "Give the raw_developer that it was opened with."
            )
        return self._developer.decode(frame)

    def _clip(self, frame: Frame) -> Clip:
        """The video that a frame is of, which stays open."""
        with self._opening:
            if frame.path not in self._clips:
                self._clips[frame.path] = Clip(frame.path, frame.path.name)
            return self._clips[frame.path]


def _kept(frame: Frame, pixels: npt.NDArray[Any], out: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
    """Decoded pixels, in `out` if given. Raises: DecodeError where they are not what the header said."""
    wanted = (frame.height, frame.width, frame.channels)
    if pixels.shape != wanted or pixels.dtype != frame.pixel_type.value:
        raise DecodeError(
            frame.name,
            f"its pixels, {pixels.shape} of {pixels.dtype}, are not what its header said, {wanted}.",
            "Start again if the file was just changed; else convert it to TIFF.",
        )
    if out is None or np.shares_memory(pixels, out):
        return pixels
    np.copyto(out, pixels)
    return out
