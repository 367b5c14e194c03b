"""Progress on a terminal: frames, MP/s, time left, and what limits the run."""

from __future__ import annotations

import sys
import time
from types import TracebackType

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class TerminalProgress:
    """A bar a pass on stderr, if that is a terminal; warnings always, unless quiet."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description:>8}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[limit]}"),
            console=self._console,
            transient=True,
            disable=quiet or not sys.stderr.isatty(),
        )
        self._task: TaskID | None = None
        self._megapixels, self._done, self._started = 0.0, 0, 0.0

    def __enter__(self) -> TerminalProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, stage: str, frames: int, megapixels: float) -> None:
        """A new bar for a new pass."""
        self._megapixels, self._done, self._started = megapixels, 0, time.perf_counter()
        self._task = self._bar.add_task(stage, total=frames, speed="", limit="")

    def advance(self, waiting_share: float) -> None:
        """One more frame."""
        if self._task is None:
            return
        self._done += 1
        seconds = max(1e-6, time.perf_counter() - self._started)
        limit = "limited by decoding" if waiting_share > 0.5 else "limited by computing"
        speed = f"{self._done * self._megapixels / seconds:.0f} MP/s"
        self._bar.update(self._task, advance=1, speed=speed, limit=limit)

    def warn(self, sentence: str) -> None:
        """A line of its own, above the bars."""
        if self._quiet:
            return
        if self._bar.disable:
            typer.echo(f"gpustack: {sentence}", err=True)
        else:
            self._bar.print(f"gpustack: {sentence}", markup=False, highlight=False)
