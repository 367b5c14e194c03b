"""What every kernel takes on a device, and every fused frame: `python bench/kernels.py --device cuda:0`.

Kernels are timed by events around the launches that the real methods of the backend make, at 45 megapixels,
the device kept at work before; bytes are counted (floors.py) and compared with the device's own copies.
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any

import devices
import passes
from cases import CASES
from floors import BYTES
from machine import heading, write_result
from measure import BenchError, positive
from meter import Launch
from scene import Scene
from sweep import Sweep
from workbench import Workbench, all_bytes

from gpustack.align.estimate import match
from gpustack.align.sight import Sight, see
from gpustack.backend.gpu.device import Lane
from gpustack.backend.gpu.tensor import Tensor
from gpustack.engine.links import LINK_STEPS
from gpustack.engine.price import shrunk_by
from gpustack.model.frame import Kind, PixelType
from gpustack.settings import Model

HAND_COUNT = {"auto": 124.7, "pyramid": 124.7}
"""Bytes a pixel of a frame, RGB of 8 bits, counted by hand (docs/performance.md): what is counted from the
launches would grow with work that nobody needs."""

FRAME_LIMIT = 1.5
"""A fused frame may take so many times its floor."""

LONGEST_WAIT_S = 0.02
"""No case takes the host so long to ask for."""

Row = dict[str, Any]


def kernel_rows(bench: Workbench, scene: Scene, repeats: int) -> Iterator[Row]:
    """A row for each kernel of each case."""
    for case, make in CASES.items():
        work, meter = make(scene), bench.meter
        asking, _ = bench.asked(work)
        meter.timed = True
        runs = []
        for _ in range(repeats):
            # The meter's own events take the host some time, too; some cases ask for more after a wait.
            meter.keep_busy(min(LONGEST_WAIT_S, 3 * asking))
            work()
            runs.append(meter.taken())
        meter.timed = False
        meter.settle()
        yield from _rows(bench, case, runs)


def _rows(bench: Workbench, case: str, runs: Sequence[list[Launch]]) -> Iterator[Row]:
    """One row for each kernel that a case launches; several launches of one kernel in a run add up."""
    for name in dict.fromkeys(launch.name for launch in runs[0]):
        own = [[launch for launch in run if launch.name == name] for run in runs]
        taken = [sum(bench.meter.seconds(launch) for launch in run) for run in own]
        nbytes, usual = all_bytes(own[-1]), max(1e-9, median(taken))
        yield {
            "case": case,
            "kernel": name,
            "launches": len(own[-1]),
            "ms": round(usual * 1e3, 4),
            "ms_least": round(min(taken) * 1e3, 4),
            "mib": round(nbytes / 2**20, 2),
            "gb_s": round(nbytes / usual / 1e9, 1),
            "share_of_copy": round(nbytes / usual / bench.bandwidth, 3),
        }


def frame_rows(bench: Workbench, scene: Scene, repeats: int) -> Iterator[Row]:
    """Whole frames of all passes, of 8 bits and moved; those on levels also still and of 16 bits."""
    for name in passes.NAMES:
        variants = [(PixelType.UINT8, True)]
        if name in passes.LEVELLED:
            variants += [(PixelType.UINT8, False), (PixelType.UINT16, True)]
        for kind, moved in variants:
            gpu = bench.gpu()
            frame = gpu.upload(scene.pixels[kind])
            run = passes.begin(
                gpu, name, bench.size, kind, passes.warp(bench.size) if moved else passes.STILL
            )
            shown = f"{kind.value}, {'warped' if moved else 'still'}"
            counted = HAND_COUNT.get(name) if kind is PixelType.UINT8 else None
            yield {"pass": name, "frames": shown} | _frame(bench, run, frame, repeats, counted)
            del run, frame
            gpu.close()


def _frame(bench: Workbench, run: passes.Pass, frame: Tensor, repeats: int, counted: float | None) -> Row:
    """A frame against its floor: alone on a busy device, and one after the other (where nothing wins).

    `flowing_ms` above `device_ms` is time in which the device waits for the host's orders.
    """
    run.add(frame)
    restore = [passes.contested(run.gpu, part, bench.meter.shares.won) for part in passes.parts_in(run.state)]
    asking, launches = bench.asked(lambda: run.add(frame))
    alone = median(_alone(bench, run, frame, restore, asking) for _ in range(repeats))
    floor = all_bytes(launches) / bench.bandwidth
    by_hand = (counted or 0.0) * bench.pixels / bench.bandwidth
    return {
        "launches": len(launches),
        "bytes_per_pixel": round(all_bytes(launches) / bench.pixels, 2),
        "floor_ms": round(floor * 1e3, 4),
        "device_ms": round(alone * 1e3, 4),
        "flowing_ms": round(_flowing(bench, run, frame, repeats) * 1e3, 4),
        "host_asks_ms": round(asking * 1e3, 4),
        "times_floor": round(alone / floor, 3),
        "times_hand_count": round(alone / by_hand, 3) if by_hand else None,
    }


def _alone(
    bench: Workbench, run: passes.Pass, frame: Tensor, restore: Sequence[Callable[[], None]], asking: float
) -> float:
    """Device seconds of one frame whose launches all wait in line, the energies being set for it before."""
    meter = bench.meter
    for each in restore:
        each()
    meter.keep_busy(2 * asking)
    with meter.unwatched():
        begun = meter.record(Lane.WORK)
        run.add(frame)
        ended = meter.record(Lane.WORK)
        meter.finish(ended)
        return float(meter.elapsed(begun, ended))


def _flowing(bench: Workbench, run: passes.Pass, frame: Tensor, repeats: int) -> float:
    with bench.meter.unwatched():
        started = time.perf_counter()
        for _ in range(repeats):
            run.add(frame)
    bench.meter.settle()
    return (time.perf_counter() - started) / repeats


def survey_row(bench: Workbench, sweep: Sweep, repeats: int) -> Row:
    """What aligning a frame takes: seeing it, and matching it with each of the frames before it."""
    gpu = bench.gpu()
    factor = shrunk_by(max(bench.size), Kind.ARRAY)
    size = bench.size[1] // factor, bench.size[0] // factor
    frames = [gpu.upload(sweep.frame(sweep.count // 2 + step)) for step in (0, 1)]

    def look(frame: Tensor) -> Sight:
        return see(gpu, gpu.survey_luma(frame, PixelType.UINT8, factor), size)

    here, there = (look(frame) for frame in frames)
    trusted = match(gpu, here, there, Model.SIMILARITY).trusted
    seeing = _figures(bench, repeats, lambda: look(frames[0]))
    matching = _figures(bench, repeats, lambda: match(gpu, here, there, Model.SIMILARITY))
    gpu.close()
    total = seeing["ms"] + len(LINK_STEPS) * matching["ms"]
    return {"see": seeing, "match": matching, "trusted": trusted, "ms_per_frame": round(total, 3)}


def _figures(bench: Workbench, repeats: int, work: Callable[[], object]) -> Row:
    """Wall milliseconds, launches, and how often the host waits for the device."""
    before, taken = bench.meter.counts.copy(), []
    work()
    spent = bench.meter.counts - before
    with bench.meter.unwatched():
        for _ in range(repeats):
            started = time.perf_counter()
            work()
            taken.append(time.perf_counter() - started)
    return {"ms": round(median(taken) * 1e3, 3), "launches": spent["launch"], "waits": spent["finish"]}


def checks(rows: Sequence[Row], frames: Sequence[Row]) -> dict[str, bool]:
    """What must hold; of speed only on a GPU."""
    found = {"every kernel was measured": {row["kernel"] for row in rows} == set(BYTES)}
    for row in frames:
        name = f"{row['pass']}, {row['frames']}: within {FRAME_LIMIT} times its floor"
        found[name] = row["times_floor"] <= FRAME_LIMIT
        if row["times_hand_count"] is not None:
            counted = f"{FRAME_LIMIT} times {HAND_COUNT[row['pass']]} bytes a pixel"
            found[f"{row['pass']}, {row['frames']}: within {counted}"] = (
                row["times_hand_count"] <= FRAME_LIMIT
            )
    return found


def show(rows: Sequence[Row], frames: Sequence[Row]) -> None:
    """Print both tables."""
    print(f"{'case':<28}{'kernel':<16}{'ms':>9}{'MiB':>9}{'GB/s':>8}{'of copy':>8}")
    for row in rows:
        figures = f"{row['ms']:>9.3f}{row['mib']:>9.1f}{row['gb_s']:>8.0f}{row['share_of_copy']:>8.2f}"
        print(f"{row['case']:<28}{row['kernel']:<16}{figures}")
    print(
        f"{'frame':<26}{'launches':>10}{'B/px':>8}{'floor ms':>10}{'device':>10}{'flowing':>10}{'x floor':>8}"
    )
    for row in frames:
        figures = f"{row['launches']:>10}{row['bytes_per_pixel']:>8.1f}{row['floor_ms']:>10.3f}"
        figures += f"{row['device_ms']:>10.3f}{row['flowing_ms']:>10.3f}{row['times_floor']:>8.2f}"
        print(f"{row['pass'] + ', ' + row['frames']:<26}{figures}")


def bench(given: Namespace) -> bool:
    """The whole bench, its result written as it goes on; whether all checks hold."""
    head, at = heading("kernels"), Workbench(given)
    sweep = Sweep(at.size, 24)
    sweep.prepare()
    found: Row = head | at.describe() | {"repeats": given.repeats}
    scene = Scene(at.gpu(), sweep, at.meter.shares)
    found["frames"] = list(frame_rows(at, scene, given.repeats))
    write_result(found, given.json, quiet=True)
    found["kernels"] = list(kernel_rows(at, scene, given.repeats))
    found["checks"] = checks(found["kernels"], found["frames"])
    write_result(found, given.json, quiet=True)
    found["survey"] = survey_row(at, sweep, given.repeats)
    write_result(found, given.json)
    show(found["kernels"], found["frames"])
    for name, holds in found["checks"].items():
        print(f"{'pass' if holds else 'FAIL'}: {name}")
    whole = found["checks"]["every kernel was measured"]
    return whole if at.toy else all(found["checks"].values())


def main() -> None:
    """Command line of this file; exits with 1 where a check fails."""
    parser = devices.arguments(__doc__, "kernels.json")
    parser.add_argument("--repeats", type=positive, default=20, help="measured runs each, after a warm-up")
    try:
        sys.exit(0 if bench(parser.parse_args()) else 1)
    except BenchError as error:
        raise SystemExit(f"bench: {error}") from None


if __name__ == "__main__":
    main()
