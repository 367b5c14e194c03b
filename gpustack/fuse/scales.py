"""At every scale and place the mean of the frames' details, weighted so steeply by energy that the sharpest
dominate: what `auto` starts from.

A Laplacian pyramid like `pyramid`, with the soft maximum of `average` in place of the hard one: where a
frame is clearly the sharpest its detail is taken nearly alone, so crossing hairs stay complete; where
several are equally good, or nothing but noise is seen, they are averaged. What counts as noise is measured
on the reference frame and follows from the pyramid's kernels on every level.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from gpustack.backend.protocol import Backend
from gpustack.backend.values import EVIDENCE, Part
from gpustack.fuse.average import empty_mix
from gpustack.fuse.levels import LaplacianFold
from gpustack.fuse.measure import LEAST_LEVELS, empty_best, preference, valley_bytes
from gpustack.settings import FOCUS_SIGMA_PX, NOISE_LEVELS, Prefer

DETAIL_NOISE = (0.889, 0.0530, 0.0101, 0.0024)
"""Variance of the first detail levels of white noise of variance 1, measured on 2048 x 2048 pixels; a
quarter of the one before it on every further level."""


@dataclass(frozen=True, slots=True)
class Weighing(ABC):
    """How the details of a level are mixed by their energy; `noise` is the frame's luma noise, 0..1, `sigma`
    the blur of a level's energy in its pixels, `smoothing` how many noise levels make no difference."""

    noise: float
    sigma: float = FOCUS_SIGMA_PX
    smoothing: float = NOISE_LEVELS
    prefer: Prefer = Prefer.NONE

    steep: ClassVar[bool] = False
    """Whether roots of energies are weighed, steeply (`Part`)."""

    @abstractmethod
    def offset(self, level: int) -> float:
        """What is added to a level's energies, or to their roots."""

    def empty(
        self, backend: Backend[Any], channels: int, height: int, width: int, level: int, /
    ) -> Part[Any]:
        """A mean of nothing."""
        afar = level == 0
        mix = empty_mix(backend, channels, height, width, afar=afar)
        best = empty_best(backend, height, width, afar=afar)
        floor = NOISE_LEVELS * level_noise(self.noise, level)
        wish = preference(backend, self.prefer, height, width, floor, afar=afar)
        return Part(best, mix, self.offset(level), steep=self.steep, preference=wish)

    def bytes_per_pixel(self, channels: int, /) -> float:
        """Mean, total weight, energy and index."""
        return 4.0 * channels + 10 + valley_bytes(self.prefer)


@dataclass(frozen=True, slots=True)
class SoftMaximum(Weighing):
    """By the eighth power of their energy."""

    def offset(self, level: int) -> float:
        """What noise alone gives as a level's energy, times `smoothing`."""
        return max(self.smoothing, LEAST_LEVELS) * level_noise(self.noise, level)


def level_noise(noise: float, level: int) -> float:
    """What luma noise of standard deviation `noise` gives as a level's energy, the finer levels' evidence
    included.

    The base, below the last detail level, has a tiny noise of its own added; it hears the finer levels all
    the same.
    """
    variance = (
        DETAIL_NOISE[level]
        if level < len(DETAIL_NOISE)
        else DETAIL_NOISE[-1] / 4 ** (level - len(DETAIL_NOISE) + 1)
    )
    own = noise**2 * variance
    return own if level == 0 else own + EVIDENCE * level_noise(noise, level - 1)


def soft_scales(
    noise: float,
    radius: float = FOCUS_SIGMA_PX,
    smoothing: float = NOISE_LEVELS,
    prefer: Prefer = Prefer.NONE,
) -> LaplacianFold:
    """The fold for frames of luma noise `noise`, 0..1."""
    return LaplacianFold(SoftMaximum(noise, radius, smoothing, prefer))
