"""What single operations cost, beside what was tried and lost: `python bench/operations.py --json FILE`.

CPU milliseconds of one core for a frame of 12 megapixels, in strips of 64 rows where the engine works in
strips; the least of five.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import machine
import numpy as np
import simplejpeg

from gpustack.backend.cpu import Cpu
from gpustack.fuse.scales import soft_scales
from gpustack.model.canvas import Canvas
from gpustack.model.frame import PixelType
from gpustack.model.rect import cut
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform
from gpustack.settings import Interpolation

HEIGHT, WIDTH, ROWS = 3000, 4000, 64
STRIPS = HEIGHT // ROWS
REPEATS = 5


def cpu_ms(work: Callable[[], Any], times: int = 1) -> float:
    """Least CPU milliseconds of this thread that `times` calls of `work` take."""
    best = float("inf")
    for _ in range(REPEATS):
        started = time.thread_time()
        for _ in range(times):
            work()
        best = min(best, time.thread_time() - started)
    return round(best * 1e3, 1)


def strip_pairs() -> dict[str, float]:
    """Small operations on strips, what the backend does and what it could do instead."""
    rng = np.random.default_rng(0)
    interleaved = rng.integers(0, 256, (ROWS, WIDTH, 3), dtype=np.uint8)
    planes = rng.random((3 * ROWS, WIDTH), dtype=np.float32)
    planar = np.empty((3, ROWS, WIDTH), np.float32)
    won = (rng.random((ROWS, WIDTH)) > 0.7).astype(np.uint8) * np.uint8(255)
    index, frame = np.zeros((ROWS, WIDTH), np.uint16), np.full((ROWS, WIDTH), 3, np.uint16)
    scale = np.float32(1 / 255)

    def strided() -> None:
        for channel, plane in enumerate(planar):
            np.multiply(interleaved[..., channel], scale, out=plane, dtype=np.float32)

    def split() -> None:
        for part, plane in zip(cv2.split(interleaved), planar, strict=True):
            np.multiply(part, scale, out=plane, dtype=np.float32)

    def rounded() -> None:
        values = np.rint(planes * np.float32(255))
        np.clip(values, 0, 255, out=values).astype(np.uint8)

    return {
        "masked copy of the index, np.copyto": cpu_ms(
            lambda: np.copyto(index, np.uint16(3), where=won != 0), STRIPS
        ),
        "masked copy of the index, cv2.copyTo": cpu_ms(lambda: cv2.copyTo(frame, won, index), STRIPS),
        "bytes to planar floats, strided": cpu_ms(strided, STRIPS),
        "bytes to planar floats, cv2.split": cpu_ms(split, STRIPS),
        "floats to bytes, np.rint and clip": cpu_ms(rounded, STRIPS),
        "floats to bytes, cv2.addWeighted": cpu_ms(
            lambda: cv2.addWeighted(planes, 255.0, planes, 0.0, 0.0, dtype=cv2.CV_8U), STRIPS
        ),
    }


def resampling() -> dict[str, float]:
    """A bicubic warp of three channels together and one by one."""
    rng = np.random.default_rng(0)
    picture = rng.random((HEIGHT, WIDTH, 3), dtype=np.float32)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32) * np.float32(1.01)
    single = np.ascontiguousarray(picture[..., 0])
    return {
        "warp, three channels interleaved": cpu_ms(lambda: cv2.remap(picture, x, y, cv2.INTER_CUBIC)),
        "warp, one plane": cpu_ms(lambda: cv2.remap(single, x, y, cv2.INTER_CUBIC)),
    }


def loading() -> dict[str, float]:
    """A frame of 8 bits onto the canvas by a similarity, all in all: positions, floats, gain, resampling."""
    backend, strips = Cpu(1), cut(HEIGHT, ROWS)
    picture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    moved = Transform(np.array([[0.998, -0.003, 8.3], [0.003, 0.998, 3.6], [0, 0, 1.0]]), Tone((1.01,)))

    def load(interpolation: Interpolation) -> None:
        for rows in strips:
            backend.load(picture, moved, PixelType.UINT8, WIDTH, rows, interpolation=interpolation)

    return {f"load, moved, {kind.value}": cpu_ms(lambda kind=kind: load(kind)) for kind in Interpolation}


def whole_frames() -> dict[str, float]:
    """Decoding a JPEG, and folding a frame into `auto`, by rows a band."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (HEIGHT // 4, WIDTH // 4, 3), dtype=np.uint8)
    picture = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    encoded = simplejpeg.encode_jpeg(picture, quality=92)
    found = {"decode JPEG": cpu_ms(lambda: simplejpeg.decode_jpeg(encoded))}
    for rows in (32, 64, 128):
        found[f"fold into auto, bands of {rows} rows"] = cpu_ms(_folding(picture, rows))
    return found


def _folding(picture: Any, rows: int) -> Callable[[], None]:
    backend = Cpu(1)
    canvas = Canvas(0, 0, WIDTH, HEIGHT, 3, PixelType.UINT8, cut(HEIGHT, rows))
    fold, still = soft_scales(0.004), Transform.identity()
    state = fold.start(backend, canvas)
    return lambda: fold.add(
        backend, state, 0, lambda band: backend.load(picture, still, PixelType.UINT8, WIDTH, band)
    )


def main() -> None:
    """Measure everything and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    target: Path = options.parse_args().json
    cv2.setNumThreads(1)
    table = {**strip_pairs(), **resampling(), **whole_frames(), **loading()}
    machine.write_result(machine.heading("operations") | {"cpu_ms_per_frame": table}, target)
    for name, milliseconds in table.items():
        print(f"{name:45s}{milliseconds:8.1f}")


if __name__ == "__main__":
    main()
