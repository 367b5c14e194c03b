"""Windows that the fused kernels have no shared memory for (`--radius`): the same, step by step."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from gpustack.backend.filters import gaussian
from gpustack.backend.gpu.core import Core
from gpustack.backend.gpu.tensor import Tensor
from gpustack.backend.values import EVIDENCE, Extent, LevelBand
from gpustack.model.frame import PixelType


class Wide(Core):
    """Energies by windows of any size; kernels/wide.cu."""

    @cached_property
    def _windows(self) -> dict[float, Tensor]:
        """The right half of each Gaussian that was asked for, by its sigma."""
        return {}

    def wide_detail(self, band: LevelBand[Tensor], sigma: float) -> tuple[Tensor, Tensor]:
        """A level's detail and its energy, of all rows of a band."""
        image, coarse = band.image, band.coarse
        size, channels = (image.height, image.width), image.channels
        detail, power = self.new(image.shape), self.new(size)
        values = (image, image.plane, coarse, coarse.plane, detail, detail.plane, *size)
        self._launch.picture("wide", "detail_of", size, values, channels=channels)
        self._launch.picture("wide", "power_of", size, (detail, detail.plane, channels, power, *size))
        energy = self._blurred(power, sigma)
        if band.evidence is not None:
            self._launch.picture("wide", "heed", size, (energy, band.evidence, EVIDENCE, *size))
        return detail, energy

    def wide_curvature(self, plane: Tensor, sigma: float, scale: np.float32) -> Tensor:
        """The squared Laplacian of a plane, smoothed."""
        size = (plane.height, plane.width)
        bend = self.new(size)
        self._launch.picture("wide", "bend_of", size, (plane, scale, bend, *size))
        return self._blurred(bend, sigma)

    def extend(self, extent: Extent[Tensor], image: Tensor, valid: Tensor | None) -> None:
        """Widen a range by a frame."""
        size, kind = (image.height, image.width), PixelType(extent.low.dtype.name)
        values = (image, image.plane, valid, kind.white, extent.low, extent.high, extent.low.plane, *size)
        self._launch.picture("wide", "extend_by", size, values, channels=image.channels, pixel=kind.value)

    def _blurred(self, plane: Tensor, sigma: float) -> Tensor:
        size = (plane.height, plane.width)
        if sigma not in self._windows:
            whole = gaussian(sigma)
            self._windows[sigma] = self.upload(whole[len(whole) // 2 :])
        half = self._windows[sigma]
        radius = half.shape[0] - 1
        across, out = self.new(size), self.new(size)
        self._launch.picture("wide", "blur_line", size, (plane, half, radius, 0, across, *size))
        self._launch.picture("wide", "blur_line", size, (across, half, radius, 1, out, *size))
        return out
