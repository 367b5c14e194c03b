"""The depth surface's operations on the device."""

from __future__ import annotations

from gpustack.backend.gpu.core import Core
from gpustack.backend.gpu.records import taps
from gpustack.backend.gpu.tensor import Tensor

_REACH = 9  # REACH of surface.cu


class Surfacing(Core):
    """Median, smoothing by confidence, and filling of planes."""

    def median(self, plane: Tensor, /) -> Tensor:
        out = self._wide(plane.shape)
        size = (plane.height, plane.width)
        self._launch.picture("surface", "median", size, (plane, out, *size))
        return out

    def smooth_by(self, plane: Tensor, weight: Tensor, sigma: float, /) -> tuple[Tensor, Tensor]:
        top, bottom = self._wide(plane.shape), self._wide(plane.shape)
        size = (plane.height, plane.width)
        values = (plane, weight, top, bottom, *size, taps(sigma, _REACH))
        self._launch.picture("surface", "smooth_by", size, values)
        return top, bottom

    def fill_in(self, top: Tensor, bottom: Tensor, rim: Tensor | None, weight: float, /) -> Tensor:
        out = self._wide(top.shape)
        size = (top.height, top.width)
        self._launch.picture("surface", "fill_in", size, (top, bottom, rim, float(weight), out, *size))
        return out
