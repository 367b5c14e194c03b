"""What goes into a backend's operations and comes out of them: bands, states, samples; and the constants that
all backends share.

Axes, types and units are those of `gpustack.backend.protocol`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

A = TypeVar("A")
Host = npt.NDArray[Any]


PIECE_BYTES = 16 << 20
"""Bytes of a piece in which state is copied to the host: disks and buses are at full speed from a few
megabytes on."""

EVIDENCE = 4.0
"""How much more a level's energy heeds the finer levels than its own detail: natural pictures have about as
much contrast in every octave, and reducing a plane's energy by half keeps its mean, so 4 lets the finer
decide wherever they see anything. From 1 to 16 rendered scenes change by less than 0.3 dB; without it the
macro scene loses 5 dB (bench/results/choices.json)."""


STEEP_POWER = 64
"""Power of a steep choice's weights: above noise a frame whose contrast is a twentieth below the best counts
for 4 %. Three squarings, twice, so that every device rounds alike."""


EQUALLY_SHARP = 2.0
"""Energies within this factor count as equal where one end of the stack is preferred: a window that holds as
much of one thing as of another sees half the energy of either."""

VALLEY = 2.0
"""Two frames see different things where one between them has less than half the energy of the later one,
noise included, whose own chance ups and downs are smaller."""

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

HALO_REACH_PX, HALO_SHARE = 6, 0.5
"""Unless the estimate has a halo: it is the brighter of the two, and within this distance, all detail aside,
something is so much brighter that this share of it would do. Beside a straight edge its blur has half of its
height, and less farther off."""

WIDEST_BLUR = 1.0
"""Variance in square pixels above which a mean of detail begins to be distrusted; at twice that it is not
used. Undoing to first order is right for blur below the size of details. Where there is no detail, there is
nothing to undo."""

TRUST_SIGMA_PX = 1.5
"""Blur of the trust, so that no seam shows where it ends."""

FIT_STRIDE, FIT_VARIANCE, FIT_ENERGY = 4, 4.0, 100.0
"""Which pixels tell how far frames blur: every fourth of every fourth row, whose frames vary by less than 2
in index and whose focus measure is a hundred times that of noise."""


STEP_REACH_PX = 12
"""How far from a depth step the focus measure of the nearer thing may still be the larger: its blur of 2
pixels, the half size's, and edges of two or three pixels."""

STEP_FRAMES = 3.0
"""Depths further apart than this are a step: so steep a slope would hide itself."""

SEEN_NOISE, SEEN_SHARE = 7.0, 0.01
"""A pixel's depth counts as seen where its focus measure is above this multiple of what is put down to
noise, and this share of the largest within reach: the rim of a blurred edge has less than a hundredth of
what the edge has in focus."""

GROUND, FRONT = 1, 2
"""Sides of a step: what lies farther, and what is or seems to be the nearer thing, whose blur reaches beyond
it."""

DISK_RADII = (0.0, 1.0, 1.5, 2.0, 2.8, 4.0, 5.6, 8.0, 11.3)
"""Radii in pixels at which a veil is worked out, each 1.4 times the one before; between them it is linear."""

FILL_SIGMA_PX = 5.0
"""Reach of the plain ground that is put behind a thing to cut it out of its frame."""

CONTRAST_PX, CONTRAST_NOISE = 5, 4.0
"""A thing's contrast to the plain ground is the largest within this distance, and at least this multiple of
noise."""

FLOOD = (0.1, 0.5)
"""Shares of that contrast below which a pixel is ground, and above which it is the thing."""

FLOOD_PX = 10
"""How far ground may reach in under what seems to be the nearer thing."""

MOST_COVERED = 0.6
"""Where more than this share of the ground's light was blocked, what is left is mostly noise and error."""

BEHIND_SIGMA_PX, BEHIND_MISFIT = 2.0, 9 / 255
"""Where the ground, blurred to the nearer frame's focus, is further from that frame than this share of white
over this distance, it begins to be distrusted; at twice that it is not used."""

BEHIND_NOISE = 5.0
"""What is put in is made of two frames, one of them amplified: its noise, in units of a frame's luma noise
variance. Where it is no more than that, the picture, an average of frames, stays."""

VEIL_SHUNNED = 0.1, 0.3
"""On the ground's side of a step the veil that was worked out is taken off where the first pass, which chose
between frames, has taken off the larger share of it by itself, and left where that took off less than the
smaller one: who takes the veiled frame as it is sees no veil. With a tenth, or with a half, for full trust
pictures are the same within 0.2 dB."""

BEHIND_TRUST_PX = 1.5
"""Blur of that trust, so that no seam shows where it ends."""


def behind_halo() -> int:
    """Rows beyond a band that looking behind a veil reads, even: filling, contrast, flooding, the veil, the
    ground's own blur, and two blurs of trust."""
    blurs = (FILL_SIGMA_PX, DISK_RADII[-1] / 2, BEHIND_SIGMA_PX, BEHIND_TRUST_PX)
    reach = sum(int(np.ceil(3 * sigma)) for sigma in blurs) + CONTRAST_PX + FLOOD_PX
    return (reach + int(np.ceil(DISK_RADII[-1])) + 1) // 2 * 2


def steps_halo() -> int:
    """Rows beyond a band that finding steps reads, even."""
    return 2 * STEP_REACH_PX + 4


def misfit_halo() -> int:
    """Rows beyond a band that trying radii of blur reads, even: the kernels of the ladder."""
    return (_ladder_reach() + 1) // 2 * 2


def _ladder_reach() -> int:
    return sum(len(taps) // 2 for taps in BLUR_STEPS)


def debias_halo() -> int:
    """Rows beyond a band that undoing the blur reads, even: the kernels of the ladder, and two blurs."""
    return (
        (_ladder_reach() + int(np.ceil(3 * DEBIAS_SIGMA_PX)) + int(np.ceil(3 * TRUST_SIGMA_PX)) + 1) // 2 * 2
    )


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
    them). `evidence` (h, w) is what is known of its detail beforehand, as LevelBand's: less than nothing
    where it is feigned; None: nothing is known."""

    image: A
    valid: A | None = None
    evidence: A | None = None


@dataclass(frozen=True, slots=True)
class Cells(Generic[A]):
    """A small plane (h, w) float32: samples every `step` pixels (across, down) of the canvas, the first of
    them at `first` (x, y)."""

    plane: A
    step: tuple[float, float]
    first: tuple[float, float]


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
    frame of largest energy, coded as the frames are.
    """

    depth: A
    variance: A
    sharpest: A


@dataclass(slots=True)
class Mix(Generic[A]):
    """A running weighted mean: mean (c, h, w) and total (h, w) float32, both starting at 0; c is 0 where only
    the spread is wanted.

    `total` is in units of the weight of the sharpest frame seen so far. `squared`: the mean is of squared
    values, which is about light where values are coded for the eye.
    """

    mean: A
    total: A
    spread: Spread[A] | None = None
    squared: bool = False


@dataclass(slots=True)
class Steps(Generic[A]):
    """Where depth steps, and from what to what.

    near, far (h, w) float32: the depths in frames on both sides, the pixel's own away from steps; side (h,
    w) uint8: GROUND, FRONT, or 0 away from steps.
    """

    near: A
    far: A
    side: A


@dataclass(frozen=True, slots=True)
class Beside(Generic[A]):
    """What is known beside depth steps: the picture (c, h, w), the sums of the frames focused on both sides
    of each step, and the steps."""

    picture: A
    near: Mix[A]
    far: Mix[A]
    steps: Steps[A]


@dataclass(frozen=True, slots=True)
class Looked(Generic[A]):
    """What looking behind nearer things gives: the picture (c, h, w) with the ground put in; how much of each
    pixel in front of the ground is bare ground, (h, w) 0..1, 0 elsewhere; and how well the ground that was
    worked out fits what was seen there, (h, w) 0..1, 0 elsewhere."""

    picture: A
    bare: A
    fits: A


@dataclass(frozen=True, slots=True)
class Optics:
    """How frames blur and what they hold.

    `radius`: of the blur disk one frame away from the focus, in pixels; `noise`: a frame's, 0..1; `coded`:
    values are not light, but about its square root.
    """

    radius: float
    noise: float
    coded: bool


@dataclass(slots=True)
class Preference(Generic[A]):
    """Which end of the stack is preferred where a pixel sees two things equally sharp: the later frames
    (`far`) or the earlier ones.

    valley (h, w) float32: the least energy since the winner came, starting at infinity; `floor` is the energy
    that is put down to noise. Frames must come in stack order, and states cannot be merged.
    """

    valley: A
    far: bool
    floor: float


@dataclass(slots=True)
class Part(Generic[A]):
    """What is kept of a band over the frames: the winner, and where `mix` is given, a soft maximum.

    A hard choice keeps the winner's image in `best.image` (None: only its index is wanted), a soft one the
    weighted mean in `mix`. The weight is ((energy + noise) / (largest energy + noise))^8, kept relative to
    the running maximum as an online softmax does, so that it neither overflows nor depends on a scale. Where
    the choice is `steep`, roots of energies stand in the place of energies, and the power is STEEP_POWER.
    """

    best: Best[A]
    mix: Mix[A] | None = None
    noise: float = 0.0
    steep: bool = False
    preference: Preference[A] | None = None

    @property
    def kept(self) -> A | None:
        """The image (c, h, w) that came out."""
        return self.best.image if self.mix is None else self.mix.mean

    def left(self, nothing: A, *, total: bool) -> Part[A]:
        """What is left of it when nobody asks for the winners any more, and for the `total` weight only where
        that is said; `nothing`, a tiny array, takes their place."""
        mix = self.mix if self.mix is None or total else replace(self.mix, total=nothing)
        return Part(Best(nothing, nothing, self.best.image), mix, self.noise, self.steep)


@dataclass(slots=True)
class LevelBand(Generic[A]):
    """A band of one frame on one level of a Laplacian pyramid, with its halo.

    image (c, h, w); `coarse`, its `reduce`; `evidence` (h, w), the energy of the finer levels reduced to
    this size, on the finest what is known beforehand, or None; `valid` (h, w) mask, None where the frame
    covers all; `inner`: the rows without the halo.
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
