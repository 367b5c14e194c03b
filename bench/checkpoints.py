"""What do checkpoints cost, and what do they save? Runs with and without `--resume`, and one that is killed.

`python bench/checkpoints.py --json bench/results/checkpoints.json`; contract in README.md.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from frames import default_cache
from machine import heading, write_result
from measure import REPOSITORY, TIMEOUT_S, BenchError, environment, measure
from peers import Ours, Task
from sets import sweep_files

SIZE, DISTINCT, COUNT = (3000, 4000), 8, 30
TINY = (600, 800), 3, 8
METHODS = ("auto", "pyramid", "depthmap")
LARGEST_SHARE = 0.05
LOOK_S = 0.2
"""Seconds between two looks at a journal."""

Row = dict[str, Any]


def command_of(method: str, folder: Path, home: Path, *options: str) -> list[str]:
    """The command of ours, writing out.jpg in a folder that is made."""
    (home / "scratch").mkdir(parents=True, exist_ok=True)
    task = Task((folder,), folder, home / "out.jpg", home / "scratch", align=True)
    (command,) = Ours(method, "cpu").commands(task)
    return [*command, "--json", *options]


def run_of(method: str, folder: Path, home: Path, *options: str) -> Row:
    """A run from start to exit: its figures, and what it says of its checkpoints."""
    log = home.with_suffix(".json")
    log.unlink(missing_ok=True)
    figures = measure([command_of(method, folder, home, *options)], log)
    report = json.loads(log.read_text())
    row = {"wall_s": round(figures.wall_s, 1), "cpu_s": round(figures.cpu_s, 1)}
    row |= {"peak_mib": round(figures.peak_bytes / 2**20), "plan_mib": report["plan"]["total_bytes"] >> 20}
    kept = report["checkpoint"]
    if kept is None:
        return row
    more = {"share": round(kept["seconds"] / figures.wall_s, 4), "seconds": kept["seconds"]}
    planned = report["plan"]["checkpoint_bytes"] >> 20
    more |= {"written": kept["written"], "largest_mib": kept["largest_bytes"] >> 20, "planned_mib": planned}
    return row | more | {"resumed": kept["resumed"]}


def killed(method: str, folder: Path, home: Path) -> None:
    """A run that is killed as soon as it has kept a state; nothing to kill is an error."""
    process = subprocess.Popen(
        command_of(method, folder, home, "--resume"),
        env=environment(),
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None:
        time.sleep(LOOK_S)
        with suppress(OSError, ValueError):
            journal = json.loads((home / "out.jpg.checkpoint" / "journal.json").read_text())
            if any("folded" in part for part in journal["parts"].values()):
                process.kill()
                process.wait(TIMEOUT_S)
                return
    raise BenchError(f"{method} kept no state before its end: take more frames.")


def rows_of(method: str, folder: Path, home: Path, runs: int) -> Row:
    """Runs without and with checkpoints in turn, then one that is killed and gone on with."""
    shutil.rmtree(home, ignore_errors=True)
    row: Row = {"method": method, "without": [], "with": []}
    for _ in range(runs):
        row["without"].append(run_of(method, folder, home / "without"))
        row["with"].append(run_of(method, folder, home / "with", "--resume"))
    killed(method, folder, home / "killed")
    row["gone_on"] = run_of(method, folder, home / "killed", "--resume")
    pictures = [home / name / "out.jpg" for name in ("without", "with", "killed")]
    row["same_bytes"] = all(filecmp.cmp(pictures[0], other, shallow=False) for other in pictures[1:])
    row["kept_to_share"] = all(each["share"] <= LARGEST_SHARE for each in row["with"])
    return row


def bench(given: argparse.Namespace) -> bool:
    """Every method; whether all pictures are the same, and checkpoints cost no more than they may."""
    size, distinct, count = TINY if given.tiny else (SIZE, DISTINCT, COUNT)
    folder = sweep_files(given.cache, size, distinct, count)
    head, rows = heading("checkpoints"), []
    for method in given.methods.split(","):
        row = rows_of(method, folder, given.cache / "runs" / "checkpoints", given.runs)
        rows.append(row)
        print(json.dumps(row), flush=True)
        if given.json:
            case = {"frames": count, "megapixels": size[0] * size[1] / 1e6}
            write_result({**head, **case, "results": rows}, given.json, quiet=True)
    return all(row["same_bytes"] and row["kept_to_share"] for row in rows)


def main() -> None:
    """Command line of this file; ends with 1 where pictures differ or checkpoints cost too much."""
    parser = argparse.ArgumentParser(description="What checkpoints cost a run, and save one that is killed.")
    parser.add_argument("--methods", default=",".join(METHODS), help="comma-separated")
    parser.add_argument("--runs", type=int, default=1, help="with and without, in turn")
    parser.add_argument("--tiny", action="store_true", help="small frames, which prove only that it runs")
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder of frames")
    try:
        raise SystemExit(0 if bench(parser.parse_args()) else 1)
    except BenchError as error:
        raise SystemExit(f"bench: {error}") from None


if __name__ == "__main__":
    main()
