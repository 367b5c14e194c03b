"""Frames on their way to the device: page-locked slots that readers decode into, and two frames on the
device.

While the kernels work on one frame the next is copied, and the ones after it are decoded. A slot goes back
to the readers once its copy is done; a frame's device memory is overwritten once all work on it is done.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Queue
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.gpu.device import Device, Host, Lane
from gpustack.backend.gpu.tensor import Pool, Tensor

FRAMES = 2
"""Frames on the device: one that is worked on and one that is coming."""


class Ring:
    """Slots and device frames of one stack; `slot` and `drop` may be called by any thread, the rest by
    one."""

    def __init__(self, device: Device, pool: Pool) -> None:
        self._device, self._pool = device, pool
        self._free: Queue[npt.NDArray[np.uint8]] = Queue()
        self._slots: dict[int, npt.NDArray[np.uint8]] = {}
        self._frames: list[Any] = []
        self._turn = 0
        self._worked: Any = None
        self._begun: Any = None
        self._rested: Any = None
        self._copying: tuple[int, Any] | None = None
        self._spans: list[tuple[Lane, Any, Any]] = []
        self.busy = {Lane.COPY: 0.0, Lane.WORK: 0.0}

    def reserve(self, count: int, nbytes: int) -> None:
        """Have `count` slots of `nbytes` for readers, and one more that is being copied. Raises MemoryError.

        A pass begins: nobody reads yet, so slots that a broken-off pass did not give back are free again.
        """
        self.end()
        self._free = Queue()
        if len(self._slots) <= count or any(slot.nbytes < nbytes for slot in self._slots.values()):
            self._slots = {}
            for _ in range(count + 1):
                slot = self._device.pinned(nbytes)
                self._slots[slot.ctypes.data] = slot
        for slot in self._slots.values():
            self._free.put(slot)

    def slot(self, shape: tuple[int, ...], dtype: str) -> Host:
        """A slot to decode a frame into; waits until one is free."""
        nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return self._free.get()[:nbytes].view(dtype).reshape(shape)

    def holds(self, host: Host) -> bool:
        """Whether an array is one of the slots."""
        return host.ctypes.data in self._slots

    def drop(self, host: Host) -> None:
        """Give a slot back unused."""
        self._free.put(self._slots[host.ctypes.data])

    def send(self, host: Host) -> Tensor:
        """Start the copy of a slot to the device. Work on the frame is asked for before the next is sent:
        what comes later may meet the frame after it in the same memory."""

        def copy(target: int) -> None:
            self._device.copy_in(target, host, Lane.COPY)

        return self.bring(host, host.shape, host.dtype, copy)

    def bring(self, host: Host, shape: tuple[int, ...], dtype: Any, ask: Callable[[int], None]) -> Tensor:
        """As `send`, but what makes the frame of the slot is what `ask` asks for on the copy lane, at an
        address."""
        device, size = self._device, int(np.prod(shape)) * np.dtype(dtype).itemsize
        self.rest()
        worked, self._rested = self._rested, None
        target = self._target(size)
        device.wait(Lane.COPY, self._worked if self._worked is not None else worked)
        begun = device.record(Lane.COPY)
        ask(target.address)
        copied = device.record(Lane.COPY)
        self._spans.append((Lane.COPY, begun, copied))
        self._settle()
        self._copying, self._worked = (host.ctypes.data, copied), worked
        device.wait(Lane.WORK, copied)
        self._begun = device.record(Lane.WORK)
        return Tensor.of(target, target.address, shape, dtype)

    def rest(self) -> None:
        """All work on the last frame is asked for; what the work lane waits for from now on is the next."""
        if self._rested is None:
            self._rested = self._device.record(Lane.WORK)
            if self._begun is not None:
                self._spans.append((Lane.WORK, self._begun, self._rested))

    def _target(self, size: int) -> Any:
        """The device memory of the frame before the last one sent."""
        if len(self._frames) < FRAMES:
            self._frames.append(self._pool.take(size))
            self._worked = None  # fresh memory: whoever had it before worked on the other lane, until now
            self._turn = len(self._frames) - 1
        elif self._frames[self._turn].nbytes < size:
            self._frames[self._turn] = self._pool.take(size)
            self._worked = None
        target = self._frames[self._turn]
        self._turn = (self._turn + 1) % FRAMES
        return target

    def _settle(self) -> None:
        """Wait for the copy that is under way, and give its slot back to the readers."""
        if self._copying is None:
            return
        address, copied = self._copying
        self._device.finish(copied)
        self._free.put(self._slots[address])
        self._copying = None
        # That copy waited for all work but that on the last two frames: what lies before has happened.
        past, self._spans = self._spans[:-6], self._spans[-6:]
        self._add(past)

    def _add(self, spans: list[tuple[Lane, Any, Any]]) -> None:
        for lane, first, second in spans:
            self.busy[lane] += self._device.elapsed(first, second)

    def end(self) -> None:
        """All frames of a pass are sent: wait for them, and forget the device frames."""
        self._settle()
        if self._begun is not None:
            self.rest()
            self._device.finish(self._device.record(Lane.WORK))
        self._add(self._spans)
        self._spans, self._frames, self._turn = [], [], 0
        self._begun = self._worked = self._rested = None
