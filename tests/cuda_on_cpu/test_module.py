from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from gpustack.backend import kernels
from gpustack.backend.gpu.device import Argument
from tests.cuda_on_cpu.module import BarrierError, CpuModule, problem

pytestmark = pytest.mark.skipif(problem() is not None, reason=str(problem()))

ORDERS = (0, 1, 2, 3)
THREADS = 256

SOURCE = """
struct Scale { float factor; int offset; };

// Sums of THREADS elements, halves added to halves.
extern "C" __global__ void __launch_bounds__(256) sums(const float* __restrict__ from, float* to, int* done) {
    __shared__ float part[256];
    part[threadIdx.x] = from[blockIdx.x * blockDim.x + threadIdx.x];
    for (int half = 128; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
    }
    if (threadIdx.x == 0) to[blockIdx.x] = part[0];
    if (threadIdx.x == 0) atomicAdd(done, 1);
}
extern "C" __global__ void places(int* to) {
    const int width = gridDim.x * blockDim.x, height = gridDim.y * blockDim.y;
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    to[((blockIdx.z * blockDim.z + threadIdx.z) * height + y) * width + x] = 100 * x + 10 * y + blockIdx.z;
}
extern "C" __global__ void scaled(const unsigned short* from, double* to,
                                  const __grid_constant__ Scale scale) {
    to[threadIdx.x] = from[threadIdx.x] * scale.factor + scale.offset;
}
extern "C" __global__ void arithmetic(const float* a, const float* b, float* to) {
    to[0] = a[0] * b[0] + a[1];
    to[1] = min(a[2], b[2]);
    to[2] = max(b[2], a[2]);
    to[3] = a[3] * b[3];
    to[4] = __uint_as_float(__float_as_uint(a[0]) + 1);
    to[5] = rintf(a[4]);
}
extern "C" __global__ void race(float* data) {
    __shared__ float tile[64];
    tile[threadIdx.x] = data[threadIdx.x];
    data[threadIdx.x] = tile[63 - threadIdx.x];
}
extern "C" __global__ void across_blocks(float* data) {
    data[1 + blockIdx.x] = data[blockIdx.x];
}
extern "C" __global__ void unwritten(float* data) {
    __shared__ float tile[64];
    if (threadIdx.x != 5) tile[threadIdx.x] = 1.0f;
    __syncthreads();
    data[threadIdx.x] = tile[threadIdx.x];
}
extern "C" __global__ void some_wait(float* data) {
    if (data[threadIdx.x] < 3) __syncthreads();
}
extern "C" __global__ void two_places(float* data) {
    if (data[threadIdx.x] < 3) __syncthreads();
    else __syncthreads();
}
"""


def at(array: npt.NDArray[Any]) -> np.uint64:
    return np.uint64(array.ctypes.data)


def launch(module: CpuModule, name: str, values: list[Argument], order: int = 0, **size: Any) -> None:
    grid, block = size.get("grid", (1, 1, 1)), size.get("block", (64, 1, 1))
    module.kernel(name)(grid, block, values, order=order)


# ucontext is what machines other than x86-64 use.
@pytest.fixture(scope="module", params=[(), ("-DCPU_UCONTEXT",)], ids=["usual", "ucontext"])
def module(request: pytest.FixtureRequest) -> CpuModule:
    return CpuModule(SOURCE, request.param)


@pytest.mark.parametrize("order", ORDERS)
def test_shared_memory_barriers_and_atomics(module: CpuModule, order: int) -> None:
    from_ = np.random.default_rng(1).random((7, THREADS), np.float32)
    to, blocks = np.full(7, np.nan, np.float32), np.zeros(1, np.int32)
    launch(module, "sums", [at(from_), at(to), at(blocks)], order, grid=(7, 1, 1), block=(THREADS, 1, 1))
    part, half = from_.copy(), THREADS // 2
    while half:
        part[:, :half] += part[:, half : 2 * half]
        half //= 2
    assert np.array_equal(to, part[:, 0])
    assert blocks[0] == 7


@pytest.mark.parametrize("order", ORDERS)
def test_every_thread_of_every_block_runs_once_at_its_place(module: CpuModule, order: int) -> None:
    to = np.full((3, 6, 8), -1, np.int32)
    launch(module, "places", [at(to)], order, grid=(2, 3, 3), block=(4, 2, 1))
    z, y, x = np.indices(to.shape)
    assert np.array_equal(to, 100 * x + 10 * y + z)


def test_structs_and_samples_of_any_width(module: CpuModule) -> None:
    scale = np.array((0.5, -3), np.dtype([("factor", "f4"), ("offset", "i4")]))
    from_, to = np.arange(64, dtype=np.uint16), np.zeros(64)
    launch(module, "scaled", [at(from_), at(to), scale])
    assert np.array_equal(to, from_ * 0.5 - 3)


def test_arithmetic_is_that_of_the_device(module: CpuModule) -> None:
    """Products are rounded before they are added, NaN loses against a number, subnormals are zero."""
    small = np.float32(2**-70)
    a = np.array([1 + 2**-23, -1 - 2**-22, np.nan, small, 2.5], np.float32)
    b = np.array([1 + 2**-23, 0, 4, small], np.float32)
    to = np.full(6, np.nan, np.float32)
    launch(module, "arithmetic", [at(a), at(b), at(to)], block=(1, 1, 1))
    assert to.tolist() == [0, 4, 4, 0, float(np.nextafter(a[0], np.float32(2))), 2]


def test_a_race_depends_on_the_order_of_threads(module: CpuModule) -> None:
    results = []
    for order in ORDERS:
        data = np.arange(64, dtype=np.float32)
        launch(module, "race", [at(data)], order)
        results.append(data)
    assert not all(np.array_equal(result, results[0], equal_nan=True) for result in results[1:])


def test_a_race_between_blocks_depends_on_their_order(module: CpuModule) -> None:
    results = set()
    for order in ORDERS:
        data = np.arange(9, dtype=np.float32)
        launch(module, "across_blocks", [at(data)], order, grid=(8, 1, 1), block=(1, 1, 1))
        results.add(tuple(data.tolist()))
    assert len(results) > 1


def test_shared_memory_that_nobody_wrote_is_not_a_number(module: CpuModule) -> None:
    data = np.zeros(64, np.float32)
    launch(module, "sums", [at(np.ones(THREADS, np.float32)), at(data), at(np.zeros(1, np.int32))],
           block=(THREADS, 1, 1))  # fmt: skip
    launch(module, "unwritten", [at(data)])
    assert np.flatnonzero(np.isnan(data)).tolist() == [5]


@pytest.mark.parametrize(
    ("name", "reason"), [("some_wait", "61 have returned"), ("two_places", "in different places")]
)
def test_a_divergent_barrier_is_reported(module: CpuModule, name: str, reason: str) -> None:
    with pytest.raises(BarrierError, match=rf"{name}: divergent barrier in block \(0, 0, 0\): .*{reason}"):
        launch(module, name, [at(np.arange(64, dtype=np.float32))])
    data = np.zeros(64, np.float32)
    launch(module, "some_wait", [at(data)])  # all wait: the module works on


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([np.uint64(0), np.uint64(0)], "takes 3 arguments, got 2"),
        ([0, np.uint64(0), np.zeros((), "V8")], "argument 0: wants u8, got int"),
        ([np.uint64(0), np.int64(0), np.zeros((), "V8")], "argument 1: wants u8, got i8"),
        ([np.uint64(0), np.uint64(0), np.zeros((), "V12")], "argument 2: wants s8, got s12"),
        ([np.uint64(0), np.uint64(0), np.float64(0)], "argument 2: wants s8, got f8"),
        ([np.uint64(0), np.uint64(0), np.zeros(1, "V8")], "argument 2: wants s8, got ndarray"),
    ],
)
def test_wrong_arguments_are_refused(module: CpuModule, values: list[Any], reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        launch(module, "scaled", values)


def test_an_address_that_is_no_multiple_of_its_element_is_refused(module: CpuModule) -> None:
    with pytest.raises(ValueError, match="argument 0: 4098 is no address of 4-byte elements"):
        launch(module, "race", [np.uint64(4098)])


@pytest.mark.parametrize(
    "size", [{"grid": (0, 1, 1)}, {"grid": (1, 65536, 1)}, {"block": (32, 33, 1)}, {"block": (0, 1, 1)}]
)
def test_sizes_that_no_device_takes_are_refused(module: CpuModule, size: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a device takes 1 to"):
        launch(module, "race", [np.uint64(0)], **size)


def test_kernels_are_found_by_their_macros_and_described() -> None:
    module = CpuModule(kernels.source("fill", "float32"))
    assert module.names == ("fill_float32", "fill_uint8", "fill_uint16")
    assert module.kernel("fill_uint16").signature == [("w", 2), ("i", 4), ("f", 4)]
    with pytest.raises(KeyError, match="no kernel fill among fill_float32"):
        module.kernel("fill")


def test_two_modules_of_one_process_have_nothing_in_common() -> None:
    first, second = (CpuModule(SOURCE, (f"-DNUMBER={number}",)) for number in range(2))
    with pytest.raises(BarrierError):
        launch(first, "some_wait", [at(np.arange(64, dtype=np.float32))])
    data = np.zeros(64, np.float32)
    launch(second, "some_wait", [at(data)], order=1)
    launch(first, "unwritten", [at(data)])
    assert np.isnan(data[5])


def test_a_source_that_does_not_compile_shows_what_the_compiler_says() -> None:
    with pytest.raises(RuntimeError, match=r"source:1:.*nonsense"):
        CpuModule("nonsense;")
