"""`gpustack inspect`, of frames and of sidecars."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import gpustack
from tests.cli.calling import assert_refused, call, write_tagged, write_tiffs
from tests.coverage.worlds import photographs

PLACES = np.arange(16) * 1.6
OUT = (7, 8)
WIDTH, HEIGHT = 320, 192
STILL = gpustack.Settings(align=gpustack.Model.NONE)


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The files of a leaning plain, 1.6 pixels of blur from frame to frame."""
    frames = photographs(PLACES.tolist(), 0.3, 23.7, (WIDTH, HEIGHT))
    return write_tiffs(tmp_path_factory.mktemp("shot"), frames, "{:02d}.tif")


@pytest.fixture
def gappy(shot: list[Path]) -> list[Path]:
    """Without two in the middle."""
    return [path for index, path in enumerate(shot) if index not in OUT]


def inspected(*words: object) -> dict[str, Any]:
    done = call("inspect", *words, "--json", "-q", "--align", "none")
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def test_a_whole_stack(shot: list[Path]) -> None:
    told = inspected(*shot)
    assert [row["file"] for row in told["frames"]] == [path.name for path in shot]
    assert sum(row["share"] for row in told["frames"]) == pytest.approx(1.0)
    assert told["covered"] > 0.99
    assert told["gaps"] == []
    assert all(row["verdicts"] == [] for row in told["frames"])


def test_a_gap_in_the_middle(gappy: list[Path], tmp_path: Path) -> None:
    told = inspected(*gappy, "--map", tmp_path / "map.png")
    gap = told["gaps"][0]
    assert (gap["side"], gap["frames"]) == ("between", [6, 7])
    assert told["covered"] < 0.95
    left, top, width, height = gap["box"]
    assert 0 <= left < left + width <= WIDTH
    assert 0 <= top < top + height <= HEIGHT
    said = [sentence for sentence in told["advice"] if "06.tif" in sentence]
    assert len(said) == 1
    assert "09.tif" in said[0]
    picture = cv2.imread(str(tmp_path / "map.png"))
    red = (np.abs(picture.astype(int) - (90, 40, 255)).max(axis=2) < 60).sum()
    assert red > 0.5 * gap["share"] * WIDTH * HEIGHT


def test_the_table_is_for_people(gappy: list[Path], tmp_path: Path) -> None:
    dark = cv2.imread(str(gappy[2]), cv2.IMREAD_UNCHANGED)[..., ::-1] // 2
    (other,) = write_tiffs(tmp_path, [np.ascontiguousarray(dark)], "02.tif")
    done = call("inspect", *gappy[:2], other, *gappy[3:], "-q")  # aligned: light is compared then
    assert done.exit_code == 0, done.output
    rows = done.stdout.splitlines()
    assert rows[0].split()[:4] == ["frame", "file", "shows", "alone"]
    assert rows[3].rstrip().endswith("too dark")
    assert any(row.startswith("in focus: ") for row in rows)
    assert any("lies between frames 6 (06.tif) and 7 (09.tif)" in row for row in rows)


def test_of_a_sidecar(gappy: list[Path], tmp_path: Path) -> None:
    sharp = tmp_path / "sharp.tif"
    assert call("stack", *gappy, "-o", sharp, "-q", "--method", "average", "--align", "none").exit_code == 0
    recorded = call("inspect", sharp, "--recorded")
    assert recorded.exit_code == 0, recorded.output
    assert "00.tif" in recorded.stdout
    assert "in focus" not in recorded.stdout
    shown = json.loads(call("inspect", sharp, "--recorded", "--json").stdout)
    assert sum(row["share"] for row in shown["frames"]) == pytest.approx(1.0, abs=1e-6)
    assert (shown["covered"], shown["gaps"]) == (None, [])
    told = inspected(sharp)
    assert told["gaps"][0]["frames"] == [6, 7]


def test_from_python(gappy: list[Path]) -> None:
    arrays = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1] for path in gappy]
    found = gpustack.inspect(arrays, STILL)
    assert found.coverage is not None
    assert found.coverage.gaps[0].frames == (6, 7)
    assert found.map().shape[2] == 3


def test_the_map_is_upright(gappy: list[Path], tmp_path: Path) -> None:
    turned = []
    for path in gappy:
        frame = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1]
        turned.append(write_tagged(tmp_path / f"{path.stem}.jpg", np.ascontiguousarray(frame), orientation=6))
    found = gpustack.inspect(turned, STILL)
    assert found.views is not None
    height, width = found.views.preview.shape[:2]
    assert height > width  # stored across
    assert found.views.best.shape[0] > found.views.best.shape[1]
    assert found.coverage is not None
    assert found.coverage.seen.shape == found.views.seen.shape[::-1]


def test_gray_frames(gappy: list[Path]) -> None:
    found = gpustack.inspect([cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in gappy], STILL)
    assert found.map().shape[2] == 3


def test_two_frames_are_told_of_without_gaps(shot: list[Path]) -> None:
    done = call("inspect", shot[0], shot[1], "-q")
    assert done.exit_code == 0, done.output
    assert "gaps cannot be told" in done.stdout


def test_files_out_of_order_are_hinted_at(tmp_path: Path, shot: list[Path]) -> None:
    for index, path in enumerate(shot[:12], 1):
        (tmp_path / f"f{index}.tif").write_bytes(path.read_bytes())
    named = sorted(tmp_path.glob("*.tif"))  # as a shell sorts them
    assert any("order of their names" in sentence for sentence in inspected(*named)["advice"])
    assert not any("order of their names" in sentence for sentence in inspected(tmp_path)["advice"])


def test_what_does_not_go_together(shot: list[Path], tmp_path: Path) -> None:
    assert_refused(call("inspect", *shot, "--recorded"), 2, "go with a sidecar")
    assert_refused(call("inspect", *shot, "--frames", tmp_path), 2, "go with a sidecar")
    (tmp_path / "map.png").write_bytes(b"mine")
    assert_refused(call("inspect", *shot, "--map", tmp_path / "map.png"), 1, "exists already")
    assert_refused(call("inspect", *shot, "--map", tmp_path / "map.gif"), 2, "map.gif")
    (tmp_path / "a.gpustack.json").write_text("{}")
    assert_refused(call("inspect", tmp_path / "a.gpustack.json"), 3, "no sidecar")
    assert_refused(call("inspect", tmp_path / "a.gpustack.json", "--recorded", "--map", "m.png"), 2, "--map")
