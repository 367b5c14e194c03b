"""What a frame costs the host, and how many bytes it must move, without a GPU: `python bench/host.py`.

The passes run at 45 megapixels on a device that does nothing. What is left is Python asking for the work:
no frame takes less, however fast the GPU is. The bytes are arithmetic on the launches' own arguments.
"""

from __future__ import annotations

import argparse
import sys
import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any, cast

import devices
import numpy as np
import passes
from floors import Shares
from machine import heading, write_result
from measure import positive
from meter import Meter
from workbench import all_bytes

from gpustack.backend.cuda import CudaDevice
from gpustack.backend.gpu.backend import Gpu
from gpustack.backend.gpu.device import Device
from gpustack.backend.values import Beside, Mix, Optics, Steps, behind_halo, steps_halo
from gpustack.engine.feed import Feed, Source
from gpustack.fuse.behind import STRIP_ROWS
from gpustack.model.frame import Frame, Kind, PixelType

ROOM = 1 << 40
SLOTS = 3
RATES = {"3.0 TB/s": 3.0e12, "1.0 TB/s": 1.0e12, "256 GB/s": 256e9}
"""Bandwidths of device memory, as an H100, an RTX 4090 and a laptop's RTX 4060 have them."""

Row = dict[str, Any]


class Nothing:
    """A `Device` that does nothing, at once."""

    name = "nothing"

    def __init__(self) -> None:
        self._next = 1 << 20

    def free_bytes(self) -> int:
        """As much as anybody wants."""
        return ROOM

    def allocate(self, nbytes: int, /) -> int:
        """An address that nobody may use."""
        self._next += (nbytes + 511) // 512 * 512
        return self._next

    def pinned(self, nbytes: int, /) -> Any:
        """Memory that is not touched, and so takes none."""
        return np.empty(nbytes, np.uint8)

    def elapsed(self, *_: Any) -> float:
        """No time."""
        return 0.0

    def free(self, *_: Any) -> None:
        """Nothing, as all below."""

    copy_in = copy_out = move = launch = record = wait = finish = free


class _Held:
    """A device or a stream, as CuPy has them in `with`."""

    ptr = 0

    def __enter__(self) -> None:
        """Nothing."""

    def __exit__(self, *_: object) -> None:
        """Nothing."""

    def wait_event(self, _: object) -> None:
        """Nothing."""

    def synchronize(self) -> None:
        """Nothing."""


def _no_cupy() -> Any:
    """The part of CuPy that `CudaDevice` uses, doing nothing."""
    nothing, memory = Nothing(), []

    def host_memory(nbytes: int, _: int) -> int:
        memory.append(np.empty(nbytes, np.uint8))
        return int(memory[-1].ctypes.data)

    def ignored(*_: Any, **__: Any) -> None:
        return None

    runtime = SimpleNamespace(
        CUDARuntimeError=ZeroDivisionError,
        memcpyDefault=4,
        hostAllocPortable=1,
        hostAllocMapped=2,
        getDeviceProperties=lambda _: {"name": b"nothing", "totalGlobalMem": ROOM},
        memGetInfo=lambda: (ROOM, ROOM),
        malloc=nothing.allocate,
        free=ignored,
        hostAlloc=host_memory,
        freeHost=ignored,
        memcpyAsync=ignored,
    )
    event = SimpleNamespace(record=ignored, synchronize=ignored)
    cuda = SimpleNamespace(
        runtime=runtime,
        driver=SimpleNamespace(CUDADriverError=ZeroDivisionError),
        Device=lambda _: _Held(),
        Stream=lambda **_: _Held(),
        Event=lambda **_: event,
        get_elapsed_time=lambda *_: 0.0,
    )
    return SimpleNamespace(cuda=cuda, RawModule=lambda **_: SimpleNamespace(get_function=lambda _: ignored))


def cuda_on_nothing() -> Device:
    """Our CUDA device on a CuPy that does nothing."""
    sys.modules["cupy"] = _no_cupy()
    return CudaDevice(0)


def counted(name: str, size: tuple[int, int], kind: PixelType) -> Row:
    """Launches, events, allocations and bytes of one frame of a pass, once frames flow."""
    meter = Meter(cast(Device, Nothing()), Shares())
    gpu = Gpu(cast(Device, meter), ROOM)
    run, frame = _begun(gpu, name, size, kind)
    for _ in range(3):
        meter.taken()
        meter.counts.clear()
        run.add(frame)
    launches, pixels = meter.taken(), size[0] * size[1]
    moved: dict[str, float] = defaultdict(float)
    for launch in launches:
        moved[launch.name] += launch.nbytes / pixels
    total = all_bytes(launches)
    return {
        "pass": name,
        "frames": kind.value,
        "launches": len(launches),
        "copies": meter.counts["move"],
        "waits": meter.counts["finish"],
        "allocations": meter.counts["allocate"] + meter.counts["pinned"],
        "bytes_per_pixel": {kernel: round(each, 2) for kernel, each in moved.items()},
        "bytes_per_pixel_in_all": round(total / pixels, 1),
        "floor_ms": {rate: round(total / value * 1e3, 2) for rate, value in RATES.items()},
    }


def counted_beside(width: int) -> dict[str, float]:
    """What each kernel moves that finds steps in a strip of RGB pictures, or looks behind nearer things:
    bytes for a pixel of the strip's own rows, its halo counted in."""
    meter = Meter(cast(Device, Nothing()), Shares())
    gpu = Gpu(cast(Device, meter), ROOM)
    whole, own = (STRIP_ROWS + 2 * steps_halo(), width), slice(steps_halo(), steps_halo() + STRIP_ROWS)
    gpu.steps(gpu.new(whole), gpu.new(whole), 0.0, own)
    whole, own = (STRIP_ROWS + 2 * behind_halo(), width), slice(behind_halo(), behind_halo() + STRIP_ROWS)
    near, far = (Mix(gpu.new((3, *whole)), gpu.new(whole)) for _ in range(2))
    steps = Steps(gpu.new(whole), gpu.new(whole), gpu.new(whole, "uint8"))
    beside = Beside(gpu.new((3, *whole)), near, far, steps)
    gpu.look_behind(beside, Optics(0.5, 0.0, coded=True), own)
    moved: dict[str, float] = defaultdict(float)
    for launch in meter.taken():
        moved[launch.name] += launch.nbytes / (STRIP_ROWS * width)
    return {kernel: round(each, 1) for kernel, each in moved.items()}


def _begun(gpu: Gpu, name: str, size: tuple[int, int], kind: PixelType) -> tuple[passes.Pass, Any]:
    run = passes.begin(gpu, name, size, kind, passes.warp(size))
    return run, gpu.new((*size, 3), kind.value)


def timed(device: Device, name: str, size: tuple[int, int], repeats: int) -> Row:
    """Host microseconds a frame: asking for the kernels alone, and all of it, slots and copies included."""
    gpu = Gpu(device, ROOM)
    run, frame = _begun(gpu, name, size, PixelType.UINT8)
    asking = _median_us(lambda: run.add(frame), repeats)
    header = Frame(Path("frame"), size[1], size[0], 3, PixelType.UINT8, Kind.ARRAY)
    source = Source(lambda _, slot: cast(Any, slot))
    feed = Feed(gpu, [header] * (2 * repeats), source, slots=SLOTS, readers=1)
    with feed.open(lambda _, array: array) as arrays:
        stamps = []
        for _, array in arrays:
            run.add(array)
            stamps.append(time.perf_counter())
    flowing = median(np.diff(stamps[repeats:])) * 1e6
    gpu.close()
    return {"asking_us": round(asking, 1), "flowing_us": round(flowing, 1)}


def _median_us(work: Callable[[], object], repeats: int) -> float:
    taken = []
    for _ in range(2 * repeats):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return float(median(taken[repeats:])) * 1e6


def bench(given: Namespace) -> None:
    """The whole bench: what frames must move, and what the host takes for them."""
    head, size = heading("host"), devices.SIZE
    kinds = (PixelType.UINT8, PixelType.UINT16)
    rows = [counted(name, size, kind) for name in passes.NAMES for kind in kinds]
    targets: dict[str, Device] = {"nothing": cast(Device, Nothing()), "our CUDA device": cuda_on_nothing()}
    times = [
        {"pass": name, "on": target, **timed(device, name, size, given.repeats)}
        for name in passes.NAMES
        for target, device in targets.items()
    ]
    shares = Shares()
    found = {"height": size[0], "width": size[1], "won": shares.won, "near": round(shares.near, 4)}
    show(rows, times)
    beside = {"beside": counted_beside(size[1])}
    write_result(head | found | {"frames": rows, "host": times} | beside, given.json)


def show(rows: list[Row], times: list[Row]) -> None:
    """Print both tables."""
    for row in rows:
        floors = ", ".join(f"{value} ms at {rate}" for rate, value in row["floor_ms"].items())
        print(f"{row['pass']:<8} {row['frames']:<7} {row['launches']:>3} launches", end=" ")
        print(f"{row['bytes_per_pixel_in_all']:>6} B/px: {floors}")
    for row in times:
        print(f"{row['pass']:<8} on {row['on']:<16} asking {row['asking_us']:>7} us", end=" ")
        print(f"flowing {row['flowing_us']:>7} us")


def main() -> None:
    """Command line of this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=positive, default=100, help="measured frames, after as many others")
    parser.add_argument("--json", type=Path, default=devices.RESULTS / "host.json", help="the result file")
    bench(parser.parse_args())


if __name__ == "__main__":
    main()
