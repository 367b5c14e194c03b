"""Wall time, CPU time and peak memory of whole commands, in rounds that interleave the competitors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

Command = list[str]

LAUNCHER = Path(__file__).with_name("launch.py")
REPOSITORY = LAUNCHER.parent.parent
TIMEOUT_S = 1800
# Set on shared machines and in CI; a competitor that obeys one of them would run with its hands tied.
THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
# Installed programs come with byte code; one that runs from its sources must be allowed to keep its own.
BYTE_CODE_LIMIT = "PYTHONDONTWRITEBYTECODE"


class BenchError(Exception):
    """A bench that cannot go on: one sentence, then what to do about it."""


@dataclass(frozen=True)
class Figures:
    """What one run took: seconds of wall clock and of CPU, and bytes of the largest process's peak."""

    wall_s: float
    cpu_s: float
    peak_bytes: int

    def then(self, later: Figures) -> Figures:
        """Both runs, one after the other: times add up, of the peaks the larger counts."""
        return Figures(
            self.wall_s + later.wall_s, self.cpu_s + later.cpu_s, max(self.peak_bytes, later.peak_bytes)
        )


def measure(commands: Sequence[Command], log: Path, timeout_s: int = TIMEOUT_S) -> Figures:
    """Run `commands` in turn, each a process of its own, and return their figures taken together.

    Their output goes to the end of `log`. Raises BenchError, quoting the log, where one fails or is
    still running after `timeout_s` seconds.
    """
    total = Figures(0.0, 0.0, 0)
    for command in commands:
        total = total.then(_measure_one(command, log, timeout_s))
    return total


def _measure_one(command: Command, log: Path, timeout_s: int) -> Figures:
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(timeout_s), str(log), *command]
    done = subprocess.run(launcher, env=environment(), cwd=REPOSITORY, capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(f"{command[0]} cannot be started: {done.stderr.strip().splitlines()[-1]}")
    report = json.loads(done.stdout)
    if report.pop("exit_code") != 0:
        raise BenchError(_failure(command, log, report["wall_s"], timeout_s))
    return Figures(**report)


def _failure(command: Command, log: Path, wall_s: float, timeout_s: int) -> str:
    problem = f"was stopped after {timeout_s} s" if wall_s >= timeout_s else "failed"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    return f"{Path(command[0]).name} {problem}; its last words were:\n{tail}"


def environment() -> dict[str, str]:
    """The environment of measured commands: no limit on threads, byte code kept, no display needed by Qt."""
    limits = (*THREAD_LIMITS, BYTE_CODE_LIMIT)
    kept = {name: value for name, value in os.environ.items() if name not in limits}
    return kept | {"QT_QPA_PLATFORM": "offscreen"}


def rounds(names: Sequence[str], runs: int, run: Callable[[str], Figures]) -> dict[str, list[Figures]]:
    """Call `run` for every name once as a warm-up, then `runs` times in the order A B C A B C.

    Interleaving spreads whatever else the machine does over all competitors. Warm-ups are not returned.
    """
    taken: dict[str, list[Figures]] = {name: [] for name in names}
    for name, is_warm_up in _order(names, runs):
        figures = run(name)
        label = "warm-up" if is_warm_up else f"run {len(taken[name]) + 1} of {runs}"
        print(
            f"{name:<24} {label:<12} {figures.wall_s:8.2f} s {figures.peak_bytes / 2**20:8.0f} MiB",
            flush=True,
        )
        if not is_warm_up:
            taken[name].append(figures)
    return taken


def _order(names: Sequence[str], runs: int) -> Iterator[tuple[str, bool]]:
    for turn in range(runs + 1):
        for name in names:
            yield name, turn == 0


def spread(values: Sequence[float], digits: int) -> dict[str, float | list[float]]:
    """Minimum, median and maximum of `values`, and all of them in the order taken, rounded to `digits`."""
    ordered = {"min": min(values), "median": median(values), "max": max(values)}
    return {name: round(value, digits) for name, value in ordered.items()} | {
        "runs": [round(value, digits) for value in values]
    }


def summary(figures: Sequence[Figures]) -> dict[str, object]:
    """The spread of wall and CPU seconds and of the peak in MiB over the runs of one competitor."""
    return {
        "wall_s": spread([each.wall_s for each in figures], 3),
        "cpu_s": spread([each.cpu_s for each in figures], 3),
        "peak_mib": spread([each.peak_bytes / 2**20 for each in figures], 1),
    }


def positive(text: str) -> int:
    """A count of at least one, for the command lines of the benches."""
    count = int(text)
    if count < 1:
        raise ValueError("a count is at least 1")
    return count
