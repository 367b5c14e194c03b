"""Host memory that stands for a device's: aligned, filled with what shows, and found by address."""

from __future__ import annotations

import bisect
import ctypes
import weakref
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.gpu.device import Host
from tests.cuda_on_cpu.order import Memory, OrderError

ALIGNMENT = 256

FRESH = 0xFF
"""What fills memory that nobody wrote to: NaN as float32, the largest value as an unsigned integer."""


class Store:
    """All memory of a device. `allocations` counts what was taken; once `frozen`, nothing may be."""

    def __init__(self) -> None:
        self._memory: dict[int, Memory] = {}
        self._addresses: list[int] = []
        self._gone: list[int] = []
        self.frozen = False
        self.allocations = 0

    @property
    def used(self) -> int:
        """Bytes of device memory."""
        return sum(memory.nbytes for memory in list(self._memory.values()) if not memory.pinned)

    def take(self, nbytes: int) -> int:
        """The address of new device memory. Raises OrderError."""
        return self._keep(nbytes, pinned=False).address

    def pinned(self, nbytes: int) -> npt.NDArray[np.uint8]:
        """Page-locked host memory. Raises OrderError."""
        memory = self._keep(nbytes, pinned=True)
        array = np.frombuffer(memoryview(memory.owner), np.uint8)
        # All views hold this array. Work that is still to come holds the memory itself.
        weakref.finalize(array, self._gone.append, memory.address).atexit = False
        return array

    def free(self, address: int) -> None:
        """Forget device memory; work that is still to come holds it. Raises OrderError."""
        memory = self._memory.get(address)
        if memory is None or memory.pinned:
            raise OrderError(f"free of {address:#x}, which is not allocated")
        self._forget(address)

    def sweep(self) -> None:
        """Forget page-locked memory that nobody holds any more."""
        while self._gone:
            self._forget(self._gone.pop())

    def at(self, address: int) -> Memory | None:
        """The memory that an address lies in."""
        place = bisect.bisect_right(self._addresses, address) - 1
        memory = self._memory[self._addresses[place]] if place >= 0 else None
        return memory if memory and address < memory.stop else None

    def find(self, address: int, what: str) -> Memory:
        """The memory that an address lies in. Raises OrderError."""
        memory = self.at(address)
        if memory is None:
            raise OrderError(f"{what}: {address:#x} is not in any allocated memory")
        return memory

    def span(self, address: int, nbytes: int, what: str) -> Memory:
        """The memory that so many bytes lie in. Raises OrderError."""
        memory = self.find(address, what)
        if address + nbytes > memory.stop:
            raise OrderError(f"{what}: {nbytes} bytes at {address:#x} end beyond the memory there")
        return memory

    def _keep(self, nbytes: int, *, pinned: bool) -> Memory:
        if self.frozen:
            raise OrderError(f"{nbytes} bytes are allocated after the device was frozen")
        self.allocations += 1
        buffer = _aligned(nbytes)
        memory = Memory(buffer, ctypes.addressof(buffer), len(buffer), pinned)
        self._memory[memory.address] = memory
        bisect.insort(self._addresses, memory.address)
        return memory

    def _forget(self, address: int) -> None:
        del self._memory[address]
        self._addresses.remove(address)


def _aligned(nbytes: int) -> ctypes.Array[Any]:
    """Memory of exactly this size, so that an address sanitizer sees its end."""
    libc = ctypes.CDLL(None)
    address = ctypes.c_void_p()
    size = max(1, nbytes)
    if libc.posix_memalign(ctypes.byref(address), ctypes.c_size_t(ALIGNMENT), ctypes.c_size_t(size)):
        raise MemoryError(f"{nbytes} bytes")
    ctypes.memset(address, FRESH, size)
    buffer = (ctypes.c_uint8 * size).from_address(address.value or 0)
    weakref.finalize(buffer, libc.free, address).atexit = False
    return buffer


def checksum(address: int, nbytes: int) -> int:
    """Tells whether memory has changed."""
    return zlib.crc32((ctypes.c_uint8 * nbytes).from_address(address))


def root(host: Host) -> Host:
    """The array whose memory a view looks into."""
    while isinstance(host.base, np.ndarray):
        host = host.base
    return host


def named(host: Host) -> str:
    """A host array in a message."""
    return f"{host.dtype}{list(host.shape)} at {host.ctypes.data:#x}"
