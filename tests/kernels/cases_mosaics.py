"""Cases of the stage that develops mosaics."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpustack.backend.gpu.backend import Gpu
from gpustack.model.mosaic import PATTERNS, Mosaic
from tests.kernels.mosaics import developed
from tests.kernels.registry import Pairs, Shape, case


@case("develop_bayer")
def develop(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    for number, colours in enumerate(sorted(PATTERNS)):
        black: Any = tuple(generator.integers(0, 900, 4).tolist())
        gain: Any = tuple(generator.uniform(1, 9, 4).astype(np.float32).tolist())
        mosaic = Mosaic(colours, black, gain)
        # Few values, so that directions are often even; or all there are.
        samples = (
            generator.integers(0, 12, shape) * 1400 if number % 2 else generator.integers(0, 65536, shape)
        )
        samples = samples.astype(np.uint16)
        found = gpu.develop(gpu.upload(samples[..., None]), mosaic)
        yield gpu.download(found), developed(samples, mosaic)
