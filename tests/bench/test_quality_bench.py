"""The bench of quality at toy sizes: who made a picture, and where he put it, must not change its figures."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile

import gpustack
from gpustack.backend.resample import resample
from gpustack.model.rect import Rows
from gpustack.model.transform import Transform
from gpustack.scenes import Shoot, names
from gpustack.scenes.heldout import heldout_names

BENCH = Path(__file__).parents[2] / "bench"
MODULES = ("quality", "quality_cases", "quality_judge", "quality_runs", "quality_table", "peers")
TOY = Shoot(frames=4, width=320, height=240, max_blur_px=4.0)


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    before = set(sys.modules)
    sys.path.insert(0, str(BENCH))
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    sys.path.remove(str(BENCH))
    for name in set(sys.modules) - before:
        if str(BENCH) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture(scope="module")
def moving(bench: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    case = bench.quality_cases.Case("print", 0, "moving")
    return bench.quality_cases.prepared(case, TOY, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def still(bench: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return bench.quality_cases.prepared(
        bench.quality_cases.Case("cards", 0), TOY, tmp_path_factory.mktemp("cache")
    )


def written(path: Path, picture: Any) -> Path:
    tifffile.imwrite(path, np.rint(np.clip(picture, 0, 1) * 65535).astype(np.uint16), photometric="rgb")
    return path


def test_the_design_has_what_is_asked_for(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPUSTACK_DATA", raising=False)
    cases = bench.quality_cases.design(False)
    assert {case.scene for case in cases} == set(names())
    for name in names():
        own = [case for case in cases if case.scene == name]
        assert len({case.noise for case in own}) == 3
        assert len({case.seed for case in own}) == 2
        assert {case.bits for case in own} == {8, 16}
        assert {case.camera for case in own} == {"still", "moving"}
        assert sum(case.first for case in own) == 1
    held = bench.quality_cases.design(True)
    assert {case.scene for case in held} == {*names(), *heldout_names()}
    assert not {(case.scene, case.seed) for case in held} & {(case.scene, case.seed) for case in cases}
    assert all(case.held_out for case in held)
    assert not any(case.held_out for case in cases)


def test_cases_of_one_exposure_differ_in_noise_and_bits_only(bench: Any, still: Any) -> None:
    cases = bench.quality_cases.design(False)
    root = still.home.parents[1]
    for case in (other for other in cases if other.exposure == still.case.exposure):
        ready = bench.quality_cases.prepared(case, TOY, root)
        assert ready.home == still.home
        frames = [tifffile.imread(path) for path in ready.frames]
        assert len(frames) == TOY.frames
        assert {frame.dtype.name for frame in frames} == {f"uint{case.bits}"}
        # What is rendered together is what is rendered alone.
        alone = gpustack.scenes.render(case.scene, case.shoot(TOY))
        assert np.array_equal(frames[1], alone.frame(1))
    assert np.array_equal(still.truth(), alone.truth)


def test_a_change_of_the_scene_is_noticed(bench: Any, still: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place = bench.quality_cases._place
    bench.quality_cases._digest.cache_clear()
    assert place(still.case, TOY, still.home.parents[1]).home == still.home
    rendered = bench.quality_cases._rendered
    monkeypatch.setattr(
        bench.quality_cases,
        "_rendered",
        lambda *given: replace(rendered(*given), truth=rendered(*given).truth * np.float32(0.98)),
    )
    bench.quality_cases._digest.cache_clear()
    assert place(still.case, TOY, still.home.parents[1]).home != still.home
    bench.quality_cases._digest.cache_clear()


def test_the_truth_is_judged_to_be_the_truth(bench: Any, still: Any, tmp_path: Path) -> None:
    judge = bench.quality_judge.Judge(still)
    row = judge.figures(written(tmp_path / "truth.tif", judge.truth))
    assert row["psnr_db"] > 90
    assert row["near_psnr_db"] > 90
    assert row["ssim"] == 1
    depth = tmp_path / "depth.tif"
    tifffile.imwrite(depth, judge.depth + np.float32(0.25))
    row = judge.figures(tmp_path / "truth.tif", depth)
    assert row["depth_mae_frames"] == row["depth_mae_textured"] == 0.25
    assert row["depth_off_share"] == 0
    tifffile.imwrite(depth, judge.depth + np.float32(2))
    assert judge.figures(tmp_path / "truth.tif", depth)["depth_off_share"] == 1
    assert 35 < judge.mark()["psnr_db"] < 80


@pytest.mark.parametrize("gain", [1.0, 0.95])
def test_geometry_and_brightness_of_a_moving_stack_are_the_competitors_own(
    bench: Any, moving: Any, tmp_path: Path, gain: float
) -> None:
    judge = bench.quality_judge.Judge(moving)
    matrix = np.array([[1.01, 0.004, 3.3], [-0.004, 1.01, -2.6], [0, 0, 1]])
    shown = resample(
        judge.truth, Transform(matrix), 1.0, 300, Rows(0, 220), gpustack.Interpolation.LANCZOS
    ).image
    row = judge.figures(written(tmp_path / "moved.tif", gain * np.moveaxis(shown, 0, -1)))
    assert row["psnr_db"] > 45
    assert row["size"] == [300, 220]
    assert row["gain"] == pytest.approx(gain, abs=0.003)
    assert 0.8 < row["shown"] < 1
    still_judged = np.clip(judge.truth, 0, 1)[:220, :300] - gain * np.moveaxis(shown, 0, -1)
    assert -10 * np.log10(np.mean(still_judged**2)) < 25


def test_what_not_every_frame_covers_does_not_count(bench: Any, moving: Any) -> None:
    transforms = [Transform(np.array([[1, 0, dx], [0, 1, 0], [0, 0, 1.0]])) for dx in (-10, 0, 4)]
    found = bench.quality_cases.covered(transforms, TOY)
    rim = bench.quality_cases.RIM_PX
    rows, columns = np.nonzero(found)
    assert (columns.min(), columns.max()) == (10 + rim, TOY.width - 1 - 4 - rim)
    assert (rows.min(), rows.max()) == (rim, TOY.height - 1 - rim)
    assert bench.quality_cases.covered(transforms[1:2], TOY).all()
    assert 0.5 < moving.covered().mean() < 1


def test_one_case_from_frames_to_a_table(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench.quality, "SMALL", TOY)
    target = tmp_path / "quality.json"
    given = ["--small", "--first", "--scenes", "cards", "--cache", str(tmp_path), "--json", str(target)]
    older = {"scene": "dome", "seed": 0, "camera": "still", "noise": 1.0, "bits": 8, "held_out": False}
    kept, stale = older | {"digest": "x", "method": "enfuse"}, older | {"digest": "x", "scene": "cards"}
    target.write_text(json.dumps({"rows": [kept, stale | {"method": "enfuse", "psnr_db": 99.0}]}))
    monkeypatch.setattr(sys, "argv", ["quality.py", *given, "--ours-only", "--methods", "gpustack auto"])
    bench.quality.main()
    rows = json.loads(target.read_text())["rows"]
    assert [(row["scene"], row["method"]) for row in rows] == [
        ("cards", bench.quality_runs.MARK),
        ("cards", "gpustack auto"),
        ("dome", "enfuse"),
    ]
    assert rows[1]["psnr_db"] > 30
    assert 0 < rows[1]["depth_mae_textured"] < 2
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["quality_table.py", str(target)])
    bench.quality_table.main()
    assert f"| cards 0 | {rows[1]['psnr_db']:.1f} | – |" in capsys.readouterr().out


def test_claims_name_the_rows_that_break_them(bench: Any) -> None:
    case = {"seed": 0, "camera": "still", "noise": 1.0, "bits": 8}
    values = {"hairs": (40.0, 36.0, 46.0), "dome": (40.0, 41.0, 50.0)}
    rows = [
        case | {"scene": scene, "method": method, "psnr_db": value}
        for scene, found in values.items()
        for method, value in zip(("gpustack auto", "enfuse", bench.quality_runs.MARK), found, strict=True)
    ]
    said = list(bench.quality_table.claims(bench.quality_table.grouped(rows)))
    assert said[0] == "- auto is first: 1 of 2\n    dome 0: -1.000"
    assert "(hairs, cards): 1 of 1" in "".join(said)
    assert "| dome 0 | 40.0 |" in bench.quality_table.table(bench.quality_table.grouped(rows), "psnr_db")
