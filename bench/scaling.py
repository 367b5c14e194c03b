"""Do time and memory grow as they should? By number of frames, by megapixels, and by threads.

`python bench/scaling.py --json bench/results/scaling.json --plot docs/images/scaling.png`; see README.md.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
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
"""Megapixels at which threads are compared."""

Row = dict[str, Any]


def _numbers(text: str) -> tuple[int, ...]:
    """Whole numbers, comma-separated."""
    return tuple(int(part) for part in text.split(","))


def _chosen(given: argparse.Namespace) -> tuple[dict[int, tuple[int, int]], tuple[int, ...]]:
    """Sizes by megapixels, and numbers of frames."""
    if given.tiny:
        return TINY_SIZES, TINY_COUNTS
    return {megapixels: SIZES[megapixels] for megapixels in given.sizes}, given.counts


def growth(given: argparse.Namespace) -> list[Row]:
    """One row for every method, size and number of frames: a whole process, aligned."""
    sizes, counts = _chosen(given)
    rows = []
    for megapixels, size in sizes.items():
        for count in counts:
            folder = sweep_files(given.cache, size, min(DISTINCT, count), count)
            for method in given.methods.split(","):
                done = own_run(folder, given.cache / "runs" / "scaling", method)
                rows.append(
                    {
                        "method": method,
                        "megapixels": megapixels,
                        "frames": count,
                        "wall_s": round(done.figures.wall_s, 2),
                        "cpu_s": round(done.figures.cpu_s, 2),
                        "peak_mib": round(done.figures.peak_bytes / 2**20, 1),
                        "plan_mib": round(done.report["plan"]["total_bytes"] / 2**20, 1),
                        "mp_s": round(count * size[0] * size[1] / 1e6 / done.figures.wall_s, 2),
                    }
                )
                print(*rows[-1].values(), sep="\t", flush=True)
    return rows


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


def threads(given: argparse.Namespace) -> list[Row]:
    """By method, how many times faster the passes are with all threads than with one, without alignment."""
    megapixels = max(TINY_SIZES) if given.tiny else AT_ONCE
    size = (TINY_SIZES if given.tiny else SIZES)[megapixels]
    folder = sweep_files(given.cache, size, 3 if given.tiny else DISTINCT, 6 if given.tiny else 2 * DISTINCT)
    every, rows = os.cpu_count() or 1, []
    for method in given.methods.split(","):
        taken: dict[int, list[float]] = {1: [], every: []}
        for _ in range(given.runs):
            for count, seconds in taken.items():
                home = given.cache / "runs" / "scaling"
                done = own_run(folder, home, method, "--threads", str(count), align=False)
                seconds.append(round(done.fuse_s, 3))
        gained = median(taken[1]) / median(taken[every])
        rows.append({"method": method, "passes_s": taken, "threads": every, "times": round(gained, 2)})
        print(f"{method}: {every} threads are {gained:.2f} times as fast as one in the passes", flush=True)
    return rows


def bench(given: argparse.Namespace) -> None:
    """All of it."""
    head = heading("scaling")
    gained = threads(given)
    rows = growth(given)
    found = fits(rows)
    for method, fit in found.items():
        print(method, fit)
    if given.json:
        write_result({**head, "results": rows, "fits": found, "threads": gained}, given.json)
    if given.plot:
        write_plot(rows, given.plot)


def main() -> None:
    """Command line of this file."""
    parser = argparse.ArgumentParser(description="Time and memory of ours by frames, megapixels and threads.")
    parser.add_argument("--runs", type=positive, default=3, help="runs with one and with all threads")
    parser.add_argument("--methods", default=",".join(METHODS), help="comma-separated")
    parser.add_argument("--sizes", type=_numbers, default=tuple(SIZES), help="megapixels, comma-separated")
    parser.add_argument("--counts", type=_numbers, default=COUNTS, help="frames, comma-separated")
    parser.add_argument("--tiny", action="store_true", help="small frames, which prove only that it runs")
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--plot", type=Path, help="where to write the picture, .png")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder of frames")
    try:
        bench(parser.parse_args())
    except BenchError as error:
        raise SystemExit(f"bench: {error}") from None


if __name__ == "__main__":
    main()
