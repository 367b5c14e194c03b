"""CUDA sources compiled for the CPU: what CuPy's RawModule is on a GPU."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpustack.backend.gpu.device import Argument

HEADERS = tuple(Path(__file__).with_name(name) for name in ("cuda_on_cpu.h", "fibers.h"))

MACHINES = {"x86_64": ("-msse4.1",), "aarch64": ()}
"""Machines the headers know, and flags that let the compiler round in one instruction there."""

# No fused multiply-add, as -fmad=false on the device; `char` is signed as it is there. Hidden, as two
# libraries of one process would share the variables of the headers.
FLAGS = (
    *("-std=c++17", "-O2", "-g1", "-fPIC", "-shared", "-w", "-fvisibility=hidden"),
    *("-fsigned-char", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"),
)

GRID = (2**31 - 1, 65535, 65535)
THREADS = 1024

_KERNEL = re.compile(
    r'^[ \t]*(?:extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?'
    r"|\w+_KERNEL\s+)(\w+)\s*\(",
    re.MULTILINE,
)


class BarrierError(RuntimeError):
    """Threads of a block wait at a barrier that the others never reach."""


@functools.cache
def problem() -> str | None:
    """Why kernels cannot run on this CPU, or None."""
    if not sys.platform.startswith("linux") or platform.machine() not in MACHINES:
        return (
            f"kernels run on the CPU on x86-64 and AArch64 Linux, this is {sys.platform} {platform.machine()}"
        )
    return None if compiler()[0] else "no C++ compiler (g++ or clang++) was found"


@functools.cache
def compiler() -> tuple[str, str]:
    """Path and version of the C++ compiler; empty where there is none."""
    for name in (os.environ.get("CXX", "g++"), "g++", "clang++"):
        path = shutil.which(name)
        if path:
            return path, subprocess.run([path, "--version"], capture_output=True, text=True).stdout
    return "", ""


class CpuModule:
    """A source compiled by the host's compiler; `flags` come after the usual ones. Raises RuntimeError."""

    def __init__(self, source: str, flags: Sequence[str] = ()) -> None:
        self.names = tuple(dict.fromkeys(_KERNEL.findall(source)))
        self._library = ctypes.CDLL(str(_compiled(source, self.names, tuple(flags))))
        self._library.cpu_error.restype = ctypes.c_char_p
        self._running = threading.Lock()  # shared memory and fibers are one for the whole module
        self._kernels: dict[str, CpuKernel] = {}

    def kernel(self, name: str) -> CpuKernel:
        """One of `names`. Raises KeyError."""
        if name not in self.names:
            raise KeyError(f"no kernel {name} among {', '.join(self.names)}")
        if name not in self._kernels:
            self._kernels[name] = CpuKernel(self._library, name, self._running)
        return self._kernels[name]


class CpuKernel:
    """One kernel. `signature` tells what it takes: a letter and a size in bytes for each argument.

    r and w are addresses of constant and of writable data, with the size of one element; f, u, i and s values
    (floating point, unsigned, signed, struct).
    """

    def __init__(self, library: ctypes.CDLL, name: str, running: threading.Lock) -> None:
        self.name = name
        self._library, self._running = library, running
        self._launch = getattr(library, f"launch_{name}")
        describe = getattr(library, f"signature_{name}")
        describe.restype = ctypes.c_char_p
        self.signature = [(part[0], int(part[1:])) for part in describe().decode().split()]

    def __call__(
        self,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Argument],
        *,
        order: int = 0,
    ) -> None:
        """Run it; `order` of blocks and threads: 0 up, 1 down, above that a shuffle.

        Raises TypeError, ValueError, BarrierError.
        """
        self.check(grid, block, arguments)
        boxes = [np.array(argument) for argument in arguments]
        values = (ctypes.c_void_p * len(boxes))(*(box.ctypes.data for box in boxes))
        size = (ctypes.c_uint * 6)(*grid, *block)
        blocks = _blocks(int(np.prod(grid)), order)
        with self._running:
            failed = self._launch(size, ctypes.c_void_p(blocks.ctypes.data), ctypes.c_uint(order), values)
            reason = self._library.cpu_error().decode()
        if failed:
            raise BarrierError(f"{self.name}: {reason}")

    def check(
        self, grid: tuple[int, int, int], block: tuple[int, int, int], arguments: Sequence[Argument]
    ) -> None:
        """Whether a device would take this launch. Raises TypeError and ValueError."""
        if not all(0 < size <= most for size, most in zip(grid, GRID, strict=True)):
            raise ValueError(f"{self.name}: a grid of {grid} blocks; a device takes 1 to {GRID}")
        if min(block) < 1 or np.prod(block) > THREADS:
            raise ValueError(f"{self.name}: a block of {block} threads; a device takes 1 to {THREADS}")
        if len(arguments) != len(self.signature):
            raise TypeError(f"{self.name} takes {len(self.signature)} arguments, got {len(arguments)}")
        for number, (value, (kind, size)) in enumerate(zip(arguments, self.signature, strict=True)):
            self._check_value(number, value, kind, size)

    def addresses(self, arguments: Sequence[Argument]) -> Iterator[tuple[str, int, bool]]:
        """Number, address and whether it may be written through, of all addresses but 0, that of nothing.

        In a struct each field of uint64 is taken for an address that may be.
        """
        for number, (value, (kind, _)) in enumerate(zip(arguments, self.signature, strict=True)):
            record: Any = np.asarray(value)
            if kind in "rw" and int(record):
                yield str(number), int(record), kind == "w"
            for name in record.dtype.names or ():
                if record[name].dtype == np.uint64 and int(record[name]):
                    yield f"{number}.{name}", int(record[name]), True

    def _check_value(self, number: int, value: object, kind: str, size: int) -> None:
        wanted = "u8" if kind in "rw" else f"{kind}{size}"
        if _described(value) != wanted:
            raise TypeError(f"{self.name}, argument {number}: wants {wanted}, got {_described(value)}")
        if kind in "rw" and size and int(value) % (size & -size):  # type: ignore[call-overload]
            raise ValueError(f"{self.name}, argument {number}: {value} is no address of {size}-byte elements")


def _described(value: object) -> str:
    """A value as a signature has it; a Python number has no width, so it is described by its type."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        kind = {"V": "s", "b": "u"}.get(value.dtype.kind, value.dtype.kind)
        return f"{kind}{value.dtype.itemsize}"
    return type(value).__name__


def _blocks(count: int, order: int) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    numbers = np.arange(count, dtype=np.uint32)
    if order == 1:
        return numbers[::-1].copy()
    return numbers if order == 0 else np.random.default_rng(order).permutation(numbers)


def _compiled(source: str, names: Sequence[str], flags: tuple[str, ...]) -> Path:
    """The library of a source; compiled only if no test session did so before. Raises RuntimeError."""
    reason = problem()
    if reason:
        raise RuntimeError(reason)
    path, version = compiler()
    command = [path, *FLAGS, *MACHINES[platform.machine()], *flags]
    text = _whole(source, names)
    parts = (text, *(header.read_text() for header in HEADERS), version, *command)
    library = _cache() / f"{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:32]}.so"
    if not library.exists():
        own = library.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
        done = subprocess.run(
            [*command, "-I", str(HEADERS[0].parent), "-x", "c++", "-", "-o", str(own)],
            input=text, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{path} failed:\n{done.stderr}")
        own.replace(library)
    return library


def _whole(source: str, names: Sequence[str]) -> str:
    """The text to compile. In a namespace of its own a kernel's names cannot meet those of the C library."""
    exports = "".join(f"CPU_EXPORT({name})\n" for name in names)
    return (
        f'#include "{HEADERS[0].name}"\nnamespace cpu_source {{ namespace {{\n'
        f'#line 1 "source"\n{source}\n}} }}\n'
        f'#line 1 "exports"\n{exports}'
    )


@functools.cache
def _cache() -> Path:
    folder = Path(tempfile.gettempdir()) / f"gpustack-cuda-on-cpu-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():  # somebody else's libraries are not for us to run
        folder = Path(tempfile.mkdtemp(prefix="gpustack-cuda-on-cpu-"))
    return folder
