"""`pyramid`: at every scale and place the detail of the frame that has most of it there, or, where noise
decides which that is, the mean of the frames that may be it.

Noise shakes the root of a windowed energy by the same amount whether there is detail or not, so that amount
says which frames can be told apart: frames within a few of it share the place, the others have next to no
weight. Where there is detail one frame stands out, and crossing hairs come out complete, however deep the
stack; where there is none all frames are alike, and their noise averages out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gpustack.backend.values import STEEP_POWER
from gpustack.fuse.levels import LaplacianFold
from gpustack.fuse.measure import LEAST_LEVELS
from gpustack.fuse.scales import Weighing, level_noise
from gpustack.settings import FOCUS_SIGMA_PX, NOISE_LEVELS, Prefer

ROOT_SPREAD = 0.2
"""Standard deviation of the root of the finest level's energy of noise, in units of that root, for a window
of 1 pixel; it falls as the window grows. Measured on 2048 x 2048 pixels of white noise."""


@dataclass(frozen=True, slots=True)
class ClearWinner(Weighing):
    """By how far their energy lies below the best, in units of what noise does to it: `smoothing` standard
    deviations below the best, a frame's weight has fallen to a third."""

    steep: ClassVar[bool] = True

    def offset(self, level: int) -> float:
        """What is added to the roots of a level's energies, so that at noise the STEEP_POWER of the sum rises
        by a factor e in `smoothing` standard deviations."""
        within = self.smoothing * root_spread(self.sigma, level)
        return max(STEEP_POWER * within - 1, LEAST_LEVELS) * float(np.sqrt(level_noise(self.noise, level)))


def root_spread(sigma: float, level: int) -> float:
    """Standard deviation of the root of a level's energy of noise, in units of that root.

    Nearly all of the energy is the finest level's, smoothed by sigma there and by each `reduce`, whose
    variance of 1 is 4^k pixels of the finest level.
    """
    return ROOT_SPREAD / float(np.sqrt(sigma**2 + (4**level - 1) / 3))


def pyramid(
    noise: float,
    radius: float = FOCUS_SIGMA_PX,
    smoothing: float = NOISE_LEVELS,
    prefer: Prefer = Prefer.NONE,
) -> LaplacianFold:
    """The fold of `--method pyramid` for frames of luma noise `noise`, 0..1; `radius` is the blur of the
    focus measure in pixels, `smoothing` how many standard deviations of noise make no difference."""
    return LaplacianFold(ClearWinner(noise, radius, smoothing, prefer))
