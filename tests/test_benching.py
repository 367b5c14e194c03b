"""Measuring the machine: at toy sizes the figures mean nothing, but all must be there and fit together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from gpustack import benching
from gpustack.backend.choose import Choice
from gpustack.benching import Bench, Run, bench
from gpustack.engine import run as running
from gpustack.engine.gauge import Rate
from gpustack.scenes.swatch import STEP_X, STEP_Y, swatches
from gpustack.settings import BackendName, Method, Settings
from gpustack.sources import open_stack
from tests.cuda_on_cpu.device import CpuDevice
from tests.cuda_on_cpu.module import problem

CPU = Settings(backend=BackendName.CPU, threads=2)
METHODS = {method.value for method in Method}


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benching, "COPY_BYTES", 1 << 16)


def assert_complete(found: Bench) -> None:
    assert set(found.runs) == set(found.fuse) == METHODS
    assert set(found.copy) == set(found.decode) == {1, 2}
    rates = [*found.copy.values(), *found.decode.values(), *found.load.values(), *found.fuse.values()]
    assert all(0 < rate.least <= rate.median <= rate.most for rate in [*rates, found.fuse_alone])
    for run in found.runs.values():
        assert run.mp_s > 0
        assert run.end_seconds > 0
        assert sum(run.shares.values()) == pytest.approx(1, abs=0.01)
        assert run.shares[run.limit] == max(run.shares.values())


def test_rendered_frames_are_measured_and_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    steps: list[str] = []
    found = bench(CPU, size=(160, 120), tell=steps.append)
    assert_complete(found)
    assert (found.backend, found.threads, found.frames) == ("cpu", 2, "jpeg, 160x120, 3 x uint8")
    assert found.kernels == {}
    assert steps[0] == "rendering frames"
    assert list(tmp_path.iterdir()) == []


def test_frames_that_are_given_are_measured_again_and_again_where_they_are_few(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.tif" for number in range(2)]
    for path, picture in zip(paths, swatches(96, 64, 2), strict=True):
        tifffile.imwrite(path, (picture / np.float32(255)).astype(np.float32), photometric="rgb")
    found = bench(CPU, open_stack(paths))
    assert_complete(found)
    assert found.frames == "tiff, 96x64, 3 x float32"


@pytest.mark.skipif(problem() is not None, reason=str(problem()))
def test_a_gpu_is_measured_by_its_own_clock_too(monkeypatch: pytest.MonkeyPatch) -> None:
    choice = Choice("chosen by the test", (CpuDevice(eager=False),))
    for module in (benching, running):
        monkeypatch.setattr(module, "choose", lambda *_: choice)
    found = bench(CPU, size=(96, 72))
    assert found.backend == "cuda"
    assert set(found.kernels) == METHODS
    assert all(rate.median > 0 for rate in (*found.kernels.values(), *found.load.values()))
    for run in found.runs.values():
        assert {"decode", "upload", "kernels", "write"} <= set(run.shares)
        assert run.limit in run.shares
    assert not found.waits_for_memory


def test_swatches_drift_and_are_sharp_in_turn() -> None:
    first, second = (frame.astype(float) for frame in swatches(300, 200, 2))
    assert first.shape == (200, 300, 3)
    shared = first[STEP_Y:, STEP_X:], second[:-STEP_Y, :-STEP_X]
    assert np.corrcoef(shared[0].ravel(), shared[1].ravel())[0, 1] > 0.9
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] < np.corrcoef(*map(np.ravel, shared))[0, 1]
    left, right = slice(0, 140), slice(160, 300)
    detail = [[np.diff(frame[:, half], axis=0).std() for half in (left, right)] for frame in (first, second)]
    assert detail[0][0] > 1.5 * detail[0][1]
    assert detail[1][1] > 1.5 * detail[1][0]


def found_with(decode: dict[int, float], fuse: float, alone: float, load: float) -> Bench:
    rates = {threads: Rate(speed, speed, speed) for threads, speed in decode.items()}
    run = Run(1.0, {"fuse": 1.0}, "fuse", 0.1)
    return Bench(
        "cpu", "", max(decode), load, "", 12.0, {}, rates, {}, {"pyramid": Rate(fuse, fuse, fuse)},
        Rate(alone, alone, alone), {}, {"auto": run}, 1.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("decode", "fuse", "waits"),
    [({1: 100, 8: 800}, 200, True), ({1: 100, 8: 800}, 350, False), ({1: 100, 8: 400}, 200, False)],
    ids=["memory is shared", "it is not", "cores count twice"],
)
def test_waiting_for_memory_shows_beside_decoding(decode: dict[int, float], fuse: float, waits: bool) -> None:
    assert found_with(decode, fuse, 50.0, 0.0).waits_for_memory is waits


def test_one_thread_waits_for_nobody() -> None:
    assert not found_with({1: 100.0}, 10.0, 50.0, 0.0).waits_for_memory


def test_other_programs_are_noticed() -> None:
    assert found_with({1: 1.0, 2: 2.0}, 1.0, 1.0, 1.5).busy
    assert not found_with({1: 1.0, 2: 2.0}, 1.0, 1.0, 0.2).busy
