"""Which part of the canvas is folded while the frames come once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Turn:
    """The bands from number `start` up to `stop`, None for the last; and, where it is the `first` turn, what
    needs all bands, such as the coarser levels of a pyramid."""

    start: int = 0
    stop: int | None = None
    first: bool = True

    def of(self, count: int) -> range:
        """Those of so many bands that are folded now."""
        return range(min(self.start, count), count if self.stop is None else min(self.stop, count))

    def takes(self, number: int) -> bool:
        """Whether a band is one of them."""
        return self.start <= number and (self.stop is None or number < self.stop)


WHOLE = Turn()
"""All of it, while the frames come once."""
