"""Gain and offset between two pictures of the same light."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.matching import HUBER, MAD_TO_SIGMA

Values = npt.NDArray[Any]

SMALLEST_GAIN_STEP = 0.002
"""A gain closer to 1 than half an 8-bit step at white changes nothing that can be seen, and is left at 1."""

SMALLEST_OFFSET_STEP = 0.001
"""An offset of less than a quarter of an 8-bit step is taken for none."""

MOST_UNCERTAIN = 2 / 255
"""An offset with a larger standard error, of two 8-bit steps, is not taken: the values spread too little."""

SIGNIFICANT = 3.0
"""An offset that is not so many times larger than its standard error is taken for none."""

_ROUNDS = 15


def gain_of(here: Values, there: Values) -> float:
    """The median ratio of values (n,)."""
    gain = float(np.median(here / there))
    return gain if abs(gain - 1) > SMALLEST_GAIN_STEP else 1.0


def line_of(here: Values, there: Values, areas: float) -> tuple[float, float]:
    """Gain and offset that bring values (n,) of `there` to those of `here`; no offset where none is sure.

    Both are measured, so both are in error, and least squares on one of them would find too small a gain:
    the line is that of least distances (Deming, "Statistical Adjustment of Data", 1943), those far off
    weighing less (Huber). How sure it is follows from how far the values spread and how far they lie off the
    line, as if there were `areas` of them.
    """
    weight, gain, offset, spread, mean = np.ones(len(here)), 1.0, 0.0, 0.0, 0.0
    error = np.inf
    for _ in range(_ROUNDS):
        centre = [float(np.average(values, weights=weight)) for values in (there, here)]
        x, y = there - centre[0], here - centre[1]
        xx, xy, yy = (float(np.average(both, weights=weight)) for both in (x * x, x * y, y * y))
        if xy <= 0:
            return gain_of(here, there), 0.0
        gain = (yy - xx + np.hypot(yy - xx, 2 * xy)) / (2 * xy)
        offset = centre[1] - gain * centre[0]
        off = (y - gain * x) / np.hypot(1, gain)
        error = MAD_TO_SIGMA * float(np.median(np.abs(off))) + 1e-6
        weight = np.minimum(1, HUBER * error / np.maximum(np.abs(off), 1e-12))
        spread, mean = np.sqrt(xx), centre[0]
    unsure = mean * float(np.sqrt(2 / max(areas, 1e-9))) * error / spread
    if unsure > MOST_UNCERTAIN or abs(offset) < max(SIGNIFICANT * unsure, SMALLEST_OFFSET_STEP):
        return gain_of(here, there), 0.0
    return float(gain), float(offset)
