"""Is `--ram` kept, and is the plan right? Peak memory of fresh processes beside what was planned and allowed.

`python bench/memory.py --json bench/results/memory.json`; contract in README.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from frames import default_cache
from machine import heading, write_result
from measure import BenchError, positive
from own import own_run
from sets import sweep_files

CASES = {
    "3 MP": ("jpeg", (1500, 2000), 4, 8, "8G"),
    "6 MP": ("jpeg", (2000, 3000), 4, 8, "8G"),
    "12 MP": ("jpeg", (3000, 4000), 4, 8, "8G"),
    "12 MP, little memory": ("jpeg", (3000, 4000), 4, 8, "990M"),
    "12 MP, 16-bit TIFF": ("tiff", (3000, 4000), 4, 8, "8G"),
    "12 MP, packed TIFF": ("deflate", (3000, 4000), 4, 8, "8G"),
    "12 MP, RAW": ("raw", (3000, 4000), 4, 8, "8G"),
    "24 MP": ("jpeg", (4000, 6000), 4, 300, "2G"),
    "100 MP": ("jpeg", (8660, 11548), 3, 20, "2G"),
    "150 MP": ("jpeg", (10652, 14204), 3, 3, "4G"),
}
"""Kind of file, (height, width), how many frames are rendered, how many names they have, and what is allowed:
cases of which all is in memory, half of what a peer takes of one, those that the project promises, and the
largest sensor's."""

TINY = {
    "2 MP": ("jpeg", (1200, 1700), 3, 6, "2G"),
    "2 MP, 16-bit TIFF": ("tiff", (1200, 1700), 3, 6, "2G"),
    "2 MP, RAW": ("raw", (1200, 1700), 3, 6, "2G"),
}
METHODS = ("auto", "pyramid", "depthmap", "average")
MISSED = 0.15
"""How far the plan may be from the peak, as a share of the peak."""

BYTES = {"G": 1 << 30, "M": 1 << 20}
Row = dict[str, Any]


def row_of(case: str, method: str, limit: str, folder: Path, home: Path) -> Row:
    """One run under a limit; or why it did not begin."""
    begun: Row = {"case": case, "frames": len(list(folder.iterdir())), "method": method, "limit": limit}
    try:
        done = own_run(folder, home, method, "--ram", limit)
    except BenchError as error:
        return begun | {"refused": str(error).splitlines()[-1]}
    planned, peak = done.report["plan"]["total_bytes"], done.figures.peak_bytes
    return begun | {
        "wall_s": round(done.figures.wall_s, 1),
        "cpu_s": round(done.figures.cpu_s, 1),
        "plan_mib": round(planned / 2**20, 1),
        "peak_mib": round(peak / 2**20, 1),
        "plan_to_peak": round(planned / peak, 3),
        "slots": done.report["plan"]["slots"],
        "threads": done.report["plan"]["threads"],
        "loops": done.report["plan"]["loops"],
        "turns": {name: len(turns) for name, turns in done.report["plan"]["turns"].items()},
        "disk_mib": round(done.report["plan"]["disk_bytes"] / 2**20, 1),
        "slowdown": round(done.report["plan"]["slowdown"], 2),
        "kept": peak <= int(limit[:-1]) * BYTES[limit[-1]],
        "foreseen": abs(planned / peak - 1) <= MISSED,
    }


def show(row: Row) -> None:
    """Print a row, and which promise it breaks."""
    name = f"{row['case']}, {row['method']}"
    if "refused" in row:
        print(f"{name:<36} REFUSED: {row['refused']}", flush=True)
        return
    figures = [f"{row[name]:>10.0f} MiB {name[:4]}" for name in ("peak_mib", "plan_mib")]
    broken = [
        word for word, held in (("LIMIT BROKEN", "kept"), ("not foreseen", "foreseen")) if not row[held]
    ]
    print(f"{name:<36}", *figures, f"{row['wall_s']:>7.0f} s", *broken, flush=True)


def bench(given: argparse.Namespace) -> bool:
    """Every case by every method; whether all limits were kept and foreseen."""
    head = heading("memory")
    rows, done = kept(given.json), []
    cases = TINY if given.tiny else {name: CASES[name] for name in given.cases.split(";")}
    for case, (kind, size, distinct, count, limit) in cases.items():
        folder = sweep_files(given.cache, size, distinct, min(count, given.most), kind)
        for method in given.methods.split(","):
            row = row_of(case, method, limit, folder, given.cache / "runs" / "memory")
            show(row)
            done.append(row | {"date": head["date"], "commit": head["commit"]})
            rows[_key(row)] = done[-1]
            if given.json:
                result = {**head, "missed": MISSED, "results": list(rows.values())}
                write_result(result, given.json, quiet=True)
    return all(row.get("kept") and row.get("foreseen") for row in done)


def kept(path: Path | None) -> dict[tuple[str, str, int], Row]:
    """The rows of a result, which are replaced by what is measured now."""
    if path is None or not path.exists():
        return {}
    return {_key(row): row for row in json.loads(path.read_text())["results"]}


def _key(row: Row) -> tuple[str, str, int]:
    return row["case"], row["method"], row["frames"]


def main() -> None:
    """Command line of this file; ends with 1 where a run was refused, broke its limit or was not foreseen."""
    parser = argparse.ArgumentParser(description="Peak memory of ours under --ram beside the plan's.")
    parser.add_argument("--cases", default=";".join(CASES), help="separated by semicolons")
    parser.add_argument("--most", type=positive, default=1000, help="frames of a case, at most")
    parser.add_argument("--methods", default=",".join(METHODS), help="comma-separated")
    parser.add_argument("--tiny", action="store_true", help="small frames, which prove only that it runs")
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder of frames")
    try:
        raise SystemExit(0 if bench(parser.parse_args()) else 1)
    except BenchError as error:
        raise SystemExit(f"bench: {error}") from None


if __name__ == "__main__":
    main()
