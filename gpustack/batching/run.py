"""Running the tasks of a batch, some at a time: what is done is left alone, the rest is ordered and noted."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Protocol

from gpustack.batching.ledger import UNFINISHED, Ledger, Line
from gpustack.batching.order import STOPPED, End, Order, fulfil
from gpustack.batching.shelf import Shelf
from gpustack.batching.work import Task

MADE, SKIPPED, FAILED = "made", "up to date", "failed"

REPORT_ENDING = ".report.html"
"""Of a report, after the name of the result that it tells of, as sidecars have theirs."""

Tell = Callable[[Task, str, Line], None]
"""Is told what became of a task."""


class Engine(Protocol):
    """Who makes the stacks."""

    @property
    def width(self) -> int:
        """How many stacks may wait for it, or be made, at a time."""

    def make(self, order: Order) -> End:
        """Make a stack. Called from several threads; waits until there is room."""

    def stop(self) -> None:
        """Have all that are being made end, and make no more."""


@dataclass(slots=True)
class Here:
    """This machine: one process a stack, and one stack at a time in each of `places`, options of `gpustack
    stack` for what it may use."""

    places: Sequence[tuple[str, ...]]
    _free: SimpleQueue[tuple[str, ...]] = field(default_factory=SimpleQueue)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        for place in self.places:
            self._free.put(place)

    @property
    def width(self) -> int:
        """See `Engine`."""
        return len(self.places)

    def make(self, order: Order) -> End:
        """See `Engine`."""
        place = self._free.get()
        try:
            return fulfil(order, place, lambda: not self._stopped.is_set())
        finally:
            self._free.put(place)

    def stop(self) -> None:
        """See `Engine`."""
        self._stopped.set()


@dataclass(frozen=True, slots=True)
class Manner:
    """How stacks are made: how often each is tried; whether files are replaced that are not known to come
    from an earlier run of this batch; whether checkpoints are kept, and gone on from; whether each has a
    report beside its result."""

    attempts: int = 1
    overwrite: bool = False
    resume: bool = False
    report: bool = False


@dataclass(slots=True)
class Batch:
    """Where results go, who makes them, and how."""

    shelf: Shelf
    ledger: Ledger
    engine: Engine
    manner: Manner
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, tasks: Sequence[Task], tell: Tell) -> dict[str, int]:
        """Do what is not done; how many tasks ended in which way. On Ctrl-C what runs is stopped."""
        counts = dict.fromkeys((MADE, SKIPPED, FAILED), 0)
        with ThreadPoolExecutor(min(self.engine.width, len(tasks)) or 1, "stack") as pool:
            try:
                for task, (end, line) in zip(tasks, pool.map(self._do, tasks), strict=True):
                    counts[end] += 1
                    tell(task, end, line)
            except BaseException:
                self.engine.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return counts

    def _do(self, task: Task) -> tuple[str, Line]:
        before = self.ledger.last(task.name)
        known = before is not None and before.output == task.output and before.made(self.shelf)
        if known and before is not None and before.key == task.key and self._is_reported(task):
            return SKIPPED, before
        line = self._made(task, ours=known or self.ledger.begun(task.output) or self.manner.overwrite)
        return (MADE if line.error is None else FAILED), line

    def _is_reported(self, task: Task) -> bool:
        """Whether the report is there, if it is wanted."""
        return not self.manner.report or self.shelf.mark(f"{task.output}{REPORT_ENDING}") is not None

    def _made(self, task: Task, *, ours: bool) -> Line:
        """Do a task; `ours`: what has the name of its output may be replaced."""
        ours = ours or self.shelf.mark(task.output) is None
        if ours:
            self._note(Line(task.name, task.key, task.output, error=UNFINISHED))
        line = self._attempted(task, replace=ours)
        if line.error != STOPPED:
            self._note(line)
        return line

    def _note(self, line: Line) -> None:
        with self._lock:
            self.ledger.add(line)

    def _attempted(self, task: Task, *, replace: bool) -> Line:
        where = self.shelf.address(task.output)
        order = Order(task.name, task.frames, where, (*task.options, *self._more(where)), replace)
        end = End(task.problem)
        for _ in range(0 if task.problem else self.manner.attempts):
            end = self.engine.make(order)
            if end.error in (None, STOPPED):
                break
        line = Line(task.name, task.key, task.output, error=end.error, seconds=round(end.seconds, 2))
        return line if line.error else self._seen(line)

    def _more(self, where: str) -> Iterator[str]:
        """Options of every stack of this batch, by where its result goes."""
        if self.manner.resume:
            yield "--resume"
        if self.manner.report:
            yield from ("--report", f"{where}{REPORT_ENDING}")

    def _seen(self, line: Line) -> Line:
        """The line of a stack that is made, with the mark of its result."""
        mark = self.shelf.mark(line.output)
        if mark is None:
            where = self.shelf.address(line.output)
            return dataclasses.replace(line, error=f"{where} was written where this machine cannot see it.")
        return line.marked(mark)
