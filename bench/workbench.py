"""A device under a meter, its copies measured: what the benches of kernels and of streams work with."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Any, cast

import devices
from floors import Shares
from meter import Copies, Launch, Meter

from gpustack.backend.gpu.backend import Gpu
from gpustack.backend.gpu.device import Device

COPY_BYTES, IDLE_BYTES = 1 << 30, 1 << 28
"""What bandwidth is measured with, and what the device does while the host asks for work."""

TOY = 1 << 10
"""How much less it is on the CPU."""

MEMORY_SHARE = 0.9


class Workbench:
    """One device: `size` is that of the frames, `toy` says that it is the CPU and proves nothing of speed."""

    def __init__(self, given: Namespace) -> None:
        device = devices.open_device(given.device)
        self.toy = given.device == devices.CPU
        self.about = devices.about(given.device, device)
        self.size = devices.TOY_SIZE if self.toy else devices.SIZE
        self.bandwidth = self._bandwidth(device)
        self.meter = Meter(device, Shares(), Copies(device, IDLE_BYTES // (TOY if self.toy else 1)))
        self._limit = int(device.free_bytes() * MEMORY_SHARE)

    def _bandwidth(self, device: Device) -> float:
        copies = Copies(device, COPY_BYTES // (TOY if self.toy else 1))
        copies.close()
        return copies.bandwidth

    @property
    def device(self) -> Device:
        """The device under its meter."""
        return cast(Device, self.meter)

    @property
    def pixels(self) -> int:
        """Pixels of a frame."""
        return self.size[0] * self.size[1]

    def gpu(self) -> Gpu:
        """A new backend on the device."""
        return Gpu(self.device, self._limit)

    def asked(self, work: Callable[[], object]) -> tuple[float, list[Launch]]:
        """Seconds that the host takes to ask for it, once warm, and the launches it makes."""
        self.meter.taken()
        work()
        launches = self.meter.taken()
        self.meter.settle()
        with self.meter.unwatched():
            started = time.perf_counter()
            work()
            asking = time.perf_counter() - started
        self.meter.settle()
        return asking, launches

    def describe(self) -> dict[str, Any]:
        """For the result file."""
        height, width = self.size
        shares = {"won": self.meter.shares.won, "near": round(self.meter.shares.near, 4)}
        found = {
            "height": height,
            "width": width,
            "copy_gb_s": round(self.bandwidth / 1e9, 1),
            "shares": shares,
        }
        return self.about | found


def all_bytes(launches: Sequence[Launch]) -> float:
    """What launches must move together."""
    return sum(launch.nbytes for launch in launches)
