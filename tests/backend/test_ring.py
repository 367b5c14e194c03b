"""Frames on their way to a device that works as late as it may, and compares who touches what memory when."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from gpustack.backend.gpu.device import Host, Lane
from gpustack.backend.gpu.ring import Ring
from gpustack.backend.gpu.tensor import Block, Pool, Tensor
from gpustack.errors import DecodeError, DeviceFullError
from tests.cuda_on_cpu.device import CpuDevice, Event
from tests.cuda_on_cpu.module import problem
from tests.cuda_on_cpu.order import OrderError

pytestmark = pytest.mark.skipif(problem() is not None, reason=str(problem()))

NBYTES = 3000


class Line:
    """A ring, and an array on the device for what came of every frame."""

    def __init__(self, device: CpuDevice, *, limit: int = 1 << 20) -> None:
        self.device, self.pool = device, Pool(device, limit)
        self.ring = Ring(device, self.pool)
        self.kept: list[Block] = []

    def begin(self, slots: int = 2, nbytes: int = NBYTES) -> None:
        self.ring.reserve(slots, nbytes)

    def send(self, number: int, nbytes: int = NBYTES) -> Tensor:
        slot = self.ring.slot((nbytes,), "uint8")
        slot[...] = number
        return self.ring.send(slot)

    def work(self, frame: Tensor) -> None:
        self.kept.append(self.pool.take(frame.nbytes))
        self.device.move(self.kept[-1].address, frame.address, frame.nbytes)

    def results(self) -> list[set[int]]:
        """The values that each result is made of."""
        out = [np.zeros(NBYTES, np.uint8) for _ in self.kept]
        for host, block in zip(out, self.kept, strict=True):
            self.device.copy_out(host, block.address, Lane.WORK)
        self.device.finish(self.device.record(Lane.WORK))
        return [set(np.unique(host).tolist()) for host in out]


@pytest.fixture(params=[True, False], ids=["eager", "late"])
def line(request: pytest.FixtureRequest) -> Line:
    return Line(CpuDevice(eager=request.param))


def test_frames_of_several_passes_arrive_whole(line: Line) -> None:
    for first in (0, 20, 40):
        line.begin()
        for number in range(first, first + 20):
            line.work(line.send(number))
        line.ring.end()
    assert line.results() == [{number} for number in range(60)]


def test_the_copy_of_a_frame_waits_only_for_the_frame_whose_memory_it_takes() -> None:
    line = Line(CpuDevice(eager=False))
    line.begin(slots=4)
    for number in range(9):
        line.work(line.send(number))
    # Frame 7 has been copied, as 8 was sent after it; that needs no more than the work on frame 5.
    done = [lane for lane, what in line.device.log if what.startswith(("copy_in", "move"))]
    assert (done.count(Lane.COPY), done.count(Lane.WORK)) == (8, 6)


def test_frames_may_grow_and_shrink(line: Line) -> None:
    sizes = [NBYTES, NBYTES, NBYTES * 2, NBYTES * 2, NBYTES, NBYTES * 3, NBYTES]
    line.begin(nbytes=NBYTES * 3)
    for number, size in enumerate(sizes):
        line.work(line.send(number, size))
    line.ring.end()
    assert line.results() == [{number} for number in range(len(sizes))]


@pytest.mark.parametrize("before", [0, 2], ids=["the first frames", "frames that grow"])
def test_memory_that_was_worked_on_before_is_waited_for(line: Line, before: int) -> None:
    """A frame gets memory from the pool that a kernel has just been given to write."""
    line.begin(nbytes=NBYTES * 2)
    for number in range(before):
        line.work(line.send(number))
    block, other = line.pool.take(NBYTES * 2), line.pool.take(NBYTES * 2)
    line.device.move(block.address, other.address, NBYTES * 2)
    address = block.address
    del block
    assert line.send(2, NBYTES * 2).address == address


def test_the_memory_of_frames_goes_back_to_the_pool_after_a_pass(line: Line) -> None:
    line.begin()
    addresses = {line.send(number).address for number in range(3)}
    line.ring.end()
    blocks = [line.pool.take(NBYTES) for _ in range(2)]
    assert {block.address for block in blocks} == addresses


def test_work_on_a_frame_after_the_next_was_sent_is_too_late(line: Line) -> None:
    line.begin()
    first = line.send(0)
    line.send(1)
    line.work(first)
    with pytest.raises(OrderError, match=r"copy_in of .* writes memory that move of 3000 bytes .* reads"):
        line.send(2)


def test_every_copy_and_every_stretch_of_work_is_timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[Event, Event]] = []

    def elapsed(_: CpuDevice, first: Event, second: Event) -> float:
        told.append((first, second))
        return 0.25

    monkeypatch.setattr(CpuDevice, "elapsed", elapsed)
    line = Line(CpuDevice())
    line.begin()
    for number in range(20):
        line.work(line.send(number))
    line.ring.end()
    assert len(told) == len(set(told)) == 40
    assert line.ring.busy == {Lane.COPY: 5.0, Lane.WORK: 5.0}


def taken(ring: Ring, count: int) -> int:
    """How many of so many slots can be had without waiting long."""
    had: list[object] = []
    reader = threading.Thread(
        target=lambda: had.extend(ring.slot((9,), "uint8") for _ in range(count)), daemon=True
    )
    reader.start()
    reader.join(5)
    return count if not reader.is_alive() else -1


def test_a_pass_that_broke_off_loses_no_slots(line: Line) -> None:
    line.begin(slots=2)
    line.work(line.send(0))
    assert taken(line.ring, 2) == 2  # readers that were stopped
    line.begin(slots=2)
    line.ring.end()
    assert taken(line.ring, 3) == 3
    assert line.device.allocations == 3 + 1 + 1


def test_a_frame_that_does_not_fit_the_device_leaves_the_ring_usable() -> None:
    line = Line(CpuDevice(eager=False), limit=4 * NBYTES)
    line.begin()
    line.work(line.send(0))
    held = line.pool.take(NBYTES)
    with pytest.raises(DeviceFullError):
        line.send(1, NBYTES)
    del held
    line.kept.clear()
    line.begin()
    for number in range(1, 6):
        line.work(line.send(number))
        if number < 5:
            line.kept.clear()
    line.ring.end()
    assert line.results() == [{5}]


def test_slots_are_kept_as_long_as_they_are_large_enough(line: Line) -> None:
    for slots, nbytes, made in ((2, 100, 3), (1, 50, 3), (2, 101, 6), (3, 101, 10)):
        line.begin(slots, nbytes)
        assert line.device.allocations == made


def test_a_slot_dropped_goes_back_to_the_readers(line: Line) -> None:
    line.begin(slots=0)
    slot = line.ring.slot((2, 3), "uint16")
    assert line.ring.holds(slot)
    assert not line.ring.holds(np.zeros(6, np.uint16))
    line.ring.drop(slot)
    assert line.ring.slot((2, 3), "uint16").ctypes.data == slot.ctypes.data


def test_a_block_may_come_back_while_the_pool_is_trimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    device = CpuDevice()
    pool = Pool(device, 1 << 20)
    held = [pool.take(5000)]
    pool.take(100)  # given back at once
    free = device.free

    def free_and_drop(address: int) -> None:
        free(address)
        held.clear()  # as the garbage collector may do

    monkeypatch.setattr(device, "free", free_and_drop)
    pool.trim()
    pool.trim()
    assert pool.held == 0


def test_a_frame_that_cannot_be_asked_for_leaves_the_ring_usable(line: Line) -> None:
    def refuse(target: int) -> None:
        raise DecodeError("a.jpg", f"nothing comes to {target}.")

    line.begin()
    line.work(line.send(0))
    with pytest.raises(DecodeError):
        line.ring.bring(line.ring.slot((9,), "uint8"), (NBYTES,), "uint8", refuse)
    line.kept.clear()
    line.begin()
    for number in range(1, 6):
        line.work(line.send(number))
    line.ring.end()
    assert line.results() == [{number} for number in range(1, 6)]


def test_a_frame_may_be_larger_than_what_it_is_made_of(line: Line) -> None:
    def grow(slot: Host) -> Callable[[int], None]:
        def ask(target: int) -> None:
            for half in (0, NBYTES // 2):
                line.device.copy_in(target + half, slot, Lane.COPY)

        return ask

    line.begin(nbytes=NBYTES // 2)
    for number in range(7):
        slot = line.ring.slot((NBYTES // 2,), "uint8")
        slot[...] = number
        frame = line.ring.bring(slot, (3, NBYTES // 3), "uint8", grow(slot))
        assert frame.shape == (3, NBYTES // 3)
        line.work(frame)
    line.ring.end()
    assert line.results() == [{number} for number in range(7)]
