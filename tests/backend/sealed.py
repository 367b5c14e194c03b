"""A backend whose arrays cannot be looked into: code that takes them for NumPy arrays fails as on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any, Never

import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend, Band, Best, Extent, Mix, Samples

_CARRIERS = (Band, Best, Extent, Mix, Samples)
_AS_THEY_ARE = {"each", "info"}
_HOST_ARGUMENTS = {"upload": 0, "alignment_sums": 2}
_HOST_RESULTS = {"download", "pack", "thumbnail", "noise_level", "alignment_sums", "best_shift"}


class SealedArray:
    """An opaque array: what the package does with arrays outside the backend is listed here, and nothing else
    works.

    `[None]` and `[0]` turn a plane into an image and back; `shape`, `*`, `+`, `/` and `clip` are what
    depth/surface.py uses.
    """

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

    def __getitem__(self, index: Any) -> SealedArray:
        if index is not None and (type(index), index) != (int, 0):
            raise TypeError(
                f"an array of the backend was indexed with {index!r}; rows are taken with Backend.rows"
            )
        return SealedArray(self._inner[index])

    @property
    def shape(self) -> tuple[int, ...]:
        return self._inner.shape

    def __mul__(self, other: Any) -> SealedArray:
        return SealedArray(self._inner * _opened(other))

    __rmul__ = __mul__

    def __add__(self, other: Any) -> SealedArray:
        return SealedArray(self._inner + _opened(other))

    def __truediv__(self, other: Any) -> SealedArray:
        return SealedArray(self._inner / _opened(other))

    def clip(self, low: float) -> SealedArray:
        return SealedArray(self._inner.clip(low))


class Sealed:
    """Wraps a backend; arrays go in and out sealed, and no host array passes for one of the backend."""

    def __init__(self, inner: Backend[Any]) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return found if name in _AS_THEY_ARE else _guarded(name, found)


def _guarded(name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        host = _HOST_ARGUMENTS.get(name)
        inner = [a if number == host else _opened(a) for number, a in enumerate(arguments)]
        if name == "upload":
            inner[0] = np.array(inner[0])
            inner[0].flags.writeable = False  # what was uploaded is nobody's scratch space
        result = operation(*inner)
        for outer, used in zip(arguments, inner, strict=True):
            if isinstance(outer, Best):
                outer.last = used.last
        return result if name in _HOST_RESULTS else _sealed(result)

    return call


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
