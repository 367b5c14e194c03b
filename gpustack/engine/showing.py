"""Frames of different pixel size in one survey: crops, and pictures of another resolution.

The survey compares pictures that show the subject at about one scale. A frame that is smaller than the others
shows it at the same scale if it is a crop, and at a smaller one if it has their field of view; which of the
two it is, a match with the nearest frame of the usual size tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpustack.align.estimate import Link, match
from gpustack.align.sight import COARSEST, Sight, see
from gpustack.backend.protocol import Backend
from gpustack.backend.resample import resample
from gpustack.engine.feed import Source
from gpustack.model.frame import Frame, Kind
from gpustack.model.rect import Rows
from gpustack.model.stack import Stack
from gpustack.model.transform import Matrix, Transform, corners, normalise
from gpustack.settings import Interpolation, Model

REST_PX = 0.05
"""A frame that moves less than this, in pixels of the survey, is taken to lie still: the estimate is no
better, and resampling it would cost more sharpness than so small a shift."""

SMALLEST = COARSEST // 4
"""Shorter side of the coarsest level of the smallest frame, in pixels: all frames have as many levels."""


@dataclass(frozen=True, slots=True)
class Showing:
    """How the survey sees a frame: shrunk by `factor`, then resampled to planes of `size` (width, height),
    with so many shrunk pixels to one of the plane's as `zoom` says (across, down)."""

    factor: int
    size: tuple[int, int]
    zoom: tuple[float, float] = (1.0, 1.0)

    @property
    def to_frame(self) -> Matrix:
        """3x3: pixels of the plane to pixels of the frame."""
        return _grown(self.factor, self.factor) @ _grown(*self.zoom)

    def like(self, other: Showing) -> bool:
        """Whether a pixel of the plane is as many of the frame's as with another one."""
        return (self.factor, self.zoom) == (other.factor, other.zoom)

    def plane(self, backend: Backend[Any], pixels: Any, frame: Frame, reduction: int = 1) -> Any:
        """The luma of a frame (h, w, c), or of one that is decoded so many times smaller, as the survey sees
        it."""
        luma = backend.survey_luma(pixels, frame.pixel_type, self.factor // reduction)
        if self.zoom == (1.0, 1.0):
            return luma
        width, height = self.size
        place, shrunk = Transform(_grown(*self.zoom)), backend.download(luma)[..., None]
        band = resample(shrunk, place, 1.0, width, Rows(0, height), Interpolation.BICUBIC)
        return backend.upload(band.image[0])


def showings(
    backend: Backend[Any], stack: Stack, source: Source, model: Model, factor: int
) -> tuple[Showing, ...]:
    """One a frame; `factor` is that of the largest frames.

    A frame of another size than theirs is read here, and so is one to compare it with.
    """
    usual = stack.largest
    same = [index for index, frame in enumerate(stack) if frame.size == usual.size]
    found = [cropped(frame, factor) for frame in stack]
    for index, frame in enumerate(stack):
        if frame.size != usual.size:
            near = stack.frames[same[int(np.abs(np.array(same) - index).argmin())]]
            ways = (found[index], _resized(frame, usual, factor))
            beside = cropped(near, factor)
            found[index] = _better(backend, source, (near, beside), frame, ways, model, levels(stack, factor))
    return tuple(found)


def in_frames(transform: Transform, reference: Showing, frame: Showing) -> Transform:
    """A transform between planes as one between frames; at rest, or a shift by whole pixels, where it nearly
    is."""
    if reference == frame and transform.travel(*reference.size) < REST_PX:
        return Transform.identity()
    if reference == frame and frame.zoom == (1.0, 1.0):
        return transform.scaled(frame.factor)
    matrix = normalise(frame.to_frame @ transform.matrix @ np.linalg.inv(reference.to_frame))
    return _on_pixels(matrix, reference) if frame.like(reference) else Transform(matrix)


def _on_pixels(matrix: Matrix, reference: Showing) -> Transform:
    """A crop's transform; the shift by whole pixels that is no further from it than REST_PX, if there is
    one."""
    points = Transform(reference.to_frame).apply(corners(*reference.size))
    moves = Transform(matrix).apply(points) - points
    whole = np.eye(3)
    whole[:2, 2] = np.rint(moves.mean(axis=0))
    away = np.sqrt(((moves - whole[:2, 2]) ** 2).sum(axis=1)).max()
    return Transform(whole if away < REST_PX * reference.factor else matrix)


def levels(stack: Stack, factor: int) -> int:
    """How many levels every frame has."""
    shorter = min(stack.largest.size) // factor
    smallest = min(min(frame.size) for frame in stack) // factor
    count = 1
    while shorter >= 2 * COARSEST and -(-smallest // 2) >= SMALLEST:
        shorter, smallest, count = -(-shorter // 2), -(-smallest // 2), count + 1
    return count


def _better(
    backend: Backend[Any],
    source: Source,
    beside: tuple[Frame, Showing],
    frame: Frame,
    ways: tuple[Showing, ...],
    model: Model,
    count: int,
) -> Showing:
    """The way of seeing a frame in which it matches another frame best, and at the same scale: a match may
    find its way at the wrong one, too."""

    def sights(frame: Frame, *shown: Showing) -> list[Sight]:
        pixels = source.decoded(frame, backend, None).sent(backend)
        linear = frame.kind is Kind.RAW
        planes = ((way.plane(backend, pixels, frame), way.size) for way in shown)
        return [see(backend, *plane, count, linear=linear) for plane in planes]

    (here,) = sights(*beside)
    links = [match(backend, here, there, model) for there in sights(frame, *ways)]
    return ways[max(range(len(ways)), key=lambda number: _merit(links[number]))]


def _merit(link: Link) -> tuple[bool, float]:
    """How good a match is; neighbours differ in scale by a percent, wrong ways by the ratio of sizes."""
    growth = float(np.log(max(1e-9, abs(np.linalg.det(link.matrix[:2, :2]))))) / 2
    return link.trusted, link.confidence - abs(growth)


def cropped(frame: Frame, factor: int) -> Showing:
    """A frame with as many pixels to a detail as the largest ones."""
    return Showing(factor, (max(1, frame.width // factor), max(1, frame.height // factor)))


def _resized(frame: Frame, usual: Frame, factor: int) -> Showing:
    """A frame with the field of view of the largest ones, or of their width or height alone."""
    across, down = usual.width / frame.width, usual.height / frame.height
    if abs(across * frame.height - usual.height) > across + 1:  # more than rounding: another aspect
        across = down = min(across, down)
    steps = factor / across, factor / down  # pixels of the frame to one of the plane's
    shrunk = max(1, round(min(steps)))
    wide, high = (int(side / step + 1e-6) for side, step in zip(frame.size, steps, strict=True))
    return Showing(shrunk, (max(1, wide), max(1, high)), (steps[0] / shrunk, steps[1] / shrunk))


def _grown(across: float, down: float) -> Matrix:
    """From pixels of a picture to those of one so many times as large, pixel centres at whole numbers."""
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1.0]])
