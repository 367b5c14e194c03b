"""Whose depth a pixel has that has no detail of its own: that of most pixels around that do, and look alike.

Each of them has a vote, the more so the more alike it is in brightness, and the majority is found in one run
through them with one candidate and one count (Boyer and Moore, "MJRTY", 1981; with weights): a depth is held,
votes that agree are added, those that do not are taken off, and it changes where none are left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import cos, pi, sin, sqrt

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.depth.rims import SAME_FRAMES

Plane = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

REACH_PX = 16
"""How far votes are asked for: as far as the focus measure can be borrowed, and half as far again."""

VOTERS = 48
"""Pixels that are asked, spread evenly over that disk: three times as many change no scene by a
hundredth of a frame."""

ALIKE_SHARE, CONTRAST_PX = 0.1, 5
"""Brightness is alike that differs by less than this share of the contrast within so many pixels."""

DECISIVE = 1 / 3
"""By how much of all votes those for a depth must be more than the others: two in three."""

_FEW = np.float32(1e-9)


@dataclass(frozen=True, slots=True)
class Ballot:
    """What votes are about, (h, w) float32 each: depth in frames; how much of a vote each pixel has, 0..1;
    the picture's luma."""

    depth: Plane
    voters: Plane
    luma: Plane

    def rows(self, rows: slice) -> Ballot:
        """Some rows of it."""
        return Ballot(self.depth[rows], self.voters[rows], self.luma[rows])


def halo() -> int:
    """Rows that are read on both sides."""
    return REACH_PX + 1


def divided(depth: Plane, voters: Plane) -> Mask:
    """Where the voters within reach are of two minds, those left out that stand alone."""
    pair, reach = np.ones((2, 2), np.uint8), np.ones((2 * REACH_PX + 1, 2 * REACH_PX + 1), np.uint8)
    nowhere = np.float32(1e9)
    low = cv2.morphologyEx(np.where(voters > 0, depth, nowhere), cv2.MORPH_CLOSE, pair)
    high = cv2.morphologyEx(np.where(voters > 0, depth, -nowhere), cv2.MORPH_OPEN, pair)
    nearest, farthest = cv2.erode(low, reach), cv2.dilate(high, reach)
    apart = farthest - nearest > np.float32(SAME_FRAMES)
    return np.asarray(apart & (farthest > -nowhere) & (nearest < nowhere), bool)


def majority(ballot: Ballot, asked: Mask, contrast: float) -> tuple[Plane, Plane]:
    """The depth that most voters around each pixel that is `asked` (h, w) for have, and the votes that were
    given, none where they are not decisive: (n,) each, in the order of the rows. `contrast`: brightness that
    differs by less is alike anyway."""
    found, count = ballot.depth[asked], ballot.voters[asked]
    heard = np.zeros_like(count)
    for depth, vote in _votes(ballot, asked, contrast):
        away = depth - found
        agree = np.abs(away) <= np.float32(SAME_FRAMES)
        heard += vote
        count += np.where(agree, vote, -vote)
        away *= vote * agree
        away /= np.maximum(count, _FEW)
        found += away
        np.copyto(found, depth, where=count < 0)
        np.abs(count, out=count)
    np.copyto(heard, np.float32(0), where=count < np.float32(DECISIVE) * heard)
    return found, heard


def _votes(ballot: Ballot, asked: Mask, contrast: float) -> Iterator[tuple[Plane, Plane]]:
    """From each place the depths and the votes: 1 of a pixel just as bright, about a bell in brightness."""
    own, unlike = ballot.luma[asked], _unlikeness(ballot.luma, contrast)[asked]
    depth, voters, luma = (
        cv2.copyMakeBorder(plane, *(REACH_PX,) * 4, cv2.BORDER_CONSTANT, value=0)
        for plane in (ballot.depth, ballot.voters, ballot.luma)
    )
    rows, columns = np.nonzero(asked)
    at = (rows + REACH_PX) * luma.shape[1] + columns + REACH_PX
    for down, across in _offsets():
        there = at + (down * luma.shape[1] + across)
        vote: Plane = luma.take(there)
        vote -= own
        vote *= vote
        vote *= unlike
        vote += 1
        np.reciprocal(vote, out=vote)
        vote *= vote
        vote *= vote
        vote *= voters.take(there)
        yield depth.take(there), vote


def _unlikeness(luma: Plane, contrast: float) -> Plane:
    """What squared differences in brightness are multiplied by to tell whether two pixels are alike."""
    window = np.ones((2 * CONTRAST_PX + 1, 2 * CONTRAST_PX + 1), np.uint8)
    span = np.float32(ALIKE_SHARE) * (cv2.dilate(luma, window) - cv2.erode(luma, window))
    return np.asarray(1 / (8 * (span * span + np.float32(contrast**2))), np.float32)


def _offsets() -> list[tuple[int, int]]:
    """Where voters lie, from the nearest on: like a sunflower's seeds, evenly spread (Vogel 1979)."""
    turn = pi * (3 - sqrt(5))
    found: dict[tuple[int, int], None] = {}
    for number in range(1, VOTERS + 1):
        away, angle = REACH_PX * sqrt(number / VOTERS), number * turn
        found[round(away * sin(angle)), round(away * cos(angle))] = None
    return [at for at in found if at != (0, 0)]
