"""The median of more values than should lie in memory beside each other: counted, not sorted.

Floats are ordered as whole numbers of as many bits are, once those of negative ones are turned. So the upper
half of the bits is counted first, and then, among the values that share the middle one's, the lower half.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.model.rect import Rows

Values = Callable[[Rows], npt.NDArray[np.float32]]
Bits = npt.NDArray[np.uint32]
_HALF = 1 << 16


def median_of(backend: Backend[Any], values: Values, strips: Sequence[Rows]) -> np.float32:
    """The median of float32 values, which come by strips, as `numpy.median` gives it; 0 of none. None of them
    may be NaN."""
    upper = _counted(backend, strips, lambda rows: _ordered(values(rows)) >> np.uint32(16))
    count = int(upper.sum())
    if not count:
        return np.float32(0)

    def ranked(rank: int) -> np.float32:
        first = int(np.searchsorted(upper.cumsum(), rank, side="right"))
        below = int(upper[:first].sum())

        def low(rows: Rows) -> Bits:
            bits = _ordered(values(rows))
            return np.asarray(bits[bits >> np.uint32(16) == first] & np.uint32(_HALF - 1))

        lower = _counted(backend, strips, low).cumsum()
        last = int(np.searchsorted(lower, rank - below, side="right"))
        return _as_float(first * _HALF + last)

    middle = {(count - 1) // 2, count // 2}
    return np.float32(np.mean(np.array([ranked(rank) for rank in sorted(middle)], np.float32)))


def _counted(
    backend: Backend[Any], strips: Sequence[Rows], halves: Callable[[Rows], Bits]
) -> npt.NDArray[np.int64]:
    """How often each number of 16 bits comes."""
    counts, lock = np.zeros(_HALF, np.int64), threading.Lock()

    def work(rows: Rows) -> None:
        found = np.bincount(halves(rows), minlength=_HALF)
        with lock:
            np.add(counts, found, out=counts)

    backend.each(work, strips)
    return counts


def _ordered(values: npt.NDArray[np.float32]) -> Bits:
    """Whole numbers in the order of floats."""
    bits = values.view(np.uint32)
    return np.where(bits >> np.uint32(31) != 0, ~bits, bits | np.uint32(1 << 31))


def _as_float(ordered: int) -> np.float32:
    bits = ordered ^ (1 << 31) if ordered >> 31 else ordered ^ 0xFFFFFFFF
    return np.float32(np.array([bits], np.uint32).view(np.float32)[0])
