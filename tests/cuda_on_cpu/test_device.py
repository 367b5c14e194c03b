from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from gpustack.backend.gpu.core import Core
from gpustack.backend.gpu.device import Host, Lane
from gpustack.errors import DeviceFullError
from tests.cuda_on_cpu.device import CpuDevice, Event
from tests.cuda_on_cpu.module import problem
from tests.cuda_on_cpu.order import OrderError

pytestmark = pytest.mark.skipif(problem() is not None, reason=str(problem()))

SHAPE = (6, 8)
NBYTES = 6 * 8


def fill(device: CpuDevice, address: int, count: int = 64, value: float = 3.0) -> None:
    arguments = (np.uint64(address), np.int32(count), np.float32(value))
    device.launch("fill", "fill_float32", "float32", (1, 1, 1), (256, 1, 1), arguments)


def fetched(device: CpuDevice, address: int, shape: tuple[int, ...], dtype: str) -> Host:
    host = np.zeros(shape, dtype)
    device.copy_out(host, address, Lane.WORK)
    device.finish(device.record(Lane.WORK))
    return host


def stacked(device: CpuDevice, frames: int = 7) -> bool:
    """Whether frames come out as they went in: each is sent while the one before is worked on.

    After the second nothing is allocated.
    """
    core = Core(device, 1 << 20)
    core.reserve(1, NBYTES)
    out = core.full((frames, *SHAPE), 200, "uint8")
    for number in range(frames):
        slot = core.slot(SHAPE, "uint8")
        assert slot is not None
        slot[...] = number
        core.copy(core.upload(slot), out.channel(number))
        if number == 1:
            device.freeze()
    core.settle()
    return bool((core.download(out) == np.arange(frames)[:, None, None]).all())


@pytest.fixture(params=[True, False], ids=["eager", "late"])
def device(request: pytest.FixtureRequest) -> CpuDevice:
    return CpuDevice(eager=request.param)


def test_frames_in_the_right_order_pass(device: CpuDevice) -> None:
    assert stacked(device)
    assert device.allocations == 2 + 1 + 2  # slots, the result, frames


def test_a_late_device_works_only_when_it_must() -> None:
    device = CpuDevice(eager=False)
    address = device.allocate(256)
    fill(device, address)
    first = device.record(Lane.WORK)
    fill(device, address)
    assert device.log == []
    device.wait(Lane.COPY, first)
    device.finish(device.record(Lane.COPY))
    work = [what for lane, what in device.log if lane is Lane.WORK]
    assert work == ["fill_float32", "record"]  # the lane that was waited for, and only that far
    device.drain()
    assert [what for lane, what in device.log].count("fill_float32") == 2


def test_what_is_fetched_is_there_only_after_waiting() -> None:
    device = CpuDevice(eager=False)
    address = device.allocate(256)
    fill(device, address)
    host = np.zeros(64, np.float32)
    device.copy_out(host, address, Lane.WORK)
    assert np.isnan(host).all()
    device.finish(device.record(Lane.WORK))
    assert (host == 3).all()


class Hasty(CpuDevice):
    """One of its lanes does not wait for the other."""

    lane = Lane.COPY

    def wait(self, lane: Lane, event: Event, /) -> None:
        if lane is not self.lane:
            super().wait(lane, event)


@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize(
    ("lane", "words"), [(Lane.COPY, "copy_in of .* on the copy lane writes"), (Lane.WORK, "move of .* reads")]
)
def test_a_missing_wait_is_found(lane: Lane, words: str, eager: bool) -> None:
    device = Hasty(eager=eager)
    device.lane = lane
    with pytest.raises(OrderError, match=words + ".*no event orders the two"):
        stacked(device)


def test_a_missing_wait_gives_a_wrong_result_on_a_late_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame is overwritten before work on it is done, even if nobody compares clocks."""
    monkeypatch.setattr("tests.cuda_on_cpu.order.Order.touch", lambda *_: None)
    assert stacked(CpuDevice(eager=False), 3)
    assert not stacked(Hasty(eager=False), 3)  # of more frames no times could be told


class Forgetful(CpuDevice):
    """The host does not wait for copies, so that slots go back to the readers too early."""

    def finish(self, event: Event, /) -> None:
        if event.lane is not Lane.COPY:
            super().finish(event)


def test_a_slot_that_changes_before_its_copy_is_found() -> None:
    with pytest.raises(OrderError, match=r"copy_in of uint8\[6, 8\] at .*: the array was changed before"):
        stacked(Forgetful(eager=False), 3)


def test_an_array_given_up_before_its_copy_is_found() -> None:
    device = CpuDevice(eager=False)
    device.copy_in(device.allocate(256), np.zeros(64, np.float32), Lane.WORK)
    with pytest.raises(OrderError, match="given up before it was copied"):
        device.finish(device.record(Lane.WORK))
    device.copy_out(np.zeros(64, np.float32), device.allocate(256), Lane.WORK)
    with pytest.raises(OrderError, match="given up before it was written"):
        device.drain()


def test_a_frozen_device_allocates_nothing(device: CpuDevice) -> None:
    device.allocate(256)
    device.pinned(256)
    device.freeze()
    with pytest.raises(OrderError, match="256 bytes are allocated after the device was frozen"):
        device.allocate(256)
    with pytest.raises(OrderError, match="frozen"):
        device.pinned(256)
    assert device.allocations == 2


CALLS: dict[str, tuple[Any, ...]] = {
    "allocate": (256,),
    "pinned": (256,),
    "copy_in": (0, np.zeros(0), Lane.COPY),
    "copy_out": (np.zeros(0), 0, Lane.COPY),
    "move": (0, 0, 0),
    "launch": ("fill", "fill_float32", "float32", (1, 1, 1), (1, 1, 1), ()),
    "record": (Lane.WORK,),
    "wait": (Lane.WORK, None),
    "finish": (None,),
    "elapsed": (None, None),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_second_thread_is_refused(device: CpuDevice, name: str) -> None:
    address = device.allocate(256)
    raised: list[Exception] = []

    def other() -> None:
        try:
            getattr(device, name)(*CALLS[name])
        except OrderError as error:
            raised.append(error)

    for work in (other, lambda: device.free(address), device.free_bytes):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert [str(error) for error in raised] == ["the device is called from two threads"]


def test_an_address_outside_all_memory_is_named(device: CpuDevice) -> None:
    address = device.allocate(256)
    with pytest.raises(OrderError, match=r"fill_float32, argument 0: 0x1000 is not in any allocated memory"):
        fill(device, 0x1000)
    with pytest.raises(OrderError, match="fill_float32, argument 0"):
        fill(device, address + 256)
    device.free(address)
    with pytest.raises(OrderError, match="fill_float32, argument 0"):
        fill(device, address)
    with pytest.raises(OrderError, match="free of 0x"):
        device.free(address)
    fill(device, 0, count=0)  # the address of nothing


def test_addresses_in_a_struct_are_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
    struct Part { float* kept; int count; };
    extern "C" __global__ void clear(Part part) {
        if (threadIdx.x < part.count) part.kept[threadIdx.x] = 0;
    }"""
    monkeypatch.setattr("gpustack.backend.kernels.source", lambda *_: source)
    device = CpuDevice(flags=["-DSTRUCTS"])
    part = np.zeros((), np.dtype([("kept", "u8"), ("count", "i4")], align=True))
    part["kept"], part["count"] = device.allocate(256), 64
    device.launch("structs", "clear", "float32", (1, 1, 1), (64, 1, 1), [part])
    assert (fetched(device, int(part["kept"]), (64,), "float32") == 0).all()
    part["kept"] += 256
    with pytest.raises(OrderError, match=r"clear, argument 0\.kept: 0x\w+ is not in any allocated memory"):
        device.launch("structs", "clear", "float32", (1, 1, 1), (64, 1, 1), [part])


def test_copies_end_within_their_memory(device: CpuDevice) -> None:
    here, there = device.allocate(256), device.allocate(256)
    beyond = "end beyond the memory there"
    with pytest.raises(OrderError, match=beyond):
        device.copy_in(here, np.zeros(257, np.uint8), Lane.COPY)
    with pytest.raises(OrderError, match=beyond):
        device.copy_out(np.zeros(2, np.uint8), here + 255, Lane.COPY)
    with pytest.raises(OrderError, match=beyond):
        device.move(here, there + 1, 256)
    with pytest.raises(OrderError, match="overlap"):
        device.move(here, here + 100, 101)
    with pytest.raises(OrderError, match="not contiguous"):
        device.copy_in(here, np.zeros((4, 4), np.uint8)[:, 1:], Lane.COPY)


def test_wrong_arguments_are_refused_when_they_are_handed_over(device: CpuDevice) -> None:
    values = (np.uint64(device.allocate(256)), np.int64(64), np.float32(1))
    with pytest.raises(TypeError, match="fill_float32, argument 1: wants i4, got i8"):
        device.launch("fill", "fill_float32", "float32", (1, 1, 1), (256, 1, 1), values)


def test_memory_given_back_lives_until_work_on_it_is_done() -> None:
    device = CpuDevice(eager=False, capacity=256)
    address = device.allocate(256)
    fill(device, address)
    host = np.zeros(64, np.float32)
    device.copy_out(host, address, Lane.WORK)
    device.free(address)
    with pytest.raises(MemoryError):
        device.allocate(257)
    fill(device, device.allocate(256), value=5.0)
    device.finish(device.record(Lane.WORK))
    assert (host == 3).all()


def test_kernels_reach_page_locked_memory_and_its_views(device: CpuDevice) -> None:
    memory = device.pinned(256)
    view = memory[64:].view(np.float32)
    del memory
    fill(device, view.ctypes.data, 48)
    device.finish(device.record(Lane.WORK))
    assert (view == 3).all()
    address = view.ctypes.data
    del view
    with pytest.raises(OrderError, match="not in any allocated memory"):
        fill(device, address)


def test_new_memory_holds_what_shows(device: CpuDevice) -> None:
    assert np.isnan(fetched(device, device.allocate(256), (64,), "float32")).all()
    assert (fetched(device, device.allocate(256), (256,), "uint8") == 255).all()


def test_a_full_device_says_so_and_its_memory_comes_back() -> None:
    device = CpuDevice(capacity=2048)
    core = Core(device, 1 << 20)
    first = core.new((1024,), "uint8")
    assert device.free_bytes() == 1024
    with pytest.raises(DeviceFullError):
        core.new((1025,), "uint8")
    del first
    core.new((2048,), "uint8")


def test_time_is_told_only_of_events_that_the_host_has_waited_for(device: CpuDevice) -> None:
    first = device.record(Lane.COPY)
    second = device.record(Lane.WORK)
    with pytest.raises(OrderError, match="has not waited for an event on the copy lane"):
        device.elapsed(first, second)
    device.wait(Lane.WORK, first)
    device.finish(device.record(Lane.WORK))
    assert device.elapsed(first, second) > -1


def test_pictures_are_filled_whole(device: CpuDevice) -> None:
    core = Core(device, 1 << 20)
    expected: npt.NDArray[np.uint16] = np.full((3, 40, 50), 7, np.uint16)
    assert np.array_equal(core.download(core.full((3, 40, 50), 7, "uint16")), expected)
