"""Frames that are blurred all over because the camera shook.

Through a stack, the focus passes each place once: what a place shows of detail rises until the focus is
there, and falls afterwards. Whatever the steps and the depths, a place is therefore never less sharp in a
frame than in both its neighbours, and this holds for the detail in every direction by itself. Shake breaks
the rule, in its own direction and everywhere. A frame at either end of the stack has one neighbour only, so
nothing tells there whether it is shaken or out of focus; and where two neighbours have no sharp place in
common, nothing tells either.

Detail is the structure tensor of a small picture (Foerstner and Guelch 1987), mean over blocks: it gives the
energy of the slopes in any direction.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gpustack.align.lookup import bilinear
from gpustack.model.transform import Transform

Detail = npt.NDArray[np.float32]
"""(3, rows, columns): means over blocks of the squared slope across, the product of both, and down."""

Plane = npt.NDArray[np.float32]

DETAIL_SIDE = 512
"""Longer side, at most, of the picture that detail is measured on: a shake by 1 % of the width is some pixels
there, and noise is averaged away."""

SHAKEN = 0.85
"""A frame whose sharpest parts hold less of its neighbours' lesser energy than this, in some direction, is
shaken. The rule says 1; frames of 17 photographed and 6 rendered stacks keep to 0.96 or more, which subjects
that move account for (bench/results/shaken.json)."""

LEAST_BLOCKS = 48
"""Pictures of fewer blocks are not judged: the sharpest quarter of them is too few for a median."""

_BLOCK = 16
DETAIL_BYTES = 3 * 4 * (DETAIL_SIDE // _BLOCK) ** 2
"""Of a frame's detail, at most."""

_ANGLES = np.deg2rad(np.arange(0, 180, 22.5))
_NOTHING = 1e-9  # energy far below that of rounding to 8 bits: blank blocks are alike


def detail_side(size: tuple[int, int]) -> int:
    """The longer side of the picture that detail is measured on, for a plane of `size`: whole pixels of the
    plane to one of its, where both sides allow it, as those are averaged ten times as fast."""
    longest = max(size)
    return longest // -(-longest // DETAIL_SIDE)


def detail(picture: Plane) -> Detail:
    """The detail of a luma picture (h, w) 0..1 whose longer side is DETAIL_SIDE at most."""
    across = picture[1:-1, 2:] - picture[1:-1, :-2]
    down = picture[2:, 1:-1] - picture[:-2, 1:-1]
    both = _block_means(across * down)
    across *= across
    down *= down
    return np.stack([_block_means(across), both, _block_means(down)])


def shaken(details: Sequence[Detail], transforms: Sequence[Transform], factor: float) -> list[int]:
    """Indices of shaken frames among those that are used, in stack order; `transforms` are theirs.

    `factor` is how many times smaller than the pictures that the transforms speak of the pictures of the
    details were.
    """
    small = [transform.scaled(1 / factor) for transform in transforms]
    inner = range(1, len(details) - 1) if details and details[0][0].size >= LEAST_BLOCKS else range(0)
    return [index for index in inner if _share(details, small, index) < SHAKEN]


def _share(details: Sequence[Detail], transforms: Sequence[Transform], index: int) -> float:
    """How much a frame holds of its neighbours' lesser energy, in the direction where that is least.

    The median over the blocks where the neighbours are sharpest, or over those where the frame itself is,
    whichever is larger: frames out of order are sharp elsewhere than both their neighbours, and so is a
    frame that focuses between two subjects.
    """
    own = _energy(details[index], transforms[index])
    beside = [
        _energy(
            seen_from(details[other], transforms[other].after(transforms[index].inverse())),
            transforms[other],
        )
        for other in (index - 1, index + 1)
    ]
    return float(_sharpest(own, np.minimum(*beside)).min())


def _sharpest(mine: Plane, theirs: Plane) -> Plane:
    """(directions,): the larger of the two medians of mine / theirs, over the quarter of the blocks that is
    sharpest."""
    count = mine.shape[1] // 4
    share = mine / theirs
    sharpest = (np.argpartition(by, -count, axis=1)[:, -count:] for by in (mine, theirs))
    medians = [np.median(np.take_along_axis(share, blocks, axis=1), axis=1) for blocks in sharpest]
    return np.asarray(np.maximum(*medians))


def _energy(seen: Detail, transform: Transform) -> Plane:
    """(directions, blocks): energy of the slopes, at the reference's brightness."""
    across, both, down = seen.reshape(3, 1, -1)
    cos, sin = np.cos(_ANGLES)[:, None], np.sin(_ANGLES)[:, None]
    energy = cos * cos * across + 2 * cos * sin * both + sin * sin * down
    return np.asarray(np.maximum(energy * transform.gain**2, 0) + _NOTHING)


def seen_from(there: Detail, onto: Transform) -> Detail:
    """Another frame's detail where the blocks of this one lie in it; `onto` maps this one's pixels there."""
    rows, columns = there.shape[1:]
    middle = (_BLOCK + 1) / 2  # a block begins one pixel in, as slopes do
    y, x = np.mgrid[:rows, :columns].reshape(2, -1)
    points = onto.apply(np.stack([x, y], axis=1) * _BLOCK + middle)
    return bilinear(there, *((points - middle) / _BLOCK).T).astype(np.float32)


def _block_means(values: Plane) -> Plane:
    rows, columns = (max(0, side) // _BLOCK for side in values.shape)
    # First over rows, all columns at once: NumPy is slow on short runs.
    lines = values[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns * _BLOCK).sum(axis=1)
    return np.asarray(lines.reshape(rows, columns, _BLOCK).mean(axis=2) / np.float32(_BLOCK))
