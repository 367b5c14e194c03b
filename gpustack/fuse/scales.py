"""At every scale and place the mean of the frames' details, weighted so steeply by energy that the sharpest
dominate: what `auto` starts from.

A Laplacian pyramid like `pyramid`, with the soft maximum of `average` in place of the hard one: where a
frame is clearly the sharpest its detail is taken nearly alone, so crossing hairs stay complete; where
several are equally good, or nothing but noise is seen, they are averaged. What counts as noise is measured
on the reference frame and follows from the pyramid's kernels on every level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpustack.backend.protocol import Backend
from gpustack.backend.values import EVIDENCE, Part
from gpustack.fuse.average import empty_mix
from gpustack.fuse.levels import LaplacianFold
from gpustack.fuse.measure import empty_best
from gpustack.settings import NOISE_LEVELS

DETAIL_NOISE = (0.889, 0.0530, 0.0101, 0.0024)
"""Variance of the first detail levels of white noise of variance 1, measured on 2048 x 2048 pixels; a
quarter of the one before it on every further level."""


@dataclass(frozen=True, slots=True)
class SoftMaximum:
    """Details weighted by the eighth power of their energy; `noise` is the frame's luma noise, 0..1."""

    noise: float
    sigma: float = 1.5

    def empty(
        self, backend: Backend[Any], channels: int, height: int, width: int, level: int, /
    ) -> Part[Any]:
        """A mean of nothing."""
        afar = level == 0
        mix = empty_mix(backend, channels, height, width, afar=afar)
        return Part(empty_best(backend, height, width, afar=afar), mix, self.floor(level))

    def floor(self, level: int) -> float:
        """What noise alone gives as a level's energy, with the finer levels' evidence, times NOISE_LEVELS.

        The base, below the last detail level, has a tiny noise of its own added; it hears the finer levels
        all the same.
        """
        variance = (
            DETAIL_NOISE[level]
            if level < len(DETAIL_NOISE)
            else DETAIL_NOISE[-1] / 4 ** (level - len(DETAIL_NOISE) + 1)
        )
        own = NOISE_LEVELS * self.noise**2 * variance
        return own if level == 0 else own + EVIDENCE * self.floor(level - 1)

    def bytes_per_pixel(self, channels: int, /) -> float:
        """Mean, total weight, energy and index."""
        return 4.0 * channels + 4 + 6


def soft_scales(noise: float) -> LaplacianFold:
    """The fold for frames of luma noise `noise`, 0..1."""
    return LaplacianFold(SoftMaximum(noise))
