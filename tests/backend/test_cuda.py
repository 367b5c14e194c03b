"""`CudaDevice` asks CuPy for the right things, on the right device and stream, and tells failures in our
words."""

from __future__ import annotations

import gc
import importlib.metadata
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from gpustack.backend import kernels
from gpustack.backend.cuda import CudaDevice, versions
from gpustack.backend.gpu.device import Lane
from gpustack.backend.gpu.launch import BLOCK
from gpustack.errors import BackendError
from tests.backend.fake_cupy import (
    DEFAULT,
    MAPPED,
    PORTABLE,
    CompileFailed,
    DriverFailed,
    FakeCupy,
    RuntimeFailed,
)

Calls = list[tuple[Any, ...]]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeCupy:
    return FakeCupy(monkeypatch)


@pytest.fixture
def device(fake: FakeCupy) -> CudaDevice:  # noqa: ARG001
    """Device 1, while the test's thread has device 0."""
    return CudaDevice(1)


def pointer(device: CudaDevice, lane: Lane) -> int:
    return int(device._streams[lane].ptr)


def test_opening_makes_two_streams_that_do_not_wait_for_the_default_one(
    fake: FakeCupy, device: CudaDevice
) -> None:
    assert fake.calls == [
        ("getDeviceProperties", 1, 1),
        ("Stream", 1, {"non_blocking": True}),
        ("Stream", 1, {"non_blocking": True}),
    ]
    assert (device.name, device.total_bytes, device.free_bytes()) == ("NVIDIA Fake", 8 << 30, 6 << 30)
    assert pointer(device, Lane.COPY) != pointer(device, Lane.WORK)


def test_memory_is_freed_after_both_streams_are_done(fake: FakeCupy, device: CudaDevice) -> None:
    address = device.allocate(4096)
    assert fake.noted("malloc") == [(1, 4096)]
    fake.calls.clear()
    device.free(address)
    waits = [("synchronize", 1, pointer(device, lane)) for lane in Lane]
    assert fake.calls == [*waits, ("free", 1, address)]
    assert not fake.memory


def test_a_device_that_goes_gives_its_memory_back(fake: FakeCupy) -> None:
    device = CudaDevice(0)
    kept, freed = device.allocate(10), device.allocate(20)
    device.free(freed)
    assert set(fake.memory) == {kept}
    del device
    gc.collect()
    assert not fake.memory


def test_pinned_memory_lives_as_long_as_a_view_of_it(fake: FakeCupy, device: CudaDevice) -> None:
    memory = device.pinned(600)
    assert fake.noted("hostAlloc") == [(1, 600, PORTABLE | MAPPED)]
    assert (memory.dtype, memory.shape, memory.flags.writeable) == (np.uint8, (600,), True)
    assert memory.ctypes.data in fake.memory
    memory[:] = 7
    assert bytes(fake.memory[memory.ctypes.data]) == b"\7" * 600
    view = memory[100:300].view(np.uint16).reshape(10, 10)
    address = memory.ctypes.data
    del memory
    gc.collect()
    assert fake.noted("freeHost") == []
    fake.calls.clear()
    del view
    gc.collect()
    assert [call[0] for call in fake.calls] == ["synchronize", "synchronize", "freeHost"]
    assert fake.noted("freeHost") == [(0, address)]


def test_a_lost_device_does_not_trouble_the_garbage_collector(
    fake: FakeCupy, device: CudaDevice, capsys: pytest.CaptureFixture[str]
) -> None:
    memory, _ = device.pinned(8), device.allocate(8)
    for name in ("free", "freeHost", "synchronize"):
        fake.failing[name] = RuntimeFailed(719)
    del memory, device
    gc.collect()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("lane", list(Lane))
def test_copies_go_over_their_lane(fake: FakeCupy, device: CudaDevice, lane: Lane) -> None:
    host = np.arange(12, dtype=np.uint16).reshape(3, 4)
    address = device.allocate(host.nbytes)
    device.copy_in(address, host, lane)
    back = np.zeros_like(host)
    device.copy_out(back, address, lane)
    stream = pointer(device, lane)
    assert fake.noted("memcpyAsync") == [
        (1, address, host.ctypes.data, 24, DEFAULT, stream),
        (1, back.ctypes.data, address, 24, DEFAULT, stream),
    ]
    np.testing.assert_array_equal(back, host)


def test_moves_go_over_the_work_lane_and_empty_ones_nowhere(fake: FakeCupy, device: CudaDevice) -> None:
    here, there = device.allocate(64), device.pinned(64)
    device.move(there.ctypes.data, here, 64)
    device.move(here, there.ctypes.data, 0)
    work = pointer(device, Lane.WORK)
    assert fake.noted("memcpyAsync") == [(1, there.ctypes.data, here, 64, DEFAULT, work)]


def test_a_strided_array_is_not_copied(device: CudaDevice) -> None:
    with pytest.raises(AssertionError):
        device.copy_in(0, np.zeros((4, 4))[:, ::2], Lane.COPY)
    with pytest.raises(AssertionError):
        device.copy_out(np.zeros((4, 4))[:, ::2], 0, Lane.COPY)


def test_a_kernel_is_built_once_and_started_on_the_work_stream(fake: FakeCupy, device: CudaDevice) -> None:
    arguments = [np.uint64(4096), np.int32(3), np.zeros((), [("radius", "i4")])]
    for _ in range(2):
        device.launch("fill", "fill_uint8", "uint8", (2, 3, 1), BLOCK, arguments)
    device.launch("fill", "fill_uint16", "uint8", (1, 1, 1), BLOCK, [])
    device.launch("fill", "fill_uint8", "uint16", (1, 1, 1), BLOCK, [])
    assert fake.modules == [(kernels.source("fill", pixel), kernels.OPTIONS) for pixel in ("uint8", "uint16")]
    assert fake.noted("get_function") == [(1, "fill_uint8"), (1, "fill_uint16"), (1, "fill_uint8")]
    launches = fake.noted("launch")
    assert len(launches) == 4
    assert launches[0][:4] == (1, "fill_uint8", (2, 3, 1), BLOCK)
    passed = launches[0][4]
    assert isinstance(passed, tuple)
    assert all(here is there for here, there in zip(passed, arguments, strict=True))
    assert {launch[5] for launch in launches} == {device._streams[Lane.WORK]}
    assert fake.stream is None


def test_events(fake: FakeCupy, device: CudaDevice) -> None:
    first, second = device.record(Lane.COPY), device.record(Lane.WORK)
    device.wait(Lane.WORK, first)
    device.finish(second)
    assert device.elapsed(first, second) == 0.25
    copy, work = pointer(device, Lane.COPY), pointer(device, Lane.WORK)
    assert fake.noted("Event") == [(1, {"block": True})] * 2
    assert fake.noted("record") == [(1, first, copy), (1, second, work)]
    assert fake.noted("wait_event") == [(1, work, first)]
    assert fake.noted("finish") == [(1, second)]
    assert fake.noted("elapsed") == [(1, first, second)]


USED = "malloc hostAlloc memcpyAsync Event record wait_event get_function launch finish synchronize free"
"""The calls of `use`."""


def use(device: CudaDevice) -> Any:
    """One of everything; gives the page-locked memory, so that it is not freed meanwhile."""
    address, host = device.allocate(4000), device.pinned(4000)
    device.copy_in(address, host, Lane.COPY)
    device.wait(Lane.WORK, device.record(Lane.COPY))
    arguments = [np.uint64(address), np.int32(1000), np.float32(1)]
    device.launch("fill", "fill_float32", "float32", (1, 1, 1), (256, 1, 1), arguments)
    device.copy_out(host, address, Lane.WORK)
    device.finish(device.record(Lane.WORK))
    device.free(address)
    return host


@pytest.mark.parametrize("number", [0, 1])
def test_the_callers_device_stays_as_it_was(fake: FakeCupy, number: int) -> None:
    device = CudaDevice(number)
    fake.device = 1 - number
    fake.calls.clear()
    held = use(device)
    assert {call[0]: call[1] for call in fake.calls} == dict.fromkeys(USED.split(), number)
    assert fake.device == 1 - number
    del held


def test_threads_have_devices_of_their_own(fake: FakeCupy) -> None:
    devices = [CudaDevice(0), CudaDevice(1)]
    fake.calls.clear()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(use, devices))
    assert sorted(call[0] for call in fake.noted("launch")) == [0, 1]
    assert {call[:1] + call[2:3] for call in fake.noted("malloc")} == {(0,), (1,)}


STEPS: dict[str, Callable[[CudaDevice], Any]] = {
    "memGetInfo": lambda device: device.free_bytes(),
    "malloc": lambda device: device.allocate(1 << 20),
    "hostAlloc": lambda device: device.pinned(1 << 20),
    "memcpyAsync": lambda device: device.move(1, 2, 3),
    "get_function": lambda device: device.launch("fill", "fill_uint8", "uint8", (1, 1, 1), (1, 1, 1), []),
    "launch": lambda device: device.launch("fill", "fill_uint8", "uint8", (1, 1, 1), (1, 1, 1), []),
    "Event": lambda device: device.record(Lane.WORK),
    "finish": lambda device: device.finish(device.record(Lane.WORK)),
    "synchronize": lambda device: device.free(device.allocate(1)),
}


@pytest.mark.parametrize("kind", [RuntimeFailed, DriverFailed])
@pytest.mark.parametrize("step", STEPS)
def test_failures_are_told_in_our_words(fake: FakeCupy, device: CudaDevice, step: str, kind: Any) -> None:
    fake.failing[step] = kind(2, "out of memory")
    with pytest.raises(MemoryError, match="CUDA device 1 is out of memory"):
        STEPS[step](device)
    fake.failing[step] = kind(700, "an illegal memory access")
    with pytest.raises(BackendError) as caught:
        STEPS[step](device)
    assert caught.value.message == "CUDA device 1 failed (an illegal memory access)."
    assert "--backend cpu" in caught.value.remedy
    assert fake.device == 0


def test_a_device_that_does_not_exist(fake: FakeCupy) -> None:
    with pytest.raises(BackendError, match=r"CUDA device 2 failed \(cudaErrorInvalidDevice"):
        CudaDevice(2)
    assert fake.noted("Stream") == []


@pytest.mark.parametrize(
    ("failure", "message", "remedy"),
    [
        (
            CompileFailed("fill.cu(3): warning: odd\nfill.cu(7): error: no such type\n1 error detected"),
            "The CUDA kernels of fill.cu do not compile (fill.cu(7): error: no such type).",
            "gpustack-focus[cuda13]",
        ),
        (
            RuntimeError("Failed to find CUDA headers. Please install the toolkit."),
            "CuPy cannot compile kernels (Failed to find CUDA headers. Please install the toolkit).",
            "pip install 'gpustack-focus[cuda13]'",
        ),
        (
            RuntimeError('Failure finding "libnvrtc.so.13": No such file\nand more'),
            'CuPy cannot compile kernels (Failure finding "libnvrtc.so.13": No such file).',
            "pip install 'gpustack-focus[cuda13]'",
        ),
    ],
)
def test_kernels_that_cannot_be_built(
    fake: FakeCupy, device: CudaDevice, failure: Exception, message: str, remedy: str
) -> None:
    fake.failing["get_function"] = failure
    with pytest.raises(BackendError) as caught:
        STEPS["launch"](device)
    assert caught.value.message == message
    assert remedy in caught.value.remedy
    del fake.failing["get_function"]
    STEPS["launch"](device)  # a failure is not remembered


def test_cupy_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(BackendError, match="CuPy cannot be imported") as caught:
        CudaDevice(0)
    assert "pip install" in caught.value.remedy


def test_versions(fake: FakeCupy) -> None:
    assert versions() == {"cupy": "14.2.0", "runtime": "13.2", "nvrtc": "13.5"}
    assert fake.calls == []


def test_the_fake_has_nothing_that_cupy_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    if not any(name.startswith("cupy") for name in installed()):
        pytest.skip("CuPy is not installed")
    import cupy

    fake = FakeCupy(monkeypatch).module
    for place in ("", "cuda", "cuda.runtime", "cuda.driver", "cuda.compiler", "cuda.nvrtc"):
        pretended, real = fake, cupy
        for part in filter(None, place.split(".")):
            pretended, real = getattr(pretended, part), getattr(real, part)
        assert [name for name in vars(pretended) if not hasattr(real, name)] == [], place
    for status in (2, 700):
        assert cupy.cuda.runtime.CUDARuntimeError(status).status == status
    assert cupy.cuda.runtime.memcpyDefault == DEFAULT
    assert (cupy.cuda.runtime.hostAllocPortable, cupy.cuda.runtime.hostAllocMapped) == (PORTABLE, MAPPED)
    cupy.RawModule(code=kernels.source("fill", "uint8"), options=kernels.OPTIONS)


def installed() -> set[str]:
    return {name for found in importlib.metadata.distributions() if (name := found.metadata["Name"])}
