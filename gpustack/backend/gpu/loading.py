"""From frames as decoded to rows of the canvas on the device, and back to the frames' dtype."""

from __future__ import annotations

import numpy as np

from gpustack.backend.gpu.core import Core
from gpustack.backend.gpu.records import Record, record
from gpustack.backend.gpu.tensor import Tensor
from gpustack.backend.resample import SLACK, inside, whole_shift
from gpustack.backend.toning import Toning
from gpustack.backend.values import Band, Extent, Host
from gpustack.model.frame import PixelType
from gpustack.model.rect import Rows
from gpustack.model.transform import Transform
from gpustack.settings import Interpolation

_TONING = np.dtype([("scale", "f4", 4), ("offset", "f4", 4)])
_WARP = np.dtype(
    [("m", "f8", 9), ("toning", _TONING), ("slack", "f4"), ("first_row", "i4"), ("perspective", "i4")],
    align=True,
)

_KERNELS = {
    Interpolation.BICUBIC: ("warp", "warp_bicubic"),
    Interpolation.LANCZOS: ("lanczos", "warp_lanczos"),
}


class Loading(Core):
    """`load` and `pack`."""

    def load(
        self,
        frame: Tensor,
        place: Transform,
        kind: PixelType,
        width: int,
        rows: Rows,
        /,
        *,
        interpolation: Interpolation = Interpolation.BICUBIC,
    ) -> Band[Tensor]:
        height, frame_width, channels = frame.shape
        out = self.new((channels, len(rows), width))
        covered = inside(place, width, rows, (height, frame_width))
        valid = None if covered else self.new((len(rows), width), "uint8")
        values = (frame, height, frame_width, channels, out, valid, len(rows), width)
        size, toning = (len(rows), width), _toning(place, kind, channels)
        shift = whole_shift(place)
        if shift is not None:
            moved = (shift[0], shift[1] + rows.start, toning)
            self._launch.picture("load", "load_shifted", size, (*values, *moved), pixel=kind.value)
        else:
            perspective = int(place.matrix[2, 0] != 0 or place.matrix[2, 1] != 0)
            warp = record(
                _WARP,
                m=place.matrix.ravel(),
                toning=toning,
                slack=SLACK,
                first_row=rows.start,
                perspective=perspective,
            )
            stage, name = _KERNELS[interpolation]
            self._launch.picture(stage, name, size, (*values, warp), pixel=kind.value)
        return Band(out, valid)

    def pack(self, image: Tensor, kind: PixelType, extent: Extent[Tensor] | None, /) -> Host:
        channels, height, width = image.shape
        out = self.new((height, width, channels), kind.value)
        low, high, plane = (None, None, 0) if extent is None else (extent.low, extent.high, extent.low.plane)
        values = (image, image.plane, channels, low, high, plane, kind.white, out, height, width)
        self._launch.picture("finish", "pack", (height, width), values, pixel=kind.value)
        return self.download(out)


def _toning(place: Transform, kind: PixelType, channels: int) -> Record:
    """`Toning` of place.cuh."""
    toning = Toning.of(place.tone, kind.white, channels)
    out = record(_TONING)
    out["scale"][:channels], out["offset"][:channels] = toning.scale, toning.offset
    return out
