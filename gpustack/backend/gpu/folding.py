"""The folds' operations on the device: pyramid levels, the focus measure, blending, merging."""

from __future__ import annotations

import numpy as np

from gpustack.backend.filters import gaussian
from gpustack.backend.gpu.records import part_record, record, taps
from gpustack.backend.gpu.tensor import Tensor
from gpustack.backend.gpu.wide import Wide
from gpustack.backend.values import (
    EVIDENCE,
    FULL_SIZE_NOISE,
    HALF_SIZE_NOISE,
    Band,
    Best,
    Cells,
    Extent,
    LevelBand,
    Mix,
    Part,
)
from gpustack.model.frame import PixelType
from gpustack.model.rect import Rows

_POINTERS = ("image", "coarse", "evidence", "valid", "energy", "low", "high")
_INTEGERS = ("image_plane", "coarse_plane", "extent_plane", "height", "width", "channels")
_LEVEL_BAND = np.dtype(
    [(name, "u8") for name in _POINTERS]
    + [(name, "i4") for name in (*_INTEGERS, "first", "last", "from", "until")]
    + [("trust", "f4"), ("white", "f4")],
    align=True,
)
_TILE_ROWS = 16  # TILE_Y of level.cu and measure.cu
_LEVEL_REACH, _MEASURE_REACH = 5, 8  # REACH of level.cu and of measure.cu
_CHANNELS = 4  # CHANNELS of level.cu
_EVIDENCE_HALO = 2  # rows of energy beyond a band that `reduce` reads for the next level
_SMALLEST_WEIGHT = 1e-6  # a weight below this is rounding: the surface is one frame away


def _reach(sigma: float) -> int:
    """Pixels on either side that a Gaussian reads."""
    return len(gaussian(sigma)) // 2


class Folding(Wide):
    """What folds ask for, one kernel each where one pass does it."""

    def between(self, cells: Cells[Tensor], width: int, rows: Rows, /) -> Tensor:
        size, plane = (len(rows), width), cells.plane
        out = self.new(size)
        lies = (*cells.first, *cells.step)
        values = (plane, plane.height, plane.width, *lies, out, *size, rows.start)
        self._launch.picture("pyramid", "between_cells", size, values)
        return out

    def reduce(self, image: Tensor, /) -> Tensor:
        height, width, channels = image.height, image.width, image.channels
        half = (-(-height // 2), -(-width // 2))
        out = self.new((*image.shape[:-2], *half))
        values = (image, image.plane, height, width, out, out.plane)
        self._launch.picture("pyramid", "reduce", half, values, channels=channels)
        return out

    def shrink_mask(self, mask: Tensor, /) -> Tensor:
        half = (-(-mask.height // 2), -(-mask.width // 2))
        out = self.new(half, "uint8")
        self._launch.picture("pyramid", "shrink_mask", half, (mask, mask.height, mask.width, out))
        return out

    def fold_level(
        self,
        part: Part[Tensor],
        frame: int,
        band: LevelBand[Tensor],
        sigma: float,
        extent: Extent[Tensor] | None,
        /,
        *,
        keep: bool = True,
    ) -> Tensor:
        if not keep:
            part, extent = self._nothing(band), None
        if _reach(sigma) > _LEVEL_REACH:
            return self._fold_wide_level(part, frame, band, sigma, extent)
        height, width = band.image.height, band.image.width
        assert band.image.channels <= _CHANNELS
        energy = self.new((height, width))
        first, last, _ = band.inner.indices(height)
        start, until = max(0, first - _EVIDENCE_HALO), min(height, last + _EVIDENCE_HALO)
        kind = PixelType.FLOAT32 if extent is None else PixelType(extent.low.dtype.name)
        level = record(
            _LEVEL_BAND,
            image=band.image,
            coarse=band.coarse,
            evidence=band.evidence,
            valid=band.valid,
            energy=energy,
            low=None if extent is None else extent.low,
            high=None if extent is None else extent.high,
            image_plane=band.image.plane,
            coarse_plane=band.coarse.plane,
            extent_plane=0 if extent is None else extent.low.plane,
            height=height,
            width=width,
            channels=band.image.channels,
            first=first,
            last=last,
            until=until,
            trust=EVIDENCE,
            white=kind.white,
            **{"from": start},
        )
        values = (level, part_record(part, frame), taps(sigma, _LEVEL_REACH))
        size = (until - start, width)
        self._launch.picture("level", "fold_level", size, values, pixel=kind.value, rows=_TILE_ROWS)
        part.best.last = max(part.best.last, frame)
        return energy

    def _nothing(self, band: LevelBand[Tensor]) -> Part[Tensor]:
        """A part of a band that is thrown away."""
        first, last, _ = band.inner.indices(band.image.height)
        size = (last - first, band.image.width)
        return Part(Best(self.full(size, -1.0, "float32"), self.full(size, 65535, "uint16")))

    def _fold_wide_level(
        self,
        part: Part[Tensor],
        frame: int,
        band: LevelBand[Tensor],
        sigma: float,
        extent: Extent[Tensor] | None,
    ) -> Tensor:
        detail, energy = self.wide_detail(band, sigma)
        valid = None if band.valid is None else band.valid.rows(band.inner)
        if extent is not None:
            self.extend(extent, band.image.rows(band.inner), valid)
        self.fold_in(part, frame, detail.rows(band.inner), energy.rows(band.inner), valid)
        return energy

    def fold_in(
        self, part: Part[Tensor], frame: int, image: Tensor, energy: Tensor, valid: Tensor | None, /
    ) -> None:
        size = (image.height, image.width)
        values = (image, image.plane, image.channels, energy, valid, *size, part_record(part, frame))
        self._launch.picture("fold", "fold_in", size, values)
        part.best.last = max(part.best.last, frame)

    def fold_sharpness(
        self, part: Part[Tensor], frame: int, band: Band[Tensor], sigma: float, inner: slice, /
    ) -> None:
        image = band.image
        height, width, channels = image.height, image.width, image.channels
        luma = self.new((height, width))
        self._launch.picture(
            "measure", "luma", (height, width), (image, image.plane, channels, luma, height, width)
        )
        half = self._curvature(self.reduce(luma), sigma / 2)
        if _reach(sigma) > _MEASURE_REACH:
            self._fold_wide_sharpness(part, frame, band, sigma, inner, luma, half)
            return
        first, last, _ = inner.indices(height)
        scale = np.float32(FULL_SIZE_NOISE**-0.5)
        values = (luma, half, height, width, scale, image, image.plane, channels, band.valid, first, last)
        records = (part_record(part, frame), taps(sigma, _MEASURE_REACH))
        size = (last - first, width)
        self._launch.picture("measure", "fold_sharpness", size, (*values, *records), rows=_TILE_ROWS)
        part.best.last = max(part.best.last, frame)

    def _fold_wide_sharpness(
        self,
        part: Part[Tensor],
        frame: int,
        band: Band[Tensor],
        sigma: float,
        inner: slice,
        luma: Tensor,
        half: Tensor,
    ) -> None:
        own = self.wide_curvature(luma, sigma, np.float32(FULL_SIZE_NOISE**-0.5))
        energy = self.add_detail(half, own, luma.height, slice(0, luma.height)).rows(inner)
        valid = None if band.valid is None else band.valid.rows(inner)
        self.fold_in(part, frame, band.image.rows(inner), energy, valid)

    def _curvature(self, plane: Tensor, sigma: float) -> Tensor:
        """The half-size share of the focus measure."""
        scale = np.float32(HALF_SIZE_NOISE**-0.5)
        if _reach(sigma) > _MEASURE_REACH:
            return self.wide_curvature(plane, sigma, scale)
        size = (plane.height, plane.width)
        out = self.new(size)
        values = (plane, *size, scale, out, taps(sigma, _MEASURE_REACH))
        self._launch.picture("measure", "curvature", size, values, rows=_TILE_ROWS)
        return out

    def merge(self, part: Part[Tensor], other: Part[Tensor], /) -> None:
        size = (part.best.energy.height, part.best.energy.width)
        channels = 0 if part.kept is None else part.kept.channels
        self._launch.picture("fold", "merge", size, (part_record(part), part_record(other), channels, *size))
        part.best.last = max(part.best.last, other.best.last)

    def add_detail(self, coarse: Tensor, detail: Tensor, height: int, inner: slice, /) -> Tensor:
        out = self.new(detail.shape)
        first, _, _ = inner.indices(height)
        size = (detail.height, detail.width)
        values = (coarse, coarse.plane, coarse.height, coarse.width, detail, detail.plane, out, *size, first)
        self._launch.picture("pyramid", "add_detail", size, values, channels=detail.channels)
        return out

    def blend_in(self, sums: Mix[Tensor], depth: Tensor, frame: int, band: Band[Tensor], /) -> None:
        image, mean = band.image, sums.mean
        size = (image.height, image.width)
        values = (image, image.plane, image.channels, depth, band.valid, *size, frame)
        self._launch.picture("fold", "blend_in", size, (*values, mean, mean.plane, sums.total))

    def keep_nearest(self, best: Best[Tensor], depth: Tensor, frame: int, band: Band[Tensor], /) -> None:
        image = band.image
        size = (image.height, image.width)
        values = (image, image.plane, image.channels, depth, band.valid, *size)
        self._launch.picture("fold", "keep_nearest", size, (*values, part_record(Part(best), frame)))
        best.last = max(best.last, frame)

    def merge_sums(self, sums: Mix[Tensor], other: Mix[Tensor], /) -> None:
        for mine, theirs in ((sums.mean, other.mean), (sums.total, other.total)):
            assert mine.contiguous
            assert theirs.contiguous
            size = (mine.height, mine.width)
            self._launch.picture("fold", "add", size, (mine, theirs, *size), channels=mine.channels)

    def blended(self, sums: Mix[Tensor], nearest: Best[Tensor] | None, /) -> Tensor:
        out = self.new(sums.mean.shape)
        size = (out.height, out.width)
        spare = None if nearest is None else nearest.image
        plane = 0 if spare is None else spare.plane
        values = (sums.mean, sums.mean.plane, sums.total, spare, plane, _SMALLEST_WEIGHT, out, *size)
        self._launch.picture("finish", "blended", size, values, channels=out.channels)
        return out

    def merge_extent(self, extent: Extent[Tensor], other: Extent[Tensor], /) -> None:
        assert all(part.contiguous for part in (extent.low, extent.high, other.low, other.high))
        size, channels = (extent.low.height, extent.low.width), extent.low.channels
        values = (extent.low, extent.high, other.low, other.high, *size)
        pixel = extent.low.dtype.name
        self._launch.picture("fold", "merge_extent", size, values, channels=channels, pixel=pixel)
