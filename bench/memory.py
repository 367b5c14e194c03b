"""Does our peak memory grow with the number of frames? The same picture from 8 and from 64 frames of 12 MP.

`python bench/memory.py --json bench/results/NAME.json`; contract in README.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from frames import FrameSet, default_cache, rendered
from machine import heading, write_result
from measure import BenchError, positive
from peers import ours
from stack import chosen, fight, split_by_presence

COUNTS = (8, 64)


def peaks(frames: FrameSet, given: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Every chosen method's row of results on `frames`, by the method's name."""
    competitors, _ = split_by_presence(chosen(ours(given.backend), given.only))
    rows = fight(frames, competitors, given.runs, given.cache / "runs" / frames.name)
    return {row["name"]: row for row in rows}


def growth(few: dict[str, dict[str, Any]], many: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a method: the spread of both peaks and wall times, and peak of many over peak of few."""
    return [
        {
            "name": name,
            "commands": few[name]["commands"],
            **{
                f"peak_mib_{count}": row["peak_mib"]
                for count, row in zip(COUNTS, (few[name], many[name]), strict=True)
            },
            **{
                f"wall_s_{count}": row["wall_s"]
                for count, row in zip(COUNTS, (few[name], many[name]), strict=True)
            },
            "peak_ratio": round(many[name]["peak_mib"]["median"] / few[name]["peak_mib"]["median"], 3),
        }
        for name in few
    ]


def bench(given: argparse.Namespace) -> None:
    """The whole bench: two sets of frames, rounds on each, table, result file."""
    head = heading("memory")
    sets = [rendered(given.cache, f"memory{count}", count) for count in COUNTS]
    rows = growth(*(peaks(frames, given) for frames in sets))
    show(rows)
    if given.json:
        about = [frames.describe() for frames in sets]
        write_result({**head, "sets": about, "runs": given.runs, "results": rows}, given.json)


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print peak memory with few and with many frames, and the ratio."""
    for row in rows:
        few, many = (row[f"peak_mib_{count}"]["median"] for count in COUNTS)
        print(f"{row['name']:<24}{few:>8.0f} MiB ->{many:>8.0f} MiB   x {row['peak_ratio']:.2f}")


def main() -> None:
    """Command line of this file."""
    parser = argparse.ArgumentParser(description="Peak memory of ours with 8 and with 64 frames of 12 MP.")
    parser.add_argument("--runs", type=positive, default=1, help="measured runs each, after one warm-up")
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--only", default="", help='methods to run, comma-separated: "gpustack pyramid"')
    parser.add_argument("--backend", choices=("auto", "cuda", "cpu"), default="auto", help="backend of ours")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder of frames")
    try:
        bench(parser.parse_args())
    except BenchError as error:
        raise SystemExit(f"bench: {error}") from None


if __name__ == "__main__":
    main()
