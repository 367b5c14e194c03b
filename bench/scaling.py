"""Do time and memory grow as they should? By number of frames, by megapixels, and by cores.

`python bench/scaling.py --json bench/results/scaling.json --plot docs/images/scaling.png`; then, for tables
in Markdown, `python bench/scaling_table.py bench/results/scaling.json`; see README.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from frames import default_cache
from machine import heading, write_result
from measure import BenchError, positive
from own import own_run
from scaling_plot import write_plot
from sets import sweep_files

SIZES = {3: (1500, 2000), 12: (3000, 4000), 48: (6000, 8000)}
"""(height, width) by megapixels."""

COUNTS = (8, 32, 128)
TINY_SIZES, TINY_COUNTS = {1: (900, 1200), 2: (1200, 1700)}, (3, 6)
DISTINCT = 8
METHODS = ("auto", "pyramid", "depthmap", "average")
AT_ONCE = 12
"""Megapixels at which cores are compared."""

MOST = 4000
"""Megapixels of all frames together beyond which only the first method is run: with all four that would take
longer than the other rows together, and tell no more."""

ENOUGH = 1.7
"""By how many times two cores are to be faster than one."""

Row = dict[str, Any]


def _numbers(text: str) -> tuple[int, ...]:
    """Whole numbers, comma-separated."""
    return tuple(int(part) for part in text.split(","))


def _chosen(given: argparse.Namespace) -> tuple[dict[int, tuple[int, int]], tuple[int, ...]]:
    """Sizes by megapixels, and numbers of frames."""
    if given.tiny:
        return TINY_SIZES, TINY_COUNTS
    return {megapixels: SIZES[megapixels] for megapixels in given.sizes}, given.counts


def growth(given: argparse.Namespace) -> Iterator[Row]:
    """One row for every method, size and number of frames: a whole process, aligned."""
    sizes, counts = _chosen(given)
    methods = given.methods.split(",")
    for megapixels, size in sizes.items():
        for count in counts:
            folder = sweep_files(given.cache, size, min(DISTINCT, count), count)
            for method in methods if count * megapixels <= MOST else methods[:1]:
                yield _row(given, folder, method, megapixels, count)


def _row(given: argparse.Namespace, folder: Path, method: str, megapixels: int, count: int) -> Row:
    done = own_run(folder, given.cache / "runs" / "scaling", method)
    (height, width), took = (TINY_SIZES if given.tiny else SIZES)[megapixels], done.figures
    row = {
        "method": method,
        "megapixels": megapixels,
        "frames": count,
        "wall_s": round(took.wall_s, 2),
        "cpu_s": round(took.cpu_s, 2),
        "peak_mib": round(took.peak_bytes / 2**20, 1),
        "plan_mib": round(done.report["plan"]["total_bytes"] / 2**20, 1),
        "mp_s": round(count * height * width / 1e6 / took.wall_s, 2),
    }
    print(*row.values(), sep="\t", flush=True)
    return row


def fits(rows: Sequence[Row]) -> dict[str, Row]:
    """By method: CPU seconds as a + b N + c N MP + d MP, and the largest relative error.

    Where it is small, growth is linear. `ratio_n`: CPU seconds a frame with most frames as a multiple of
    those with fewest, on the largest frames; 1 is linear, less has fixed costs.
    """
    found = {}
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == method]
        n, mp, took = (
            np.array([row[name] for row in mine], float) for name in ("frames", "megapixels", "cpu_s")
        )
        terms = np.stack([np.ones_like(n), n, n * mp, mp], axis=1) / took[:, None]
        weights, *_ = np.linalg.lstsq(terms, np.ones_like(took), rcond=None)
        large = [row for row in mine if row["megapixels"] == max(mp)]
        each = [row["cpu_s"] / row["frames"] for row in sorted(large, key=lambda row: row["frames"])]
        peaks = [row["peak_mib"] for row in sorted(large, key=lambda row: row["frames"])]
        found[method] = {
            "seconds": dict(
                zip(
                    ("start", "frame", "frame_megapixel", "megapixel"),
                    map(float, weights.round(4)),
                    strict=True,
                )
            ),
            "largest_error": round(float(np.abs(terms @ weights - 1).max()), 3),
            "ratio_n": round(each[-1] / each[0], 3),
            "peak_ratio_n": round(peaks[-1] / peaks[0], 3),
        }
    return found


def cores(given: argparse.Namespace) -> Iterator[Row]:
    """By method, how many times faster frames are fused on all cores than on one, without alignment."""
    megapixels = max(TINY_SIZES) if given.tiny else AT_ONCE
    size = (TINY_SIZES if given.tiny else SIZES)[megapixels]
    count = 6 if given.tiny else DISTINCT
    folder, home = (
        sweep_files(given.cache, size, 3 if given.tiny else count, count),
        given.cache / "runs" / "scaling",
    )
    every = os.cpu_count() or 1
    # One thread folds while another decodes: that is one core only where no more are given.
    ways = {1: ("taskset", "-c", "0") if shutil.which("taskset") else (), every: ()}
    for method in given.methods.split(","):
        taken: dict[int, list[float]] = {count: [] for count in ways}
        for _ in range(given.runs):
            for number, under in ways.items():
                done = own_run(folder, home, method, "--threads", str(number), align=False, under=under)
                taken[number].append(round(done.fuse_s, 3))
        gained = round(median(taken[1]) / median(taken[every]), 2)
        pinned = bool(ways[1])
        yield {"method": method, "fuse_s": taken, "cores": every, "pinned": pinned, "times": gained}
        print(f"{method}: fused {gained:.2f} times as fast on {every} cores as on one", flush=True)


def bench(given: argparse.Namespace) -> bool:
    """All of it, written as it comes; whether two cores are fast enough."""
    result: dict[str, Any] = {**heading("scaling"), "enough": ENOUGH, "results": [], "fits": {}, "cores": []}
    for kind, rows in (("cores", cores(given)), ("results", growth(given))):
        for row in rows:
            result[kind].append(row)
            if given.json:
                write_result(result, given.json, quiet=True)
    result["fits"] = fits(result["results"])
    for method, fit in result["fits"].items():
        print(method, fit)
    if given.json:
        write_result(result, given.json)
    if given.plot:
        write_plot(result["results"], given.plot)
    return all(row["times"] >= ENOUGH for row in result["cores"] if row["cores"] == 2)


def main() -> None:
    """Command line of this file; ends with 1 where two cores are not fast enough."""
    parser = argparse.ArgumentParser(description="Time and memory of ours by frames, megapixels and cores.")
    parser.add_argument("--runs", type=positive, default=3, help="runs on one and on all cores")
    parser.add_argument("--methods", default=",".join(METHODS), help="comma-separated")
    parser.add_argument("--sizes", type=_numbers, default=tuple(SIZES), help="megapixels, comma-separated")
    parser.add_argument("--counts", type=_numbers, default=COUNTS, help="frames, comma-separated")
    parser.add_argument("--tiny", action="store_true", help="small frames, which prove only that it runs")
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--plot", type=Path, help="where to write the picture, .png")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder of frames")
    try:
        raise SystemExit(0 if bench(parser.parse_args()) else 1)
    except BenchError as error:
        raise SystemExit(f"bench: {error}") from None


if __name__ == "__main__":
    main()
