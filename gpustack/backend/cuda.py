"""CUDA through CuPy: the only module that imports it, and only when a device is wanted.

Memory comes from the runtime itself and not from CuPy's pool, whose blocks belong to streams; `gpu/tensor.py`
keeps a pool of its own.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend import kernels
from gpustack.backend.gpu.device import Argument, Host, Lane
from gpustack.errors import BackendError

OUT_OF_MEMORY = 2
"""cudaErrorMemoryAllocation and CUDA_ERROR_OUT_OF_MEMORY; CuPy gives statuses as numbers."""

TRY_CPU = "Try again, or work without it: --backend cpu."


class CudaDevice:
    """One NVIDIA GPU, as a `gpustack.backend.gpu.device.Device`, which documents the methods.

    Every call makes this device the calling thread's current one and puts the former back, so that several
    devices, each used by a thread of its own, do not meet. Raises BackendError where CUDA fails.
    """

    def __init__(self, number: int) -> None:
        self._cupy, self.number = cupy(), number
        self._runtime = self._cupy.cuda.runtime
        self._modules: dict[tuple[str, str], Any] = {}
        self._kernels: dict[tuple[str, str, str], Any] = {}
        with self.current():
            properties = self._runtime.getDeviceProperties(number)  # fails before a stream half exists
            self._streams = {lane: self._cupy.cuda.Stream(non_blocking=True) for lane in Lane}
        self.name = properties["name"].decode(errors="replace")
        self.total_bytes = int(properties["totalGlobalMem"])
        self._held: set[int] = set()
        _when_gone(self, _free_all, self._runtime, self._held)

    def free_bytes(self) -> int:
        with self.current():
            return int(self._runtime.memGetInfo()[0])

    def allocate(self, nbytes: int, /) -> int:
        with self.current():
            address = int(self._runtime.malloc(nbytes))
        self._held.add(address)
        return address

    def free(self, address: int, /) -> None:
        with self.current():
            for stream in self._streams.values():  # cudaFree does not promise to wait for them
                stream.synchronize()
            self._runtime.free(address)
        self._held.discard(address)

    def pinned(self, nbytes: int, /) -> npt.NDArray[np.uint8]:
        runtime = self._runtime
        flags = runtime.hostAllocPortable | runtime.hostAllocMapped
        with self.current():
            address = int(runtime.hostAlloc(nbytes, flags))
        memory = (ctypes.c_uint8 * nbytes).from_address(address)
        # The array and all its views hold `memory`; the streams may still read it when the last of them goes.
        _when_gone(memory, _free_pinned, runtime, tuple(self._streams.values()), address)
        return np.frombuffer(memoryview(memory), np.uint8)

    def copy_in(self, target: int, host: Host, lane: Lane, /) -> None:
        assert host.flags.c_contiguous
        self._copy(target, host.ctypes.data, host.nbytes, lane)

    def copy_out(self, host: Host, source: int, lane: Lane, /) -> None:
        assert host.flags.c_contiguous
        self._copy(host.ctypes.data, source, host.nbytes, lane)

    def move(self, target: int, source: int, nbytes: int, /) -> None:
        self._copy(target, source, nbytes, Lane.WORK)

    def _copy(self, target: int, source: int, nbytes: int, lane: Lane) -> None:
        """The direction follows from the addresses: arrays may live in page-locked memory, too."""
        if nbytes:
            runtime, stream = self._runtime, self._streams[lane]
            with self.current():
                runtime.memcpyAsync(target, source, nbytes, runtime.memcpyDefault, stream.ptr)

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
        with self.current():
            kernel = self._kernels.get((stage, name, pixel)) or self._build(stage, name, pixel)
            with self._streams[Lane.WORK]:
                kernel(grid, block, tuple(arguments))

    def record(self, lane: Lane, /) -> Any:
        with self.current():
            event = self._cupy.cuda.Event(block=True)  # who waits sleeps: the processors are for decoding
            event.record(self._streams[lane])
        return event

    def wait(self, lane: Lane, event: Any, /) -> None:
        with self.current():
            self._streams[lane].wait_event(event)

    def finish(self, event: Any, /) -> None:
        with self.current():
            event.synchronize()

    def elapsed(self, first: Any, second: Any, /) -> float:
        with self.current():
            return float(self._cupy.cuda.get_elapsed_time(first, second)) / 1000

    def stream(self, lane: Lane) -> int:
        """A lane as the cudaStream_t that other libraries take."""
        return int(self._streams[lane].ptr)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make this device current for the calling thread, and CuPy's errors ours."""
        try:
            with self._cupy.cuda.Device(self.number):
                yield
        except (self._runtime.CUDARuntimeError, self._cupy.cuda.driver.CUDADriverError) as error:
            if getattr(error, "status", None) == OUT_OF_MEMORY:
                raise MemoryError(f"CUDA device {self.number} is out of memory.") from error
            raise BackendError(f"CUDA device {self.number} failed ({error}).", TRY_CPU) from error

    def _build(self, stage: str, name: str, pixel: str) -> Any:
        """A kernel, compiled where CuPy's cache on disk does not have it."""
        key = (stage, pixel)
        if key not in self._modules:
            code = kernels.source(stage, pixel)
            self._modules[key] = self._cupy.RawModule(code=code, options=kernels.OPTIONS)
        try:
            kernel = self._modules[key].get_function(name)
        except (self._runtime.CUDARuntimeError, self._cupy.cuda.driver.CUDADriverError):
            raise
        except self._cupy.cuda.compiler.CompileException as error:
            raise BackendError(
                f"The CUDA kernels of {stage}.cu do not compile ({_first_error(str(error))}).",
                f"Reinstall {_extra(self._runtime)}, or use --backend cpu.",
            ) from error
        except RuntimeError as error:  # so CuPy says that it finds no headers or no NVRTC
            raise BackendError(
                f"CuPy cannot compile kernels ({_line(str(error))}).",
                f"Install the compiler and its headers: pip install '{_extra(self._runtime)}'.",
            ) from error
        self._kernels[stage, name, pixel] = kernel
        return kernel


def cupy() -> Any:
    """CuPy itself. Raises BackendError where it cannot be imported."""
    try:
        import cupy as module
    except ImportError as error:
        raise BackendError(
            f"CuPy cannot be imported ({_line(str(error))}).",
            "Install it again: pip install --force-reinstall 'gpustack-focus[cuda13]', or [cuda12].",
        ) from error
    return module


def versions() -> dict[str, str]:
    """Versions of CuPy, the CUDA runtime it was built with, and NVRTC, which must be there."""
    module = cupy()
    runtime = module.cuda.runtime.runtimeGetVersion()
    return {
        "cupy": module.__version__,
        "runtime": f"{runtime // 1000}.{runtime % 1000 // 10}",
        "nvrtc": ".".join(map(str, module.cuda.nvrtc.getVersion())),
    }


def _extra(runtime: Any) -> str:
    return f"gpustack-focus[cuda{runtime.runtimeGetVersion() // 1000}]"


def _line(text: str) -> str:
    """The first line that says something, without its full stop."""
    return next(
        (line.strip().rstrip(".") for line in text.splitlines() if line.strip(" =")), "no reason given"
    )


def _first_error(log: str) -> str:
    return _line("\n".join(line for line in log.splitlines() if "error" in line) or log)


def _when_gone(owner: object, work: Any, *arguments: Any) -> None:
    """Do `work` when nobody holds `owner` any more; not at exit, when the process gives everything back."""
    weakref.finalize(owner, work, *arguments).atexit = False


def _free_all(runtime: Any, addresses: set[int]) -> None:
    """What a device still holds when it goes; cudaFree finds the device by the address."""
    for address in addresses:
        with suppress(runtime.CUDARuntimeError):  # a lost device has lost its memory, too
            runtime.free(address)


def _free_pinned(runtime: Any, streams: tuple[Any, ...], address: int) -> None:
    with suppress(runtime.CUDARuntimeError):
        for stream in streams:
            stream.synchronize()
    with suppress(runtime.CUDARuntimeError):
        runtime.freeHost(address)
