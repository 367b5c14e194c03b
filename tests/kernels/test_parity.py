"""Every kernel equals plain float32 NumPy to the last bit, in whatever order its threads run.

It can: additions, multiplications, divisions and roundings are exact by IEEE 754, their order is fixed, and
multiply-adds are not fused. So three orders of threads give the same bits, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpustack.backend import kernels
from gpustack.backend.gpu.backend import Gpu
from tests.conftest import BACKENDS
from tests.cuda_on_cpu import sanitized
from tests.cuda_on_cpu.device import CpuDevice
from tests.cuda_on_cpu.module import CpuModule, problem
from tests.kernels.cases import CASES, SHAPES, Case, Shape

ALIGNMENT = {"blur", "even", "samples", "select", "sums", "survey"}
"""Stages whose sums are in an order of their own; tests/backend/test_gpu_matching.py lays them beside the
CPU's."""

DEVICES: dict[str, dict[str, Any]] = {
    "up": {"order": 0},
    "down": {"order": 1},
    "shuffled": {"order": 7, "eager": False},
}

no_compiler = pytest.mark.skipif(problem() is not None, reason=str(problem()))


@pytest.fixture(
    scope="module",
    params=[
        *(pytest.param(name, marks=no_compiler) for name in DEVICES),
        pytest.param("cuda", marks=pytest.mark.gpu),
    ],
)
def gpu(request: pytest.FixtureRequest) -> Gpu:
    """The backend on the CPU, threads running in one of three orders, and on a real device."""
    if request.param == "cuda":
        return BACKENDS["cuda"]()  # type: ignore[return-value]
    return Gpu(CpuDevice(**DEVICES[request.param]), 1 << 30)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_kernels_equal_plain_numpy_bit_for_bit(gpu: Gpu, case: Case, shape: Shape) -> None:
    for found, wanted in case(gpu, shape, np.random.default_rng(1)):
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
        np.testing.assert_array_equal(found, wanted)
        assert found.tobytes() == wanted.tobytes()  # nought has a sign


@no_compiler
def test_every_kernel_has_its_case() -> None:
    stages = set(kernels.stages()) - ALIGNMENT
    declared = {name for stage in stages for name in CpuModule(kernels.source(stage, "float32")).names}
    assert {name for names in CASES.values() for name in names} == declared


@pytest.mark.slow
@pytest.mark.skipif(sanitized.sanitizer_problem() is not None, reason=str(sanitized.sanitizer_problem()))
def test_no_kernel_leaves_its_arrays() -> None:
    done = sanitized.run("tests.kernels.cases:everything")
    assert (done.returncode, done.stderr) == (0, "")
