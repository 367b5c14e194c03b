"""Each frame of a stack: what it gives, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from math import log2
from typing import Any

import numpy as np

from gpustack.coverage.curves import Values
from gpustack.model.place import Place
from gpustack.model.transform import corners

EXPOSURE_EV = 0.25
"""A frame that differs so much from those around it is called dark or bright: flashes that keep the beat are
within a tenth of a stop, and a quarter is seen when frames are leafed through."""

LEAST_APART_PX, APART_TIMES = 1.5, 4.0
"""Links of a frame that disagree by more pixels than that, and so many times as much as those of the frame in
the middle, do not fit the motion of the stack."""

LEAST_MOVED, MOVED_TIMES = 0.002, 6.0
"""A frame jumped where its corners lie off the line between its neighbours by more than this share of the
picture's diagonal, and so many times as far as those of the frame in the middle."""

REPEATED = 0.2
"""A step of the focus below this share of the usual one repeats a frame."""

_AROUND = 6


class Verdict(StrEnum):
    """What is wrong with a frame."""

    UNALIGNED = "unaligned"
    SHAKEN = "shaken"
    APART = "out of line"
    JUMPED = "jumped"
    DARK = "too dark"
    BRIGHT = "too bright"
    REPEATED = "repeated focus"
    IDLE = "nothing in focus"


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of one frame.

    share: of the cells with detail, or of the picture's pixels, that it shows best, 0..1; alone: of those far
    above noise that would lose a notable part without it; spare: it could be left out together with all
    others that are; step_px: how far the next used frame is focused from it, in pixels of blur. These are
    None where they are not known.
    brightness_ev: against the reference; moved_px: how far it lies off the line between its neighbours.
    """

    index: int
    file: str
    used: bool
    share: float
    alone: float | None
    spare: bool | None
    step_px: float | None
    brightness_ev: float
    confidence: float
    residual_px: float
    moved_px: float
    verdicts: tuple[Verdict, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return values | {"verdicts": [verdict.value for verdict in self.verdicts]}


@dataclass(frozen=True, slots=True)
class Needed:
    """What focus curves tell of the frames, by their indices: see `Look`."""

    share: dict[int, float]
    alone: dict[int, float]
    spare: frozenset[int]
    steps: dict[int, float]


def looks(
    files: Sequence[str],
    places: Sequence[Place],
    size: tuple[int, int],
    shares: Sequence[float],
    needed: Needed | None,
) -> tuple[Look, ...]:
    """One look a frame; `size` is the reference's (width, height), `shares` are of the pixels, and count
    where there are no curves."""
    ev = [-log2(place.transform.gain) for place in places]
    moved = _moved(places, size)
    verdicts = _verdicts(places, size, ev, moved, needed)
    return tuple(
        Look(
            index,
            file,
            place.used,
            shares[index] if needed is None else needed.share.get(index, 0.0),
            None if needed is None else needed.alone.get(index, 0.0),
            None if needed is None else index in needed.spare,
            None if needed is None else needed.steps.get(index),
            ev[index],
            place.confidence,
            place.residual_px,
            moved[index],
            tuple(verdicts[index]),
        )
        for index, (file, place) in enumerate(zip(files, places, strict=True))
    )


def _verdicts(
    places: Sequence[Place],
    size: tuple[int, int],
    ev: Sequence[float],
    moved: Sequence[float],
    needed: Needed | None,
) -> list[list[Verdict]]:
    used = [index for index, place in enumerate(places) if place.used]
    apart = max(LEAST_APART_PX, APART_TIMES * _middle([places[index].residual_px for index in used]))
    jumped = max(
        LEAST_MOVED * float(np.hypot(*size)), MOVED_TIMES * _middle([moved[index] for index in used])
    )
    found: list[list[Verdict]] = [[] for _ in places]
    for index, place in enumerate(places):
        if not place.used:
            found[index] = [Verdict.SHAKEN if place.shaken else Verdict.UNALIGNED]
            continue
        off = ev[index] - _expected(index, used, ev)
        tests = {
            Verdict.APART: place.residual_px > apart,
            Verdict.JUMPED: moved[index] > jumped,
            Verdict.DARK: off < -EXPOSURE_EV,
            Verdict.BRIGHT: off > EXPOSURE_EV,
        }
        found[index] = [verdict for verdict, holds in tests.items() if holds]
    if needed is not None:
        _focus_verdicts(used, needed, found)
    return found


def _expected(index: int, used: Sequence[int], values: Sequence[float]) -> float:
    """What the frames around one let expect of it: a line through the nearest used ones whose slope is the
    middle one of all pairs (Theil 1950), which single frames do not bend."""
    near = sorted((other for other in used if other != index), key=lambda other: abs(other - index))[:_AROUND]
    slope = _middle([(values[a] - values[b]) / (a - b) for a, b in combinations(near, 2)])
    return _middle([values[other] + slope * (index - other) for other in near]) if near else values[index]


def _focus_verdicts(used: Sequence[int], needed: Needed, found: list[list[Verdict]]) -> None:
    usual = _middle(list(needed.steps.values()))
    for index in used:
        before = needed.steps.get(_before(used, index))
        if before is not None and before < REPEATED * usual:
            found[index].append(Verdict.REPEATED)
        if needed.share.get(index, 0.0) == 0:
            found[index].append(Verdict.IDLE)


def _before(used: Sequence[int], index: int) -> int:
    """The used frame before a used one; -1 for the first."""
    number = used.index(index)
    return used[number - 1] if number else -1


def _moved(places: Sequence[Place], size: tuple[int, int]) -> list[float]:
    """How far each used frame's corners lie off the line between its used neighbours, in pixels, at most."""
    used = [index for index, place in enumerate(places) if place.used]
    seen: dict[int, Values] = {index: places[index].transform.apply(corners(*size)) for index in used}
    found = [0.0] * len(places)
    for before, index, after in zip(used, used[1:], used[2:], strict=False):
        along = (index - before) / (after - before)
        line = seen[before] + along * (seen[after] - seen[before])
        found[index] = float(np.hypot(*(seen[index] - line).T).max())
    return found


def _middle(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else 0.0
