"""What every method is: a fold. Frames come one by one; the picture comes at the end; two folds can be
merged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.backend.values import Band
from gpustack.model.band_turn import WHOLE, Turn
from gpustack.model.canvas import Canvas
from gpustack.model.rect import Rows

S = TypeVar("S")

ANEW: Mapping[str, bool] = {"anew": True}
"""Metadata of a field of a state that `start` makes as it was, or the next frame makes anew: to continue from
a state it need not be kept."""
Pixels = npt.NDArray[Any]
Winners = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes that a fold holds per pixel of the canvas.

    `near` must lie where the work is done, `afar` is state that may be kept elsewhere (`Backend.full`),
    `result` are the arrays on the host that come out.
    """

    near: float
    afar: float
    result: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.near + self.afar + self.result

    def beside(self, other: Footprint) -> Footprint:
        """This and another at the same time."""
        return Footprint(self.near + other.near, self.afar + other.afar, self.result + other.result)


View = Callable[[Rows], Band[Any]]
"""One aligned frame: gives the band of any rows of the canvas."""


class Fold(Protocol[S]):
    """A method's state and what is done to it.

    Laws, tested in tests/fuse/test_laws.py, of turns in tests/engine/test_turns.py: neither the bands into
    which the canvas is cut nor turns, in each of which all frames come, change a bit of the result; one frame
    gives that frame; `merge` of the states of two runs of frames equals one run over all of them (winners:
    bit for bit and in any order; pictures: within rounding).
    """

    def start(self, backend: Backend[Any], canvas: Canvas, /) -> S:
        """The state before the first frame."""
        ...

    def add(self, backend: Backend[Any], state: S, index: int, view: View, turn: Turn = WHOLE, /) -> None:
        """Fold frame `index` in, as far as it is the turn's; `view` is called once for each band, from
        several threads."""
        ...

    def merge(self, backend: Backend[Any], state: S, other: S, /) -> None:
        """Fold in the state of another run of frames of the same stack; `other` must not be used
        afterwards."""
        ...

    def footprint(self, channels: int, itemsize: int, /) -> Footprint:
        """What the state and its results take."""
        ...


def assembled(
    backend: Backend[Any], canvas: Canvas, dtype: str, channels: int, band: Callable[[int], Pixels]
) -> Pixels:
    """A picture (h, w, channels) of bands (rows, w, channels), made in parallel from their numbers."""
    out = backend.room((canvas.height, canvas.width, channels), dtype)

    def work(number: int) -> None:
        out[canvas.bands[number].slice] = band(number)

    backend.each(work, range(len(canvas.bands)))
    return out


def joined(backend: Backend[Any], canvas: Canvas, parts: Sequence[Any], dtype: str) -> Pixels:
    """A plane (h, w) on the host of its bands on the backend."""
    out = backend.room((canvas.height, canvas.width), dtype)

    def work(number: int) -> None:
        out[canvas.bands[number].slice] = backend.download(parts[number])

    backend.each(work, range(len(parts)))
    return out


def across(backend: Backend[Any], parts: Sequence[Any], bands: Sequence[Rows], rows: Rows) -> Any:
    """Rows of a plane or image that lies in parts, one for each band."""
    pieces = []
    for part, band in zip(parts, bands, strict=True):
        first, last = max(rows.start, band.start), min(rows.stop, band.stop)
        if first < last:
            pieces.append(backend.rows(part, slice(first - band.start, last - band.start)))
    return pieces[0] if len(pieces) == 1 else backend.stack_rows(pieces)


class PictureFold(Fold[S], Protocol[S]):
    """A fold that gives a picture."""

    def finish(self, backend: Backend[Any], state: S, /) -> Pixels:
        """The picture: (h, w, c) in the frames' dtype."""
        ...

    def winners(self, backend: Backend[Any], state: S, /) -> Winners:
        """(h, w) uint16: the frame each pixel came from, or mostly came from."""
        ...
