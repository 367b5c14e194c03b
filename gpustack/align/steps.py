"""One level of a match: Gauss-Newton steps until nothing moves.

Direct alignment in the inverse compositional form, whose Jacobian is made once (Baker and Matthews,
"Lucas-Kanade 20 years on", IJCV 56, 2004).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpustack.align.motion import basis, small_motion
from gpustack.align.precision import solved
from gpustack.align.sight import Sight
from gpustack.backend.protocol import Backend
from gpustack.backend.values import Sums
from gpustack.model.transform import Matrix, normalise
from gpustack.settings import Model

STEPS = 20
"""Gauss-Newton steps on a level, at most; most levels settle in five."""

SETTLED_PX = 0.05
"""A step that moves no corner further than this ends a level. Steps fall by a factor of some five from one to
the next, so what is left is about a hundredth."""

PATIENCE = 5
"""Steps in which the correlation must rise by RISE, or a level ends: matches that go astray wander on."""

RISE = 0.01

JUDGED_SIDE = 256
"""Longer side, in pixels, of the level on which a match is judged."""


@dataclass(frozen=True, slots=True)
class End:
    """Where the steps on one level ended, and how the samples correlate there, as the last step saw it."""

    matrix: Matrix
    contrast: float
    correlation: float
    share: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two frames that are matched by one model."""

    backend: Backend[Any]
    here: Sight
    there: Sight
    model: Model

    @property
    def judging(self) -> int:
        """The finest level of at most JUDGED_SIDE pixels: neighbours' blur differs by less than its pixels
        there."""
        fitting = [level for level, size in enumerate(self.here.sizes) if max(size) <= JUDGED_SIDE]
        return fitting[-1] if fitting else 0

    def finest(self, level: int) -> bool:
        """Whether there is no finer level."""
        return level == len(self.here.sizes) - 1

    @property
    def to_model(self) -> Matrix:
        """(p + 1, 9): the model's parameters and the contrast, as combinations of the motions of `Sums`."""
        return _with_contrast(self.model)

    def sums(self, level: int, matrix: Matrix, contrast: float = 1.0, *, few: bool = True) -> Sums:
        """What the backend says of a motion, in pixels of a level, from a few samples or from all."""
        samples = self.here.samples(self.backend, level, few=few)
        return self.backend.alignment_sums(samples, self.there.planes[level], matrix, contrast)


@functools.cache
def _with_contrast(model: Model) -> Matrix:
    rows = basis(model)
    combined = np.zeros((len(rows) + 1, 9))
    combined[:-1, :8], combined[-1, 8] = rows, 1.0
    return combined


def settle(pair: Pair, level: int, matrix: Matrix, contrast: float = 1.0, least: float = -1.0) -> End:
    """Gauss-Newton on one level until no corner moves, or the match is getting nowhere; but on the finest, on
    a few of its samples.

    Nothing is done where the samples correlate less than `least` to begin with.
    """
    end = End(matrix, contrast, 0.0, 0.0)
    reached: list[float] = []
    for _ in range(STEPS):
        before, sums = end, pair.sums(level, end.matrix, end.contrast, few=not pair.finest(level))
        reached.append(sums.correlation)
        if reached[0] < least or _stuck(reached):
            return replace(end, correlation=sums.correlation, share=sums.share)
        end = _stepped(pair, level, end, sums)
        if travel(before.matrix, end.matrix, pair.here.sizes[level]) < SETTLED_PX:
            break
    return end


def settled(pair: Pair, level: int, end: End) -> End:
    """The end of a match once all samples of its level were looked at: a step from where the few ended."""
    if pair.finest(level) or not pair.here.thins(level):
        return end
    return _stepped(pair, level, end, pair.sums(level, end.matrix, end.contrast, few=False))


def _stepped(pair: Pair, level: int, end: End, sums: Sums) -> End:
    """One step further."""
    to_model = pair.to_model
    step = solved(to_model @ sums.hessian @ to_model.T, to_model @ sums.gradient)
    # The samples themselves are moved by the step, so their position in the other frame moves by its inverse.
    motion = small_motion((to_model.T @ step)[:8], *pair.here.sizes[level])
    contrast = float(np.clip(end.contrast + step[-1], 0.2, 5.0))
    return End(normalise(end.matrix @ motion), contrast, sums.correlation, sums.share)


def _stuck(reached: list[float]) -> bool:
    """Whether the correlations of the steps so far have stopped rising."""
    return len(reached) > PATIENCE and reached[-1] < max(reached[:-PATIENCE]) + RISE


def travel(before: Matrix, after: Matrix, size: tuple[int, int]) -> float:
    """How far the corner that moves most is moved by replacing one matrix with another, in pixels."""
    right, bottom = size[0] - 1.0, size[1] - 1.0
    points = np.array([[0, right, right, 0], [0, 0, bottom, bottom], [1, 1, 1, 1.0]])
    a, b = before @ points, after @ points
    return float(np.abs(a[:2] / a[2] - b[:2] / b[2]).max())


def rescaled(matrix: Matrix, levels: int) -> Matrix:
    """The same motion so many levels finer (coarser if negative): pixel (y, x) of a reduced plane lies at
    (2y, 2x)."""
    times = 2.0**levels
    scale = np.array([[1, 1, times], [1, 1, times], [1 / times, 1 / times, 1.0]])
    return normalise(matrix * scale)
