"""All cases: for each kernel calls through the backend, and what plain NumPy says must come out of them."""

from __future__ import annotations

from itertools import product

import numpy as np

from gpustack.backend.gpu.backend import Gpu
from tests.cuda_on_cpu.device import CpuDevice
from tests.kernels import cases_beside, cases_debias, cases_folding, cases_mosaics, cases_pictures
from tests.kernels.registry import CASES, SHAPES, Case, Shape

__all__ = [
    "CASES",
    "SHAPES",
    "Case",
    "Shape",
    "cases_beside",
    "cases_debias",
    "cases_folding",
    "cases_mosaics",
    "cases_pictures",
    "everything",
]


def everything(device: CpuDevice) -> None:
    """All cases on one device; for the sanitizers."""
    gpu = Gpu(device, 1 << 30)
    for function, shape in product(CASES, SHAPES):
        for found, wanted in function(gpu, shape, np.random.default_rng(0)):
            np.testing.assert_array_equal(found, wanted)
