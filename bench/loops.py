"""What compiled loops are worth: the CPU backend with and without numba, on the same frames, in turn.

`python bench/loops.py --frames 24 --runs 3 --json bench/results/loops.json`; see README.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from frames import FrameSet, default_cache, rendered
from machine import heading, write_result
from measure import Command, Figures, measure, positive, rounds, summary

from gpustack.backend.cpu import Cpu
from gpustack.backend.fast.backend import FastCpu
from gpustack.fuse.auto import Auto
from gpustack.fuse.fold import Fold
from gpustack.fuse.measure import Sharpest
from gpustack.fuse.pyramid import pyramid
from gpustack.model.canvas import Canvas
from gpustack.model.frame import PixelType
from gpustack.model.rect import cut
from gpustack.model.transform import Transform

METHODS = ("auto", "pyramid", "depthmap", "average")
HEIGHT, WIDTH, ROWS, NOISE, TURNS = 256, 4000, 64, 0.004, 7
PLAIN, LOOPS = "plain", "loops"

WITHOUT = """
import gpustack.backend.choose as choose
choose.has_loops = lambda: False
from gpustack.cli.app import main
main()
"""
WITH = "from gpustack.cli.app import main; main()"


def folds() -> dict[str, Fold[Any]]:
    """What a pass over the frames does."""
    return {"auto": Auto(NOISE), "pyramid": pyramid(NOISE), "measure": Sharpest(NOISE)}


def pictures() -> list[Any]:
    """A picture, the same with noise, and blurred."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (HEIGHT // 4, WIDTH // 4, 3), dtype=np.uint8)
    sharp = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    noisy = np.clip(sharp + rng.integers(-3, 4, sharp.shape), 0, 255).astype(np.uint8)
    return [sharp, noisy, cv2.GaussianBlur(noisy, (0, 0), 2.0)]


def folding(backend: Cpu, fold: Fold[Any]) -> float:
    """Least CPU milliseconds a megapixel to fold a frame in, on one core."""
    canvas = Canvas(0, 0, WIDTH, HEIGHT, 3, PixelType.UINT8, cut(HEIGHT, ROWS))
    state, frames, taken = fold.start(backend, canvas), pictures(), []
    for index in range(TURNS):
        frame = frames[index % len(frames)]
        started = time.thread_time()
        fold.add(
            backend,
            state,
            index,
            lambda rows, frame=frame: backend.load(frame, Transform.identity(), PixelType.UINT8, WIDTH, rows),
        )
        taken.append(time.thread_time() - started)
    return round(min(taken[1:]) * 1e9 / (HEIGHT * WIDTH), 1)


def command(way: str, method: str, frames: FrameSet, home: Path) -> Command:
    """A run of the whole program."""
    code = WITH if way == LOOPS else WITHOUT
    given = ["stack", str(frames.folder), "-o", str(home / frames.out), "--method", method, "--overwrite"]
    return [sys.executable, "-c", code, *given, "--align", "none", "--backend", "cpu", "--quiet"]


def whole(given: argparse.Namespace) -> dict[str, Any]:
    """Whole processes, both ways in turn."""
    # 24 frames are the set of the same name, 8 and 64 those of memory.py.
    name = "fuse12" if given.frames == 24 else f"memory{given.frames}"
    frames, home = rendered(given.cache, name, given.frames), given.cache / "runs" / "loops"
    home.mkdir(parents=True, exist_ok=True)
    names = [f"{method} {way}" for method in given.methods.split(",") for way in (PLAIN, LOOPS)]

    def run(name: str) -> Figures:
        method, way = name.split()
        return measure([command(way, method, frames, home)], home / "log.txt")

    return {name: summary(figures) for name, figures in rounds(names, given.runs, run).items()}


def main() -> None:
    """Measure both and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=positive, default=24, help="of 12 megapixels, in JPEG files")
    parser.add_argument("--methods", default=",".join(METHODS), help="comma-separated")
    parser.add_argument("--runs", type=positive, default=3, help="measured runs each, after one warm-up")
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--json", type=Path, required=True)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    result = heading("loops")
    table: dict[str, dict[str, float]] = {name: {} for name in folds()}
    for _ in range(2):  # compiled in the first turn
        for name, fold in folds().items():
            table[name] = {PLAIN: folding(Cpu(1), fold), LOOPS: folding(FastCpu(1), fold)}
    result |= {"fold_cpu_ms_a_megapixel": table, "frames": given.frames, "whole": whole(given)}
    write_result(result, given.json)


if __name__ == "__main__":
    main()
