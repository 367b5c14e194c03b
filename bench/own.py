"""Runs of our own command, each a process of its own: what it took, and what it said of itself."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import Figures, measure
from peers import Ours, Task

TIMEOUT_S = 3600


@dataclass(frozen=True)
class OwnRun:
    """The figures of a whole process, and its `--json` report."""

    figures: Figures
    report: dict[str, Any]

    @property
    def fuse_s(self) -> float:
        """Seconds of the passes after the survey that were wanted, and of what is made of them."""
        passes = [name for name in self.report["plan"]["passes"] if name != "survey"]
        return float(sum(self.report["seconds"].get(name, 0.0) for name in (*passes, "finish")))


def own_run(
    folder: Path, home: Path, method: str, *options: str, align: bool = True, under: tuple[str, ...] = ()
) -> OwnRun:
    """Stack the frames in `folder` by the command line, with more options, and write a JPEG under `home`;
    `under` is a command that is given ours to run."""
    shutil.rmtree(home, ignore_errors=True)
    (home / "scratch").mkdir(parents=True)
    log = home / "log.json"
    task = Task((folder,), folder, home / "out.jpg", home / "scratch", align)
    (command,) = Ours(method, "cpu").commands(task)
    figures = measure([[*under, *command, "--json", *options]], log, TIMEOUT_S)
    return OwnRun(figures, json.loads(log.read_text()))
