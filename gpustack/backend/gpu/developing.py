"""From a Bayer mosaic to camera RGB on the device."""

from __future__ import annotations

import numpy as np

from gpustack.backend.gpu.core import Core
from gpustack.backend.gpu.records import record
from gpustack.backend.gpu.tensor import Tensor
from gpustack.model.mosaic import RED, Mosaic
from gpustack.settings import Demosaic

_MOSAIC = np.dtype(
    [
        ("height", "i4"),
        ("width", "i4"),
        ("red", "i4"),
        ("white", "f4"),
        ("black", "i4", 4),
        ("gain", "f4", 4),
    ],
    align=True,
)
_KERNELS = {Demosaic.RCD: ("rcd", 16), Demosaic.MALVAR: ("malvar", 32)}
"""Stage, and TILE_Y there."""


class Developing(Core):
    """`develop`."""

    def develop(self, samples: Tensor, mosaic: Mosaic, /) -> Tensor:
        height, width = samples.shape[:2]
        out = self.new((height, width, 3), "uint16")
        described = record(
            _MOSAIC,
            height=height,
            width=width,
            red=mosaic.colours.index(RED),
            white=mosaic.white,
            black=mosaic.black,
            gain=mosaic.gain,
        )
        stage, rows = _KERNELS[mosaic.demosaic]
        values = samples, out, described
        self._launch.picture(stage, f"develop_{stage}", (height, width), values, rows=rows)
        return out
