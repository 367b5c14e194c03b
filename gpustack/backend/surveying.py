"""What a backend does for the survey and for alignment: small pictures of frames, their noise and light, and
how one lies on another. Conventions are those of `gpustack.backend.protocol`."""

from __future__ import annotations

from typing import Protocol, TypeVar

from gpustack.backend.values import Host, Samples, Sums
from gpustack.model.frame import PixelType
from gpustack.model.transform import Matrix

A = TypeVar("A")


class Surveying(Protocol[A]):
    """Everything that looks at frames before they are folded in."""

    def survey_luma(self, frame: A, kind: PixelType, factor: int, /) -> A:
        """Frame (h, w, c) -> plane of its luma 0..1, mean over blocks of factor x factor pixels; a
        remainder is dropped."""
        ...

    def to_light(self, plane: A, /) -> A:
        """A plane of coded values 0..1 as light, by the cubic `matching.light_of`, nearly as sRGB; below
        black there is none."""
        ...

    def band_pass(self, plane: A, coarse: A, sigma: float, /) -> A:
        """The plane minus its blur of sigma pixels, 1.5 at least: brightness and vignetting go, edges stay.

        The blur is that of `coarse`, its `reduce`, by a Gaussian of sqrt(sigma^2 - 2) / 2, expanded.
        """
        ...

    def even_out(self, plane: A, sigma: float, /) -> A:
        """A band-passed plane, changed in place, over sqrt(1 + e / E): e is its energy around, in a window of
        sigma pixels, and E that of the whole plane. What is strong is weakened; noise is not raised. Waits.

        The energy is that of cells of `filters.CELL` pixels a side, blurred; between them, what it makes of
        the plane is linear.
        """
        ...

    def thumbnail(self, plane: A, longest: int, /) -> Host:
        """The plane, area-averaged until its longer side is at most `longest` pixels, on the host. Waits."""
        ...

    def light(self, frame: A, kind: PixelType, factor: int, linear: bool, /) -> Host:
        """Mean light of the colours of a frame (h, w, c), over blocks of factor x factor pixels; a remainder
        is dropped. (1 or 3, rows, columns) float32, 1 is white, on the host. Waits.

        Blur moves light about and neither makes nor takes any, which does not hold for coded values: those,
        if not `linear`, are decoded by the cubic `matching.light_of`, nearly as sRGB. A block with a
        value from `matching.BURNT` on has infinite light: how much was cut off is not known.
        """
        ...

    def noise_level(self, frame: A, kind: PixelType, /) -> float:
        """Standard deviation of the noise in the luma of a frame (h, w, c), 0..1. Waits."""
        ...

    def samples(self, plane: A, count: int, every: int = 1, /) -> Samples[A]:
        """The `count` pixels with the largest gradient, with their Jacobian; or `every` so-manieth of those,
        from the first on."""
        ...

    def alignment_sums(self, samples: Samples[A], plane: A, matrix: Matrix, contrast: float, /) -> Sums:
        """Normal equations for moving `samples` by `matrix` onto `plane`. Waits.

        The eight motions act on positions relative to the centre, in units of half the diagonal (u, v):
        shift in u, in v, du = u, du = v, dv = u, dv = v, and the two perspective terms. Differences count
        less beyond 1.345 times their robust spread (Huber).
        """
        ...

    def strip_sums(
        self, samples: Samples[A], plane: A, matrix: Matrix, contrast: float, strips: int, /
    ) -> list[Sums]:
        """The same of so many runs of the samples, each by itself, from the top of their plane to its bottom.
        Waits."""
        ...

    def best_shift(self, here: A, there: A, /) -> tuple[float, float]:
        """(dx, dy) in whole pixels by which `here` must be moved to lie on `there`: phase correlation.
        Waits."""
        ...
