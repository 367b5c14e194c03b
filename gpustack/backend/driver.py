"""The NVIDIA driver and its devices, asked through ctypes: that needs neither CuPy nor a CUDA toolkit."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from typing import Any

NO_DEVICE = 100
"""CUDA_ERROR_NO_DEVICE."""

_MAJOR, _MINOR = 75, 76


@dataclass(frozen=True, slots=True)
class Card:
    """A device as the driver sees it: its name and compute capability."""

    name: str
    capability: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Driver:
    """The NVIDIA driver: newest CUDA version it knows (13000 for 13.0), what cuInit said, visible devices."""

    version: int
    status: int
    cards: tuple[Card, ...]


def driver() -> Driver | None:
    """The NVIDIA driver, or None where it cannot be loaded."""
    try:
        library = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    status = int(library.cuInit(0))
    count = _asked(library.cuDeviceGetCount) if status == 0 else 0
    cards = tuple(_card(library, number) for number in range(count))
    return Driver(_asked(library.cuDriverGetVersion), status, cards)


def _card(library: Any, number: int) -> Card:
    handle = _asked(library.cuDeviceGet, number)
    name = ctypes.create_string_buffer(256)
    library.cuDeviceGetName(name, len(name), handle)
    major, minor = (_asked(library.cuDeviceGetAttribute, which, handle) for which in (_MAJOR, _MINOR))
    return Card(name.value.decode(errors="replace"), (major, minor))


def _asked(question: Any, *arguments: int) -> int:
    """The number that a driver function writes; 0 where it fails."""
    answer = ctypes.c_int(0)
    question(ctypes.byref(answer), *arguments)
    return answer.value


def dotted(version: int) -> str:
    """13020 -> 13.2, as CUDA writes its versions."""
    return f"{version // 1000}.{version % 1000 // 10}"
