"""Progress on a terminal: frames, MP/s, time left, and what limits the run."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class TerminalProgress:
    """A bar a pass on stderr, if that is a terminal; warnings always, unless quiet."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bars = None if quiet or not sys.stderr.isatty() else _bars()
        self._task: TaskID | None = None
        self._megapixels, self._done, self._started = 0.0, 0, 0.0

    def __enter__(self) -> TerminalProgress:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def begin(self, stage: str, frames: int, megapixels: float) -> None:
        """A new bar for a new pass."""
        self._megapixels, self._done, self._started = megapixels, 0, time.perf_counter()
        if self._bars is not None:
            self._task = self._bars.add_task(stage, total=frames, speed="", limit="")

    def advance(self, waiting_share: float) -> None:
        """One more frame."""
        if self._bars is None or self._task is None:
            return
        self._done += 1
        seconds = max(1e-6, time.perf_counter() - self._started)
        limit = "limited by decoding" if waiting_share > 0.5 else "limited by computing"
        speed = f"{self._done * self._megapixels / seconds:.0f} MP/s"
        self._bars.update(self._task, advance=1, speed=speed, limit=limit)

    def warn(self, sentence: str) -> None:
        """A line of its own, above the bars."""
        if self._quiet:
            return
        if self._bars is None:
            typer.echo(f"gpustack: {sentence}", err=True)
        else:
            self._bars.print(f"gpustack: {sentence}", markup=False, highlight=False)


def _bars() -> Progress:
    """Bars on stderr; rich is imported only where there is a terminal to draw them on."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description:>8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[limit]}"),
        console=Console(stderr=True),
        transient=True,
    )
