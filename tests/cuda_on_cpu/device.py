"""A device of the GPU backend made of host memory: kernels run on the CPU, and what is asked is checked."""

from __future__ import annotations

import ctypes
import functools
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gpustack.backend import kernels
from gpustack.backend.gpu.device import Argument, Host, Lane
from tests.cuda_on_cpu.memory import FRESH, Store, checksum, named, root
from tests.cuda_on_cpu.module import CpuKernel, CpuModule
from tests.cuda_on_cpu.order import Clock, Memory, Order, OrderError, Touch

Span = tuple[int, int]
"""An address, and how many bytes lie there."""

ROOM = 8 << 30
"""Bytes that a device without a capacity says are there."""


@dataclass(eq=False, slots=True)
class Event:
    """A point on a lane; `seconds` is when the lane came to it."""

    lane: Lane
    number: int
    clock: Clock
    seconds: float = 0.0


@dataclass(slots=True)
class Work:
    """Something to do, and the memory that must live until then."""

    what: str
    do: Callable[[], object]
    needs: Sequence[Memory]


class CpuDevice:
    """`Device` on host memory. Raises OrderError where a GPU would fault or its result be chance.

    `order` is the order of threads (0 up, 1 down, above that a shuffle), `capacity` the bytes that `allocate`
    gives in all, `flags` those for the compiler. Work is done at once if `eager`, else as late as the rules
    allow: when the host waits for it, or the other lane does. What is asked is checked when it is asked.
    `log` is what was done, in that order.
    """

    def __init__(
        self, *, order: int = 0, capacity: int | None = None, eager: bool = True, flags: Sequence[str] = ()
    ) -> None:
        self._threads, self._capacity, self._eager, self._flags = order, capacity, eager, tuple(flags)
        self._order = Order()
        self._store = Store()
        self._queues: dict[Lane, deque[Work]] = {lane: deque() for lane in Lane}
        self._done = dict.fromkeys(Lane, 0)
        self._thread: int | None = None
        self.log: list[tuple[Lane, str]] = []

    # --- What only tests call

    def freeze(self) -> None:
        """From now on nothing may be allocated."""
        self._store.frozen = True

    def drain(self) -> None:
        """Do all that was asked for, as a device does sooner or later. The host learns nothing by it."""
        for lane in Lane:
            self._run(lane, self._done[lane] + len(self._queues[lane]))

    @property
    def allocations(self) -> int:
        """How often device or page-locked memory was taken."""
        return self._store.allocations

    # --- Memory

    @property
    def name(self) -> str:
        return "CUDA on the CPU"

    def free_bytes(self) -> int:
        return (self._capacity or ROOM) - self._store.used

    def allocate(self, nbytes: int, /) -> int:
        self._enter()
        if self._capacity is not None and nbytes > self.free_bytes():
            raise MemoryError(f"{nbytes} bytes, {self.free_bytes()} are free")
        return self._store.take(nbytes)

    def free(self, address: int, /) -> None:
        self._store.free(address)

    def pinned(self, nbytes: int, /) -> npt.NDArray[np.uint8]:
        self._enter()
        return self._store.pinned(nbytes)

    def _enter(self) -> None:
        """Every call but those of memory given back comes from one thread."""
        here = threading.get_ident()
        self._thread = self._thread or here
        if self._thread != here:
            raise OrderError("the device is called from two threads")
        self._store.sweep()

    # --- Work

    def copy_in(self, target: int, host: Host, lane: Lane, /) -> None:
        self._enter()
        what = f"copy_in of {named(host)}"
        memory = self._store.span(target, host.nbytes, what)
        number = self._order.step(lane)
        self._order.touch(memory, Touch(lane, True, target, target + host.nbytes), number, what)
        self._touch_host(host, lane, number, what, write=False)
        address, nbytes, alive = host.ctypes.data, host.nbytes, weakref.ref(root(host))
        content = None if self._eager else checksum(address, nbytes)

        def work() -> None:
            if alive() is None:
                raise OrderError(f"{what}: the array was given up before it was copied")
            if content is not None and content != checksum(address, nbytes):
                raise OrderError(f"{what}: the array was changed before it was copied")
            ctypes.memmove(target, address, nbytes)

        self._put(lane, what, work, [memory])

    def copy_out(self, host: Host, source: int, lane: Lane, /) -> None:
        self._enter()
        what = f"copy_out to {named(host)}"
        memory = self._store.span(source, host.nbytes, what)
        number = self._order.step(lane)
        self._order.touch(memory, Touch(lane, False, source, source + host.nbytes), number, what)
        self._touch_host(host, lane, number, what, write=True)
        address, nbytes, alive = host.ctypes.data, host.nbytes, weakref.ref(root(host))
        ctypes.memset(address, FRESH, nbytes)  # nobody may look at it before the host has waited

        def work() -> None:
            if alive() is None:
                raise OrderError(f"{what}: the array was given up before it was written")
            ctypes.memmove(address, source, nbytes)

        self._put(lane, what, work, [memory])

    def move(self, target: int, source: int, nbytes: int, /) -> None:
        self._enter()
        what = f"move of {nbytes} bytes"
        there, here = self._store.span(target, nbytes, what), self._store.span(source, nbytes, what)
        if abs(target - source) < nbytes:
            raise OrderError(f"{what}: source and target overlap")
        number = self._order.step(Lane.WORK)
        self._order.touch(here, Touch(Lane.WORK, False, source, source + nbytes), number, what)
        self._order.touch(there, Touch(Lane.WORK, True, target, target + nbytes), number, what)

        self._put(Lane.WORK, what, lambda: ctypes.memmove(target, source, nbytes), [here, there])

    def ask(self, lane: Lane, what: str, do: Callable[[], object], *, reads: Host, writes: Span) -> None:
        """Work of some library: it reads an array on the host, and writes bytes of the device."""
        self._enter()
        memory = self._store.span(*writes, what)
        number = self._order.step(lane)
        self._order.touch(memory, Touch(lane, True, writes[0], sum(writes)), number, what)
        self._touch_host(reads, lane, number, what, write=False)
        self._put(lane, what, do, [memory])

    def launch(
        self,
        stage: str,
        name: str,
        pixel: str,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Argument],
        /,
    ) -> None:
        self._enter()
        kernel = _module(stage, pixel, self._flags).kernel(name)
        kernel.check(grid, block, arguments)
        number = self._order.step(Lane.WORK)
        used = self._touch_arguments(kernel, arguments, number)
        values = [argument.copy() for argument in arguments]

        self._put(Lane.WORK, name, lambda: kernel(grid, block, values, order=self._threads), used)

    def _touch_arguments(self, kernel: CpuKernel, arguments: Sequence[Argument], number: int) -> list[Memory]:
        """The memory that the arguments' addresses lie in."""
        used = []
        for name, address, write in kernel.addresses(arguments):
            memory = self._store.find(address, f"{kernel.name}, argument {name}")
            touch = Touch(Lane.WORK, write, address, memory.stop)
            self._order.touch(memory, touch, number, kernel.name)
            used.append(memory)
        return used

    def _touch_host(self, host: Host, lane: Lane, number: int, what: str, *, write: bool) -> None:
        """Page-locked memory on the host's side of a copy: kernels reach it too."""
        if not host.flags.c_contiguous:
            raise OrderError(f"{what}: the array is not contiguous")
        address = host.ctypes.data
        memory = self._store.at(address)
        if memory:
            self._order.touch(memory, Touch(lane, write, address, address + host.nbytes), number, what)

    # --- Lanes and events

    def record(self, lane: Lane, /) -> Event:
        self._enter()
        number = self._order.step(lane)
        event = Event(lane, number, self._order.clock(lane))

        def work() -> None:
            event.seconds = time.perf_counter()

        self._put(lane, "record", work)
        return event

    def wait(self, lane: Lane, event: Event, /) -> None:
        self._enter()
        self._order.step(lane)
        self._order.wait(lane, event.clock)
        self._put(lane, f"wait for {event.lane}", lambda: self._run(event.lane, event.number))

    def finish(self, event: Event, /) -> None:
        self._enter()
        self._run(event.lane, event.number)
        self._order.finish(event.clock)

    def elapsed(self, first: Event, second: Event, /) -> float:
        self._enter()
        for event in (first, second):
            if not self._order.finished(event.lane, event.number):
                raise OrderError(f"elapsed: the host has not waited for an event on the {event.lane} lane")
        return second.seconds - first.seconds

    def _put(self, lane: Lane, what: str, do: Callable[[], object], needs: Sequence[Memory] = ()) -> None:
        """Put work on a lane, and do it if this device is eager."""
        self._queues[lane].append(Work(what, do, needs))
        if self._eager:
            self._run(lane, self._done[lane] + 1)

    def _run(self, lane: Lane, number: int) -> None:
        """Do the work on a lane up to this one."""
        while self._done[lane] < number:
            self._done[lane] += 1
            work = self._queues[lane].popleft()
            work.do()
            self.log.append((lane, work.what))


@functools.cache
def _module(stage: str, pixel: str, flags: tuple[str, ...]) -> CpuModule:
    return CpuModule(kernels.source(stage, pixel), flags)
