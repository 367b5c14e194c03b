"""One run's passes: frames outside, bands inside; several backends share the frames of a pass."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.backend.values import Band
from gpustack.engine.checkpoint import Checkpoint
from gpustack.engine.feed import Feed, Source
from gpustack.engine.gather import fetched, lent
from gpustack.engine.ghosts import without
from gpustack.engine.known import Ahead
from gpustack.engine.lane import Keeper, Lane
from gpustack.engine.pieces import Pieces
from gpustack.engine.plan import settled
from gpustack.engine.planned import Plan
from gpustack.engine.progress import Progress
from gpustack.engine.report import Report
from gpustack.engine.veils import Feigned
from gpustack.errors import InputError
from gpustack.fuse.fold import Fold, View
from gpustack.fuse.veil import Veils
from gpustack.ghosts.mask import LeftOut
from gpustack.model.band_turn import WHOLE, Turn
from gpustack.model.canvas import Canvas
from gpustack.model.frame import Frame
from gpustack.model.place import Place
from gpustack.model.rect import Rows
from gpustack.model.slab import Slab
from gpustack.model.stack import Stack
from gpustack.settings import Interpolation, Settings

T = TypeVar("T")

Keep = Callable[[Frame, npt.NDArray[Any]], None]


@dataclass(slots=True)
class Job:
    """One run: what it works on, and its clocks. The first backend also surveys, merges and finishes.

    `numbers` are what folds know the frames by, where that is not their index; `slabs_last` the last used
    frame of each slab. `ahead`: a pass that was done already.
    """

    backends: Sequence[Backend[Any]]
    stack: Stack
    source: Source
    plan: Plan
    progress: Progress
    report: Report
    keep_aligned: Keep | None = None
    interpolation: Interpolation = Interpolation.BICUBIC
    canvas: Canvas | None = None
    places: Sequence[Place] = field(default_factory=tuple)
    numbers: Sequence[int] = field(default_factory=tuple)
    left_out: Mapping[int, LeftOut] = field(default_factory=dict)
    veils: Veils | None = None
    ahead: Ahead | None = None
    checkpoint: Checkpoint | None = None
    slabs_last: Sequence[tuple[Slab, int]] = ()
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _helpers: list[ThreadPoolExecutor] = field(default_factory=list)

    def __post_init__(self) -> None:
        # A GPU takes its orders from one thread: each further backend has its own, for all passes.
        self._helpers = [ThreadPoolExecutor(1, "device") for _ in self.backends[1:]]

    @property
    def backend(self) -> Backend[Any]:
        """The first one."""
        return self.backends[0]

    def close(self) -> None:
        """Let backends and their threads go."""
        for helper, backend in zip(self._helpers, self.backends[1:], strict=True):
            helper.submit(backend.close).result()
            helper.shutdown()
        self.backend.close()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside under a stage's name."""
        started = time.perf_counter()
        yield
        self.report.seconds[name] = self.report.seconds.get(name, 0.0) + time.perf_counter() - started

    def settle(self, settings: Settings) -> None:
        """Tell in the report what memory was planned once it is known what is rendered."""
        assert self.canvas is not None
        self.plan = settled(self.plan, self.stack, settings, self.canvas)
        self.report.plan = self.plan.as_dict()

    def kept(self, name: str, make: Callable[[], T]) -> T:
        """What is found before the passes: now, or by an earlier run that kept it."""
        return make() if self.checkpoint is None else self.checkpoint.value(name, make, self._warn)

    def pieces(self, name: str, of: str) -> Pieces | None:
        """Who keeps what is seen of frames before the passes, if anybody does; see `Pieces`."""
        return None if self.checkpoint is None else Pieces(self.checkpoint, self._warn, name, of)

    def pass_over(self, name: str, folds: list[Fold[Any]]) -> list[Any]:
        """Run all frames once through `folds`; returns their states, on the first backend."""
        states = self._folded_ahead(name, folds)
        if states is not None:
            return states
        used = [index for index, place in enumerate(self.places) if place.used]
        first, *others = np.array_split(np.array(used, int), len(self.backends))
        runs = [first, *(run for run in others if len(run))]
        with self.stage(name):
            lanes = [self._lane(name, number, folds, run.tolist()) for number, run in enumerate(runs)]
            self.progress.begin(name, sum(lane.left for lane in lanes), self.stack.frames[0].megapixels)
            coming = [
                helper.submit(self._away, backend, lane)
                for helper, backend, lane in zip(self._helpers, self.backends[1:], lanes[1:], strict=False)
            ]
            states = self._run(self.backend, lanes[0])
            for other in coming:
                for fold, mine, theirs in zip(folds, states, other.result(), strict=True):
                    fold.merge(self.backend, mine, lent(theirs, self.backend))
        return states

    def _folded_ahead(self, name: str, folds: list[Fold[Any]]) -> list[Any] | None:
        """The states of a pass that was done before the run, as its frames came."""
        if self.ahead is None:
            return None
        states = self.ahead.taken(name, folds, self.canvas, self.places)
        veiled = self.veils is not None and any(map(self._is_veiled, range(len(self.places))))
        return None if veiled or self.left_out or self.keep_aligned is not None else states

    def _is_veiled(self, index: int) -> bool:
        return self.veils is not None and self.veils.over(index) is not None

    def _lane(self, name: str, number: int, folds: list[Fold[Any]], run: list[int]) -> Lane:
        """The way of one backend through a pass; another pass may follow where the plan has one."""
        assert self.canvas is not None
        keeper = None
        if self.checkpoint is not None:
            keeper = Keeper(self.checkpoint, number, name != self.plan.renders[-1], self._warn, self._there)
        turns = self._turns(name, len(self.canvas.bands)) if folds else (WHOLE,)
        return Lane(name, self.canvas, folds, run * len(turns), keeper, turns=turns)

    def _turns(self, name: str, bands: int) -> tuple[Turn, ...]:
        """The turns of a pass; those in which nothing is left of a canvas that was cropped fall out."""
        planned = self.plan.turns.get(name, (WHOLE,))
        return tuple(turn for turn in planned if turn.first or turn.of(bands))

    def _there(self, folded: Sequence[int]) -> bool:
        """Whether the pictures of slabs that ended with these frames are still there."""
        if self.checkpoint is None:
            return True
        ended = [slab for slab, last in self.slabs_last if last in folded]
        return all(map(self.checkpoint.has_slab, ended))

    def _away(self, backend: Backend[Any], lane: Lane) -> list[Any]:
        """The states of a run of frames on another backend, brought to the host."""
        return [fetched(state, backend) for state in self._run(backend, lane)]

    def _run(self, backend: Backend[Any], lane: Lane) -> list[Any]:
        """Fold some frames, in order, on one backend; those that a checkpoint holds are folded already."""
        states = lane.start(backend)
        run = lane.run[lane.count :]
        if not run:
            return states
        frames = [self.stack.frames[index] for index in run]
        readers = max(1, self.plan.readers // len(self.backends))
        feed = Feed(backend, frames, self.source, slots=self.plan.slots, readers=readers)
        try:
            with feed.open(lambda _, array: array) as arrays:
                for number, array in arrays:
                    self._fold(backend, lane, states, run[number], array)
                    del array
                    lane.folded(backend, states)
                    self._advance(feed.waiting_share)
        except InputError:  # of reading: all frames before are folded in
            lane.keep(backend, states)
            raise
        self.note(feed)
        return states

    def _fold(self, backend: Backend[Any], lane: Lane, states: list[Any], index: int, frame: Any) -> None:
        """Fold one frame into the states."""
        view, turn = self._view(backend, lane.canvas, index, frame), lane.turn
        known_by = self.numbers[index] if self.numbers else index
        for fold, state in zip(lane.folds, states, strict=True):
            fold.add(backend, state, known_by, view, turn)
        if lane.name == self.plan.renders[0] and turn.first:
            self._keep(backend, lane.canvas, index, view)

    def _view(self, backend: Backend[Any], canvas: Canvas, index: int, frame: Any) -> View:
        place = canvas.place(self.places[index].transform)
        left_out = self.left_out.get(index)
        feigned = Feigned.of(backend, self.veils, index, canvas)

        def view(rows: Rows) -> Band[Any]:
            band = backend.load(
                frame, place, canvas.pixel_type, canvas.width, rows, interpolation=self.interpolation
            )
            band = band if left_out is None else without(backend, band, left_out.taken(canvas, rows))
            return band if feigned is None else replace(band, evidence=feigned.evidence(rows))

        return view

    def _keep(self, backend: Backend[Any], canvas: Canvas, index: int, view: View) -> None:
        """Hand the aligned frame out where `--save-steps` wants it."""
        if self.keep_aligned is None:
            return
        bands = [backend.pack(view(rows).image, canvas.pixel_type, None) for rows in canvas.bands]
        self.keep_aligned(self.stack.frames[index], np.concatenate(bands))

    def _warn(self, sentence: str) -> None:
        with self._lock:
            self.progress.warn(sentence)

    def _advance(self, waiting_share: float) -> None:
        with self._lock:
            self.progress.advance(waiting_share)

    def note(self, feed: Feed) -> None:
        """Add what a finished feed took to the report."""
        with self._lock:
            self.report.decode_seconds += feed.times.reading
            self.report.waiting_seconds += feed.times.waiting
