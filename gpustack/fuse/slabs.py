"""Slabs (Zerene Stacker's "slabbing"): consecutive frames fused among themselves, and their pictures fused
in turn, from one look at each frame.

Slabs overlap, so a frame is folded into each slab that it belongs to; only so many states exist at a time.
When a slab has all its frames its picture is handed out, and folded as a frame into the picture of the
whole. What is handed out is what a stack of the slab's frames alone gives, and the whole what a stack of the
slabs' pictures gives.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.backend.values import Band
from gpustack.fuse.fold import Footprint, PictureFold, Pixels, View, Winners
from gpustack.model.band_turn import WHOLE, Turn
from gpustack.model.canvas import Canvas
from gpustack.model.rect import Rows
from gpustack.model.slab import Slab
from gpustack.model.transform import Transform

NO_FRAME = 65535
"""The winner where no frame covers a pixel."""

KeepSlab = Callable[[Slab, Pixels], None]
"""Is given each slab's picture (h, w, c), on the canvas and in the frames' dtype, when it is done."""


@dataclass(slots=True)
class SlabsState:
    """The states of the slabs that have begun and wait for frames, by number, and of the picture of all; one
    that is asked for begins."""

    canvas: Canvas
    whole: Any
    begun: defaultdict[int, Any]


@dataclass(frozen=True, slots=True, eq=False)
class InSlabs:
    """Fuse in slabs by the fold `inner`; `used` are the frames that come, in stack order."""

    inner: PictureFold[Any]
    slabs: Sequence[Slab]
    used: frozenset[int]
    keep: KeepSlab

    def start(self, backend: Backend[Any], canvas: Canvas, /) -> SlabsState:
        """No slab has begun."""
        begin = partial(self.inner.start, backend, canvas)
        return SlabsState(canvas, begin(), defaultdict(begin))

    def add(
        self, backend: Backend[Any], state: SlabsState, index: int, view: View, turn: Turn = WHOLE, /
    ) -> None:
        """Fold the frame into its slabs, and finish those of which it is the last."""
        for slab in self.slabs:
            if index not in slab.frames:
                continue
            # Counted from the slab's first frame: the slab's picture is that of a stack of its frames.
            self.inner.add(backend, state.begun[slab.number], index - slab.frames.start, view, turn)
            if index == slab.last(self.used):
                self._complete(backend, state, slab)

    def _complete(self, backend: Backend[Any], state: SlabsState, slab: Slab) -> None:
        canvas, inner = state.canvas, state.begun.pop(slab.number)
        covered = None if canvas.covered else self.inner.winners(backend, inner) != NO_FRAME
        picture = self.inner.finish(backend, inner)
        del inner
        self.keep(slab, picture)
        if covered is not None:
            picture = extended(picture, covered)
        self.inner.add(backend, state.whole, slab.number - 1, _view(backend, canvas, picture, covered))

    def merge(self, backend: Backend[Any], state: SlabsState, other: SlabsState, /) -> None:
        """Never: slabs are finished in their order, so one backend has all frames (Settings sees to it)."""
        del backend, state, other
        raise TypeError("states of slabs cannot be merged")

    def finish(self, backend: Backend[Any], state: SlabsState, /) -> Pixels:
        """The picture fused of the slabs'."""
        return self.inner.finish(backend, state.whole)

    def winners(self, backend: Backend[Any], state: SlabsState, /) -> Winners:
        """(h, w) uint16: the slab, from 0, that each pixel mostly came from."""
        return self.inner.winners(backend, state.whole)

    def footprint(self, channels: int, itemsize: int, /) -> Footprint:
        """The states at once, of the slabs and of the whole; a slab's picture here and there; what it is
        written from; where it is covered."""
        inner, picture = self.inner.footprint(channels, itemsize), float(channels * itemsize)
        states = open_at_once(self.slabs) + 1
        result = inner.result + 2 * picture + 4
        return Footprint(states * inner.near + picture + 1, states * inner.afar, result)


def open_at_once(slabs: Sequence[Slab]) -> int:
    """To how many slabs a frame belongs, at most."""
    if len(slabs) < 2:
        return len(slabs)
    step = slabs[1].frames.start - slabs[0].frames.start
    return min(len(slabs), -(-len(slabs[0].frames) // step))


def extended(picture: Pixels, covered: npt.NDArray[np.bool_]) -> Pixels:
    """The picture (h, w, c) with the pixels that are not `covered` (h, w) taken from the nearest that is, in
    its row, or from the nearest row that has any: as a frame repeats its edge, so that no edge shows."""
    rows = np.flatnonzero(covered.any(axis=1))
    if not len(rows) or covered.all():
        return picture
    out = np.empty_like(picture)
    for y in range(len(picture)):
        row = int(rows[np.abs(rows - y).argmin()])
        seen = np.flatnonzero(covered[row])
        x = np.arange(picture.shape[1])
        after = np.searchsorted(seen, x).clip(0, len(seen) - 1)
        before = (after - 1).clip(0)
        nearer = np.where(np.abs(seen[before] - x) <= np.abs(seen[after] - x), seen[before], seen[after])
        out[y] = picture[row, nearer]
    return out


def _view(
    backend: Backend[Any], canvas: Canvas, picture: Pixels, covered: npt.NDArray[np.bool_] | None
) -> View:
    """A slab's picture as a frame that lies on the canvas."""
    frame = backend.upload(picture)
    mask = None if covered is None else backend.upload(covered.astype(np.uint8) * np.uint8(255))

    def view(rows: Rows) -> Band[Any]:
        band = backend.load(frame, Transform.identity(), canvas.pixel_type, canvas.width, rows)
        return Band(band.image, None if mask is None else backend.rows(mask, rows.slice))

    return view
