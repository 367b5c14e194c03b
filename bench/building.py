"""The first frames of a process on a device, which compile kernels or load them from CuPy's cache.

Prints seconds as JSON: `opening` the device, and the `first` and `second` small frame of every pass and of
the survey. `stream.py` runs it with an empty cache and again.
"""

from __future__ import annotations

import argparse
import json
import time

import devices
import numpy as np
import passes

from gpustack.align.sight import see
from gpustack.backend.gpu.backend import Gpu
from gpustack.model.frame import PixelType

SIZE = (96, 128)
LIMIT = 1 << 28


def small_frames(gpu: Gpu) -> None:
    """A frame through every pass and the survey, and back."""
    pixels = np.random.default_rng(1).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    frame = gpu.upload(pixels)
    for name in passes.NAMES:
        run = passes.begin(gpu, name, SIZE, PixelType.UINT8, passes.warp(SIZE))
        run.add(frame)
        if name != "measure":
            run.fold.finish(gpu, run.state)  # type: ignore[attr-defined]
    see(gpu, gpu.survey_luma(frame, PixelType.UINT8, 1), SIZE[::-1])


def main() -> None:
    """Command line of this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda:0")
    started = time.perf_counter()
    gpu = Gpu(devices.open_device(parser.parse_args().device), LIMIT)
    stamps = [time.perf_counter()]
    for _ in range(2):
        small_frames(gpu)
        stamps.append(time.perf_counter())
    names = ("opening", "first", "second")
    print(json.dumps(dict(zip(names, np.diff([started, *stamps]).round(4).tolist(), strict=True))))


if __name__ == "__main__":
    main()
