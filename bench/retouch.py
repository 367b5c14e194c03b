"""How fast strokes are painted: `python bench/retouch.py --json bench/results/retouch.json`.

A result is tiled up as by `bench/view.py`, and the server of `gpustack view` is asked over HTTP as the page
asks it: milliseconds from a stroke through its tiles that are seen anew, and of undoing it; and the server's
processor time for both, which depends less on what else the machine does. Then `gpustack apply` paints
strokes all over a result of 16 bits: seconds, and the process's memory beside what it was allowed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from math import sin
from pathlib import Path
from typing import Any

from machine import heading, write_result
from measure import REPOSITORY, environment, positive, spread
from view import FRAMES, GPUSTACK, RESULTS, SMALL, Page, page, prepare

from gpustack.records.shown import open_shown
from gpustack.retouch.edits import EditList, edits_of, write_edits
from gpustack.retouch.placing import Place
from gpustack.retouch.strokes import Brush, FrameSource, Polygon, Stroke

TIMES, RUNS = 8, 7
TILE = 512
SOURCE = FrameSource("frame_00.jpg")
GOALS = {"stroke_ms": 100.0}


def wave(left: float, top: float, length: float) -> tuple[tuple[float, float], ...]:
    """A path as a mouse tells it: a point every three pixels."""
    steps = int(length / 3)
    return tuple((left + 3 * step, top + length / 10 * sin(9 * step / steps)) for step in range(steps))


def strokes(width: int, height: int) -> dict[str, tuple[int, Stroke]]:
    """What is painted, and on which level it is seen."""
    patch = ((0.2, 0.2), (0.6, 0.25), (0.55, 0.6), (0.25, 0.5))
    corners = tuple((x * width, y * height) for x, y in patch)
    return {
        "brush of 40 px along 600, at full size": (
            0,
            Brush(wave(0.2 * width, 0.3 * height, 600), 40.0, 0.5, 1.0, SOURCE, True),
        ),
        "brush of 40 px, hard, a dab": (
            0,
            Brush(((0.6 * width, 0.4 * height),), 40.0, 1.0, 1.0, SOURCE, True),
        ),
        "brush of 300 px along half the picture, at an eighth": (
            3,
            Brush(wave(0.2 * width, 0.5 * height, 0.5 * width), 300.0, 0.5, 1.0, SOURCE, True),
        ),
        "polygon of an eighth of the picture, at an eighth": (3, Polygon(corners, 40.0, 1.0, SOURCE, True)),
    }


def asked(opened: Page, path: str, body: str | None = None) -> Any:
    """A POST of the page."""
    host = opened._asking.host, opened._asking.port
    headers = opened._cookie | {"Origin": "http://{}:{}".format(*host)}
    opened._asking.request("POST", path, body=body, headers=headers)
    answer = opened._asking.getresponse()
    data = answer.read()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status} {data!r}")
    return json.loads(data)


def seen_anew(opened: Page, told: dict[str, Any], level: int) -> None:
    """Ask for the tiles that a stroke changed."""
    left, top, width, height = told["dirty"]
    size = TILE << level
    for row in range(top // size, (top + height - 1) // size + 1):
        for column in range(left // size, (left + width - 1) // size + 1):
            opened.get(f"/tile/result/{level}/{column}/{row}?r={told['rev']}")


def painted(opened: Page, level: int, stroke: Stroke, runs: int) -> dict[str, Any]:
    """Milliseconds of a stroke and its tiles, and of undoing it; the first decodes the frame."""
    body, adds, undos = json.dumps(stroke.as_dict()), [], []
    before = 0.0
    for number in range(runs + 1):
        before = cpu_ms(opened) if number == 1 else before
        started = time.perf_counter()
        seen_anew(opened, asked(opened, "/api/edits/add", body), level)
        adds.append((time.perf_counter() - started) * 1e3)
        started = time.perf_counter()
        seen_anew(opened, asked(opened, "/api/edits/undo"), level)
        undos.append((time.perf_counter() - started) * 1e3)
    first, *others = adds
    spent = round((cpu_ms(opened) - before) / runs, 1)
    return {
        "first": round(first, 1),
        "stroke": spread(others, 1),
        "undo": spread(undos[1:], 1),
        "cpu of both": spent,
    }


def cpu_ms(opened: Page) -> float:
    """Processor time of the server so far, milliseconds."""
    fields = Path(f"/proc/{opened.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1e3 / os.sysconf("SC_CLK_TCK")


def applied(result: Path, ram_mib: int, layers: bool) -> dict[str, Any]:
    """Seconds and MiB of `gpustack apply` of many strokes."""
    shown = open_shown(result)
    width, height = shown.turn.size
    many = [
        Brush(wave(x, y, 500), 60.0, 0.5, 1.0, FrameSource(f"frame_{(x + y) // 700 % FRAMES:02d}.jpg"), True)
        for x in range(200, width - 700, 700)
        for y in range(200, height - 200, 700)
    ]
    write_edits(
        edits_of(result),
        EditList(result.name, Place(shown, result.parent).reference, tuple(many)),
        overwrite=True,
    )
    target = result.with_name("painted.tif")
    words = ["apply", str(result), "-o", str(target), "--ram", f"{ram_mib}M", "-y", "-q"]
    words += ["--layers", str(target.with_suffix(".psb"))] if layers else []
    started = time.perf_counter()
    process = subprocess.Popen([*GPUSTACK, *words], env=environment(), cwd=REPOSITORY)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit("gpustack apply failed")
    seconds = round(time.perf_counter() - started, 1)
    cpu = round(usage.ru_utime + usage.ru_stime, 1)
    peak = usage.ru_maxrss >> 10
    return {"strokes": len(many), "seconds": seconds, "cpu_s": cpu, "allowed_mib": ram_mib, "peak_mib": peak}


def bench(times: int, runs: int, target: Path | None) -> None:
    """Measure, print, and write the result."""
    head = heading("retouch")
    size = [side * times for side in SMALL]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, times)
        result = folder / RESULTS["tiff, 16 bits"]
        with page(result) as opened:
            opened.rest()
            table = {
                what: painted(opened, level, stroke, runs) for what, (level, stroke) in strokes(*size).items()
            }
        least = 600 + int(size[0] * size[1] * 3 * 2 / 2**20 * 2.2)
        apply = {
            "all tiles at once": applied(result, 4 * least, layers=False),
            "in rounds": applied(result, least, layers=False),
            "with layers": applied(result, 4 * least, layers=True),
        }
    found = {
        "size_px": size,
        "frames": FRAMES,
        "runs": runs,
        "goals": GOALS,
        "page_ms": table,
        "apply": apply,
    }
    print(json.dumps(found, indent=1))
    if target:
        write_result(head | found, target)


def main() -> None:
    """Command line of this file."""
    parser = argparse.ArgumentParser(description="Milliseconds of a stroke, and seconds of gpustack apply.")
    parser.add_argument("--times", type=positive, default=TIMES, help="copies of 1.3 MP along each side")
    parser.add_argument("--runs", type=positive, default=RUNS, help="times that each stroke is painted")
    parser.add_argument("--json", type=Path, help="where to write the result")
    given = parser.parse_args()
    bench(given.times, given.runs, given.json)


if __name__ == "__main__":
    main()
