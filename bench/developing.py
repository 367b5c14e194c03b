"""Peers that do not read RAW files, with what their users do first: develop the frames to TIFF files."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from measure import Command
from peers import Competitor, Task

DEVELOP = Path(__file__).with_name("develop.py")


@dataclass(frozen=True)
class DevelopedFirst:
    """A competitor that is given TIFF files, which are made of RAW files before; all of it counts."""

    inner: Competitor

    @property
    def name(self) -> str:
        """Name in the results."""
        return f"{self.inner.name}, developed"

    def version(self) -> str | None:
        """The competitor's."""
        return self.inner.version()

    def commands(self, task: Task) -> list[Command]:
        """Development, then the competitor's own commands."""
        folder = task.scratch / "developed"
        frames = tuple(folder / f"{frame.stem}.tif" for frame in task.frames)
        first = [sys.executable, str(DEVELOP), str(task.folder), str(folder)]
        return [first, *self.inner.commands(replace(task, frames=frames, folder=folder))]
