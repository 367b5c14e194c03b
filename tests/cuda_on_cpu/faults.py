"""Kernels with a planted fault each, which the sanitizers have to find, and calls of sound ones."""

from __future__ import annotations

import numpy as np

from gpustack.backend.gpu.core import Core
from gpustack.backend.gpu.device import Lane
from tests.cuda_on_cpu.device import CpuDevice
from tests.cuda_on_cpu.module import CpuModule
from tests.cuda_on_cpu.sanitized import FLAGS

COUNT = 21

SOURCE = """
extern "C" __global__ void beyond(const float* from, float* to, int count) {
    if (threadIdx.x < count) to[threadIdx.x] = from[threadIdx.x + 1];
}
extern "C" __global__ void shared(const float* from, float* to, int count) {
    __shared__ float tile[20];
    if (threadIdx.x < count) tile[threadIdx.x] = from[threadIdx.x];
    __syncthreads();
    if (threadIdx.x < count) to[threadIdx.x] = tile[threadIdx.x];
}
extern "C" __global__ void local(const float* from, float* to, int count) {
    float row[4] = {1, 2, 3, 4};
    if (threadIdx.x < count) to[threadIdx.x] = row[threadIdx.x & 7] * from[threadIdx.x];
}
extern "C" __global__ void cast(const float* from, float* to, int count) {
    if (threadIdx.x < count) to[threadIdx.x] = (int)(from[threadIdx.x] * 1e20f);
}
"""


def beyond(device: CpuDevice) -> None:
    _run(device, "beyond")


def shared(device: CpuDevice) -> None:
    _run(device, "shared")


def local(device: CpuDevice) -> None:
    _run(device, "local")


def cast(device: CpuDevice) -> None:
    _run(device, "cast")


def sound(device: CpuDevice) -> None:
    """Pictures whose last byte is the last that may be written."""
    core = Core(device, 1 << 20)
    for dtype in ("float32", "uint8", "uint16"):
        for shape in ((1, 1), (3, 5, 7), (2, 300, 1)):
            array = core.full(shape, 3.0, dtype)
            assert np.array_equal(core.download(array), np.full(shape, 3, dtype))


def _run(device: CpuDevice, name: str) -> None:
    from_, to = (device.allocate(COUNT * 4) for _ in range(2))
    host = np.ones(COUNT, np.float32)
    values = (np.uint64(from_), np.uint64(to), np.int32(COUNT))
    device.copy_in(from_, host, Lane.WORK)
    CpuModule(SOURCE, FLAGS).kernel(name)((1, 1, 1), (32, 1, 1), values)
