"""Frames and pictures on a device, and states to fold them into, for `cases.py`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy.typing as npt
import passes
from floors import Shares
from sweep import Sweep

from gpustack.align.sight import SAMPLES
from gpustack.backend.gpu.backend import Gpu
from gpustack.backend.gpu.tensor import Tensor
from gpustack.backend.values import Band, Extent, Part
from gpustack.engine.price import shrunk_by
from gpustack.fuse.average import empty_mix
from gpustack.fuse.measure import empty_best
from gpustack.model.frame import Kind, PixelType
from gpustack.model.rect import Rows
from gpustack.model.transform import Transform
from gpustack.settings import Interpolation

Work = Callable[[], object]


class Scene:
    """Frames and pictures on a device, of the size of the sweep's, that the calls work on."""

    def __init__(self, gpu: Gpu, sweep: Sweep, shares: Shares) -> None:
        self.gpu, self.sweep, self.shares = gpu, sweep, shares
        self.size = sweep.height, sweep.width
        self.rows = slice(0, self.size[0])

    @cached_property
    def pixels(self) -> dict[PixelType, npt.NDArray[Any]]:
        """The frame in the middle of the sweep, on the host."""
        middle = self.sweep.count // 2
        return {PixelType.UINT8: self.sweep.frame(middle), PixelType.UINT16: self.sweep.frame16(middle)}

    @cached_property
    def frames(self) -> dict[PixelType, Tensor]:
        """The same on the device."""
        return {kind: self.gpu.upload(pixels) for kind, pixels in self.pixels.items()}

    @cached_property
    def image(self) -> Tensor:
        """The same as a planar picture."""
        return self.load(PixelType.UINT8, passes.STILL).image

    @cached_property
    def coarse(self) -> Tensor:
        """Its half-size picture."""
        return self.gpu.reduce(self.image)

    @cached_property
    def plane(self) -> Tensor:
        """A plane of it."""
        return self.image.channel(1)

    @cached_property
    def mask(self) -> Tensor:
        """A mask that is set everywhere."""
        return self.gpu.full(self.size, 255, "uint8")

    @cached_property
    def survey(self) -> Tensor:
        """The luma that frames are aligned on."""
        return self.luma()

    def luma(self) -> Tensor:
        """The same, made again."""
        factor = shrunk_by(max(self.size), Kind.ARRAY)
        return self.gpu.survey_luma(self.frames[PixelType.UINT8], PixelType.UINT8, factor)

    @property
    def samples(self) -> int:
        """How many pixels of the luma alignment looks at."""
        return max(1, min(SAMPLES, self.survey.height * self.survey.width // 4))

    def load(
        self, kind: PixelType, place: Transform, interpolation: Interpolation = Interpolation.BICUBIC
    ) -> Band[Tensor]:
        """The whole frame on the canvas."""
        rows = Rows(0, self.size[0])
        return self.gpu.load(self.frames[kind], place, kind, self.size[1], rows, interpolation=interpolation)

    def part(self, soft: bool, *, kept: bool = True) -> Part[Tensor]:
        """An empty part of the frame's size."""
        best = empty_best(self.gpu, *self.size, 3 if kept and not soft else 0, afar=False)
        mix = empty_mix(self.gpu, 3, *self.size, afar=False) if soft else None
        return Part(best, mix, passes.NOISE**2)

    def extent(self, kind: PixelType) -> Extent[Tensor]:
        """An empty range."""
        low, high = (self.gpu.full((3, *self.size), value, kind.value) for value in (kind.white, 0))
        return Extent(low, high)

    def folding(self, part: Part[Tensor], fold: Callable[[int], object]) -> Work:
        """Folds the same frame in again and again; it wins its share each time."""
        fold(0)
        restore = passes.contested(self.gpu, part, self.shares.won)
        index = 0

        def work() -> None:
            nonlocal index
            restore()
            index += 1
            fold(index)

        return work
