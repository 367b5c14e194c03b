"""The benches of a GPU, at toy sizes on the CPU: when a device is there, only the figures are unknown."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gpustack.backend import kernels
from gpustack.backend.gpu.backend import Gpu
from gpustack.backend.gpu.device import Lane
from gpustack.model.frame import PixelType
from tests.cuda_on_cpu.device import CpuDevice
from tests.cuda_on_cpu.module import problem

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "bench"
SIZE = (5504, 8256)
MODULES = (
    "devices",
    "floors",
    "gpu",
    "host",
    "kernels",
    "meter",
    "passes",
    "rates",
    "stacks",
    "sweep",
    "workbench",
)

needs_kernels = pytest.mark.skipif(problem() is not None, reason=str(problem()))


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    """The benches' modules, which import each other as scripts beside each other do."""
    before = set(sys.modules)
    sys.path.insert(0, str(BENCH))
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    sys.path.remove(str(BENCH))
    for name in set(sys.modules) - before:
        if str(BENCH) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_the_bytes_of_every_kernel_are_known(bench: Any) -> None:
    sources = "".join((kernels.folder() / f"{stage}.cu").read_text("utf-8") for stage in kernels.stages())
    declared = set(re.findall(r"^(?:ROOMY_)?(?:PICTURE|LINE)_KERNEL\s+(\w+)\(", sources, re.MULTILINE))
    assert len(declared) > 30
    assert declared == set(bench.floors.BYTES)


def test_a_frame_of_a_pyramid_moves_what_it_must(bench: Any) -> None:
    """RGB of 8 bits, 30 % of the pixels won, added up by hand."""
    load, reductions = 3 + 12, (12 + 3 + 4 + 1) * 4 / 3
    kept = 4 + 0.3 * 6 + 2 * (4 + 12)  # the best energy; winners; total and mean
    finest, coarser = 12 + 3 + 4 + 6 + kept, 12 + 3 + 4 + 4 + kept
    row = bench.host.counted("pyramid", SIZE, PixelType.UINT8)
    by_hand = load + reductions + finest + coarser / 3
    assert row["bytes_per_pixel_in_all"] == pytest.approx(by_hand, abs=0.1)
    assert bench.kernels.HAND_COUNT["pyramid"] == pytest.approx(by_hand, abs=0.1)
    assert row["launches"] == 29
    assert (row["allocations"], row["waits"]) == (0, 0)


def test_the_documentation_states_what_is_counted(bench: Any) -> None:
    page = (ROOT / "docs" / "performance.md").read_text("utf-8").split("## On a GPU")[1]
    rows = {
        cells[1].strip(" *"): cells[3:] for line in page.splitlines() if len(cells := line.split("|")) > 6
    }
    counted = {name: bench.host.counted(name, SIZE, PixelType.UINT8) for name in bench.passes.NAMES}

    def wanted(value: Any) -> list[float]:
        depthmap = value(counted["measure"]) + value(counted["blend"])
        return [*(value(counted[name]) for name in ("auto", "pyramid", "average")), depthmap]

    def stated(start: str) -> list[float]:
        cells = next(cells for name, cells in rows.items() if name.startswith(start))
        return [float(cell.strip(" *")) for cell in cells if cell.strip(" *")]

    assert stated("in all") == pytest.approx(wanted(lambda row: row["bytes_per_pixel_in_all"]), abs=0.1)
    for rate in bench.host.RATES:
        expected = wanted(lambda row, rate=rate: row["floor_ms"][rate])
        assert stated(f"ms at {rate}") == pytest.approx(expected, abs=0.02)


def test_the_documentation_states_what_looking_behind_moves(bench: Any) -> None:
    page = (ROOT / "docs" / "performance.md").read_text("utf-8").split("### Beside depth steps")[1]
    stated = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", page, re.MULTILINE))
    counted = bench.host.counted_beside(SIZE[1])
    assert {kernel: float(figure) for kernel, figure in stated.items()} == counted
    whole = sum(counted.values())
    assert f"| **in all** | **{whole:.1f}** |" in page
    for rate in bench.host.RATES.values():
        assert f"{whole * SIZE[0] * SIZE[1] / rate * 1e3:.0f} ms" in page


@needs_kernels
@pytest.mark.parametrize("name", ["auto", "pyramid", "measure"])
def test_the_frame_wins_the_share_that_is_counted(bench: Any, name: str) -> None:
    size, gpu = (640, 640), Gpu(CpuDevice(), 1 << 30)
    run = bench.passes.begin(gpu, name, size, PixelType.UINT8, bench.passes.warp(size))
    frame = gpu.upload(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8))
    run.add(frame)
    finest, *_ = parts = list(bench.passes.parts_in(run.state))
    restore = [bench.passes.contested(gpu, part, 0.3) for part in parts]
    for _ in range(2):
        for each in restore:
            each()
        index = run.index
        run.add(frame)
        share = np.mean(gpu.download(finest.best.frame) == index)
        assert share == pytest.approx(0.3, abs=0.09)  # of a hundred squares


@needs_kernels
def test_a_meter_counts_times_and_stands_aside(bench: Any) -> None:
    device = CpuDevice()
    copies = bench.meter.Copies(device, 1 << 16)
    assert copies.bandwidth > 0
    meter = bench.meter.Meter(device, bench.floors.Shares(), copies)
    gpu = Gpu(meter, 1 << 20)
    meter.timed = True
    gpu.full((8, 16), 1.0, "float32")
    with meter.unwatched():
        gpu.full((8, 16), 2.0, "float32")
    meter.settle()
    (launch,) = meter.taken()
    assert (launch.name, launch.nbytes) == ("fill_float32", 8 * 16 * 4)
    assert meter.seconds(launch) > 0
    assert meter.counts["launch"] == 1
    moves = [what for lane, what in device.log if lane is Lane.WORK and what.startswith("move")]
    assert len(moves) == 11 + 1  # ten to measure by, one before them, and one before the timed launch


def test_a_sweep_moves_as_it_says(bench: Any) -> None:
    sweep = bench.sweep.Sweep((120, 160), 5)
    frames = [sweep.frame(index) for index in range(5)]
    assert {frame.shape for frame in frames} == {(120, 160, 3)}
    np.testing.assert_array_equal(sweep.motion(2), np.eye(3))
    sharpness = [
        [np.abs(np.diff(part.astype(int), axis=1)).mean() for part in (f[:30], f[-30:])] for f in frames
    ]
    assert sharpness[0][0] > sharpness[-1][0]
    assert sharpness[0][1] < sharpness[-1][1]
    assert bench.sweep.to_and_fro(8, 3) == [0, 1, 2, 1, 0, 1, 2, 1]


def test_plans_of_large_frames_go_from_whole_frames_to_state_on_the_host(bench: Any) -> None:
    stacks = bench.stacks.Stacks("cuda:0", bench.sweep.Sweep(SIZE, 24), Path("nowhere"))
    limits = dict(stacks._limits(16))
    assert list(limits) == ["whole frames", "2 GiB", "smallest bands", "state on the host"]
    assert limits["whole frames"] > limits["smallest bands"] > limits["state on the host"]


PATIENCE_S = 1800
"""For what takes half a minute on a machine with nothing else to do."""

STAGES = [
    ("echo all is well", 60, "ok", "all is well"),
    ("echo bad; exit 3", 60, "failed (3)", "bad"),
    ("echo so far; sleep 60", 2, "stopped after 2 s", "so far"),
]


@pytest.mark.parametrize(("code", "limit_s", "outcome", "said"), STAGES)
def test_what_becomes_of_a_stage_is_told(
    bench: Any, tmp_path: Path, code: str, limit_s: int, outcome: str, said: str
) -> None:
    row = bench.gpu.run(bench.gpu.Stage("some", ("sh", "-c", code), limit_s), tmp_path / "log", 60.0)
    assert (row["outcome"], row["said"]) == (outcome, said)
    assert said in (tmp_path / "log").read_text()


def test_a_stage_that_is_late_takes_all_that_it_started_along(bench: Any, tmp_path: Path) -> None:
    beating = (
        "import pathlib, time\nwhile True: pathlib.Path(HERE).write_text(str(time.time())); time.sleep(0.05)"
    )
    beating = beating.replace("HERE", repr(str(tmp_path / "beat")))
    started = f"[sys.executable, '-I', '-S', '-c', {beating!r}], start_new_session=True"
    code = f"import subprocess, sys; subprocess.run({started})"
    command = (sys.executable, "-I", "-S", "-c", code)
    bench.gpu.run(bench.gpu.Stage("some", command, 4), tmp_path / "log", 60.0)
    last = (tmp_path / "beat").read_text()
    time.sleep(0.3)
    assert (tmp_path / "beat").read_text() == last


def test_a_stage_for_which_no_time_is_left_is_skipped(bench: Any, tmp_path: Path) -> None:
    row = bench.gpu.run(bench.gpu.Stage("some", ("false",), 30), tmp_path / "log", 0.5)
    assert (row["outcome"], row["said"]) == ("skipped", "no time was left")


def test_the_sanitizer_is_used_where_it_is(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = SimpleNamespace(device="cuda:0", results=tmp_path, raw=None)
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = {stage.name: stage.skipped for stage in bench.gpu.stages(given) if stage.skipped}
    assert missing == dict.fromkeys(("memcheck", "racecheck"), "compute-sanitizer is not on PATH")
    fake = tmp_path / "compute-sanitizer"
    fake.write_text('#!/bin/sh\necho "$@"\nexit 7\n')
    fake.chmod(0o755)
    (stage,) = (stage for stage in bench.gpu.stages(given) if stage.name == "racecheck")
    row = bench.gpu.run(stage, tmp_path / "log", 60.0)
    assert row["outcome"] == "failed (7)"
    assert row["said"].startswith(f"--tool racecheck --error-exitcode 7 {sys.executable}")


@needs_kernels
@pytest.mark.slow
@pytest.mark.timeout(PATIENCE_S + 60)
def test_the_one_command_runs_everything_at_toy_sizes(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCH / "gpu.py"), "--device", "cpu", "--results", str(tmp_path)]
    command += ["--seconds", str(PATIENCE_S)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    log = (tmp_path / "gpu.log").read_text()
    assert done.returncode == 0, done.stdout + log
    outcomes = {
        row["stage"]: row["outcome"] for row in json.loads((tmp_path / "gpu.json").read_text())["stages"]
    }
    skipped = {"memcheck": "skipped", "racecheck": "skipped"}
    assert outcomes == dict.fromkeys(("right", "kernels", "stream", "tests", "host"), "ok") | skipped
    stream = json.loads((tmp_path / "stream.json").read_text())
    assert stream["failed"] == {}
    assert stream["checks"]
    assert all(stream["checks"].values())
    assert {row["spill"] for row in stream["plans"]} == {False, True}
    assert len({row["band_rows"] for row in stream["plans"]}) > 1
    measured = {row["kernel"] for row in json.loads((tmp_path / "kernels.json").read_text())["kernels"]}
    assert len(measured) > 30
