"""A backend whose arrays cannot be looked into: code that takes them for NumPy arrays fails as on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any, Never

import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.backend.values import (
    Band,
    Beside,
    Best,
    Cells,
    Extent,
    LevelBand,
    Looked,
    Mix,
    Part,
    Preference,
    Samples,
    Spread,
    Steps,
)

_CARRIERS = (
    Band,
    Beside,
    Best,
    Cells,
    Extent,
    LevelBand,
    Looked,
    Mix,
    Part,
    Preference,
    Samples,
    Spread,
    Steps,
)
_AS_THEY_ARE = {"each", "info", "busy_seconds", "peak_bytes", "concurrent", "decodes"}
_HOST_ARGUMENTS = {"upload": 0, "lend": 0, "drop": 0, "decode": 0, "alignment_sums": 2, "strip_sums": 2}
_HOST_RESULTS = {"download", "pack", "slot", "room", "thumbnail", "light", "noise_level"}
_HOST_RESULTS |= {"pieces", "alignment_sums", "strip_sums", "best_shift", "blur_misfit"}


class SealedArray:
    """An opaque array: nothing can be done with it but hand it to its backend."""

    __slots__ = ("_inner",)
    __array_ufunc__ = None
    __iter__ = None
    __hash__ = None

    def __init__(self, inner: npt.NDArray[Any]) -> None:
        self._inner = inner

    def __array__(self, *_: Any, **__: Any) -> Never:
        raise TypeError("an array of the backend was taken for a NumPy array")

    def __bool__(self) -> Never:
        raise TypeError("an array of the backend was taken for a truth value")

    def __eq__(self, other: object) -> Never:
        raise TypeError("an array of the backend was compared")


class Sealed:
    """Wraps a backend; arrays go in and out sealed, and no host array passes for one of the backend."""

    def __init__(self, inner: Backend[Any]) -> None:
        self._inner = inner

    def owns(self, value: object, /) -> bool:
        return isinstance(value, SealedArray)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return found if name in _AS_THEY_ARE else _guarded(name, found)


def _guarded(name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        host = _HOST_ARGUMENTS.get(name)
        inner = [a if number == host else _opened(a) for number, a in enumerate(arguments)]
        if name in ("upload", "lend"):
            inner[0] = np.array(inner[0])
            inner[0].flags.writeable = False  # what was uploaded is nobody's scratch space
        result = operation(*inner, **options)
        for outer, used in zip(arguments, inner, strict=True):
            _tell(outer, used)
        return result if name in _HOST_RESULTS else _sealed(result)

    return call


def _tell(outer: Any, used: Any) -> None:
    """What an operation changed of a carrier itself, and not of its arrays: the copy's is not the
    caller's."""
    if isinstance(outer, Best):
        outer.last = used.last
    if isinstance(outer, Part):
        _tell(outer.best, used.best)


def _opened(value: Any) -> Any:
    """What the wrapped backend is to be given."""
    if isinstance(value, np.ndarray):
        raise TypeError("a NumPy array was given where an array of the backend belongs")
    if isinstance(value, SealedArray):
        return value._inner
    return _rebuilt(value, _opened)


def _sealed(value: Any) -> Any:
    """What the caller is to be given."""
    return SealedArray(value) if isinstance(value, np.ndarray) else _rebuilt(value, _sealed)


def _rebuilt(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(change(part) for part in value)
    if is_dataclass(value) and isinstance(value, _CARRIERS):
        return replace(value, **{field.name: change(getattr(value, field.name)) for field in fields(value)})
    return value
