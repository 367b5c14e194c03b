"""What reads the frames of a result, of those that are still there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.engine.feed import Source
from gpustack.errors import GpustackError, InputError
from gpustack.finishing import Finishing
from gpustack.io.decode import Decoder, probe_all
from gpustack.io.screen import Screen
from gpustack.io.sidecar import Input
from gpustack.model.frame import Frame, Kind
from gpustack.model.stack import Stack
from gpustack.model.transform import Matrix
from gpustack.records.shown import Shown
from gpustack.settings import BackendName, Settings
from gpustack.sources import opened

Pixels = npt.NDArray[Any]

_ELSEWHERE = "Put it back, or name the folder where the frames lie with --frames."


@dataclass(frozen=True, slots=True, eq=False)
class Readers:
    """The frames that are there, by the index that the sidecar has them at; what is wrong with the others;
    and what reads and shows them. settings: those of the run, on this machine."""

    frames: dict[int, Frame]
    problems: dict[int, GpustackError]
    settings: Settings
    stack: Stack
    source: Source
    screen: Screen
    decoder: Decoder | None

    def reduced(self, frame: Frame, by: int) -> Pixels:
        """A frame at 1 / `by` of its size, a power of two, as stored; without a rest at the right and lower
        edge. Raises DecodeError."""
        own = frame.kind.reduction(by)
        if self.source.shrink is not None and own > 1:
            return shrunk(self.source.shrink(frame, own), by // own)
        return shrunk(self.source.read(frame, None), by)

    def close(self) -> None:
        """Let go what the decoder has kept."""
        if self.decoder is not None:
            self.decoder.close()


def open_readers(shown: Shown, machine: Settings) -> Readers:
    """Open the frames of a result; their headers are read, and their sizes compared, not their content.

    Raises InputError where none is there, or RAW frames without their reference; and what opening a stack
    raises.
    """
    settings = shown.inputs.settings(BackendName.AUTO, machine)
    problems = {
        index: error for index in range(len(shown.sidecar.inputs)) if (error := missing(shown, index))
    }
    frames = _there(shown, settings.raw_developer, problems)
    if not frames:
        raise next(iter(problems.values()))
    reference = _reference(shown, frames)
    stack = Stack(tuple(frames.values()))
    settings = replace(settings, reference=str(reference))
    stack, source, decoder = opened(stack, settings, colours=True, fuses=True)
    screen = Finishing(stack.frames[reference], replace(settings, linear=False)).screen
    return Readers(frames, problems, settings, stack, source, screen, decoder)


def shrunk(pixels: Pixels, by: int) -> Pixels:
    """Means over by x by pixels of (h, w, c); without a rest at the right and lower edge."""
    if by == 1:
        return pixels
    high, wide = (max(1, side // by) for side in pixels.shape[:2])
    part = pixels[: high * by, : wide * by]
    return cv2.resize(part, (wide, high), interpolation=cv2.INTER_AREA).reshape(high, wide, -1)


def to_reduced(by: int) -> Matrix:
    """3x3: pixels of a frame to those of it at 1 / `by` of its size, centres at whole numbers in both."""
    shift = (1 / by - 1) / 2
    return np.array([[1 / by, 0, shift], [0, 1 / by, shift], [0, 0, 1.0]])


def missing(shown: Shown, index: int) -> GpustackError | None:
    """What is wrong with a frame's file, as far as that shows without reading it."""
    problem = shown.inputs.problem(shown.sidecar.inputs[index])
    return None if problem is None else InputError(f"{problem}.", _ELSEWHERE)


def _there(shown: Shown, developer: str | None, problems: dict[int, GpustackError]) -> dict[int, Frame]:
    """The frames whose files are as they were; what is wrong with the others is added to `problems`."""
    pages: dict[Path, dict[int, Frame]] = {}
    found = {}
    for index, one in enumerate(shown.sidecar.inputs):
        if index in problems:
            continue
        path = shown.inputs.path(one)
        try:
            if path not in pages:
                pages[path] = {frame.page: frame for frame in probe_all([path], developer)}
            found[index] = _same(pages[path].get(one.page), one, path)
        except GpustackError as error:
            problems[index] = error
    return found


def _same(frame: Frame | None, one: Input, path: Path) -> Frame:
    """A frame, if it has the size that it had."""
    if frame is None or frame.size != (one.width, one.height):
        raise InputError(f"{path} holds other pictures than it did.", _ELSEWHERE)
    return frame


def _reference(shown: Shown, frames: dict[int, Frame]) -> int:
    """The place of the reference among the frames that are there; that of another one where developed frames
    do without."""
    order = list(frames)
    if shown.sidecar.reference in frames:
        return order.index(shown.sidecar.reference)
    if frames[order[0]].kind is Kind.RAW:
        raise InputError(
            f"RAW frames are developed as their reference, {shown.reference.file}, was taken, and that is "
            "not there.",
            _ELSEWHERE,
        )
    return 0
