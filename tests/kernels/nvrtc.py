"""NVRTC, NVIDIA's compiler as a library, through ctypes: it needs neither a driver nor a GPU."""

from __future__ import annotations

import ctypes
import importlib.util
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gpustack.backend import kernels

ALWAYS = ("-std=c++17", "-ftz=true", "--device-as-default-execution-space")
"""What CuPy 14 adds to every compilation."""

REPORT = "--ptxas-options=-v"
"""Has NVRTC write the resources of each kernel into its log."""

RESOURCES = re.compile(
    r"Compiling entry function '(?P<name>\w+)' for 'sm_\w+'\n"
    r"(?:.*\n)*?.*?(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, "
    r"(?P<loads>\d+) bytes spill loads\n.*Used (?P<registers>\d+) registers"
)


class CompileError(Exception):
    """What the compiler found wrong."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What a thread of a kernel takes: registers, bytes of stack, and bytes of registers spilled to it."""

    registers: int
    stack: int
    spilled: int


@dataclass(frozen=True, slots=True)
class Built:
    """A compiled source: its PTX, which comes before the binary, and what each kernel of the binary takes."""

    ptx: str
    kernels: dict[str, Resources]


@cache
def library() -> Any:
    """libnvrtc of the `nvidia-cuda-nvrtc` wheel; skips the test where that is not installed."""
    pattern = "bin/**/nvrtc64_*_0.dll" if sys.platform == "win32" else "lib/libnvrtc.so.*"
    found = importlib.util.find_spec("nvidia")
    places = list(found.submodule_search_locations or ()) if found else []
    for place in places:
        for path in sorted(Path(place).glob(f"c*/{pattern}")):
            return ctypes.CDLL(str(path))
    pytest.skip("NVRTC is not installed (pip install nvidia-cuda-nvrtc)")


def architectures() -> list[int]:
    """Compute capabilities that NVRTC makes binaries for, such as 75 and 120, ascending."""
    count = ctypes.c_int()
    assert library().nvrtcGetNumSupportedArchs(ctypes.byref(count)) == 0
    numbers = (ctypes.c_int * count.value)()
    assert library().nvrtcGetSupportedArchs(numbers) == 0
    return sorted(numbers)


def version() -> str:
    """NVRTC's version, such as 13.5."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    assert library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)) == 0
    return f"{major.value}.{minor.value}"


def build(source: str, target: str, options: Iterable[str] = kernels.OPTIONS) -> Built:
    """Compile a source for `target`, such as sm_75, as CuPy does. Raises CompileError."""
    nvrtc, program = library(), ctypes.c_void_p()
    made = nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None)
    assert made == 0
    try:
        words = [*ALWAYS, *options, REPORT, f"-arch={target}"]
        arguments = (ctypes.c_char_p * len(words))(*(word.encode() for word in words))
        failed = nvrtc.nvrtcCompileProgram(program, len(words), arguments)
        log = _text(program, "ProgramLog")
        if failed:
            raise CompileError(log)
        return Built(_text(program, "PTX"), resources(log))
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _text(program: ctypes.c_void_p, what: str) -> str:
    size = ctypes.c_size_t()
    assert getattr(library(), f"nvrtcGet{what}Size")(program, ctypes.byref(size)) == 0
    buffer = ctypes.create_string_buffer(size.value)
    assert getattr(library(), f"nvrtcGet{what}")(program, buffer) == 0
    return buffer.value.decode()


def resources(log: str) -> dict[str, Resources]:
    """What each kernel takes, from a compiler's log."""
    return {
        found["name"]: Resources(
            int(found["registers"]), int(found["stack"]), int(found["stores"]) + int(found["loads"])
        )
        for found in RESOURCES.finditer(log)
    }
