"""How a frame's values become as bright as the reference's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma (Rec. 601)."""

COLOURS = 3


@dataclass(frozen=True, slots=True)
class Tone:
    """A value of the frame times `gain` plus `offset` is as bright as the reference's; white is 1.

    One number of each stands for all colours, three for red, green and blue. Alpha is left alone.
    """

    gain: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)

    @staticmethod
    def of(gain: float | Sequence[float], offset: float | Sequence[float] = 0.0) -> Tone:
        """A tone of numbers, or of as many as there are colours.

        Raises ValueError for other lengths, and that or TypeError for what is no number.
        """
        both = [np.atleast_1d(np.asarray(own, np.float64)) for own in (gain, offset)]
        if any(own.shape not in ((1,), (COLOURS,)) for own in both):
            raise ValueError("gain and offset are a number or three")
        return Tone(*(tuple(own.tolist()) for own in both))

    @property
    def luma_gain(self) -> float:
        """What the luma of a gray is multiplied by."""
        return self.gain[0] if len(self.gain) == 1 else float(np.average(self.gain, weights=LUMA))

    @property
    def _luma_offset(self) -> float:
        return self.offset[0] if len(self.offset) == 1 else float(np.average(self.offset, weights=LUMA))

    def after(self, first: Tone) -> Tone:
        """This tone applied to the outcome of `first`."""
        offset = np.multiply(self.gain, first.offset) + self.offset
        return Tone.of(np.multiply(self.gain, first.gain).tolist(), offset.tolist())

    def inverse(self) -> Tone:
        """The tone back; no gain is 0."""
        return Tone.of((1 / np.array(self.gain)).tolist(), (np.subtract(0, self.offset) / self.gain).tolist())

    def of_channels(self, count: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Gains and offsets of a frame's channels as they are stored: gray or RGB, and alpha."""
        gains, offsets = (own if len(own) == COLOURS else own * COLOURS for own in (self.gain, self.offset))
        if count < COLOURS:
            gains, offsets = (self.luma_gain,), (self._luma_offset,)
        alpha = count - len(gains)
        return gains + (1.0,) * alpha, offsets + (0.0,) * alpha

    def as_dict(self) -> dict[str, Any]:
        """Plain values: numbers, or lists of three."""
        values = {"gain": self.gain, "offset": self.offset}
        return {name: own[0] if len(own) == 1 else list(own) for name, own in values.items()}


AS_IT_IS = Tone()
"""The tone that changes nothing."""
