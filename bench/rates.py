"""How fast frames reach a device, how fast it works on them, and whether it does both at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import passes
from measure import BenchError
from sweep import Sweep
from workbench import Workbench

from gpustack.backend.gpu.backend import Gpu
from gpustack.backend.gpu.device import Host, Lane
from gpustack.engine.feed import Feed, Source
from gpustack.model.frame import Frame, Kind, PixelType

DISTINCT = 4
SLOTS = 6
COPIES = 10
TINY_LAUNCHES = 1000
BUILDING = Path(__file__).with_name("building.py")

Row = dict[str, Any]


def copy_rates(bench: Workbench) -> Row:
    """GB/s of a frame between host and device, from page-locked and from ordinary memory."""
    nbytes = bench.pixels * 3
    device = bench.device
    target = device.allocate(nbytes)
    ordinary, pinned = np.zeros(nbytes, np.uint8), device.pinned(nbytes)
    pinned[:] = 0

    def rate(copy: Callable[[Host], None], host: Host) -> float:
        taken = []
        for _ in range(COPIES):
            started = time.perf_counter()
            copy(host)
            device.finish(device.record(Lane.COPY))
            taken.append(time.perf_counter() - started)
        return round(nbytes / median(taken) / 1e9, 2)

    found = {
        "to_device_pinned": rate(lambda host: device.copy_in(target, host, Lane.COPY), pinned),
        "to_device_pageable": rate(lambda host: device.copy_in(target, host, Lane.COPY), ordinary),
        "to_host_pinned": rate(lambda host: device.copy_out(host, target, Lane.COPY), pinned),
        "to_host_pageable": rate(lambda host: device.copy_out(host, target, Lane.COPY), ordinary),
    }
    device.free(target)
    return found


def launch_rates(bench: Workbench) -> Row:
    """Microseconds of a launch that does next to nothing: to ask for it, and until all are done."""
    gpu = bench.gpu()
    tiny = gpu.full((1, 1), 0.0, "float32")
    bench.meter.settle()
    with bench.meter.unwatched():
        started = time.perf_counter()
        for _ in range(TINY_LAUNCHES):
            gpu.fill(tiny, 1.0)
        asked = time.perf_counter()
        bench.meter.finish(bench.meter.record(Lane.WORK))
        ended = time.perf_counter()
    del tiny
    gpu.close()
    each = 1e6 / TINY_LAUNCHES
    return {"asking_us": round((asked - started) * each, 2), "done_us": round((ended - started) * each, 2)}


def build_times(device: str) -> Row:
    """Seconds to the first frames with an empty cache of kernels, and with a full one."""
    with tempfile.TemporaryDirectory() as cache:
        runs = [_built(device, cache) for _ in range(2)]
    compiling = runs[0]["first"] - runs[1]["first"]
    return {"empty_cache": runs[0], "full_cache": runs[1], "compiling": round(compiling, 3)}


def _built(device: str, cache: str) -> Row:
    command = [sys.executable, str(BUILDING), "--device", device]
    environment = os.environ | {"CUPY_CACHE_DIR": cache}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise BenchError(f"building.py failed: {done.stderr.strip()[-500:]}")
    found: Row = json.loads(done.stdout.splitlines()[-1])
    return found


class Flow:
    """`count` frames that lie in page-locked memory, on their way through one pass, as in the engine."""

    def __init__(self, bench: Workbench, sweep: Sweep, name: str, count: int) -> None:
        self._bench, self._count = bench, count
        self._gpu: Gpu = bench.gpu()
        height, width = bench.size
        self._frame = Frame(Path("frame"), width, height, 3, PixelType.UINT8, Kind.ARRAY)
        self._run = passes.begin(self._gpu, name, bench.size, PixelType.UINT8, passes.warp(bench.size))
        step = max(1, sweep.count // DISTINCT)
        self._pictures = [sweep.frame(index * step % sweep.count) for index in range(DISTINCT)]
        self._resident = [self._gpu.upload(picture) for picture in self._pictures[:2]]
        self._filled = 0

    def close(self) -> None:
        """Give the memory back."""
        self._resident.clear()
        self._gpu.close()

    def overlap(self) -> Row:
        """Frames a second of the upload alone, of the kernels alone, and of both together."""
        self._fed(self._filling, 2 * (SLOTS + 1), self._run.add)  # every slot now holds a frame
        with self._bench.meter.unwatched():
            uploads = self._rate(lambda: self._fed(_as_it_is, self._count, lambda _: None))
            kernels = self._rate(self._without_upload)
            busy = self._gpu.busy_seconds
            both = self._rate(lambda: self._fed(_as_it_is, self._count, self._run.add))
        seconds = self._count / both
        spent = {name: value - busy[name] for name, value in self._gpu.busy_seconds.items()}
        return {
            "frames": self._count,
            "upload_fps": round(uploads, 2),
            "kernels_fps": round(kernels, 2),
            "both_fps": round(both, 2),
            "share_of_slower": round(both / min(uploads, kernels), 3),
            "busy": {name: round(value / seconds, 3) for name, value in spent.items()},
        }

    def _rate(self, work: Callable[[], None]) -> float:
        started = time.perf_counter()
        work()
        return self._count / (time.perf_counter() - started)

    def _fed(self, read: Callable[[Frame, Any], Any], count: int, look: Callable[[Any], None]) -> None:
        feed = Feed(self._gpu, [self._frame] * count, Source(read), slots=SLOTS, readers=1)
        with feed.open(lambda _, array: array) as arrays:
            for _, array in arrays:
                look(array)

    def _filling(self, _: Frame, slot: Any) -> Any:
        self._filled += 1
        np.copyto(slot, self._pictures[self._filled % DISTINCT])
        return slot

    def _without_upload(self) -> None:
        for number in range(self._count):
            self._run.add(self._resident[number % len(self._resident)])
        self._bench.meter.finish(self._bench.meter.record(Lane.WORK))


def _as_it_is(_: Frame, slot: Any) -> Any:
    """A slot that holds a frame already."""
    return slot
