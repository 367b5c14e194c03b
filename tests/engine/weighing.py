"""What a value holds in memory, counted object by object."""

from __future__ import annotations

import gc
import io
import sys
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

_WORLD = (type, ModuleType)
"""What does not belong to any one value."""


def weight(*values: Any, apart: tuple[type, ...] = ()) -> int:
    """Bytes of some values and of all that they lead to, each object once; those of the classes `apart` and
    what only they lead to are not counted."""
    waiting, seen, total = list(values), set[int](), 0
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, (*_WORLD, *apart)):
            continue
        seen.add(id(value))
        total += sys.getsizeof(value)
        waiting.extend(_leads_to(value))
    return total


def _leads_to(value: Any) -> list[Any]:
    if isinstance(value, FunctionType):  # not to the globals of its module
        cells = value.__closure__ or ()
        return [cell.cell_contents for cell in cells] + list(value.__defaults__ or ())
    if isinstance(value, MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, np.ndarray):
        return [value.base]
    if isinstance(value, io.IOBase):
        return []
    return gc.get_referents(value)
