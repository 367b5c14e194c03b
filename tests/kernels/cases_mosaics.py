"""Cases of the stages that develop mosaics."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpustack.backend.demosaic.develop import developed
from gpustack.backend.gpu.backend import Gpu
from gpustack.model.mosaic import PATTERNS, Mosaic
from gpustack.settings import Demosaic
from tests.kernels.registry import Pairs, Shape, case


@case("develop_malvar", "develop_rcd")
def develop(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    """As the CPU, which tests/backend/test_demosaic.py lays beside plain formulas."""
    for number, colours in enumerate(sorted(PATTERNS)):
        black: Any = tuple(generator.integers(0, 900, 4).tolist())
        gain: Any = tuple(generator.uniform(1, 9, 4).astype(np.float32).tolist())
        # Few values, so that directions are often even; or all there are.
        samples = (
            generator.integers(0, 12, shape) * 1400 if number % 2 else generator.integers(0, 65536, shape)
        )
        samples = samples.astype(np.uint16)
        for way in (Demosaic.MALVAR, Demosaic.RCD):
            mosaic = Mosaic(colours, black, gain, way)
            found = gpu.develop(gpu.upload(samples[..., None]), mosaic)
            yield gpu.download(found), developed(samples, mosaic)
