"""One frame for everything that moved together, and the places where other frames are left out for it.

What changed between the same two frames belongs together, be it far apart: a feeler that is gone here and
has come there. Such a blob is shown as one frame has it: the one that, with those which agree with it, is
sharpest there. A frame that shows another thing in a cell than this one takes no part in the picture around
that cell. Pictures of high dynamic range are rid of ghosts in the same way, by a frame that the others must
agree with (Gallo et al., "Artifact-free high dynamic range imaging", ICCP 2009).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.ghosts.change import Look, changed, least_change, looks
from gpustack.ghosts.glance import Aligned, Mask, Plane
from gpustack.ghosts.runs import Numbers, Runs

MOST = 0.25
"""Share of the picture that may move. Beyond it there is no still picture for the blobs to be in."""

REACH = 2
"""Cells around one that moved in which the frame is left out, too: what changed less than could be told, and
the blur of what moved."""

TOGETHER = 2
"""Cells no farther apart than this belong to one piece."""

Glimpse = Callable[[int], Aligned]
"""A frame on the reference's cells, by its index; asked for twice."""


@dataclass(frozen=True, slots=True)
class Blob:
    """What moved together: the box around it in cells (left, top, width, height), and the frame whose view of
    it is kept."""

    box: tuple[int, int, int, int]
    frame: int


@dataclass(frozen=True, slots=True)
class Resolved:
    """What moved, and the cells (h, w) where frames are left out, by index, for those that are anywhere.

    `share` of the cells moved; where that is more than MOST, nothing is resolved.
    """

    blobs: tuple[Blob, ...] = ()
    left_out: dict[int, Mask] = field(default_factory=dict)
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class _Table:
    """The cells that moved at any time (h, w), and for every frame what they show and how sharply, (frames,
    n); a cell counts by the contrast that it has in any frame."""

    cells: Mask
    numbers: npt.NDArray[np.uint8]
    sharpness: npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class _Change:
    """The cells (h, w) that changed since the frame before, a bit each: there is one for every frame."""

    bits: npt.NDArray[np.uint8]
    shape: tuple[int, ...]

    @staticmethod
    def of(cells: Mask) -> _Change | None:
        """None where none did."""
        return _Change(np.packbits(cells), cells.shape) if cells.any() else None

    @property
    def cells(self) -> Mask:
        """One by one."""
        size = int(np.prod(self.shape))
        return np.unpackbits(self.bits, count=size).reshape(self.shape).astype(bool)


def resolve(glimpse: Glimpse, frames: Sequence[int], always: int | None = None) -> Resolved:
    """Which of the frames, in stack order, to leave out, and where.

    Some frame takes part everywhere, so that every scale of the picture has one; `always`: it is this one.
    """
    changes = _changes(glimpse, frames)
    moved = [change for change in changes if change is not None]
    if not moved:
        return Resolved()
    cells = reduce(np.logical_or, (change.cells for change in moved))
    share = float(cells.mean())
    if share > MOST:
        return Resolved(share=share)
    table = _table(glimpse, frames, changes, cells)
    blobs = _blobs(cells, moved)
    shown = _shown(table, blobs, None if always is None else list(frames).index(always))
    boxes = (cv2.boundingRect(blob.astype(np.uint8)) for blob in blobs)
    found = tuple(Blob(tuple(box), frames[row]) for box, row in zip(boxes, shown, strict=True))  # type: ignore[arg-type]
    return Resolved(found, _left_out(table, blobs, shown, frames), share)


def _changes(glimpse: Glimpse, frames: Sequence[int]) -> list[_Change | None]:
    """For every frame what changed since the one before."""
    found: list[_Change | None] = []
    before: list[Look] | None = None
    for index in frames:
        now = looks(glimpse(index))
        found.append(None if before is None else _Change.of(changed(before, now)))
        before = now
    return found


def _table(glimpse: Glimpse, frames: Sequence[int], changes: Sequence[_Change | None], cells: Mask) -> _Table:
    runs, numbers, sharpness = Runs(cells), [], []
    span = np.zeros(int(cells.sum()), np.float32)
    for index, change in zip(frames, changes, strict=True):
        fine, coarse, *_ = looks(glimpse(index))
        numbers.append(runs.step(fine, None if change is None else change.cells))
        sharpness.append(_sharpness(fine, coarse)[cells].astype(np.float16))
        span = np.maximum(span, (fine.high - fine.low)[cells])
    span /= max(float(span.max()), 1e-6)
    return _Table(cells, np.stack(numbers), np.stack(sharpness) * span.astype(np.float16))


def _sharpness(fine: Look, coarse: Look) -> Plane:
    """How much of the contrast in cells of twice the size is seen in a cell: little where it is blurred.

    Contrast itself would keep a thing in strong colours however blurred, rather than what it hides.
    """
    height, width = fine.light.shape
    around = cv2.resize(coarse.high - coarse.low, (width, height), interpolation=cv2.INTER_LINEAR)
    noise = least_change(fine.light)
    return np.asarray((fine.high - fine.low) ** 2 / (around**2 + noise**2), np.float32)


def _blobs(cells: Mask, changes: Sequence[_Change]) -> list[Mask]:
    """The cells of each blob, largest first: pieces that lie together, or changed between the same frames."""
    square = np.ones((2 * TOGETHER + 1,) * 2, np.uint8)
    count, piece = cv2.connectedComponents(cv2.dilate(cells.astype(np.uint8), square))
    blob_of = np.arange(count)
    for change in changes:
        joined = np.unique(blob_of[piece[change.cells]])
        blob_of[np.isin(blob_of, joined)] = joined[0]
    found = [cells & (blob_of[piece] == number) for number in np.unique(blob_of[1:])]
    return sorted(found, key=lambda blob: -int(blob.sum()))


def _shown(table: _Table, blobs: Sequence[Mask], always: int | None) -> list[int]:
    """The row of the frame whose view of each blob is kept, so that some frame is left out nowhere.

    The pyramid needs that: on its coarse levels a place where a frame is left out grows, until only frames
    that are left out nowhere are there.
    """
    whole = np.ones(len(table.numbers), bool) if always is None else np.arange(len(table.numbers)) == always
    found = []
    for blob in blobs:
        own = blob[table.cells]
        numbers, worth = table.numbers[:, own], _worth(table.numbers[:, own], table.sharpness[:, own])
        for row in np.argsort(-worth, kind="stable"):
            agree = (numbers == numbers[row]).all(axis=1)
            if (whole & agree).any():
                break
        whole &= agree
        found.append(int(row))
    return found


def _worth(numbers: Numbers, sharpness: npt.NDArray[np.float16]) -> npt.NDArray[np.float64]:
    """How well a blob comes out with each frame and those that agree with it: how sharp, cell by cell; of n
    frames by a share of n / (n + 1), as what one frame alone has seen passes by, and has its noise."""
    worth = np.zeros(len(numbers))
    for number in np.unique(numbers):
        same = numbers == number
        count = same.sum(axis=0)
        best = np.where(same, sharpness, 0).max(axis=0) * count / (count + 1)
        worth += (same * best).sum(axis=1, dtype=np.float64)
    return worth


def _left_out(
    table: _Table, blobs: Sequence[Mask], shown: Sequence[int], frames: Sequence[int]
) -> dict[int, Mask]:
    kept = np.zeros(int(table.cells.sum()), np.uint8)
    for blob, row in zip(blobs, shown, strict=True):
        own = blob[table.cells]
        kept[own] = table.numbers[row, own]
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * REACH + 1,) * 2)
    found = {}
    for index, numbers in zip(frames, table.numbers, strict=True):
        if (numbers != kept).any():
            other = np.zeros(table.cells.shape, np.uint8)
            other[table.cells] = numbers != kept
            found[index] = cv2.dilate(other, around) > 0
    return found
