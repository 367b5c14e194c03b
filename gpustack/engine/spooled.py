"""Sequences whose values lie in a spool, so that what is kept of every frame takes no memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Generic, TypeVar, overload

import numpy as np

from gpustack.backend.spool import Spool, Stored

T = TypeVar("T")


class Lazy(Sequence[T]):
    """A sequence that makes each value when it is asked for; so is each part of it."""

    def one(self, index: int) -> T:
        """The value at an index from 0 on."""
        raise NotImplementedError

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return Picked(self, range(len(self))[index])
        return self.one(range(len(self))[index])

    def __iter__(self) -> Iterator[T]:
        return map(self.one, range(len(self)))


class Picked(Lazy[T], Generic[T]):
    """Some of the values of a sequence, by their indices."""

    def __init__(self, source: Sequence[T], indices: Sequence[int]) -> None:
        self._source, self._indices = source, indices

    def __len__(self) -> int:
        return len(self._indices)

    def one(self, index: int) -> T:
        """See `Lazy`."""
        return self._source[self._indices[index]]


class Chained(Lazy[T], Generic[T]):
    """Two sequences, one after the other."""

    def __init__(self, first: Sequence[T], then: Sequence[T]) -> None:
        self._first, self._then = first, then

    def __len__(self) -> int:
        return len(self._first) + len(self._then)

    def one(self, index: int) -> T:
        """See `Lazy`."""
        before = len(self._first)
        return self._first[index] if index < before else self._then[index - before]


class Spooled(Lazy[T], Generic[T]):
    """Values, each an array or a dataclass, whose arrays lie in a spool; each is made anew when it is asked
    for, and what else it holds stays in memory."""

    def __init__(self, spool: Spool | None = None, values: Iterable[T] = ()) -> None:
        self._spool, self._parts = spool or Spool(), list[Any]()
        self._ends = array("q", [0])
        self.extend(values)

    def __len__(self) -> int:
        return len(self._parts)

    def append(self, value: T) -> None:
        """Add a value at the end."""
        sizes: list[int] = []
        self._parts.append(_put(value, self._spool, sizes))
        self._ends.append(self._ends[-1] + sum(sizes))

    def extend(self, values: Iterable[T]) -> None:
        """Add values at the end."""
        for value in values:
            self.append(value)

    def nbytes(self, first: int = 0) -> int:
        """Of the arrays of the values from an index on."""
        return self._ends[-1] - self._ends[first]

    def one(self, index: int) -> T:
        """See `Lazy`."""
        value: T = _got(self._parts[index], self._spool)
        return value


@dataclass(frozen=True, slots=True)
class _Put:
    """A dataclass and its fields, their arrays put away."""

    kind: Any
    parts: tuple[Any, ...]


def _put(value: Any, spool: Spool, sizes: list[int]) -> Any:
    if isinstance(value, np.ndarray):
        sizes.append(value.nbytes)
        return spool.put(value)
    if is_dataclass(value) and not isinstance(value, type):
        parts = tuple(_put(getattr(value, each.name), spool, sizes) for each in fields(value))
        return _Put(type(value), parts)
    return value


def _got(part: Any, spool: Spool) -> Any:
    if isinstance(part, Stored):
        return spool.get(part)
    if isinstance(part, _Put):
        return part.kind(*(_got(each, spool) for each in part.parts))
    return part
