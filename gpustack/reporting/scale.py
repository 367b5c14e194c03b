"""Round numbers along an axis."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log10

_STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Axis:
    """From `low` to `high`, along `length` units of a drawing, with marks at round numbers `step` apart."""

    low: float
    high: float
    step: float
    length: float

    @staticmethod
    def over(
        low: float, high: float, least: float, length: float, marks: int, *, whole: bool = False
    ) -> Axis:
        """One that holds `low` to `high` and spans `least` at least, from mark to mark, about `marks` of
        them. `whole`: marks are whole numbers, and the ends as given."""
        lack = max(0.0, least - (high - low)) / 2
        low, high = low - lack, high + lack
        step = _round_step((high - low) / marks)
        if whole:
            return Axis(low, high, max(1.0, step), length)
        return Axis(floor(low / step + 1e-9) * step, ceil(high / step - 1e-9) * step, step, length)

    def at(self, value: float) -> float:
        """Where a value lies, from 0 to `length`."""
        return (value - self.low) / (self.high - self.low) * self.length

    @property
    def marks(self) -> list[float]:
        """Values that get a mark."""
        first = ceil(self.low / self.step - 1e-9)
        return [number * self.step for number in range(first, floor(self.high / self.step + 1e-9) + 1)]

    def label(self, value: float) -> str:
        """A mark's number, with as many digits as all of them need."""
        digits = max(0, -floor(log10(self.step) + 1e-9))
        return f"{value + 0.0:.{digits}f}".replace("-", "\N{MINUS SIGN}") if round(value, digits) else "0"


def _round_step(step: float) -> float:
    """The next of 1, 2, 5, 10 times a power of ten."""
    power = 10.0 ** floor(log10(step))
    return next(each * power for each in _STEPS if step <= each * power * (1 + 1e-9))
