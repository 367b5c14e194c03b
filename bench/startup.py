"""How long until something happens: `python bench/startup.py --json bench/results/startup.json`.

Fresh processes in turn: wall and CPU time of `--help` and its like from start to exit, and of `gpustack
stack` from start until a reading thread opens the first frame, where the process is ended. `import_ms` tells,
by `python -X importtime`, which packages take that time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from machine import heading, write_result
from measure import REPOSITORY, Command, environment, measure, positive, spread

HELP, FIRST = "gpustack --help", "gpustack stack, first decode"
GOALS_S = {HELP: 0.3, FIRST: 0.8}
RUN = [sys.executable, "-m", "gpustack"]
WHOLE: dict[str, Command] = {
    "python, empty program": [sys.executable, "-c", "pass"],
    "gpustack --version": [*RUN, "--version"],
    HELP: [*RUN, "--help"],
    "gpustack stack --help": [*RUN, "stack", "--help"],
}
FIRST_DECODE = """
import os, sys, threading, time
first = threading.Lock()

def watch(event, arguments):
    reading = event == "open" and threading.current_thread().name.startswith("decode")
    if reading and first.acquire(blocking=False):
        print(time.perf_counter(), time.process_time(), flush=True)
        os._exit(0)

sys.addaudithook(watch)
from gpustack.cli.app import main
main()
"""
"""The command itself, which ends where a thread of the engine's stream first opens a file."""


def stacking(folder: Path, *options: str) -> Command:
    """The command that ends at its first decode, on two small JPEG files made here; `options`: Python's."""
    rng = np.random.default_rng(0)
    paths = [folder / f"{index}.jpg" for index in range(2)]
    for path in paths:
        path.write_bytes(simplejpeg.encode_jpeg(rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)))
    program = [sys.executable, *options, "-c", FIRST_DECODE, "stack"]
    return [*program, *map(str, paths), "-o", str(folder / "never.jpg")]


def first_decode(command: Command) -> tuple[float, float]:
    """Wall and CPU seconds from start to the first frame; the clock is one for all processes of a machine."""
    started = time.perf_counter()
    reached, cpu_s = map(float, _said(command).stdout.split())
    return reached - started, cpu_s


def whole(command: Command, log: Path) -> tuple[float, float]:
    """Wall and CPU seconds from start to exit."""
    figures = measure([command], log)
    return figures.wall_s, figures.cpu_s


def imports(command: Command) -> dict[str, float]:
    """Milliseconds that each top-level package takes to import, its own modules alone; the ten largest."""
    own: Counter[str] = Counter()
    for line in _said(command).stderr.splitlines():
        spent, _, name = line.removeprefix("import time:").partition("|")
        if spent.strip().isdigit():
            own[name.rpartition("|")[2].strip().partition(".")[0]] += int(spent)
    return {name: round(spent / 1e3, 1) for name, spent in own.most_common(10)}


def _said(command: Command) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment(), cwd=REPOSITORY, capture_output=True, text=True, check=True
    )


def figures_of(folder: Path, runs: int) -> dict[str, Any]:
    """Every figure: `runs` of each in turn, after a warm-up."""
    measured: dict[str, Callable[[], tuple[float, float]]] = {
        name: partial(whole, command, folder / "log") for name, command in WHOLE.items()
    }
    measured[FIRST] = partial(first_decode, stacking(folder))
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in measured}
    for turn in range(runs + 1):
        for name, run in measured.items():
            found = run()
            if turn:
                taken[name].append(found)
    return {
        name: {"wall_s": spread([wall for wall, _ in each], 3), "cpu_s": spread([cpu for _, cpu in each], 3)}
        for name, each in taken.items()
    }


def bench(runs: int, target: Path | None) -> None:
    """Measure, print, and write the result."""
    head = heading("startup")
    timed = "-X", "importtime"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = figures_of(folder, runs)
        shares = {
            HELP: imports([sys.executable, *timed, *WHOLE[HELP][1:]]),
            FIRST: imports(stacking(folder, *timed)),
        }
    for name, row in table.items():
        goal = f"   goal {GOALS_S[name]} s" if name in GOALS_S else ""
        print(f"{name:<32}{row['wall_s']['median']:>8.3f} s{row['cpu_s']['median']:>8.3f} s CPU{goal}")
    if target:
        result = {"runs": runs, "goals_s": GOALS_S, "results": table, "import_ms": shares}
        write_result(head | result, target)


def main() -> None:
    """Command line of this file."""
    parser = argparse.ArgumentParser(description="Seconds until help is there and until a stack is read.")
    parser.add_argument("--runs", type=positive, default=15, help="measured runs each, after one warm-up")
    parser.add_argument("--json", type=Path, help="where to write the result")
    given = parser.parse_args()
    bench(given.runs, given.json)


if __name__ == "__main__":
    main()
