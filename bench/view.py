"""How fast `gpustack view` shows 100 megapixels: `python bench/view.py --json bench/results/view.json`.

A rendered stack is fused, and frames, results and sidecars are then tiled up to that size. Servers are
started as a user does, and asked over HTTP as the page asks, one request at a time: seconds until the link is
printed, and from there until all is there that a window of 1,920 pixels shows of the whole picture, and until
every pixel is read; milliseconds of single tiles; and the memory of the process.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
from machine import heading, write_result
from measure import REPOSITORY, environment, positive, spread

from gpustack.io.fingerprint import fingerprint
from gpustack.io.metadata import Metadata
from gpustack.io.picture import read_picture
from gpustack.io.sidecar import Output, Sidecar, read_sidecar, sidecar_of, write_sidecar
from gpustack.io.write import write_picture
from gpustack.model.transform import Transform
from gpustack.scenes import Shoot, render

Pixels = npt.NDArray[Any]

FRAMES, SMALL, TIMES = 6, (1296, 972), 9
WINDOW = 1920
RESULTS = {"jpeg": "sharp.jpg", "tiff, 8 bits": "sharp8.tif", "tiff, 16 bits": "sharp16.tif"}
GOALS = {"first_picture_s": 1.0, "tile_ms": 50.0}
GPUSTACK = [sys.executable, "-m", "gpustack"]


def prepare(folder: Path, times: int) -> None:
    """Frames and results of `times` x `times` copies of a small stack, and their sidecars."""
    small = folder / "small"
    small.mkdir()
    shoot = Shoot(FRAMES, *SMALL, max_blur_px=8.0, breathing=0.01, drift_px=4.0, noise=1.0)
    rendered = render("macro", shoot)
    for index in range(FRAMES):
        save(small / f"frame_{index:02d}.jpg", rendered.frame(index))
    command = [*GPUSTACK, "stack", str(small), "-o", str(small / "sharp.tif"), "--crop", "none", "--quiet"]
    subprocess.run(command, check=True, env=environment(), cwd=REPOSITORY)
    told = read_sidecar(sidecar_of(small / "sharp.tif"))
    for path in sorted(small.glob("frame*")):
        save(folder / path.name, np.tile(read_picture(path).pixels, (times, times, 1)))
    picture = np.tile(read_picture(small / "sharp.tif").pixels, (times, times, 1))
    told = grown(told, folder, times)
    for name in RESULTS.values():
        save(folder / name, deepened(picture) if name == "sharp16.tif" else picture)
        written = {"picture": Output(name, picture.shape, picture.dtype.name, "0" * 64)}
        write_sidecar(sidecar_of(folder / name), replace(told, outputs=written), overwrite=True)


def save(path: Path, pixels: Pixels) -> None:
    """A picture as gpustack writes it; frames in the quality of a camera."""
    write_picture(path, pixels, Metadata(), overwrite=True, software="bench", quality=92)


def deepened(picture: Pixels) -> Pixels:
    """16 bits: the lower bits of a photograph are noise, which does not compress."""
    deep = picture.astype(np.uint16) * np.uint16(257)
    for rows in deep:
        rows ^= np.random.default_rng(0).integers(0, 128, rows.shape, np.uint16)
    return deep


def grown(told: Sidecar, folder: Path, times: int) -> Sidecar:
    """The sidecar of a stack, tiled up: frames lie as they do, against the middle of the whole."""
    inputs = []
    for one in told.inputs:
        found = fingerprint(folder / one.file)
        inputs.append(
            replace(
                one,
                width=one.width * times,
                height=one.height * times,
                bytes=found.size,
                sha256=found.sha256,
            )
        )
    width, height = inputs[0].width, inputs[0].height
    places = tuple(
        replace(at, transform=Transform(at.transform.scaled(times).matrix, at.transform.tone))
        for at in told.places
    )
    report = {**told.report, "box": [0, 0, width, height]}
    return replace(told, inputs=tuple(inputs), places=places, report=report)


class Page:
    """A server of `gpustack view`, and what asks it."""

    def __init__(self, result: Path) -> None:
        self.started = time.perf_counter()
        command = [*GPUSTACK, "view", str(result), "--no-browser"]
        self.process = subprocess.Popen(
            command,
            env=environment(),
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.link = self.process.stdout.readline().strip()
        self.linked_s, self.linked_cpu_s = time.perf_counter() - self.started, self.cpu_s()
        parts = urlsplit(self.link)
        self._asking = http.client.HTTPConnection(parts.netloc)
        self._asking.request("GET", f"/?{parts.query}")
        answer = self._asking.getresponse()
        answer.read()
        self._cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}

    def get(self, path: str) -> bytes:
        """The body of an answer, which must be a good one."""
        self._asking.request("GET", path, headers=self._cookie)
        answer = self._asking.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {body!r}")
        return body

    def timed(self, path: str) -> float:
        """Milliseconds until a tile is there."""
        started = time.perf_counter()
        self.get(path)
        return (time.perf_counter() - started) * 1e3

    def cpu_s(self) -> float:
        """CPU seconds of all threads so far, in steps of a hundredth."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> dict[str, int]:
        """MiB: the largest resident set, and what is resident now of no file."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        kib = {name: int(re.search(rf"{name}:\s+(\d+)", status)[1]) for name in ("VmHWM", "RssAnon")}
        return {"peak_mib": kib["VmHWM"] >> 10, "anonymous_mib": kib["RssAnon"] >> 10}

    def rest(self) -> None:
        """Wait until nothing goes on behind the page."""
        while json.loads(self.get("/api/work"))["work"] is not None:
            time.sleep(0.2)


@contextmanager
def page(result: Path) -> Iterator[Page]:
    """A server, which is ended as by Ctrl-C."""
    opened = Page(result)
    try:
        yield opened
    finally:
        opened.process.send_signal(signal.SIGINT)
        opened.process.wait()


def tiles(told: dict[str, Any], level: int) -> list[tuple[int, int]]:
    """(column, row) of a level's tiles."""
    wide, high = (-(-told[side] >> level) for side in ("width", "height"))
    return [(x, y) for x in range(-(-wide // told["tile"])) for y in range(-(-high // told["tile"]))]


def first_picture(result: Path) -> dict[str, float]:
    """Seconds from the start of the command until the link is printed; from there until the whole picture is
    seen in the window, and until a tile of the last row is there in full size."""
    with page(result) as asked:
        told = json.loads(asked.get("/api/picture"))
        level = max(0, int(np.log2(told["width"] / WINDOW)))
        for x, y in tiles(told, level):
            asked.get(f"/tile/result/{level}/{x}/{y}?r=0")
        seen, seen_cpu = time.perf_counter() - asked.started - asked.linked_s, asked.cpu_s()
        x, y = tiles(told, 0)[-1]
        asked.get(f"/tile/result/0/{x}/{y}?r=0")
        whole = time.perf_counter() - asked.started - asked.linked_s
        return {
            "link_s": asked.linked_s,
            "link_cpu_s": asked.linked_cpu_s,
            "first_picture_s": seen,
            "first_picture_cpu_s": seen_cpu - asked.linked_cpu_s,
            "every_pixel_s": whole,
        }


def latencies(result: Path, count: int) -> dict[str, Any]:
    """Milliseconds of tiles, after the work behind the page is done, and while it goes on; and memory."""
    with page(result) as asked:
        told = json.loads(asked.get("/api/picture"))
        x, y = tiles(told, 0)[-1]
        asked.get(f"/tile/result/0/{x}/{y}?r=0")
        found = {"result, while frames are looked at": _some(asked, told, "result", 0, count)}
        started = time.perf_counter()
        asked.rest()
        looked_s = time.perf_counter() - started
        memory = {"after the look at the frames": asked.memory()}
        for layer in ("result", "frame-0", "depth", "winners"):
            for level in (0, 3):
                found[f"{layer}, level {level}"] = _some(asked, told, layer, level, count)
        for index in range(FRAMES):
            for level in (3, 0):
                asked.get(f"/tile/frame-{index}/{level}/0/0?r=0")
        memory["after every frame was shown"] = asked.memory()
        return {"tiles_ms": found, "look_at_frames_s": round(looked_s, 1), "memory": memory}


def _some(asked: Page, told: dict[str, Any], layer: str, level: int, count: int) -> dict[str, float]:
    """The first tile, which decodes what it needs, and the others; CPU time is the mean of those."""
    places = tiles(told, level)
    chosen = np.random.default_rng(1).permutation(len(places))[: count + 1]
    first, *rest = (f"/tile/{layer}/{level}/{places[n][0]}/{places[n][1]}?r=0" for n in chosen)
    first_ms = asked.timed(first)
    before = asked.cpu_s()
    spent = [asked.timed(path) for path in rest or [first]]
    cpu_ms = (asked.cpu_s() - before) * 1e3 / len(spent)
    found = {"first": first_ms, "median": median(spent), "max": max(spent), "cpu": cpu_ms}
    return {name: round(value, 1) for name, value in found.items()}


def bench(times: int, runs: int, count: int, target: Path | None) -> None:
    """Measure, print, and write the result."""
    head = heading("view")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, times)
        opening = {
            kind: [first_picture(folder / file) for _ in range(runs)] for kind, file in RESULTS.items()
        }
        tiled = latencies(folder / RESULTS["tiff, 16 bits"], count)
    table = {
        kind: {what: spread([run[what] for run in each], 2) for what in each[0]}
        for kind, each in opening.items()
    }
    size = [side * times for side in SMALL]
    result = {"size_px": size, "frames": FRAMES, "runs": runs, "goals": GOALS, "opening": table, **tiled}
    print(json.dumps(result, indent=1))
    if target:
        write_result(head | result, target)


def main() -> None:
    """Command line of this file."""
    parser = argparse.ArgumentParser(
        description="Seconds until a result is seen, and milliseconds of a tile."
    )
    parser.add_argument("--times", type=positive, default=TIMES, help="copies of 1.3 MP along each side")
    parser.add_argument("--runs", type=positive, default=3, help="openings of each kind of result")
    parser.add_argument("--tiles", type=positive, default=60, help="tiles of each kind")
    parser.add_argument("--json", type=Path, help="where to write the result")
    given = parser.parse_args()
    bench(given.times, given.runs, given.tiles, given.json)


if __name__ == "__main__":
    main()
