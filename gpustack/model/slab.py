"""Slabs: consecutive frames of a stack, overlapping, that are fused among themselves."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from gpustack.errors import UsageError


@dataclass(frozen=True, slots=True)
class Slab:
    """One slab: its number, from 1, and the indices of its frames in the stack, those left out included."""

    number: int
    frames: range

    def last(self, used: Collection[int]) -> int | None:
        """The last of its frames that is used; None where none is."""
        return max((index for index in self.frames if index in used), default=None)

    def __str__(self) -> str:
        return f"slab {self.number}: frames {self.frames.start} to {self.frames.stop - 1}, counted from 0"


def slabs_of(count: int, size: int, overlap: int) -> tuple[Slab, ...]:
    """A stack of `count` frames in slabs of `size`, each beginning with the last `overlap` frames of the one
    before it; the last may be smaller. Raises UsageError where the stack is smaller than a slab."""
    if size > count:
        raise UsageError(
            f"A slab is to have {size} frames, and the stack has {count}.", "Give --slab a smaller size."
        )
    step = size - overlap
    starts = range(0, max(1, count - overlap), step)
    return tuple(
        Slab(number, range(start, min(start + size, count))) for number, start in enumerate(starts, 1)
    )
