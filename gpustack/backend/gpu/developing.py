"""From a Bayer mosaic to camera RGB on the device."""

from __future__ import annotations

import numpy as np

from gpustack.backend.gpu.core import Core
from gpustack.backend.gpu.records import record
from gpustack.backend.gpu.tensor import Tensor
from gpustack.model.mosaic import RED, Mosaic

_ROWS = 32  # TILE_Y of bayer.cu
_MOSAIC = np.dtype(
    [("height", "i4"), ("width", "i4"), ("red", "i4"), ("black", "i4", 4), ("gain", "f4", 4)], align=True
)


class Developing(Core):
    """`develop`."""

    @property
    def develops(self) -> bool:
        return True

    def develop(self, samples: Tensor, mosaic: Mosaic, /) -> Tensor:
        height, width = samples.shape[:2]
        out = self.new((height, width, 3), "uint16")
        described = record(
            _MOSAIC,
            height=height,
            width=width,
            red=mosaic.colours.index(RED),
            black=mosaic.black,
            gain=mosaic.gain,
        )
        self._launch.picture("bayer", "develop_bayer", (height, width), (samples, out, described), rows=_ROWS)
        return out
