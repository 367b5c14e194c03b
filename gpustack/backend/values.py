"""What goes into a backend's operations and comes out of them: bands, states, samples; and the constants that
all backends share.

Axes, types and units are those of `gpustack.backend.protocol`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

A = TypeVar("A")
Host = npt.NDArray[Any]


EVIDENCE = 4.0
"""How much more a level's energy heeds the finer levels than its own detail: natural pictures have about as
much contrast in every octave, and reducing a plane's energy by half keeps its mean, so 4 lets the finer
decide wherever they see anything. From 1 to 16 rendered scenes change by less than 0.3 dB; without it the
macro scene loses 5 dB (bench/results/choices.json)."""


FULL_SIZE_NOISE = 20.0
"""Variance of the Laplacian of white noise of variance 1: the sum of its squared taps, 4^2 + 4."""

HALF_SIZE_NOISE = FULL_SIZE_NOISE * (70 / 256) ** 2
"""The same after `reduce`, whose taps (1 4 6 4 1)/16 leave (70/256)^2 of the noise."""

MEASURE_NOISE = 1.43
"""Focus measure of white noise of variance 1, measured on 2048 x 2048 pixels: 1 from the full size, and
0.43 (not 1) from the half size, as `reduce` leaves its samples correlated."""


BLUR_LADDER = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Variances in square pixels at which a blur is worked out; between them it is linear in the variance."""

BLUR_STEPS = (
    (0.125, 0.75, 0.125),
    (0.125, 0.75, 0.125),
    (0.25, 0.5, 0.25),
    (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16),
    tuple(tap / 256 for tap in (1, 8, 28, 56, 70, 56, 28, 8, 1)),
)
"""From each rung of BLUR_LADDER to the next: kernels whose variance is the difference. A sampled Gaussian
that is narrower than a pixel has less than its own."""

DEBIAS_SIGMA_PX = 2.0
"""Over how many pixels what blur took away is weighed against noise, and the mean against the estimate."""

DEBIAS_NOISE = 0.3
"""Share of a frame's noise variance left in what a blur takes away from the mean of some frames: at 0.15 and
0.3 six rendered scenes are within 0.1 dB."""

MISFIT = 3 / 255
"""Where a mean is further from the estimate than this share of white, all detail aside, it begins to be
distrusted: frames without focus have smeared something in; at twice that it is not used."""

WIDEST_BLUR = 1.0
"""Variance in square pixels above which a mean begins to be distrusted; at twice that it is not used. Undoing
to first order is right for blur below the size of details."""

TRUST_SIGMA_PX = 1.5
"""Blur of the trust, so that no seam shows where it ends."""

FIT_STRIDE, FIT_VARIANCE, FIT_ENERGY = 4, 4.0, 100.0
"""Which pixels tell how far frames blur: every fourth of every fourth row, whose frames vary by less than 2
in index and whose focus measure is a hundred times that of noise."""


def debias_halo() -> int:
    """Rows beyond a band that undoing the blur reads, even: the kernels of the ladder, and two blurs."""
    ladder = sum(len(taps) // 2 for taps in BLUR_STEPS)
    return (ladder + int(np.ceil(3 * DEBIAS_SIGMA_PX)) + int(np.ceil(3 * TRUST_SIGMA_PX)) + 1) // 2 * 2


def sharpness_halo(sigma: float) -> int:
    """Rows beyond a band that the focus measure reads, even: the half-size branch reaches furthest.

    Reducing reads 2 rows; at half size the Laplacian reads 1, the blur ceil(1.5 sigma), the expansion 1.
    """
    return 2 + 2 * (1 + int(np.ceil(1.5 * sigma)) + 1)


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """Name, device and free bytes of a backend, measured when asked."""

    name: str
    device: str
    free_bytes: int
    threads: int


@dataclass(slots=True)
class Band(Generic[A]):
    """Rows of one aligned frame: image (c, h, w), and the mask of pixels the frame covers (None: all of
    them)."""

    image: A
    valid: A | None = None


@dataclass(slots=True)
class Best(Generic[A]):
    """The running winner at each pixel; energy starts at -1, frame at 65535.

    energy (h, w) float32; frame (h, w) uint16; image (c, h, w) float32, or None where only the index is
    wanted; `last` is the highest frame folded in so far: a later one cannot win a tie, which spares a
    comparison.
    """

    energy: A
    frame: A
    image: A | None = None
    last: int = -1


@dataclass(slots=True)
class Spread(Generic[A]):
    """Where in the stack the frames of a mean lie: (h, w) float32 planes, starting at 0.

    depth: the weighted mean of their indices; variance: of the indices about it; sharpest: the luma of the
    frame of largest energy. The luma's encoding is that of the mean.
    """

    depth: A
    variance: A
    sharpest: A


@dataclass(slots=True)
class Mix(Generic[A]):
    """A running weighted mean: mean (c, h, w) and total (h, w) float32, both starting at 0.

    `total` is in units of the weight of the sharpest frame seen so far. `squared`: the mean is of squared
    values, which is about light where values are coded for the eye.
    """

    mean: A
    total: A
    spread: Spread[A] | None = None
    squared: bool = False


@dataclass(slots=True)
class Part(Generic[A]):
    """What is kept of a band over the frames: the winner, and where `mix` is given, a soft maximum.

    A hard choice keeps the winner's image in `best.image` (None: only its index is wanted), a soft one the
    weighted mean in `mix`. The weight is ((energy + noise) / (largest energy + noise))^8, kept relative to
    the running maximum as an online softmax does, so that it neither overflows nor depends on a scale.
    """

    best: Best[A]
    mix: Mix[A] | None = None
    noise: float = 0.0

    @property
    def kept(self) -> A | None:
        """The image (c, h, w) that came out."""
        return self.best.image if self.mix is None else self.mix.mean


@dataclass(slots=True)
class LevelBand(Generic[A]):
    """A band of one frame on one level of a Laplacian pyramid, with its halo.

    image (c, h, w); `coarse`, its `reduce`; `evidence` (h, w), the energy of the finer levels reduced to
    this size, None on the finest; `valid` (h, w) mask, None where the frame covers all; `inner`: the rows
    without the halo.
    """

    image: A
    coarse: A
    evidence: A | None
    valid: A | None
    inner: slice


@dataclass(slots=True)
class Extent(Generic[A]):
    """The smallest and largest value seen at each pixel, (c, h, w) in the frames' own dtype."""

    low: A
    high: A


@dataclass(frozen=True, slots=True)
class Samples(Generic[A]):
    """The pixels of a plane that alignment looks at: those with the strongest gradient.

    x, y (n,) float32 positions in pixels; value (n,) float32; jacobian (n, 8) float32: how the value
    changes when the position is moved by each of the eight small motions of `alignment_sums`.
    """

    x: A
    y: A
    value: A
    jacobian: A


@dataclass(frozen=True, slots=True)
class Sums:
    """Normal equations of one alignment step, on the host, float64.

    hessian (9, 9) and gradient (9,): eight motions and the contrast; `spread`: robust standard deviation of
    the differences; `correlation` -1..1 of the samples; `share` of them that fall into the frame.
    """

    hessian: npt.NDArray[np.float64]
    gradient: npt.NDArray[np.float64]
    spread: float
    correlation: float
    share: float
