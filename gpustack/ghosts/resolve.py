"""One frame for everything that moved together, and the places where other frames are left out for it.

What changed between the same two frames belongs together, be it far apart: a feeler that is gone here and
has come there. Such a blob is shown as one frame has it: the one that, with those which agree with it, is
sharpest there. A frame that shows another thing in a cell than this one takes no part in the picture around
that cell. Pictures of high dynamic range are rid of ghosts in the same way, by a frame that the others must
agree with (Gallo et al., "Artifact-free high dynamic range imaging", ICCP 2009).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.ghosts.change import Look, changed, least_change, looks
from gpustack.ghosts.glance import Aligned, Mask, Plane
from gpustack.ghosts.masks import Masks
from gpustack.ghosts.runs import Runs
from gpustack.ghosts.table import Table

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
    left_out: Mapping[int, Mask] = field(default_factory=dict)
    share: float = 0.0


def resolve(glimpse: Glimpse, frames: Sequence[int], always: int | None = None) -> Resolved:
    """Which of the frames, in stack order, to leave out, and where.

    Some frame takes part everywhere, so that every scale of the picture has one; `always`: it is this one.
    """
    changes = _changes(glimpse, frames)
    if not changes:
        return Resolved()
    cells = reduce(np.logical_or, changes.values())
    share = float(cells.mean())
    if share > MOST:
        return Resolved(share=share)
    blob = _blobs(cells, changes)
    table = _table(glimpse, frames, changes, (cells, blob))
    shown = _shown(table, None if always is None else list(frames).index(always))
    boxes = (_box(cells, blob == number) for number in range(len(shown)))
    found = tuple(Blob(box, frames[row]) for box, row in zip(boxes, shown, strict=True))
    return Resolved(found, _left_out(table, cells, shown, frames), share)


def _changes(glimpse: Glimpse, frames: Sequence[int]) -> Masks:
    """The cells that changed in a frame since the one before, where any did."""
    found = Masks()
    before: list[Look] | None = None
    for index in frames:
        now = looks(glimpse(index))
        if before is not None:
            found.note(index, changed(before, now))
        before = now
    return found


def _table(
    glimpse: Glimpse, frames: Sequence[int], changes: Masks, moved: tuple[Mask, npt.NDArray[np.intp]]
) -> Table:
    """What the frames show in the cells that moved at any time (h, w), of which each belongs to a blob."""
    cells, blob = moved
    runs, table = Runs(cells), Table(blob)
    for index in frames:
        fine, coarse, *_ = looks(glimpse(index))
        sharpness = _sharpness(fine, coarse)[cells].astype(np.float16)
        table.add(runs.step(fine, changes.get(index)), sharpness, (fine.high - fine.low)[cells])
    return table


def _sharpness(fine: Look, coarse: Look) -> Plane:
    """How much of the contrast in cells of twice the size is seen in a cell: little where it is blurred.

    Contrast itself would keep a thing in strong colours however blurred, rather than what it hides.
    """
    height, width = fine.light.shape
    around = cv2.resize(coarse.high - coarse.low, (width, height), interpolation=cv2.INTER_LINEAR)
    noise = least_change(fine.light)
    return np.asarray((fine.high - fine.low) ** 2 / (around**2 + noise**2), np.float32)


def _blobs(cells: Mask, changes: Masks) -> npt.NDArray[np.intp]:
    """The blob of each cell, numbered from the largest on: pieces that lie together, or changed between the
    same frames."""
    square = np.ones((2 * TOGETHER + 1,) * 2, np.uint8)
    count, piece = cv2.connectedComponents(cv2.dilate(cells.astype(np.uint8), square))
    blob_of = np.arange(count)
    for change in changes.values():
        joined = np.unique(blob_of[piece[change]])
        blob_of[np.isin(blob_of, joined)] = joined[0]
    _, blob, sizes = np.unique(blob_of[piece[cells]], return_inverse=True, return_counts=True)
    rank = np.empty(len(sizes), np.intp)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    return np.asarray(rank[blob.ravel()])


def _box(cells: Mask, own: Mask) -> tuple[int, int, int, int]:
    """Left, top, width and height of those of the cells that are a blob's own."""
    plane = np.zeros(cells.shape, np.uint8)
    plane[cells] = own
    left, top, width, height = cv2.boundingRect(plane)
    return left, top, width, height


def _shown(table: Table, always: int | None) -> list[int]:
    """The row of the frame whose view of each blob is kept, so that some frame is left out nowhere.

    The pyramid needs that: on its coarse levels a place where a frame is left out grows, until only frames
    that are left out nowhere are there.
    """
    whole = np.ones(len(table), bool) if always is None else np.arange(len(table)) == always
    found = []
    for group in table.groups():
        for worth, views in zip(table.worth(group), table.views(group), strict=True):
            best = np.argsort(-worth, kind="stable")
            row = best[np.isin(views, views[whole])[best]][0]
            whole &= views == views[row]
            found.append(int(row))
    return found


def _left_out(table: Table, cells: Mask, shown: Sequence[int], frames: Sequence[int]) -> Masks:
    kept = np.concatenate([table.numbers(row, blob) for row, blob in zip(shown, table.blobs, strict=True)])
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * REACH + 1,) * 2)
    found = Masks()
    for row, index in enumerate(frames):
        other = np.zeros(cells.shape, np.uint8)
        other[cells] = table.in_cells(table.numbers(row, slice(0, len(kept))) != kept)
        found.note(index, cv2.dilate(other, around) > 0)
    return found
