"""A device under observation: what each launch takes and moves, and copies that keep a device at work."""

from __future__ import annotations

import inspect
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

from floors import Shares, bytes_moved

from gpustack.backend.gpu.device import Device, Lane

SEAM = tuple(name for name, value in vars(Device).items() if name[0] != "_" and inspect.isfunction(value))
"""The methods of a device."""


@dataclass(slots=True)
class Launch:
    """One launch: kernel, the bytes that it must move, and the events around it where it was timed."""

    name: str
    nbytes: float
    begun: Any = None
    ended: Any = None


class Copies:
    """Copies of `nbytes` from device memory to device memory: a measure of its bandwidth, and a pastime."""

    def __init__(self, device: Device, nbytes: int) -> None:
        self._device, self.nbytes = device, nbytes
        self._addresses = device.allocate(nbytes), device.allocate(nbytes)
        self._once()
        self.seconds = median(self._timed() for _ in range(10))

    @property
    def bandwidth(self) -> float:
        """Bytes a second, read and written ones counted."""
        return 2 * self.nbytes / self.seconds

    def last(self, seconds: float) -> None:
        """Keep the work lane busy for at least so long."""
        for _ in range(max(1, math.ceil(seconds / self.seconds))):
            self._once()

    def close(self) -> None:
        """Give the memory back."""
        for address in self._addresses:
            self._device.free(address)

    def _once(self) -> None:
        self._device.move(*self._addresses, self.nbytes)

    def _timed(self) -> float:
        begun = self._device.record(Lane.WORK)
        self._once()
        ended = self._device.record(Lane.WORK)
        self._device.finish(ended)
        return max(1e-9, self._device.elapsed(begun, ended))


class Meter:
    """A `Device` that passes everything on and notes every launch; `timed` puts events around each.

    `counts` tells how often each method of the seam was called. The device must have work while the host asks
    for a timed launch, or the time between its events is that of the asking: `copies`, where given, keep it
    busy whenever the host has waited.
    """

    def __init__(self, device: Device, shares: Shares, copies: Copies | None = None) -> None:
        self.device, self.shares = device, shares
        self.timed = False
        self.counts: Counter[str] = Counter()
        self._copies = copies
        self._launches: list[Launch] = []
        self._idle = True

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.device, name)
        if not callable(found):
            return found

        def counted(*arguments: Any) -> Any:
            self.counts[name] += 1
            return found(*arguments)

        return counted

    def finish(self, event: Any, /) -> None:
        """The host waits: the device has nothing to do afterwards."""
        self.counts["finish"] += 1
        self.device.finish(event)
        self._idle = True

    def launch(
        self,
        stage: str,
        name: str,
        pixel: str,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Any],
        /,
    ) -> None:
        """Start a kernel and note it."""
        self.counts["launch"] += 1
        noted = Launch(name, bytes_moved(name, arguments, grid[2], pixel, self.shares))
        if self.timed:
            if self._idle:
                self.keep_busy(0.0)
            noted.begun = self.device.record(Lane.WORK)
        self.device.launch(stage, name, pixel, grid, block, arguments)
        if self.timed:
            noted.ended = self.device.record(Lane.WORK)
        self._launches.append(noted)

    def keep_busy(self, seconds: float) -> None:
        """Give the device copies to do that last so long at least, and push old data out of its cache."""
        if self._copies is not None:
            self._copies.last(seconds)
        self._idle = False

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """Pass everything straight on, so that the meter's own time does not count."""
        for name in SEAM:
            setattr(self, name, getattr(self.device, name))
        yield
        for name in SEAM:
            delattr(self, name)
        self._idle = True

    def settle(self) -> None:
        """Until the device has done all that was asked for."""
        self.finish(self.device.record(Lane.WORK))

    def taken(self) -> list[Launch]:
        """The launches since the last call."""
        taken, self._launches = self._launches, []
        return taken

    def seconds(self, launch: Launch) -> float:
        """Seconds of a timed launch that the host has waited for."""
        return self.device.elapsed(launch.begun, launch.ended)
