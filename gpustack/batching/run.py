"""Running the tasks of a batch, some at a time, each in a process of its own: one that dies takes no other
along."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue

from gpustack.batching.ledger import UNFINISHED, Ledger, Line
from gpustack.batching.work import Task
from gpustack.errors import WriteError

MADE, SKIPPED, FAILED = "made", "up to date", "failed"

Tell = Callable[[Task, str, Line], None]
"""Is told what became of a task."""


@dataclass(frozen=True, slots=True)
class Place:
    """What one task at a time may use: options of `gpustack stack`."""

    options: tuple[str, ...] = ()


@dataclass(slots=True)
class Batch:
    """Tasks, and where their results go. `attempts`: how often a task is tried; `overwrite`: replace files
    that are not known to come from an earlier run of this batch."""

    folder: Path
    ledger: Ledger
    places: Sequence[Place]
    attempts: int = 1
    overwrite: bool = False
    _running: set[subprocess.Popen[bytes]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopped: bool = False

    def run(self, tasks: Sequence[Task], tell: Tell) -> dict[str, int]:
        """Do what is not done; how many tasks ended in which way. On Ctrl-C what runs is stopped."""
        free: SimpleQueue[Place] = SimpleQueue()
        for place in self.places:
            free.put(place)
        counts = dict.fromkeys((MADE, SKIPPED, FAILED), 0)
        with ThreadPoolExecutor(len(self.places), "stack") as pool:
            try:
                for task, (end, line) in zip(
                    tasks, pool.map(lambda task: self._do(task, free), tasks), strict=True
                ):
                    counts[end] += 1
                    tell(task, end, line)
            except BaseException:
                self._stop()
                raise
        return counts

    def _do(self, task: Task, free: SimpleQueue[Place]) -> tuple[str, Line]:
        before = self.ledger.last(task.name)
        known = before is not None and before.output == task.output and before.made(self.folder)
        if known and before is not None and before.key == task.key:
            return SKIPPED, before
        place = free.get()
        try:
            line = self._made(task, place, ours=known or self.ledger.begun(task.output) or self.overwrite)
        finally:
            free.put(place)
        return (MADE if line.error is None else FAILED), line

    def _made(self, task: Task, place: Place, *, ours: bool) -> Line:
        """Do a task; `ours`: what has the name of its output may be replaced."""
        ours = ours or not (self.folder / task.output).exists()
        if ours:
            self._note(Line(task.name, task.key, task.output, error=UNFINISHED))
        line = self._attempted(task, place, replace_it=ours)
        if line.error is None or not self._stopped:
            self._note(line)
        return line

    def _note(self, line: Line) -> None:
        with self._lock:
            self.ledger.add(line)

    def _attempted(self, task: Task, place: Place, *, replace_it: bool) -> Line:
        started = time.monotonic()
        error = task.problem
        for _ in range(0 if task.problem else self.attempts):
            error = self._once(task, place, replace_it=replace_it)
            if error is None or self._stopped:
                break
        line = Line(
            task.name, task.key, task.output, error=error, seconds=round(time.monotonic() - started, 2)
        )
        if error is not None:
            return line
        found = (self.folder / task.output).stat()
        return replace(line, size=found.st_size, mtime_ns=found.st_mtime_ns)

    def _once(self, task: Task, place: Place, *, replace_it: bool) -> str | None:
        """Run a task; the sentence it ended with, None where the result is there."""
        with tempfile.TemporaryDirectory() as scratch:
            frames = Path(scratch) / "frames.txt"
            frames.write_text(
                "\n".join(str(path.resolve()) for path in task.frames), errors="surrogateescape"
            )
            words = ["stack", f"@{frames}", "-o", str(self.folder / task.output), "--quiet"]
            words += [*task.options, *place.options] + (["--overwrite"] if replace_it else [])
            process = self._start([sys.executable, "-m", "gpustack", *words])
            if process is None:
                return "stopped."
            _, told = process.communicate()
            with self._lock:
                self._running.discard(process)
        return _ending(process.returncode, told.decode(errors="replace"))

    def _start(self, command: list[str]) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._stopped:
                return None
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            self._running.add(process)
        return process

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._running:
                # As Ctrl-C: a stack that is stopped so takes its half-written file away.
                process.send_signal(signal.SIGINT) if os.name == "posix" else process.terminate()


def _ending(code: int, told: str) -> str | None:
    if code == 0:
        return None
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return f"its process was ended by {name}; the system ends what takes too much memory."
    lines = [line for line in told.splitlines() if line.strip()]
    said = [line.removeprefix("gpustack: ") for line in lines if line.startswith("gpustack: ")]
    return (said or lines or [f"it ended with code {code}."])[-1]


def prepared(folder: Path) -> Path:
    """The output folder, made where it is not there. Raises WriteError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(
            f"The folder {folder} cannot be made: {error.strerror}.", "Choose another one."
        ) from error
    return folder
