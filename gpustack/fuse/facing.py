"""Which end of a stack is the nearer one, told from what was sharpest where.

Stacks are shot from near to far or from far to near. Where depth steps, the nearer thing's own outline is in
focus with it, and no frame shows the farther thing beside it without the nearer one's veil: the nearer side
has the stronger detail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.backend.values import STEP_FRAMES
from gpustack.model.rect import cut

Array = npt.NDArray[Any]

REACH_PX = 5
"""How far from a step its two sides are compared: the focus measure's blur of two pixels, and an outline."""

SEEN_NOISE = 2.0
"""The focus measure, in multiples of noise, from which a pixel's depth counts."""

STRIP_ROWS = 256
"""Rows that are looked at in one go."""

_UNSEEN = np.float32(1e9)


@dataclass(frozen=True, slots=True)
class Order:
    """How frames are counted from the nearest: as they are numbered, or back from the last number."""

    last: int
    nearer_first: bool

    def from_near(self, numbers: Any) -> Any:
        """Numbers, or depths, counted from the nearest frame; the same again gives them back."""
        return numbers if self.nearer_first else self.last - numbers

    @classmethod
    def of(cls, backend: Backend[Any], winners: Array, energies: Array, floor: float) -> Order:
        """That of the frames behind some winners (h, w) and their focus measure."""
        return cls(int(winners.max()), nearer_first(backend, winners, energies, floor))


def nearer_first(backend: Backend[Any], winners: Array, energies: Array, floor: float) -> bool:
    """Whether the first frames are focused nearest, from the sharpest frames (h, w) and their focus measure;
    `floor` is that of noise alone. True where nothing tells."""
    strips = cut(len(winners), STRIP_ROWS)
    balances = [0.0] * len(strips)

    def work(number: int) -> None:
        rows = strips[number]
        wide = rows.grow(REACH_PX, len(winners))
        balances[number] = _balance(winners[wide.slice], energies[wide.slice], floor, rows.within(wide))

    backend.each(work, range(len(strips)))
    return sum(balances) >= 0


def _balance(winners: Array, energies: Array, floor: float, inner: slice) -> float:
    """Pixels beside steps at which the lower frame has the stronger detail, less those of the higher."""
    seen = energies > np.float32(SEEN_NOISE * floor)
    depth = winners.astype(np.float32)
    reach = np.ones((2 * REACH_PX + 1, 2 * REACH_PX + 1), np.uint8)
    low = cv2.erode(np.where(seen, depth, _UNSEEN), reach)
    high = cv2.dilate(np.where(seen, depth, -_UNSEEN), reach)
    stepped = seen & (high - low > STEP_FRAMES)
    if not stepped.any():
        return 0.0
    at_low, at_high = (
        cv2.dilate(np.where(stepped & (np.abs(depth - end) <= 1), energies, np.float32(0)), reach)
        for end in (low, high)
    )
    told = stepped & (at_low > 0) & (at_high > 0)
    return float(np.sign(at_low - at_high)[inner][told[inner]].sum(dtype=np.float64))
