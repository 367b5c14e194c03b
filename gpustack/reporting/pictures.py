"""What a report shows of a result: the picture, crops of it, its depth, and which frame won where."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.coverage.picture import palette
from gpustack.reporting.coded import Coded, as_seen, coded, fitted
from gpustack.reporting.crops import CROP_HEIGHT, CROP_WIDTH, Crop, crops
from gpustack.result import Result

PICTURE_SIDES, MAP_SIDES = (1600, 1200, 800, 600), (1000, 800, 600)
"""Longer sides in pixels, the first that fits: the picture fills a screen, a map half of one."""

PICTURE_BYTES, MAP_BYTES, CROP_BYTES = 400_000, 130_000, 75_000
"""What each may take: with two maps and four crops 960 kB, of which base64 makes 1.28 MB."""

_STRIP_BYTES = 8 << 20
_NAMED = 3
_PALE = np.float32(0.35)
"""How much of its colour a depth keeps that is only filled in from its surroundings."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A crop at 100 %, and the frames that most of it comes from: index and share."""

    crop: Crop
    picture: Coded
    frames: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Pictures:
    """All pictures of a report; depth is None where it was not made. colours: one (red, green, blue) a frame,
    in both maps."""

    picture: Coded
    cuts: tuple[Cut, ...]
    depth: Coded | None
    winners: Coded
    colours: npt.NDArray[np.uint8]


def pictures_of(result: Result) -> Pictures:
    """The pictures of a result. Beside them this takes a few megabytes, however large the result is."""
    colours = palette(len(result.report.frames))
    whole = as_seen(fitted(result.image, PICTURE_SIDES[0]), result.metadata)
    return Pictures(
        coded(whole, PICTURE_BYTES, PICTURE_SIDES[1:]),
        tuple(_cut(result, crop) for crop in crops(result.image, result.winners)),
        _depth(result, colours),
        coded(_winners(result.winners, colours), MAP_BYTES, MAP_SIDES[1:]),
        colours,
    )


def _cut(result: Result, crop: Crop) -> Cut:
    box = slice(crop.top, crop.top + CROP_HEIGHT), slice(crop.left, crop.left + CROP_WIDTH)
    won = Counter(result.winners[box].ravel().tolist())
    most = tuple((index, count / won.total()) for index, count in won.most_common(_NAMED))
    return Cut(crop, coded(as_seen(result.image[box], result.metadata), CROP_BYTES), most)


def _depth(result: Result, colours: npt.NDArray[np.uint8]) -> Coded | None:
    """The depth in the colours of the frames, and between them; pale where it is filled in."""
    if result.depth is None or result.confidence is None:
        return None
    depth, sure = (fitted(plane, MAP_SIDES[0]) for plane in (result.depth, result.confidence))
    steps = np.clip(depth, 0, len(colours) - 1)
    below = np.floor(steps).astype(np.int32)
    above = np.minimum(below + 1, len(colours) - 1)
    between = (steps - below)[..., None].astype(np.float32)
    mixed = colours[below] * (1 - between) + colours[above] * between
    kept = _PALE + (1 - _PALE) * np.sqrt(np.clip(sure, 0, 1))[..., None]
    shown = 255 + (mixed - 255) * kept
    return coded(np.rint(shown).astype(np.uint8), MAP_BYTES, MAP_SIDES[1:])


def _winners(winners: npt.NDArray[np.uint16], colours: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Which frame won each pixel, in its colour, small: (h, w, 3). White where none did. By strips, as a
    picture of colours would be larger than the winners."""
    height, width = winners.shape
    by = max(1, -(-max(height, width) // MAP_SIDES[0]))
    known = np.vstack([colours, np.full((1, 3), 255, np.uint8)])
    rows = by * max(1, _STRIP_BYTES // (3 * width * by))
    strips = []
    for first in range(0, height, rows):
        strip = known[np.minimum(winners[first : first + rows], len(colours))]
        size = -(-width // by), -(-len(strip) // by)
        strips.append(cv2.resize(strip, size, interpolation=cv2.INTER_AREA))
    return np.asarray(np.concatenate(strips), np.uint8)
