"""Taking the blur out of a mean of frames, on the device (`Backend.blur_misfit`, `Backend.debias`)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from gpustack.backend.gpu.core import Core
from gpustack.backend.gpu.records import half_of, record, taps
from gpustack.backend.gpu.tensor import Tensor
from gpustack.backend.values import (
    BLUR_LADDER,
    BLUR_STEPS,
    DEBIAS_NOISE,
    DEBIAS_SIGMA_PX,
    FIT_ENERGY,
    FIT_STRIDE,
    FIT_VARIANCE,
    HALO_REACH_PX,
    HALO_SHARE,
    MISFIT,
    TRUST_SIGMA_PX,
    WIDEST_BLUR,
    Best,
    Extent,
    Host,
    Mix,
)
from gpustack.model.frame import PixelType

_RUNGS, _RADII = 6, 32  # of debias.cu
_TILE_ROWS, _REACH = 32, 6  # TILE and REACH of debias.cu
_SLOPES = tuple(1 / (high - low) for low, high in itertools.pairwise(BLUR_LADDER))
_LADDER = np.dtype([("variance", "f4", _RUNGS), ("slope", "f4", _RUNGS)])
_FIT = np.dtype(
    [(name, "u8") for name in ("mean", "depth", "variance", "energy", "frame", "rungs")]
    + [(name, "i4") for name in ("mean_plane", "channels", "height", "width", "first", "stride", "columns")]
    + [("widest", "f4"), ("least", "f4"), ("ladder", _LADDER), ("scale", "f4", _RADII)],
    align=True,
)


class Debiasing(Core):
    """The fit of a stack's blur, its undoing, and the ranges that results stay in."""

    def blur_misfit(
        self, mix: Mix[Tensor], best: Best[Tensor], floor: float, inner: slice, radii: Sequence[float], /
    ) -> Host:
        spread = mix.spread
        assert spread is not None
        assert len(radii) <= _RADII
        height, width = mix.total.height, mix.total.width
        first, last, _ = inner.indices(height)
        ladder, scale = record(_LADDER), np.zeros(_RADII, np.float32)
        ladder["variance"], ladder["slope"][:-1] = BLUR_LADDER, _SLOPES
        scale[: len(radii)] = [radius * radius / 4 for radius in radii]
        fit = record(
            _FIT,
            mean=mix.mean,
            depth=spread.depth,
            variance=spread.variance,
            energy=best.energy,
            frame=best.frame,
            rungs=(rungs := self._rungs(spread.sharpest, mix.squared)),
            mean_plane=mix.mean.plane,
            channels=mix.mean.channels,
            height=height,
            width=width,
            first=first,
            stride=FIT_STRIDE,
            columns=1 + len(radii),
            widest=FIT_VARIANCE,
            least=floor * FIT_ENERGY,
            ladder=ladder,
            scale=scale,
        )
        sums = self.new((-(-(last - first) // FIT_STRIDE), 1 + len(radii)), "float64")
        self._launch.line("debias", "misfit", sums.height * sums.width, (fit, sums))
        del rungs
        return self.download(sums)

    def _rungs(self, plane: Tensor, squared: bool) -> Tensor:
        """A plane, or its square, blurred by each variance of the ladder (rungs, h, w)."""
        out = self.new((_RUNGS, *plane.shape))
        self._begin(plane, squared, out.channel(0), None)
        for number in range(_RUNGS - 1):
            self._climb(number, out.channel(number), out.channel(number + 1))
        return out

    def _begin(self, plane: Tensor, squared: bool, rung: Tensor, alike: Tensor | None) -> None:
        size = plane.height, plane.width
        self._launch.picture("debias", "begin", size, (plane, squared, rung, alike, *size))

    def _climb(
        self,
        number: int,
        below: Tensor,
        above: Tensor,
        spread: Tensor | None = None,
        scale: float = 0.0,
        alike: Tensor | None = None,
    ) -> None:
        """From rung `number` to the next."""
        size = below.height, below.width
        values = (below, above, *size, half_of(BLUR_STEPS[number]), spread, scale)
        stops = (BLUR_LADDER[number], _SLOPES[number], BLUR_LADDER[-1], alike)
        self._launch.picture("debias", "climb", size, (*values, *stops), rows=_TILE_ROWS)

    def debias(
        self, estimate: Tensor, mix: Mix[Tensor], radius: float, noise: float, inner: slice, /
    ) -> Tensor:
        assert mix.spread is not None
        spread, scale, power = mix.spread.variance, radius * radius / 4, DEBIAS_NOISE * noise * noise
        lost, apart, strength = self._unblurred(estimate, mix, spread, scale)
        trusted = self._trust(apart, (strength, power), spread, scale)
        del apart
        channels, height, width = estimate.shape
        first, last, _ = inner.indices(height)
        out = self.new((channels, last - first, width))
        planes = (estimate, estimate.plane, mix.mean, mix.mean.plane, lost, strength, trusted, spread)
        values = (*planes, power, mix.squared, height, width, first, out, out.height)
        self._launch.picture("debias", "improve", (out.height, width), values, channels=channels)
        return out

    def _unblurred(
        self, estimate: Tensor, mix: Mix[Tensor], spread: Tensor, scale: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the mean's blur took away (c, h, w); how far it is from the estimate blurred alike, smoothed,
        less than nothing where that has a halo (c, h, w); the mean square of the first, smoothed (h, w)."""
        channels, height, width = estimate.shape
        size = height, width
        lost, apart, power = self.new(estimate.shape), self.new(estimate.shape), self.new(size)
        alike, rungs = self.new(size), (self.new(size), self.new(size))
        for channel in range(channels):
            before, mean = estimate.channel(channel), mix.mean.channel(channel)
            self._begin(before, mix.squared, rungs[0], alike)
            for number in range(_RUNGS - 1):
                self._climb(number, rungs[number % 2], rungs[(number + 1) % 2], spread, scale, alike)
            values = (before, mean, alike, mix.squared, channel, channels, lost.channel(channel))
            self._launch.picture("debias", "unblur", size, (*values, alike, power, *size))
            self._blur(alike, apart.channel(channel), DEBIAS_SIGMA_PX)
            self._blur(before, alike, DEBIAS_SIGMA_PX)
            halo = (alike, apart.channel(channel), HALO_REACH_PX, HALO_SHARE, *size)
            self._launch.picture("debias", "halo", size, halo, rows=_TILE_ROWS)
        self._blur(power, alike, DEBIAS_SIGMA_PX)
        return lost, apart, alike

    def _trust(self, apart: Tensor, detail: tuple[Tensor, float], spread: Tensor, scale: float) -> Tensor:
        """How far the mean is used, 0..1; `detail`: the power of what its blur took away, and of noise."""
        size = apart.height, apart.width
        rough, out = self.new(size), self.new(size)
        limits = (BLUR_LADDER[-1], 1 / MISFIT, 1 / WIDEST_BLUR)
        values = (apart, apart.channels, *detail, spread, scale, *limits, rough, *size)
        self._launch.picture("debias", "trust", size, values)
        self._blur(rough, out, TRUST_SIGMA_PX)
        return out

    def _blur(self, plane: Tensor, out: Tensor, sigma: float) -> None:
        size = plane.height, plane.width
        values = (plane, out, *size, taps(sigma, _REACH), None, 0.0, 0.0, 0.0, 0.0, None)
        self._launch.picture("debias", "climb", size, values, rows=_TILE_ROWS)

    def clamp(self, image: Tensor, extent: Extent[Tensor], kind: PixelType, /) -> None:
        size = image.height, image.width
        seen = (extent.low, extent.high, extent.low.plane, 1 / kind.white)
        values = (image, image.plane, *seen, *size)
        self._launch.picture("finish", "clamp_to", size, values, channels=image.channels, pixel=kind.value)

    def around(self, extent: Extent[Tensor], inner: slice, /) -> Extent[Tensor]:
        low, high = extent.low, extent.high
        first, last, _ = inner.indices(low.height)
        shape = (*low.shape[:-2], last - first, low.width)
        out = Extent(self.new(shape, low.dtype), self.new(shape, low.dtype))
        values = (low, high, low.plane, low.height, low.width, first, out.low, out.high, last - first)
        size = last - first, low.width
        self._launch.picture("finish", "around", size, values, channels=low.channels, pixel=low.dtype.name)
        return out
