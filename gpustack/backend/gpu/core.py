"""What every part of the GPU backend stands on: arrays on the device, made, filled, copied, sent and
fetched."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from gpustack.backend.gpu.device import Device, Host, JpegDecoder, Lane
from gpustack.backend.gpu.launch import Launcher
from gpustack.backend.gpu.ring import Ring
from gpustack.backend.gpu.tensor import Pool, Tensor
from gpustack.backend.values import PIECE_BYTES, BackendInfo

T = TypeVar("T")


class Core:
    """Memory, streams and launches of one device, and what decodes JPEG files on it, if anything does.

    The pool stays within `limit` bytes; `spill` says that state as large as the frames lives in page-locked
    host memory, which the kernels reach over the bus.
    """

    def __init__(
        self, device: Device, limit: int, *, spill: bool = False, jpeg: JpegDecoder | None = None
    ) -> None:
        self._device = device
        self._pool = Pool(device, limit)
        self._launch = Launcher(device)
        self._ring = Ring(device, self._pool)
        self._spill = spill
        self._jpeg = jpeg

    @property
    def info(self) -> BackendInfo:
        return BackendInfo("cuda", self._device.name, self._device.free_bytes(), 1)

    @property
    def busy_seconds(self) -> dict[str, float]:
        busy = self._ring.busy
        return {"upload": busy[Lane.COPY], "kernels": busy[Lane.WORK]}

    @property
    def peak_bytes(self) -> int:
        return self._pool.peak

    @property
    def concurrent(self) -> bool:
        return False

    def owns(self, value: object, /) -> bool:
        return isinstance(value, Tensor)

    def lend(self, host: Host, /) -> Tensor:
        array = self._afar(host.shape, host.dtype)
        np.copyto(array.owner[: host.nbytes].view(host.dtype).reshape(host.shape), host)
        return array

    def each(self, work: Callable[[T], None], items: Iterable[T], /) -> None:
        for item in items:
            work(item)

    def reserve(self, count: int, nbytes: int, /) -> None:
        self._ring.reserve(count, nbytes)

    def slot(self, shape: tuple[int, ...], dtype: str, /) -> Host | None:
        return self._ring.slot(shape, dtype)

    def drop(self, slot: Host, /) -> None:
        self._ring.drop(slot)

    def rest(self) -> None:
        self._ring.rest()

    def settle(self) -> None:
        self._ring.end()

    def close(self) -> None:
        self._pool.close()

    def new(self, shape: tuple[int, ...], dtype: Any = "float32") -> Tensor:
        """An array with any content. Raises DeviceFullError."""
        block = self._pool.take(math.prod(shape) * np.dtype(dtype).itemsize)
        return Tensor.of(block, block.address, shape, dtype)

    def _wide(self, shape: tuple[int, ...], dtype: Any = "float32") -> Tensor:
        """An array as large as the canvas: where the state is."""
        return self._afar(shape, dtype) if self._spill else self.new(shape, dtype)

    def full(self, shape: tuple[int, ...], value: float, dtype: str, /, *, afar: bool = False) -> Tensor:
        array = self._wide(shape, dtype) if afar else self.new(shape, dtype)
        self.fill(array, value)
        return array

    def room(self, shape: tuple[int, ...], dtype: str, /) -> Host:
        return np.empty(shape, dtype)

    def _afar(self, shape: tuple[int, ...], dtype: Any) -> Tensor:
        """An array in page-locked host memory, which kernels reach over the bus."""
        memory = self._device.pinned(max(1, math.prod(shape) * np.dtype(dtype).itemsize))
        return Tensor.of(memory, memory.ctypes.data, shape, dtype)

    def upload(self, host: Host, /) -> Tensor:
        if self._ring.holds(host):
            return self._ring.send(host)
        host = np.ascontiguousarray(host)
        array = self.new(host.shape, host.dtype)
        self._device.copy_in(array.address, host, Lane.WORK)
        self._device.finish(self._device.record(Lane.WORK))  # the host array may change from now on
        return array

    def download(self, array: Tensor, /) -> Host:
        host = np.empty(array.shape, array.dtype)
        parts = [array] if array.contiguous else [array.channel(c) for c in range(array.channels)]
        targets = [host] if array.contiguous else list(host)
        for part, target in zip(parts, targets, strict=True):
            self._device.copy_out(target, part.address, Lane.WORK)
        self._device.finish(self._device.record(Lane.WORK))
        return host

    def pieces(self, array: Tensor, /) -> Iterator[tuple[slice, Host]]:
        if not array.nbytes:
            return
        step = max(1, PIECE_BYTES * array.height // array.nbytes)
        for start in range(0, array.height, step):
            rows = slice(start, min(start + step, array.height))
            yield rows, self.download(array.rows(rows))

    def rows(self, array: Tensor, rows: slice, /) -> Tensor:
        return array.rows(rows)

    def copy(self, source: Tensor, target: Tensor, /) -> None:
        assert source.shape == target.shape
        assert source.dtype == target.dtype
        for channel in range(source.channels):
            here, there = source.channel(channel), target.channel(channel)
            self._device.move(there.address, here.address, here.nbytes)

    def fill(self, target: Tensor, value: float, /) -> None:
        name = f"fill_{target.dtype.name}"
        for channel in range(target.channels):
            plane = target.channel(channel)
            count = math.prod(plane.shape)
            self._launch.line("fill", name, min(-(-count // 1024), 4096), (plane, count, float(value)))

    def stack_rows(self, parts: Sequence[Tensor], /) -> Tensor:
        if len(parts) == 1:
            return parts[0]
        first = parts[0]
        out = self.new((*first.shape[:-2], sum(part.height for part in parts), first.width), first.dtype)
        at = 0
        for part in parts:
            self.copy(part, out.rows(slice(at, at + part.height)))
            at += part.height
        return out
