"""One backend's way through the frames of a pass, and the checkpoints that it keeps on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpustack.backend.protocol import Backend
from gpustack.engine.checkpoint import Checkpoint, Warn
from gpustack.engine.keeping import read_states, write_states
from gpustack.fuse.fold import Fold
from gpustack.io.parts import DamagedError
from gpustack.model.band_turn import WHOLE, Turn
from gpustack.model.canvas import Canvas

States = list[Any]

PLANES_BYTES = 8
"""Bytes of a pixel of the depth and of its confidence, which are written at the end."""


@dataclass(frozen=True, slots=True)
class Keeper:
    """Where and when a lane keeps its states: one of several backends that work side by side, by `number`.

    `followed`: another pass may follow, for which the end of this one is kept. `complete` tells of the
    indices of frames whether all that was handed out while they were folded is still there.
    """

    checkpoint: Checkpoint
    number: int
    followed: bool
    warn: Warn
    complete: Callable[[Sequence[int]], bool]


@dataclass(slots=True)
class Lane:
    """A pass, the canvas and the folds of it, and the indices of the frames that one backend folds, in order:
    all of them in each of the `turns`. `count` are folded in so far."""

    name: str
    canvas: Canvas
    folds: Sequence[Fold[Any]]
    run: Sequence[int]
    keeper: Keeper | None = None
    count: int = 0
    turns: Sequence[Turn] = (WHOLE,)
    _kept: int = 0
    _resumed: int = 0
    _started: float = field(default_factory=time.perf_counter)

    @property
    def left(self) -> int:
        """How many frames are still to be folded in, as far as is known before `start`."""
        note = None if self.keeper is None else self.keeper.checkpoint.noted(self._part(self.keeper))
        folded = self.count if note is None else note.get("folded", 0)
        return max(0, len(self.run) - folded) if isinstance(folded, int) else len(self.run)

    @property
    def turn(self) -> Turn:
        """Whose turn it is with the next frame."""
        return self.turns[self.count * len(self.turns) // len(self.run)]

    def start(self, backend: Backend[Any]) -> States:
        """The states, those that are kept where there are such."""
        keeper = self.keeper
        note = None if keeper is None else keeper.checkpoint.noted(self._part(keeper))
        if keeper is not None and note is not None:
            try:
                return self._resume(backend, keeper, note)
            except DamagedError as error:
                keeper.warn(f"The frames of pass {self.name} are folded again: {error}.")
                keeper.checkpoint.forget(self._part(keeper))
        return self._empty(backend)

    def _empty(self, backend: Backend[Any]) -> States:
        return [fold.start(backend, self.canvas) for fold in self.folds]

    def _resume(self, backend: Backend[Any], keeper: Keeper, note: dict[str, Any]) -> States:
        """The kept states. Raises DamagedError where they are of no use here."""
        folded = note.get("folded")
        if note.get("layout") != self._layout:
            raise DamagedError("the memory is divided otherwise than in the checkpoint")
        if not isinstance(folded, int) or not 0 <= folded <= len(self.run):
            raise DamagedError("the checkpoint is damaged")
        if not keeper.complete(self.run[:folded]):
            raise DamagedError("pictures of slabs have gone")
        states = self._empty(backend)
        with keeper.checkpoint.read(self._part(keeper)) as part:
            read_states(part, backend, states)
        keeper.checkpoint.report.resumed.append(f"{self.name}: {folded} of {len(self.run)} frames")
        self.count = self._kept = self._resumed = folded
        return states

    def folded(self, backend: Backend[Any], states: States) -> None:
        """One more frame is folded in: keep a checkpoint if it is time."""
        self.count += 1
        keeper = self.keeper
        if keeper is None:
            return
        ends = self.count == len(self.run)
        if self._worth_it(keeper, ends):
            self.keep(backend, states)
        if ends and keeper.followed and self._kept < self.count:
            keeper.checkpoint.chained = False

    def _worth_it(self, keeper: Keeper, ends: bool) -> bool:
        pace = keeper.checkpoint.pace(keeper.number)
        if not pace.due(self._nbytes):
            return False
        if ends or not keeper.followed:
            return keeper.followed or not ends
        # The end of this pass is worth more than its middle, and what is spent now is not there then.
        a_frame = (time.perf_counter() - self._started) / (self.count - self._resumed)
        left = a_frame * (len(self.run) - self.count)
        return left >= pace.worth(self._nbytes)

    def keep(self, backend: Backend[Any], states: States) -> None:
        """Keep the states, unless they are kept already, a pass before was not, or there is no room."""
        keeper = self.keeper
        if keeper is None or self.count == self._kept or not keeper.checkpoint.chained:
            return
        kind, checkpoint = self.canvas.pixel_type, keeper.checkpoint
        results = self.canvas.pixels * (self.canvas.channels * kind.itemsize + PLANES_BYTES)
        if not checkpoint.has_room(self._nbytes + results, keeper.warn):
            return
        started = time.perf_counter()
        nbytes = checkpoint.write(
            self._part(keeper),
            {"folded": self.count, "layout": self._layout},
            lambda part: write_states(part, backend, states),
            keeper.warn,
        )
        if nbytes is not None:
            self._kept = self.count
            checkpoint.pace(keeper.number).took(nbytes, time.perf_counter() - started)

    def _part(self, keeper: Keeper) -> str:
        """The name of what is kept."""
        return f"{self.name}-{keeper.number}"

    @property
    def _layout(self) -> list[Any]:
        """What states belong to: the bands of one canvas, and the frames of one run."""
        canvas = self.canvas
        box = [canvas.left, canvas.top, canvas.width, canvas.height, canvas.covered]
        turns = [[turn.start, turn.stop] for turn in self.turns]
        return [box, [[band.start, band.stop] for band in canvas.bands], list(self.run), turns]

    @property
    def _nbytes(self) -> float:
        """About what the states take."""
        itemsize = self.canvas.pixel_type.itemsize
        sizes = [fold.footprint(self.canvas.channels, itemsize) for fold in self.folds]
        return sum(size.near + size.afar for size in sizes) * self.canvas.pixels
