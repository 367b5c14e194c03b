"""What a sidecar costs: the same stack with and without one, in processes of its own, in turns.

    python bench/sidecar.py --json bench/results/sidecar.json

Figures are CPU seconds (user and system) of the whole process, which other programs disturb less than wall
seconds, and wall seconds beside them; medians of the repeats. JPEG is small and slow to decode, 16-bit TIFF
without compression large and quick: the most that hashing can weigh.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import tifffile
from machine import heading, write_result

from gpustack.io.fingerprint import fingerprint
from gpustack.io.metadata import Metadata
from gpustack.io.write import write_picture
from gpustack.model.frame import PixelType
from gpustack.scenes import Shoot, render

FRAMES, SIZE = 8, (2000, 1500)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    result = heading("sidecar") | {"frames": FRAMES, "size": list(SIZE), "repeats": given.repeats}
    with tempfile.TemporaryDirectory() as scratch:
        for ending in (".jpg", ".tif"):
            folder = Path(scratch) / ending[1:]
            shoot(folder, ending)
            result[ending[1:]] = measured(folder, given.repeats)
            print(ending, result[ending[1:]])
    if given.json:
        write_result(result, given.json)


def shoot(folder: Path, ending: str) -> None:
    """Frames of a scene: JPEG, or 16-bit TIFF without compression."""
    folder.mkdir()
    kind = PixelType.UINT8 if ending == ".jpg" else PixelType.UINT16
    scene = render("print", Shoot(frames=FRAMES, width=SIZE[0], height=SIZE[1], noise=1.0, pixel_type=kind))
    for index in range(FRAMES):
        path = folder / f"{index}{ending}"
        if ending == ".jpg":
            write_picture(path, scene.frame(index), Metadata(), overwrite=False, software="bench", quality=92)
        else:
            tifffile.imwrite(path, scene.frame(index), photometric="rgb")


def measured(folder: Path, repeats: int) -> dict[str, object]:
    """Seconds with and without a sidecar, and of hashing the frames alone."""
    files = sorted(folder.iterdir())
    taken: dict[str, list[tuple[float, float]]] = {"with": [], "without": []}
    for _ in range(repeats):
        for name, words in (("with", []), ("without", ["--no-sidecar"])):
            taken[name].append(
                run(["stack", str(folder), "-o", str(folder.parent / "o.tif"), "-y", "-q", *words])
            )
    started = time.process_time()
    for path in files:
        fingerprint(path)
    cpu = {name: round(median(one[0] for one in times), 3) for name, times in taken.items()}
    wall = {name: round(median(one[1] for one in times), 3) for name, times in taken.items()}
    return {
        "megabytes": round(sum(path.stat().st_size for path in files) / 1e6, 1),
        "hashing_seconds": round(time.process_time() - started, 3),
        "cpu_seconds": cpu,
        "wall_seconds": wall,
        "cpu_share": round(cpu["with"] / cpu["without"] - 1, 4),
    }


def run(words: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of a command."""
    before, started = os.times(), time.perf_counter()
    subprocess.run([sys.executable, "-m", "gpustack", *words], check=True)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return spent, time.perf_counter() - started


if __name__ == "__main__":
    main()
