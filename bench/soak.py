"""Does memory stay flat? Resident memory over time of one stack of a thousand frames, beside one of a
hundred, and of a batch of two hundred stacks.

`python bench/soak.py --json bench/results/soak.json`; contract in README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from frames import default_cache
from machine import heading, write_result
from measure import BenchError
from sets import sweep_files

EVERY_S = 0.25
PARTS = 10
"""Equal parts of a run, of each of which the result holds the largest sample."""

RISE = 0.05
"""How much larger memory may be in the second half of a run than it was in the first, as a share."""

STACK = {"size": (1200, 1700), "distinct": 5, "frames": (100, 1000), "ram": "1G"}
BATCH = {"size": (300, 400), "distinct": 4, "stacks": 200}
TINY_STACK = {"size": (300, 400), "distinct": 3, "frames": (10, 30), "ram": "1G"}
TINY_BATCH = {"size": (300, 400), "distinct": 2, "stacks": 3}
PARTS_OF_IT = ("stacks", "batch")
SERIES = ("resident", "largest_stack")
Sample = tuple[int, int]
"""Bytes that a process had resident, and the largest of those that it had started."""


def sampled(command: Sequence[str], log: Path) -> tuple[float, list[Sample]]:
    """Run a command; its seconds, and samples of its memory and its children's while it ran."""
    started, samples = time.monotonic(), []
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT) as process:
        while process.poll() is None:
            samples.append((_resident(process.pid), max(map(_resident, _started_by(process.pid)), default=0)))
            time.sleep(EVERY_S)
    if process.returncode:
        raise BenchError(f"{command[:4]} ended with {process.returncode}: {log.read_text()[-2000:]}")
    return time.monotonic() - started, samples


def _resident(pid: int) -> int:
    """Bytes resident; 0 for a process that has gone."""
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _started_by(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                yield from map(int, (task / "children").read_text().split())


def series(values: Sequence[int]) -> dict[str, Any]:
    """The largest sample of each part of a run in MiB, and whether the second half has none that is much
    larger than those of the first."""
    cuts = [round(len(values) * part / PARTS) for part in range(PARTS + 1)]
    parts = [max(values[low : max(high, low + 1)]) for low, high in pairwise(cuts)]
    early, late = max(parts[: PARTS // 2]), max(parts[PARTS // 2 :])
    return {
        "mib": [round(part / 2**20, 1) for part in parts],
        "median_mib": round(median(values) / 2**20, 1),
        "rise": round(late / early - 1, 3),
        "flat": late <= early * (1 + RISE),
    }


def stacks(case: dict[str, Any], cache: Path, home: Path) -> Iterator[dict[str, Any]]:
    """A stack of some frames, and one of many, whose peak is held against the first one's."""
    peaks = []
    for count in case["frames"]:
        row = one_stack(case, count, cache, home)
        peaks.append(row["peak_mib"])
        more = round(peaks[-1] / peaks[0] - 1, 3)
        yield row | ({"more_than_first": more, "flat": more <= RISE} if len(peaks) > 1 else {})


def one_stack(case: dict[str, Any], count: int, cache: Path, home: Path) -> dict[str, Any]:
    """One stack of so many frames by `auto`."""
    folder = sweep_files(cache, case["size"], case["distinct"], count)
    log = home / "stack.json"
    command = [sys.executable, "-m", "gpustack", "stack", str(folder), "-o", str(home / f"soak{count}.jpg")]
    seconds, samples = sampled([*command, "--backend", "cpu", "--ram", case["ram"], "--json", "--quiet"], log)
    report, resident = json.loads(log.read_text()), [own for own, _ in samples]
    begun = seconds - sum(report["seconds"].values())
    survey = (round(len(resident) * at / seconds) for at in (begun, begun + report["seconds"]["survey"]))
    return {
        "case": f"one stack of {count} frames",
        "megapixels": round(case["size"][0] * case["size"][1] / 1e6, 2),
        "ram": case["ram"],
        "wall_s": round(seconds, 1),
        "planned_mib": round(report["plan"]["total_bytes"] / 2**20, 1),
        "peak_mib": round(report["peak_bytes"] / 2**20, 1),
        "seconds": {name: round(value, 1) for name, value in report["seconds"].items()},
        "resident": series(resident),
        "survey_mib": series(resident[slice(*survey)])["mib"],
    }


def batch(case: dict[str, Any], cache: Path, home: Path) -> Iterator[dict[str, Any]]:
    """A batch of many small stacks: the process that orders them, and those that make them."""
    files = sorted(sweep_files(cache, case["size"], case["distinct"], case["distinct"]).iterdir())
    for number in range(case["stacks"]):
        folder = home / "sets" / f"s{number:03}"
        folder.mkdir(parents=True)
        for file in files:
            (folder / file.name).hardlink_to(file)
    command = [
        sys.executable,
        "-m",
        "gpustack",
        "batch",
        str(home / "sets"),
        "-o",
        str(home / "out"),
        "--json",
    ]
    log = home / "batch.json"
    seconds, samples = sampled([*command, "--backend", "cpu", "--ending", ".jpg"], log)
    yield {
        "case": f"a batch of {case['stacks']} stacks of {case['distinct']} frames",
        "megapixels": round(case["size"][0] * case["size"][1] / 1e6, 2),
        "wall_s": round(seconds, 1),
        "counts": json.loads(log.read_text())["counts"],
        "resident": series([own for own, _ in samples]),
        "largest_stack": series([most for _, most in samples]),
    }


def show(row: dict[str, Any]) -> None:
    """Print a row."""
    for name in SERIES:
        if name in row:
            found = row[name]
            print(f"{row['case']}, {name}: {found['mib']} MiB, {'flat' if found['flat'] else 'NOT FLAT'}")
    if "more_than_first" in row:
        print(f"{row['case']}: peak {row['more_than_first']:+.1%}, {'flat' if row['flat'] else 'NOT FLAT'}")


def kept(path: Path, only: str) -> list[dict[str, Any]]:
    """The rows of a result but those of one part."""
    rows = json.loads(path.read_text())["results"] if path.exists() else []
    return [row for row in rows if row.get("part") != only]


def main() -> None:
    """Command line of this file; ends with 1 where memory was not flat."""
    parser = argparse.ArgumentParser(description="Resident memory over time.")
    parser.add_argument("--tiny", action="store_true", help="small runs, which prove only that it works")
    parser.add_argument("--only", choices=PARTS_OF_IT, help="do one part; the rows of the other are kept")
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder of frames")
    given = parser.parse_args()
    home = given.cache / "runs" / "soak"
    head = heading("soak")
    cases = (TINY_STACK, TINY_BATCH) if given.tiny else (STACK, BATCH)
    rows = [] if given.only is None or given.json is None else kept(given.json, given.only)
    try:
        for part, run, case in zip(PARTS_OF_IT, (stacks, batch), cases, strict=True):
            if given.only not in (None, part):
                continue
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir(parents=True)
            for row in run(case, given.cache, home):
                rows.append({"part": part, "date": head["date"], "commit": head["commit"], **row})
                show(row)
                if given.json:
                    write_result({**head, "rise": RISE, "results": rows}, given.json, quiet=True)
    except BenchError as error:
        raise SystemExit(f"bench: {error}") from None
    finally:
        shutil.rmtree(home, ignore_errors=True)
    flat = [row[name]["flat"] for row in rows for name in SERIES if name in row]
    flat += [row["flat"] for row in rows if "flat" in row]
    raise SystemExit(0 if all(flat) else 1)


if __name__ == "__main__":
    main()
