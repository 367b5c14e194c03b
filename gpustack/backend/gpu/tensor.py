"""Arrays in device memory, and the pool that their memory comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpustack.backend.gpu.device import Device
from gpustack.errors import DeviceFullError

ALIGNMENT = 512
"""Blocks are rounded up to this many bytes, so that nearly equal sizes share a block."""


class Block:
    """Device memory that returns to its pool when nobody holds it any more."""

    __slots__ = ("_pool", "address", "nbytes")

    def __init__(self, pool: Pool, address: int, nbytes: int) -> None:
        self._pool, self.address, self.nbytes = pool, address, nbytes

    def __del__(self) -> None:
        self._pool.give_back(self.address, self.nbytes)


class Pool:
    """Keeps freed blocks for the next caller: after the first frame nothing is allocated any more.

    Reuse is safe because all work on pooled memory is asked for on one lane, which does it in order.
    `limit` is the contract: the pool never holds more bytes than that.
    """

    def __init__(self, device: Device, limit: int) -> None:
        self._device, self.limit = device, limit
        self._spare: dict[int, list[int]] = {}
        self._closed = False
        self.held = 0
        self.peak = 0

    def take(self, nbytes: int) -> Block:
        """A block of at least `nbytes`. Raises DeviceFullError."""
        size = max(1, -(-nbytes // ALIGNMENT)) * ALIGNMENT
        spare = self._spare.get(size)
        return Block(self, spare.pop() if spare else self._new(size), size)

    def give_back(self, address: int, nbytes: int) -> None:
        """Keep a block for the next caller that wants its size."""
        self._spare.setdefault(nbytes, []).append(address)
        if self._closed:
            self.trim()

    def close(self) -> None:
        """Free everything: now what nobody holds, and the rest as it is let go."""
        self._closed = True
        self.trim()

    def _new(self, size: int) -> int:
        if self.held + size > self.limit:
            self.trim()
        if self.held + size > self.limit:
            raise DeviceFullError(self.held + size, self.limit)
        try:
            address = self._device.allocate(size)
        except MemoryError:
            self.trim()
            address = self._once_more(size)
        self.held += size
        self.peak = max(self.peak, self.held)
        return address

    def _once_more(self, size: int) -> int:
        try:
            return self._device.allocate(size)
        except MemoryError:
            raise DeviceFullError(self.held + size, self.held) from None

    def trim(self) -> None:
        """Free every block that nobody holds."""
        for size, addresses in list(self._spare.items()):  # a block may come back meanwhile
            while addresses:
                self._device.free(addresses.pop())
                self.held -= size


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A plane (h, w) or image (c, h, w), rows without gaps, or any contiguous array, on the device.

    `owner` keeps the memory alive; `plane` is the distance between channels, in elements: a view of some rows
    keeps that of the whole.
    """

    owner: Any
    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    plane: int

    @staticmethod
    def of(owner: Any, address: int, shape: tuple[int, ...], dtype: Any) -> Tensor:
        """A contiguous array at an address."""
        plane = math.prod(shape[-2:]) if len(shape) > 2 else math.prod(shape)
        return Tensor(owner, address, tuple(shape), np.dtype(dtype), plane)

    @property
    def height(self) -> int:
        """Rows of a plane or image."""
        return self.shape[-2]

    @property
    def width(self) -> int:
        """Columns of a plane or image."""
        return self.shape[-1]

    @property
    def channels(self) -> int:
        """Channels of an image; 1 for a plane."""
        return self.shape[0] if len(self.shape) == 3 else 1

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def contiguous(self) -> bool:
        """Whether the channels follow each other without a gap."""
        return self.channels == 1 or self.plane == self.height * self.width

    def rows(self, rows: slice) -> Tensor:
        """A view of some rows of a plane or image."""
        start, stop, _ = rows.indices(self.height)
        address = self.address + start * self.width * self.dtype.itemsize
        return replace(self, address=address, shape=(*self.shape[:-2], stop - start, self.width))

    def channel(self, number: int) -> Tensor:
        """A view of one channel of an image, as a plane; a plane is its own only channel."""
        address = self.address + number * self.plane * self.dtype.itemsize
        return replace(self, address=address, shape=self.shape[-2:])
