"""The benches of speed, memory and growth: what they make of figures, and that they run at toy sizes."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from gpustack.io.decode import Decoder, probe
from gpustack.model.frame import Kind

BENCH = Path(__file__).parents[2] / "bench"
MODULES = (
    *("speed", "scaling", "scaling_plot", "scaling_table", "memory", "own", "sets", "dng", "sweep"),
    *("registered", "developing", "peers"),
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the benches measure with wait4, which Windows lacks")


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    before = set(sys.modules)
    sys.path.insert(0, str(BENCH))
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    sys.path.remove(str(BENCH))
    for name in set(sys.modules) - before:
        if str(BENCH) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def frames(bench: SimpleNamespace, tmp_path: Path) -> Path:
    return bench.sets.sweep_files(tmp_path / "cache", (90, 120), 3, 5)


def row(name: str, wall: float, peak: float, psnr: float | None) -> dict[str, Any]:
    return {"name": name, "wall_s": {"median": wall}, "peak_mib": {"median": peak}, "psnr_db": psnr}


def test_ours_is_held_against_the_fastest_peer(bench: SimpleNamespace) -> None:
    ours = row("gpustack auto", 2.0, 100.0, 40.0)
    rows = [
        ours,
        row("gpustack average", 1.0, 50.0, 30.0),
        row("slow", 12.0, 400.0, 41.0),
        row("fast", 4.0, 50.0, 35.0),
    ]
    assert bench.speed.ratios(ours, rows) == {"peer": "fast", "wall": 0.5, "throughput": 2.0, "peak": 2.0}
    as_good = [other for other in rows if bench.speed._as_good(other, ours)]
    assert bench.speed.ratios(ours, as_good) == {
        "peer": "slow",
        "wall": 0.167,
        "throughput": 6.0,
        "peak": 0.25,
    }
    assert bench.speed.ratios(ours, rows[:2]) is None
    assert not bench.speed._as_good(row("blind", 1.0, 1.0, None), ours)


def test_links_take_no_room_and_go_to_and_fro(frames: Path) -> None:
    files = sorted(frames.iterdir())
    numbers = [file.stat().st_ino for file in files]
    assert len(files) == 5
    assert numbers == [*numbers[:3], numbers[1], numbers[0]]
    assert len(set(numbers)) == 3


@pytest.mark.parametrize(
    ("scale", "shift", "crop"), [(1, (0, 0), 0), (1.002, (1.3, -2.2), 0), (0.998, (-3, 2), 9)]
)
def test_a_picture_is_held_against_the_truth_wherever_it_was_taken_from(
    bench: SimpleNamespace, tmp_path: Path, scale: float, shift: tuple[float, float], crop: int
) -> None:
    truth = bench.sweep.Sweep((300, 400), 3).truth()
    moved = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32)
    seen = cv2.warpAffine(truth, moved, (400, 300), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT)
    noisy = seen + np.random.default_rng(0).normal(0, 2, seen.shape)
    picture = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)[crop : 300 - crop, crop : 400 - crop]
    for name, shown in (("truth", truth), ("sharp", picture), ("soft", cv2.GaussianBlur(picture, (0, 0), 1))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), shown)
    sharp, soft = (
        bench.registered.registered_psnr(tmp_path / f"{name}.png", tmp_path / "truth.png")
        for name in ("sharp", "soft")
    )
    assert sharp == pytest.approx(20 * np.log10(255 / 2), abs=0.5)
    assert soft < sharp - 3


def test_swept_sets_have_a_truth(bench: SimpleNamespace, tmp_path: Path) -> None:
    small = bench.sets._swept(tmp_path, "small", (90, 120), 3, "tiff", out="out.tif")
    colours = cv2.cvtColor(bench.sweep.Sweep((90, 120), 3).truth(), cv2.COLOR_RGB2BGR)
    np.testing.assert_array_equal(cv2.imread(str(small.truth)), colours)
    middle = cv2.imread(str(small.frames[1]))
    assert cv2.PSNR(middle[40:50], colours[40:50]) > 30


def test_dng_frames_are_read_as_raw(bench: SimpleNamespace, tmp_path: Path) -> None:
    picture = bench.sweep.Sweep((60, 80), 2).frame(0)
    (frame,) = probe(bench.dng.write_dng(tmp_path / "a.dng", picture))
    assert (frame.kind, frame.width, frame.height) == (Kind.RAW, 80, 60)
    assert Decoder(frame)(frame).std() > 1000


def test_peers_that_read_no_raw_are_given_tiff_files_made_of_it(
    bench: SimpleNamespace, tmp_path: Path
) -> None:
    picture = np.full((60, 80, 3), 128, np.uint8)
    (tmp_path / "raw").mkdir()
    files = tuple(bench.dng.write_dng(tmp_path / "raw" / f"{name}.dng", picture) for name in "ab")
    peer = bench.developing.DevelopedFirst(bench.peers.FocusWeave(tmp_path))
    task = bench.peers.Task(files, tmp_path / "raw", tmp_path / "out.tif", tmp_path / "scratch", True)
    first, second = peer.commands(task)
    task.scratch.mkdir()
    subprocess.run(first, check=True)
    (folder,) = (Path(word) for word in second if word.startswith(str(task.scratch)))
    assert sorted(file.name for file in folder.iterdir()) == ["a.tif", "b.tif"]
    (frame,) = probe(folder / "a.tif")
    assert (frame.width, frame.height, frame.pixel_type.value) == (80, 60, "uint16")
    assert str(BENCH) not in " ".join(bench.peers.symbolic(peer, True))


def test_seconds_of_a_pass_that_was_not_wanted_count_as_none(bench: SimpleNamespace) -> None:
    report = {
        "plan": {"passes": ["survey", "auto", "behind"]},
        "seconds": {"survey": 5.0, "auto": 2.0, "finish": 1.0, "write": 9.0},
    }
    assert bench.own.OwnRun(None, report).fuse_s == 3.0


def test_growth_is_told_in_a_table(bench: SimpleNamespace) -> None:
    kinds = (("auto", 8), ("average", 8), ("auto", 32))
    rows = [
        {"method": method, "frames": n, "megapixels": 3, "wall_s": 5.04 * n, "peak_mib": 310.4}
        for method, n in kinds
    ]
    head, rule, *lines = bench.scaling_table.growth(rows)
    assert head == "| size | frames | `auto` | `average` |"
    assert rule == "| --- | --- | --- | --- |"
    assert lines == ["| 3 MP | 8 | 40.3 s, 310 | 40.3 s, 310 |", "| 3 MP | 32 | 161 s, 310 | - |", ""]
    fit = {"largest_error": 0.04, "ratio_n": 0.97, "peak_ratio_n": 1.002}
    result = {"cores": [{"method": "auto", "times": 1.8}], "fits": {"auto": fit, "average": fit}}
    *_, auto, average, _ = bench.scaling_table.how(result)
    assert auto == "| `auto` | 4 % | 0.97 | 1.002 | 1.80 |"
    assert average.endswith("| - |")


def test_linear_growth_is_found(bench: SimpleNamespace) -> None:
    rows = [
        {
            "method": "auto",
            "frames": frames,
            "megapixels": mp,
            "cpu_s": 0.5 + 0.02 * frames + 0.04 * frames * mp + 0.1 * mp,
            "peak_mib": 100.0 + 70 * mp,
        }
        for frames in (8, 32, 128)
        for mp in (3, 12, 48)
    ]
    found = bench.scaling.fits(rows)["auto"]
    expected = {"start": 0.5, "frame": 0.02, "frame_megapixel": 0.04, "megapixel": 0.1}
    assert found["seconds"] == pytest.approx(expected, abs=1e-3)
    assert found["largest_error"] == 0.0
    assert found["peak_ratio_n"] == 1.0
    rows[-1]["cpu_s"] *= 2
    assert bench.scaling.fits(rows)["auto"]["largest_error"] > 0.1


def test_the_plot_is_a_small_picture(bench: SimpleNamespace, tmp_path: Path) -> None:
    rows = [
        {"method": method, "frames": n, "megapixels": mp, "wall_s": n * mp / 50, "peak_mib": 90 + 60.0 * mp}
        for method in bench.scaling.METHODS
        for n in (8, 32, 128)
        for mp in (3, 12, 48)
    ]
    path = tmp_path / "plot.png"
    bench.scaling_plot.write_plot(rows, path)
    picture = Image.open(path).convert("RGB")
    assert path.stat().st_size < 100_000
    colours = {f"#{red:02x}{green:02x}{blue:02x}" for _, (red, green, blue) in picture.getcolors(1 << 16)}
    assert set(bench.scaling_plot.COLOURS.values()) <= colours


def test_a_run_reports_its_figures_and_a_limit_that_is_too_low_is_noted(
    bench: SimpleNamespace, frames: Path, tmp_path: Path
) -> None:
    found = bench.memory.row_of("toy", "average", "1G", frames, tmp_path / "run")
    assert found["kept"]
    assert 30 < found["peak_mib"] < 1.15 * found["plan_mib"]
    assert found["plan_to_peak"] == pytest.approx(found["plan_mib"] / found["peak_mib"], abs=0.002)
    assert found["foreseen"] == (abs(found["plan_to_peak"] - 1) <= bench.memory.MISSED)
    refused = bench.memory.row_of("toy", "average", "20M", frames, tmp_path / "run")
    assert "20 MiB are allowed" in refused["refused"]
    assert "kept" not in refused


@pytest.mark.slow
def test_start_up_is_measured(tmp_path: Path) -> None:
    target = tmp_path / "startup.json"
    command = [sys.executable, str(BENCH / "startup.py"), "--runs", "1", "--json", str(target)]
    subprocess.run(command, check=True, capture_output=True)
    found = json.loads(target.read_text())
    assert set(found["goals_s"]) <= set(found["results"])
    assert all(each["cpu_s"]["median"] > 0 for each in found["results"].values())
    assert found["import_ms"]["gpustack stack, first decode"]["numpy"] > 0
    assert "numpy" not in found["import_ms"]["gpustack --help"]
