"""Checkpoints of a run: what it has found and folded so far, kept on disk so that another process can go on.

    look     what the survey has seen so far        kept now and then (`Pieces`)
    survey   what it found                          kept when it is done
    passes   the states, and how many frames        kept when that is worth it (`Pace`), and where a frame
             are folded into them                   cannot be read; a pass that another follows, at its end

A run that is continued takes what is kept and does the rest in the same order, so its picture is that of an
undisturbed run, bit for bit. What is made between passes is made again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from gpustack.engine.feed import Source
from gpustack.engine.identity import Identity, difference
from gpustack.engine.keeping import read_value, write_value
from gpustack.engine.pace import Pace
from gpustack.engine.report import CheckpointReport
from gpustack.errors import CheckpointError
from gpustack.io.atomic import partial_of
from gpustack.io.journal import FORMAT, SCRATCH, Journal
from gpustack.io.parts import DamagedError, PartReader
from gpustack.io.witness import Witness
from gpustack.model.frame import Kind
from gpustack.model.slab import Slab
from gpustack.model.stack import Stack

T = TypeVar("T")
Warn = Callable[[str], None]


class Checkpoint:
    """The checkpoint of one output, in a folder of its own; opened before a run, and removed after its
    results are written, or left for another run, as at the end of a `with` statement.

    `overwrite`: what does not go with this run may be dropped. `has_slab` tells whether the picture of a slab
    that an earlier run has handed out is still there. Raises CheckpointError where another process has the
    folder open, or it holds something else; WriteError where it cannot be made.

    `chained`: the passes before the one at work are kept; else it could not be continued from what is.
    `bound`: it belongs to a run.
    """

    def __init__(
        self, folder: Path, *, overwrite: bool = False, has_slab: Callable[[Slab], bool] | None = None
    ) -> None:
        self._journal, self._overwrite = Journal(folder), overwrite
        self._witness = Witness(())
        self._full = False
        self._paces: dict[int, Pace] = {}
        self._expected: set[str] = set()
        self.chained, self.bound = True, False
        self.has_slab = has_slab or (lambda _: True)
        self.report = CheckpointReport(str(folder))

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._journal.folder

    @property
    def holds(self) -> bool:
        """Whether there is something to go on from."""
        return bool(self._journal.parts)

    @property
    def outputs(self) -> frozenset[str]:
        """Names of the files that an earlier run may have written."""
        return frozenset(map(str, self._journal.content.get("outputs", ())))

    def expect(self, outputs: Iterable[Path]) -> None:
        """Say, before the run, which files will be written: if it is interrupted, those that are there then
        may be its own. (Whoever goes on compares them before they are taken for that.)"""
        self._expected = {str(path.absolute()) for path in outputs}

    def promised(self, path: Path) -> frozenset[str]:
        """The SHA-256 of what an earlier run has written, or was about to write, under a name."""
        return frozenset(self._journal.content.get("promised", {}).get(str(path.absolute()), ()))

    def promise(self, path: Path, sha256: str) -> None:
        """Say, before a file gets its name, what it holds, so that a later run knows it for its own."""
        if self._full:
            return  # a later run takes the file for another's, and asks
        told = sorted(self.promised(path) | {sha256})
        every = self._journal.content.get("promised", {}) | {str(path.absolute()): told}
        try:
            self._journal.note({"promised": every})
        except OSError:
            self._full = True

    def scratch(self, name: str) -> Path:
        """Where a file of this name may lie for a while."""
        return self._journal.folder / f"{SCRATCH}{name}"

    def remove(self) -> None:
        """Delete it: the results are there."""
        self._journal.remove()

    def leave(self) -> None:
        """Close it, and keep what it holds; where that is nothing, no trace stays."""
        if self._journal.closed:
            return
        if self.holds or any(Path(name).exists() for name in self.outputs):
            self._journal.close()
        else:
            self._journal.remove()

    def bind(self, identity: Identity, stack: Stack, source: Source, flat: str | None, warn: Warn) -> Source:
        """Say what the run is, and watch the files that it reads.

        Raises CheckpointError where the folder holds another run's, or a file has changed, and may not be
        dropped; for frames that are no files.
        """
        if any(frame.kind is Kind.ARRAY for frame in stack):
            raise CheckpointError("Arrays cannot be recognised by a later run.", "Stack files.")
        files = [frame.path for frame in stack] + ([] if flat is None else [Path(flat)])
        self._witness = Witness(files)
        problem = self._unfit(identity) if self._journal.begun else None
        if problem is not None:
            if not self._overwrite:
                raise CheckpointError(
                    f"{self.folder} cannot be continued: {problem}.",
                    "Make that as it was, or start anew with --overwrite, or after deleting that folder.",
                )
            warn(f"{self.folder} is dropped and the run starts anew: {problem}.")
            self._witness = Witness(files)
        self._clear_remains()
        self._begin(identity, warn, goes_on=self._journal.begun and problem is None)
        if flat is not None:
            self._witness.look_at(Path(flat))
        self.bound = True
        return _watched(source, self._witness)

    def _clear_remains(self) -> None:
        """Delete what a run that was killed while it wrote its results had written of them."""
        pid = self._journal.content.get("pid")
        if not isinstance(pid, int) or pid == os.getpid():
            return
        for output in self.outputs & self._expected:
            with suppress(OSError):
                partial_of(Path(output), pid).unlink(missing_ok=True)

    def _begin(self, identity: Identity, warn: Warn, *, goes_on: bool) -> None:
        """Write down what this run is."""
        outputs = sorted(self._expected | (self.outputs if goes_on else set()))
        content = {"identity": identity, "outputs": outputs, "pid": os.getpid()}
        try:
            if goes_on:
                self._journal.go_on(content)
            else:
                self._journal.start(content | {"files": self._witness.as_list(), "parts": {}})
        except OSError as error:
            if not goes_on:
                self._journal.content = {}  # nothing of another run may be taken
            self.give_up(error, warn)

    def _unfit(self, identity: Identity) -> str | None:
        """Why this run cannot go on from what is there; None where it can."""
        content = self._journal.content
        if content.get("format") != FORMAT:
            return "it was made by another version"
        other = difference(content.get("identity", {}), identity)
        if other is not None:
            return f"it was made {other}"
        try:
            changed = self._witness.recall(content.get("files", []))
        except (TypeError, ValueError, IndexError, AttributeError):
            return "it is damaged"
        return None if changed is None else f"{changed.name} has changed or is gone"

    def value(self, name: str, make: Callable[[], T], warn: Warn) -> T:
        """What was found and kept under a name, or is found now."""
        if name in self._journal.parts:
            try:
                with self._journal.read(name) as part:
                    kept: T = read_value(part)
                self.report.resumed.append(name)
                return kept
            except DamagedError:
                warn(f"What {self.folder} holds of the {name} is damaged, so that is done again.")
        found = make()
        self.write(name, {}, lambda part: write_value(part, found), warn)
        return found

    def write(self, name: str, note: dict[str, Any], fill: Callable[[Any], None], warn: Warn) -> int | None:
        """Keep a part, with the files that were seen until now; its bytes, None where there was no room."""
        if self._full:
            return None
        started = time.perf_counter()
        seen = {"journal": {"files": self._witness.as_list()}}
        try:
            nbytes = self._journal.write(name, note | seen, fill)
        except OSError as error:
            self.give_up(error, warn)
            return None
        self.report.written += 1
        self.report.seconds += time.perf_counter() - started
        self.report.largest_bytes = max(self.report.largest_bytes, nbytes)
        return nbytes

    def noted(self, name: str) -> dict[str, Any] | None:
        """What was noted beside a part; None where there is none."""
        return self._journal.parts.get(name)

    @contextmanager
    def read(self, name: str) -> Iterator[PartReader]:
        """Open a part. Raises DamagedError."""
        with self._journal.read(name) as part:
            yield part

    def forget(self, name: str) -> None:
        """Let a part go that is of no use."""
        try:
            self._journal.forget(name)
        except OSError:
            self._full = True

    def pace(self, lane: int) -> Pace:
        """That of one of several backends, which work side by side."""
        return self._paces.setdefault(lane, Pace())

    def has_room(self, nbytes: float, warn: Warn) -> bool:
        """Whether a part of so many bytes leaves room for the results."""
        try:
            room = self._journal.free_bytes() >= nbytes
        except OSError:
            return True  # writing will tell
        if not room and not self._full:
            self._stop(f"{nbytes / 2**20:.0f} MiB more are needed on the disk", warn)
        return not self._full

    def give_up(self, error: OSError, warn: Warn) -> None:
        """Go on without; say so once."""
        if not self._full:
            self._stop(error.strerror or str(error), warn)

    def _stop(self, why: str, warn: Warn) -> None:
        self._full = True
        warn(f"No more checkpoints are kept in {self.folder} ({why}); the run goes on without.")


def _watched(source: Source, witness: Witness) -> Source:
    """A source whose files are noted as they are read."""
    parts = {name: getattr(source, name) for name in ("read", "unpack", "shrink")}
    return replace(
        source, **{name: witness.watching(read) for name, read in parts.items() if read is not None}
    )
