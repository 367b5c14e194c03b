"""Rows of a picture: a band is full width, so one number pair names it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rows:
    """The half-open range of rows `start` to `stop` of a full-width picture."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def grow(self, halo: int, height: int) -> Rows:
        """The rows with `halo` more on both sides, as far as the picture of `height` rows has them."""
        return Rows(max(0, self.start - halo), min(height, self.stop + halo))

    def within(self, outer: Rows) -> slice:
        """Where these rows lie in an array that holds `outer`."""
        return slice(self.start - outer.start, self.stop - outer.start)

    @property
    def slice(self) -> slice:
        """These rows of a whole picture."""
        return slice(self.start, self.stop)


def cut(height: int, rows: int) -> tuple[Rows, ...]:
    """Cut `height` rows into bands of `rows`; the last one may be lower. Every row is covered once.

    Band origins are even whenever `rows` is: a pyramid level cut at an odd row would sample other pixels
    than the whole level does.
    """
    return tuple(Rows(start, min(start + rows, height)) for start in range(0, height, rows))
