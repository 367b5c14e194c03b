"""Where two frames next to each other show other things.

Frames that are aligned differ by defocus, noise, tone and motion. Between frames next to each other the blur
grows by about one step of focus, so what it changes in a cell is a small share of what the surroundings span;
and how small, the picture itself tells, as most of it is at rest. A thing that has gone, or come, changes a
cell by about all that they span. Light is compared, which blur moves about and neither makes nor takes, in
cells of three sizes: small ones see thin things, and large ones what the blur of long steps hides from these.
Cells that are burnt out tell nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from gpustack.ghosts.glance import Aligned, Mask, Plane

SIZES = 3
"""Sizes of cells that are looked at, each twice as large as the one before."""

SHARE = 0.5
"""A cell that changes by more than this share of what the cells around it span, in both frames, may show
another thing: what comes or goes changes nearly all of it. At 0.8 of this and of the two below, what is found
in stacks at rest is in bench/results/ghosts.json."""

TAIL = 6.0
"""And by more than this many times the share that nine tenths of the picture keep below. Where the focus
moves in long steps, blur changes much everywhere, and only this keeps it from being taken for motion."""

WIDE_SHARE = 0.15
"""And by more than this share of what the 15x15 cells around span. A lamp out of focus is a flat disk that
turns brighter all over as it shrinks, by twice as much as one step of blur is of its radius."""

GROWTH = 0.35
"""From such cells a thing reaches as far as the share is more than half of that."""

LEAST_CELLS = 3
"""So many cells must pass, in one piece: single ones are glints."""

LEAST_CODED = 0.04
"""Changes of less than this, as coded values, are taken for noise and for errors of the tone, which come to
2 % of white (bench/results/brightness.json)."""

_BLACK = 1e-3  # light below which coded values are not told apart
_SIGMA = 0.7  # cells: no aliasing of what is finer than a cell
_AROUND = np.ones((3, 3), np.uint8)
_WIDE = np.ones((15, 15), np.uint8)
_NOTHING = 1e-6
_MOST_USUAL = 0.9
_FEWEST = 64  # cells with contrast; fewer do not tell what is usual


@dataclass(frozen=True, slots=True)
class Look:
    """A frame in cells of one size: its light, that of what is known alone (normalised convolution), which is
    the same where all is, what it spans over 3x3 cells, and where it is known."""

    light: Plane
    own: Plane
    low: Plane
    high: Plane
    known: Mask


def looks(frame: Aligned) -> list[Look]:
    """A frame in cells of all sizes, smallest first."""
    if frame.known.all():
        planes = [frame.light]
    else:
        weight = frame.known.astype(np.float32)
        planes = [frame.light, frame.light * weight, weight]
    found = []
    for _ in range(SIZES):
        found.append(_look(*planes))
        planes = [_halved(plane) for plane in planes]
    return found


def _look(light: Plane, known: Plane | None = None, weight: Plane | None = None) -> Look:
    """`weight` is the share of a cell that is known, `known` the light that comes from it; all is without."""
    own = smooth = _blurred(light)
    if known is not None and weight is not None:
        own = np.asarray(_blurred(known) / np.maximum(_blurred(weight), np.float32(_NOTHING)))
    low, high = cv2.erode(smooth, _AROUND), cv2.dilate(smooth, _AROUND)
    whole = np.ones(light.shape, bool) if weight is None else weight == 1
    return Look(smooth, own, np.asarray(low), np.asarray(high), whole)


def _blurred(plane: Plane) -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), _SIGMA))


def _halved(plane: Plane) -> Plane:
    height, width = plane.shape
    half = max(1, width // 2), max(1, height // 2)
    return np.asarray(cv2.resize(plane, half, interpolation=cv2.INTER_AREA), np.float32)


def changed(here: Sequence[Look], there: Sequence[Look]) -> Mask:
    """The smallest cells, (h, w), in which two frames show other things."""
    height, width = here[0].light.shape
    found = np.zeros((height, width), bool)
    for one, other in zip(here, there, strict=True):
        part = _changed(one, other).astype(np.uint8)
        found |= cv2.resize(part, (width, height), interpolation=cv2.INTER_NEAREST) > 0
    return found


def _changed(here: Look, there: Look) -> Mask:
    change = np.abs(here.light - there.light)
    # Burnt cells count as white and brighten their neighbours, as noise has it: the rest must change, too.
    surely = np.minimum(change, np.abs(here.own - there.own))
    span = spanned(here.low, here.high, there.low, there.high)
    least = least_change(np.minimum(here.light, there.light))
    known = here.known & there.known
    seeds = known & (surely > np.maximum(np.float32(SHARE) * span, least))
    if not np.any(seeds):  # nor with any other threshold: the rest would be for nothing, as it mostly is
        return np.asarray(seeds)
    wide = np.maximum(_highest(here.light), _highest(there.light)) - np.minimum(
        _lowest(here.light), _lowest(there.light)
    )
    usual = _usual((surely / span)[known & (span > least)])
    threshold = max(SHARE, TAIL * usual)
    seeds &= surely > np.maximum(threshold * span, WIDE_SHARE * wide)
    seen = known & (change > least)
    return _grown(seeds, seeds | (seen & (change > GROWTH * threshold * span)))


def _highest(light: Plane) -> Plane:
    return np.asarray(cv2.dilate(light, _WIDE))


def _lowest(light: Plane) -> Plane:
    return np.asarray(cv2.erode(light, _WIDE))


def spanned(low: Plane, high: Plane, other_low: Plane, other_high: Plane) -> Plane:
    """What two frames span together; never nothing."""
    return np.asarray(np.maximum(high, other_high) - np.minimum(low, other_low) + np.float32(1e-6))


def least_change(light: Plane) -> Plane:
    """The change of light that is one of LEAST_CODED of its square root."""
    return np.asarray(2 * np.float32(LEAST_CODED) * np.sqrt(np.maximum(light, np.float32(_BLACK))))


def _usual(shares: Plane) -> float:
    if shares.size < _FEWEST:
        return 0.0
    rank = int(shares.size * _MOST_USUAL)
    return float(np.partition(shares, rank)[rank])


def _grown(seeds: Mask, reach: Mask) -> Mask:
    """The pieces of `reach` that hold enough seeds."""
    if not seeds.any():
        return np.asarray(seeds)
    count, piece = cv2.connectedComponents(reach.astype(np.uint8))
    enough = np.bincount(piece[seeds], minlength=count) >= LEAST_CELLS
    return np.asarray(enough[piece] & reach)
