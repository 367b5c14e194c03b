"""What the cells that moved show in every frame, and how sharply: a row a frame, in a spool, and a column a
cell, in memory only as far as it is looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from gpustack.backend.spool import Spool, Stored
from gpustack.ghosts.runs import Numbers

Sharpness = npt.NDArray[np.float16]
Worth = npt.NDArray[np.float64]

ROW_BYTES = 3
"""Bytes of a cell in a row: its number, and its sharpness."""

COLUMNS = 4096
"""Cells that are judged at a time: as there are at most 256 things in a cell, they take 15 MB at most."""


class Table:
    """Numbers of things (n,) and sharpness (n,) a frame, over cells that belong to blobs.

    Columns are sorted by blob, so that what is told of one is read in one piece; `blobs` are their columns.
    """

    def __init__(self, blob: npt.NDArray[np.intp]) -> None:
        """`blob` (n,) is the number of that to which each cell belongs, from 0 on."""
        self._order = np.argsort(blob, kind="stable")
        ends = np.cumsum(np.bincount(blob)).tolist()
        self.blobs = [slice(start, stop) for start, stop in zip([0, *ends], ends, strict=False)]
        self._spool = Spool()
        self._rows: list[tuple[Stored, Stored]] = []
        self._span = np.zeros(len(blob), np.float32)
        self._things = 0

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, numbers: Numbers, sharpness: Sharpness, span: npt.NDArray[np.float32]) -> None:
        """The next frame's row; `span` (n,) is the contrast of each cell, by whose largest it counts."""
        self._rows.append((self._spool.put(numbers[self._order]), self._spool.put(sharpness[self._order])))
        self._span = np.maximum(self._span, span[self._order])
        self._things = max(self._things, 1 + int(numbers.max(initial=0)))

    def numbers(self, row: int, columns: slice) -> Numbers:
        """What a frame shows in some columns."""
        return self._spool.get(self._rows[row][0], columns.start, columns.stop)

    def in_cells(self, columns: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """(n,) values of the columns in the order of the cells."""
        found = np.empty_like(columns)
        found[self._order] = columns
        return found

    def groups(self) -> Iterator[list[slice]]:
        """The columns of all blobs, several small ones together."""
        group: list[slice] = []
        for blob in self.blobs:
            if group and blob.stop - group[0].start > COLUMNS:
                yield group
                group = []
            group.append(blob)
        yield group

    def views(self, group: Sequence[slice]) -> npt.NDArray[np.intp]:
        """(blobs, rows): the same number where two frames show the same things all over a blob."""
        known: list[dict[bytes, int]] = [{} for _ in group]
        found = np.zeros((len(group), len(self)), np.intp)
        for row in range(len(self)):
            shown = self.numbers(row, _around(group)).tobytes()
            for number, (blob, views) in enumerate(zip(group, known, strict=True)):
                own = shown[blob.start - group[0].start : blob.stop - group[0].start]
                digest = hashlib.blake2b(own, digest_size=16).digest()
                found[number, row] = views.setdefault(digest, len(views))
        return found

    def worth(self, group: Sequence[slice]) -> Worth:
        """(blobs, rows): how well each blob comes out with each frame and those that agree with it: how
        sharp, cell by cell; of n frames by a share of n / (n + 1), as what one frame alone has seen passes
        by, and has its noise."""
        worth, around = np.zeros((len(group), len(self))), _around(group)
        of = np.repeat(np.arange(len(group)), [blob.stop - blob.start for blob in group])
        for start in range(around.start, around.stop, COLUMNS):
            piece = slice(start, min(start + COLUMNS, around.stop))
            values, cells = self._values(piece), np.arange(piece.stop - piece.start)
            own = of[piece.start - around.start : piece.stop - around.start]
            for row in range(len(self)):
                shown = values[self.numbers(row, piece), cells]
                worth[:, row] += np.bincount(own, shown, len(group))
        return worth

    def _values(self, columns: slice) -> Worth:
        """(things, columns): what each thing in a cell is worth there."""
        cells = np.arange(columns.stop - columns.start)
        count = np.zeros((self._things, len(cells)), np.int32)
        best = np.zeros((self._things, len(cells)), np.float16)
        scale = (self._span[columns] / max(float(self._span.max()), 1e-6)).astype(np.float16)
        for row, (_, sharpness) in enumerate(self._rows):
            at = self.numbers(row, columns), cells
            count[at] += 1
            own = self._spool.get(sharpness, columns.start, columns.stop) * scale
            best[at] = np.maximum(best[at], own)
        return np.asarray(best * count / (count + 1))


def _around(group: Sequence[slice]) -> slice:
    return slice(group[0].start, group[-1].stop)
