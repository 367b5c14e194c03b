"""The part of CuPy 14 that `CudaDevice` uses, on host memory: it notes every call, and on which device."""

from __future__ import annotations

import ctypes
import sys
import threading
from types import SimpleNamespace, TracebackType
from typing import Any

import numpy as np
import pytest

DEFAULT, PORTABLE, MAPPED = 4, 1, 2
DEVICES = 2


class RuntimeFailed(RuntimeError):
    """As CuPy's CUDARuntimeError."""

    def __init__(self, status: int, text: str = "cudaErrorUnknown: unknown error") -> None:
        super().__init__(text)
        self.status = status


class DriverFailed(RuntimeError):
    """As CuPy's CUDADriverError."""

    def __init__(self, status: int, text: str = "CUDA_ERROR_UNKNOWN: unknown error") -> None:
        super().__init__(text)
        self.status = status


class CompileFailed(Exception):
    """As CuPy's CompileException."""


class FakeCupy:
    """`calls` holds (name, current device, arguments...); `failing` what a call raises instead."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.failing: dict[str, Exception] = {}
        self.memory: dict[int, Any] = {}
        self.modules: list[tuple[str, tuple[str, ...]]] = []
        self._thread = threading.local()
        runtime = SimpleNamespace(
            CUDARuntimeError=RuntimeFailed,
            memcpyDefault=DEFAULT,
            hostAllocPortable=PORTABLE,
            hostAllocMapped=MAPPED,
            getDeviceProperties=self._properties,
            runtimeGetVersion=lambda: 13020,
            memGetInfo=lambda: self.note("memGetInfo") or (6 << 30, 8 << 30),
            malloc=lambda size: self._allocate("malloc", size),
            free=lambda address: self._release("free", address),
            hostAlloc=lambda size, flags: self._allocate("hostAlloc", size, flags),
            freeHost=lambda address: self._release("freeHost", address),
            memcpyAsync=self._copy,
        )
        cuda = SimpleNamespace(
            runtime=runtime,
            driver=SimpleNamespace(CUDADriverError=DriverFailed),
            compiler=SimpleNamespace(CompileException=CompileFailed),
            nvrtc=SimpleNamespace(getVersion=lambda: (13, 5)),
            Device=lambda number: _Device(self, number),
            Stream=lambda **options: _Stream(self, options),
            Event=lambda **options: _Event(self, options),
            get_elapsed_time=lambda first, second: self.note("elapsed", first, second) or 250.0,
        )
        module = SimpleNamespace(cuda=cuda, RawModule=self._module, __version__="14.2.0")
        self.module: Any = module
        monkeypatch.setitem(sys.modules, "cupy", module)  # type: ignore[arg-type]

    @property
    def device(self) -> int:
        """The calling thread's current device."""
        return getattr(self._thread, "device", 0)

    @device.setter
    def device(self, number: int) -> None:
        if number >= DEVICES:
            raise RuntimeFailed(101, "cudaErrorInvalidDevice: invalid device ordinal")
        self._thread.device = number

    @property
    def stream(self) -> Any:
        """The calling thread's current stream."""
        return getattr(self._thread, "stream", None)

    @stream.setter
    def stream(self, stream: Any) -> None:
        self._thread.stream = stream

    def note(self, name: str, *arguments: Any) -> None:
        """Remember a call, or fail as told."""
        if name in self.failing:
            raise self.failing[name]
        self.calls.append((name, self.device, *arguments))

    def noted(self, name: str) -> list[tuple[Any, ...]]:
        """The calls of a name, without it."""
        return [call[1:] for call in self.calls if call[0] == name]

    def _properties(self, number: int) -> dict[str, Any]:
        self.note("getDeviceProperties", number)
        return {"name": b"NVIDIA Fake", "totalGlobalMem": 8 << 30}

    def _allocate(self, name: str, size: int, *more: int) -> int:
        self.note(name, size, *more)
        buffer = (ctypes.c_uint8 * size)()
        address = ctypes.addressof(buffer)
        self.memory[address] = buffer
        return address

    def _release(self, name: str, address: int) -> None:
        self.note(name, address)
        del self.memory[address]

    def _copy(self, target: int, source: int, size: int, kind: int, stream: int) -> None:
        self.note("memcpyAsync", target, source, size, kind, stream)
        ctypes.memmove(target, source, size)

    def _module(self, *, code: str, options: tuple[str, ...]) -> Any:
        self.modules.append((code, options))
        return SimpleNamespace(get_function=self._function)

    def _function(self, name: str) -> Any:
        self.note("get_function", name)

        def kernel(grid: Any, block: Any, arguments: Any) -> None:
            self.note("launch", name, grid, block, arguments, self.stream)
            if name == "fill_float32":
                address, count, value = arguments
                data = (ctypes.c_float * int(count)).from_address(int(address))
                np.frombuffer(memoryview(data), np.float32)[:] = value

        return kernel


class _Device:
    def __init__(self, fake: FakeCupy, number: int) -> None:
        self._fake, self._number, self._former = fake, number, 0

    def __enter__(self) -> None:
        self._former, self._fake.device = self._fake.device, self._number

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._fake.device = self._former


class _Stream:
    count = 0

    def __init__(self, fake: FakeCupy, options: dict[str, Any]) -> None:
        _Stream.count += 1
        self._fake, self.ptr, self._device, self._former = fake, _Stream.count, fake.device, None
        fake.note("Stream", options)

    def __enter__(self) -> None:
        assert self._fake.device == self._device, "CuPy refuses the stream of another device"
        self._former, self._fake.stream = self._fake.stream, self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._fake.stream = self._former

    def synchronize(self) -> None:
        self._fake.note("synchronize", self.ptr)

    def wait_event(self, event: Any) -> None:
        self._fake.note("wait_event", self.ptr, event)


class _Event:
    def __init__(self, fake: FakeCupy, options: dict[str, Any]) -> None:
        self._fake = fake
        fake.note("Event", options)

    def record(self, stream: Any) -> None:
        self._fake.note("record", self, stream.ptr)

    def synchronize(self) -> None:
        self._fake.note("finish", self)
