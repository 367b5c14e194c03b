"""Everything that proves and measures a device, in one command: `python bench/gpu.py --device cuda:0`.

Kernels, streams, tests, compute-sanitizer where it is installed, and the host's share. Every stage is a
process of its own with a time limit; one that fails does not stop the others. Results, and a log of all that
was said, go into one folder; a table comes last. `--device cpu` does the same at toy sizes: it proves the
command and says nothing of speed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import heading, write_result
from measure import REPOSITORY, BenchError, positive

TOTAL_S = 540
"""Seconds of the whole, if nothing else is asked for: below ten minutes, with time to bring results home."""

# Nothing of the package is imported here, so that this script starts from a bare checkout.
CPU = "cpu"
RESULTS = Path(__file__).with_name("results")

FOUND = 7
"""What compute-sanitizer ends with where it found something."""

TESTED = ("align", "backend", "depth", "engine", "fuse", "kernels")
"""Folders of the tests that run on a device; the others may need packages that a bare machine lacks."""

# pytest's own settings would need its plugin for time limits.
PYTEST = (
    *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:timeout", "--continue-on-collection-errors"),
    *("-o", "addopts=", "--import-mode=importlib", "-W", "ignore::pytest.PytestConfigWarning"),
)

TOY_LIMITS = 20
"""By how much longer a stage may take on a CPU, which may have much else to do: its end is what counts."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """A command; `limit_s` it may take, `skipped` why it is not run, `result` the file it writes."""

    name: str
    command: Sequence[str]
    limit_s: int
    result: Path | None = None
    skipped: str = ""


def stages(given: Namespace) -> list[Stage]:
    """All stages, in an order that brings what matters first where time is short."""
    script = Path(__file__).with_name
    python, device = sys.executable, ("--device", given.device)
    toy = given.device == CPU
    tests = ["-k", "cuda-on-cpu", "tests/backend/test_resample.py"]
    if not toy:
        tests = ["-m", "gpu", *(f"tests/{folder}" for folder in TESTED)]
    short = ("--repeats", "2") if toy else ()
    limits = TOY_LIMITS if toy else 1

    def bench(name: str, limit_s: int, *more: str) -> Stage:
        result = given.results / f"{name}.json"
        command = (python, str(script(f"{name}.py")), *more, "--json", str(result))
        return Stage(name, command, limits * limit_s, result)

    raw = () if given.raw is None else ("--raw", str(given.raw))
    watched = (python, str(script("sanitized.py")), *device)
    return [
        Stage("right", (*watched, "--largest") if toy else watched, limits * 60),
        bench("kernels", 150, *device, *short),
        bench("stream", 240, *device, *raw),
        Stage("tests", (python, *PYTEST, *tests), limits * 150),
        _sanitizer("memcheck", watched, 120, toy=toy),
        _sanitizer("racecheck", (*watched, "--largest"), 120, toy=toy),
        bench("host", 60, *short),
    ]


def _sanitizer(tool: str, command: Sequence[str], limit_s: int, *, toy: bool) -> Stage:
    found = shutil.which("compute-sanitizer")
    if found is None or toy:
        reason = "it watches GPUs only" if toy else "compute-sanitizer is not on PATH"
        return Stage(tool, command, limit_s, skipped=reason)
    return Stage(tool, (found, "--tool", tool, "--error-exitcode", str(FOUND), *command), limit_s)


def run(stage: Stage, log: Path, left_s: float) -> Row:
    """Run a stage in the seconds that are left; what became of it."""
    if stage.skipped:
        return {"stage": stage.name, "outcome": "skipped", "seconds": 0.0, "said": stage.skipped}
    if left_s < 1:
        return {"stage": stage.name, "outcome": "skipped", "seconds": 0.0, "said": "no time was left"}
    if stage.result is not None:
        stage.result.unlink(missing_ok=True)  # an older one would speak for this run
    started = time.perf_counter()
    own = log.with_suffix(f".{stage.name}.part")
    outcome = _outcome(stage, own, min(stage.limit_s, left_s))
    seconds = round(time.perf_counter() - started, 1)
    text = own.read_text(errors="replace")
    own.unlink()
    with log.open("a") as whole:
        whole.write(f"\n===== {stage.name}: {outcome} after {seconds} s\n{text}")
    said = headline(stage, text)
    return {"stage": stage.name, "outcome": outcome, "seconds": seconds, "said": said}


def _outcome(stage: Stage, log: Path, limit_s: float) -> str:
    """ok, failed with the exit code, or too late; the command's output is in `log`."""
    environment = os.environ | {"GPUSTACK_REQUIRE_GPU": "1", "PYTHONUNBUFFERED": "1"}
    path = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(path)
    with log.open("w") as stream:
        process = subprocess.Popen(
            stage.command,
            stdout=stream,
            stderr=stream,
            cwd=REPOSITORY,
            env=environment,
            start_new_session=True,
        )
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            for pid in _family(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
            return f"stopped after {limit_s:.0f} s"
    return "ok" if code == 0 else f"failed ({code})"


def _family(pid: int) -> list[int]:
    """A process and all that it started: a measured one is a session of its own, which no group reaches."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return [pid, *(each for child in children for each in _family(child))]


def headline(stage: Stage, text: str) -> str:
    """What a stage found, in a line: from its result file, or the last thing that it said."""
    if stage.result is not None and stage.result.exists():
        found = json.loads(stage.result.read_text())
        return {"kernels": _kernels, "stream": _stream, "host": _host}[stage.name](found)
    lines = [line.strip(" =") for line in text.splitlines() if line.strip(" =")]
    return lines[-1][:120] if lines else "it said nothing"


def _kernels(found: Row) -> str:
    frames = [f"{row['pass']} {row['device_ms']} ms, x{row['times_floor']}" for row in found["frames"][:4:3]]
    rows = found.get("kernels", [])
    worst = min(rows, key=lambda row: row["share_of_copy"], default=None)
    slow = f"; least of copy: {worst['kernel']} {worst['share_of_copy']}" if worst else ""
    return f"copy {found['copy_gb_s']} GB/s; " + "; ".join(frames) + slow


def _stream(found: Row) -> str:
    said = [f"{name} {row['share_of_slower']}" for name, row in found.items() if name.startswith("overlap")]
    said += [f"{name[6:]} {row['fps']} fps" for name, row in found.items() if name.startswith("files ")]
    if "whole" in found:
        whole = found["whole"]
        said.append(f"{whole['frames']} frames in {whole['wall_s']} s, limit {whole['limit']}")
    wrong = [name for name, holds in found["checks"].items() if not holds] + list(found["failed"])
    said += [f"NOT: {name}" for name in wrong] + ([found["skipped"]] if "skipped" in found else [])
    return "; ".join(said)


def _host(found: Row) -> str:
    rows = [row for row in found["host"] if row["pass"] == "auto"]
    return "auto: " + "; ".join(f"{row['flowing_us']} us a frame on {row['on']}" for row in rows)


def show(rows: Sequence[Row], seconds: float) -> None:
    """Print the table."""
    print()
    for row in rows:
        print(f"{row['stage']:<10} {row['outcome']:<20} {row['seconds']:>6} s  {row['said']}")
    print(f"{seconds:.0f} s in all")


def bench(given: Namespace) -> bool:
    """All stages; whether none failed."""
    given.results.mkdir(parents=True, exist_ok=True)
    head, started = heading("gpu"), time.perf_counter()
    log = given.results / "gpu.log"
    log.write_text(f"{json.dumps(head, indent=1)}\n")
    rows: list[Row] = []
    for stage in stages(given):
        print(f"{stage.name} ...", flush=True)
        rows.append(run(stage, log, given.seconds - (time.perf_counter() - started)))
        write_result(head | {"stages": rows}, given.results / "gpu.json", quiet=True)
    show(rows, time.perf_counter() - started)
    return all(row["outcome"] in ("ok", "skipped") for row in rows)


def main() -> None:
    """Command line of this file; exits with 1 where a stage fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--device", default="cuda:0", help="cuda:0, cuda:1, ... or cpu: toy sizes, no timings"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for results and the log")
    parser.add_argument("--raw", type=Path, help="a RAW file, whose links are stacked too")
    parser.add_argument("--seconds", type=positive, default=TOTAL_S, help="for everything together")
    try:
        sys.exit(0 if bench(parser.parse_args()) else 1)
    except BenchError as error:
        raise SystemExit(f"bench: {error}") from None


if __name__ == "__main__":
    main()
