"""What is left to do when the shooting ends? `python bench/watching.py --json bench/results/watching.json`.

Frames are taken one by one, as `gpustack watch` does without its waiting, and the stack is finished; beside
it, the same frames at once. Seconds of one process, in turn; and whether the pictures are the same.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from frames import default_cache
from machine import heading, write_result
from measure import positive, spread
from sets import sweep_files

from gpustack import Method, Model, Result, Settings, api
from gpustack.settings import BackendName
from gpustack.watching.session import PreviewFile, Session

SIZE, COUNT = (1200, 1800), 16
TINY_SIZE, TINY_COUNT = (120, 180), 4
STILL = {"align": Model.NONE, "reference": "first"}
CASES: dict[str, dict[str, Any]] = {
    "aligned, auto": {},
    "aligned, pyramid": {"method": Method.PYRAMID},
    "at rest, auto": {**STILL},
    "at rest, pyramid": {**STILL, "method": Method.PYRAMID},
}
"""The same frames each time; at rest, they are taken to lie still, and the reference is known at once."""

Seconds = dict[str, float]


def timed(work: Callable[[], Any]) -> tuple[Any, Seconds]:
    """What the work gives, and its seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    done = work()
    return done, {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def watched(paths: list[Path], settings: Settings, folder: Path) -> tuple[Result, list[Seconds], Seconds]:
    """The picture, the seconds of each frame as it came, and those of the end."""
    session = Session(settings, PreviewFile(folder / "preview.jpg", True), lambda _: None)
    frames = [timed(partial(session.take, path))[1] for path in paths]

    def finish() -> Result:
        stack, known = session.finish()
        return api.stack(stack, settings, known=known)

    picture, end = timed(finish)
    return picture, frames, end


def row_of(case: str, paths: list[Path], runs: int, folder: Path) -> dict[str, Any]:
    """Both ways in turn, after one round that does not count."""
    settings = Settings(backend=BackendName.CPU, **CASES[case])
    rounds = []
    for _ in range(1 + runs):
        picture, frames, end = watched(paths, settings, folder)
        whole, at_once = timed(partial(api.stack, paths, settings))
        rounds.append((frames, end, at_once, np.array_equal(picture.image, whole.image)))
    counted = rounds[1:]
    found: dict[str, Any] = {"case": case, "frames": len(paths), "same": all(row[3] for row in rounds)}
    for unit in ("wall_s", "cpu_s"):
        found[f"frame_{unit}"] = spread([median(one[unit] for one in row[0]) for row in counted], 3)
        found[f"end_{unit}"] = spread([row[1][unit] for row in counted], 3)
        found[f"at_once_{unit}"] = spread([row[2][unit] for row in counted], 3)
    return found


def show(row: dict[str, Any]) -> None:
    """Print a row: CPU seconds, which other programs disturb less."""
    frame, end, whole = (row[f"{name}_cpu_s"]["median"] for name in ("frame", "end", "at_once"))
    same = "the same picture" if row["same"] else "OTHER PIXELS"
    print(
        f"{row['case']:<18} a frame {frame:5.2f}   the end {end:6.2f}   at once {whole:6.2f} s   {same}",
        flush=True,
    )


def main() -> None:
    """Command line of this file; ends with 1 where a picture differs."""
    parser = argparse.ArgumentParser(description="What a watch does as frames come, and in the end.")
    parser.add_argument("--runs", type=positive, default=3, help="rounds that count")
    parser.add_argument("--tiny", action="store_true", help="small frames, which prove only that it runs")
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder of frames")
    given = parser.parse_args()
    head, rows = heading("watching"), []
    size, count = (TINY_SIZE, TINY_COUNT) if given.tiny else (SIZE, COUNT)
    paths = sorted(sweep_files(given.cache, size, count, count).iterdir())
    with tempfile.TemporaryDirectory() as scratch:
        for case in CASES:
            rows.append(row_of(case, paths, given.runs, Path(scratch)))
            show(rows[-1])
            if given.json:
                write_result({**head, "size": size, "results": rows}, given.json, quiet=True)
    raise SystemExit(0 if all(row["same"] for row in rows) else 1)


if __name__ == "__main__":
    main()
