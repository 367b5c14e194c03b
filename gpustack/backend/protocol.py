"""What a backend does: coarse operations, one call a pass over one band.

Conventions for every operation: axes are (channel, y, x); pixel centres are whole numbers; images are (c,
h, w) float32, nominally 0..1 in the encoding they came in; planes are (h, w) float32; masks are (h, w)
uint8, 0 or 255. Neighbourhoods mirror at the edges of the array without repeating the edge pixel, so a band
must come with its halo. No operation writes to an argument unless its docstring says so. Arrays are the
backend's own and opaque to everybody else; only operations whose docstring says so wait for the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from gpustack.model.frame import PixelType
from gpustack.model.rect import Rows
from gpustack.model.transform import Matrix, Transform

A = TypeVar("A")
T = TypeVar("T")
Host = npt.NDArray[Any]
Plane = npt.NDArray[np.float32]


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
class Mix(Generic[A]):
    """A running weighted mean: mean (c, h, w) and total (h, w) float32, both starting at 0.

    `total` is in units of the weight of the sharpest frame seen so far.
    """

    mean: A
    total: A


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


class Backend(Protocol[A]):
    """Everything that touches pixels. Raises BackendError where the device is lost or full."""

    @property
    def info(self) -> BackendInfo:
        """Name, device, free bytes and threads, measured now."""
        ...

    def each(self, work: Callable[[T], None], items: Iterable[T], /) -> None:
        """Run `work` on every item, in parallel where that helps; all have passed on return. Errors
        surface."""
        ...

    def upload(self, host: Host, /) -> A:
        """Copy in a frame as decoded, (h, w, c) of its own dtype; the host array must not change
        afterwards."""
        ...

    def download(self, array: A, /) -> Host:
        """Copy out, same shape and dtype. Waits."""
        ...

    def full(self, shape: tuple[int, ...], value: float, dtype: str, /) -> A:
        """A new filled array."""
        ...

    def rows(self, array: A, rows: slice, /) -> A:
        """A view of some rows of a plane or image; writing to it writes to `array`."""
        ...

    def copy(self, source: A, target: A, /) -> None:
        """Copy `source` into `target`, which has its shape and dtype."""
        ...

    def fill(self, target: A, value: float, /) -> None:
        """Set every element of `target`."""
        ...

    def stack_rows(self, parts: Sequence[A], /) -> A:
        """Bands of a plane or image, one below the other, as one new array."""
        ...

    def load(self, frame: A, place: Transform, kind: PixelType, width: int, rows: Rows, /) -> Band[A]:
        """Rows of the canvas, `width` pixels wide, resampled from a frame (h, w, c) of integers or floats.

        Bicubic (Keys, a = -0.75) at float32 positions, the edge repeated outside; a whole-pixel transform
        copies exactly. `place` maps canvas pixels to frame pixels and carries the gain. The mask is set
        where the position lies in the frame, or within 1/64 pixel of it.
        """
        ...

    def luma(self, image: A, /) -> A:
        """Image -> plane: 0.299 R + 0.587 G + 0.114 B, or the gray channel; alpha is ignored."""
        ...

    def sharpness(self, luma: A, sigma: float, /) -> A:
        """Plane -> focus measure >= 0: squared 4-neighbour Laplacians at full and at half size, smoothed by
        sigma pixels.

        Each is divided by its share of noise: white noise of variance v gives MEASURE_NOISE v. Bands must
        begin on an even row. Halo `sharpness_halo(sigma)`.
        """
        ...

    def smooth(self, plane: A, sigma: float, /) -> A:
        """Gaussian of sigma pixels, cut at ceil(3 sigma), which is its halo."""
        ...

    def median(self, plane: A, /) -> A:
        """Median of 5x5 pixels. Halo 2."""
        ...

    def expand(self, plane: A, height: int, width: int, /) -> A:
        """Plane -> twice the size, to (height, width): the interpolation that `detail` subtracts."""
        ...

    def reduce(self, image: A, /) -> A:
        """Image -> half size, ceil(h/2) x ceil(w/2): 5-tap binomial; (y, x) there is (2y, 2x) here. Halo
        2."""
        ...

    def detail(self, image: A, coarse: A, /) -> A:
        """Image minus its expanded `reduce`: one level of a Laplacian pyramid. Halo 4."""
        ...

    def add_detail(self, coarse: A, detail: A, height: int, inner: slice, /) -> A:
        """Undo `detail`: expand `coarse` to `height` rows, take the rows `inner` of it, and add. Halo 4."""
        ...

    def energy(self, detail: A, sigma: float, evidence: A | None, /) -> A:
        """Detail image -> its energy: squared luma, smoothed, plus EVIDENCE times the finer levels' energy.

        `evidence` is the finer level's energy, reduced to this size; None at the finest. Halo ceil(3 sigma).
        """
        ...

    def shrink_mask(self, mask: A, /) -> A:
        """The mask at half size: set where all 5x5 pixels that `reduce` reads are set. Halo 2."""
        ...

    def exclude(self, energy: A, mask: A, /) -> None:
        """Set the energy to -2, which never wins and weighs nothing, where the mask is 0; in place."""
        ...

    def keep_best(self, best: Best[A], energy: A, frame: int, image: A | None, /) -> None:
        """Fold one frame into `best`, in place: larger energy wins, ties go to the lower frame."""
        ...

    def merge_best(self, best: Best[A], other: Best[A], /) -> None:
        """Fold another running winner into `best`, in place, by the same rule."""
        ...

    def mix_in(self, mix: Mix[A], best: A, energy: A, image: A, noise: float, /) -> None:
        """Fold one frame into the soft maximum `mix`, in place; `best` is the largest energy seen before it.

        The weight is ((energy + noise) / (largest energy + noise))^8, kept relative to the running maximum
        as an online softmax does, so that it neither overflows nor depends on a scale.
        """
        ...

    def merge_mix(self, mix: Mix[A], best: A, other: Mix[A], other_best: A, noise: float, /) -> None:
        """Fold another soft maximum into `mix`, in place; `best` and `other_best` are their largest
        energies."""
        ...

    def blend_in(self, sums: Mix[A], depth: A, frame: int, band: Band[A], /) -> None:
        """Add a frame times max(0, 1 - |depth - frame|) to `sums.mean`, and the weight to `sums.total`, in
        place."""
        ...

    def keep_nearest(self, best: Best[A], depth: A, frame: int, band: Band[A], /) -> None:
        """Fold one frame into `best`, in place, with the closeness 1 / (1 + |depth - frame|) as its
        energy."""
        ...

    def merge_sums(self, sums: Mix[A], other: Mix[A], /) -> None:
        """Add other sums and weights to `sums`, in place."""
        ...

    def blended(self, sums: Mix[A], nearest: Best[A] | None, /) -> A:
        """Sums divided by weights -> image; the nearest frame's value where no weight was given."""
        ...

    def widen(self, extent: Extent[A], band: Band[A], kind: PixelType, /) -> None:
        """Fold one frame into the running range, in place, where it is valid; values are rounded to the
        dtype first."""
        ...

    def merge_extent(self, extent: Extent[A], other: Extent[A], /) -> None:
        """Fold another running range into `extent`, in place."""
        ...

    def pack(self, image: A, kind: PixelType, extent: Extent[A] | None, /) -> Host:
        """Image -> (h, w, c) on the host in the frames' dtype: scaled, rounded half to even, clamped to
        `extent`; 0 where that is empty. Waits."""
        ...

    def survey_luma(self, frame: A, kind: PixelType, factor: int, /) -> A:
        """Frame (h, w, c) -> plane of its luma 0..1, mean over blocks of factor x factor pixels; a
        remainder is dropped."""
        ...

    def band_pass(self, plane: A, sigma: float, /) -> A:
        """The plane minus its Gaussian blur of sigma pixels: brightness and vignetting go, edges stay."""
        ...

    def thumbnail(self, plane: A, longest: int, /) -> Host:
        """The plane, area-averaged until its longer side is at most `longest` pixels, on the host. Waits."""
        ...

    def noise_level(self, frame: A, kind: PixelType, /) -> float:
        """Standard deviation of the noise in the luma of a frame (h, w, c), 0..1. Waits."""
        ...

    def samples(self, plane: A, count: int, /) -> Samples[A]:
        """The `count` pixels with the largest gradient, with their Jacobian."""
        ...

    def alignment_sums(self, samples: Samples[A], plane: A, matrix: Matrix, contrast: float, /) -> Sums:
        """Normal equations for moving `samples` by `matrix` onto `plane`. Waits.

        The eight motions act on positions relative to the centre, in units of half the diagonal (u, v):
        shift in u, in v, du = u, du = v, dv = u, dv = v, and the two perspective terms. Differences count
        less beyond 1.345 times their robust spread (Huber).
        """
        ...

    def best_shift(self, here: A, there: A, /) -> tuple[float, float]:
        """(dx, dy) in whole pixels by which `here` must be moved to lie on `there`: phase correlation.
        Waits."""
        ...
