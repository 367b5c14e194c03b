"""`gpustack align`: transforms as a file or on stdout, aligned frames in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.cli.calling import HEIGHT, WIDTH, assert_refused, call, pixels, shots, write_tiffs


@pytest.fixture
def moving(tmp_path: Path) -> list[Path]:
    """Three frames that drift by two pixels each."""
    folder = tmp_path / "moving"
    folder.mkdir()
    return write_tiffs(folder, shots(step=2.0))


def test_the_file_serves_a_stack(moving: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    result = call("align", *moving, "--save-transforms", path)
    assert result.exit_code == 0, result.stderr
    assert "3 of 3 frames aligned, links agree within" in result.stderr
    assert "loops of links within" in result.stderr
    direct, through = tmp_path / "direct.tif", tmp_path / "through.tif"
    assert call("stack", *moving, "-o", direct, "-q").exit_code == 0
    assert call("stack", *moving, "-o", through, "-q", "--transforms", path).exit_code == 0
    assert pixels(direct).tobytes() == pixels(through).tobytes()


def test_json_prints_what_the_file_holds(moving: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    result = call("align", *moving, "--json", "--save-transforms", path)
    assert json.loads(result.stdout) == json.loads(path.read_bytes())
    row = json.loads(result.stdout)["frames"][2]
    size, tone = {"width", "height"}, {"gain", "offset"}
    known = {"file", "matrix", "used", "in_series", "confidence", "residual_px", "links"}
    assert set(row) == known | size | tone
    assert [link["to"] for link in row["links"]] == [1, 0]
    assert all(set(link) == {"to", "confidence", "used", "residual_px", "loop_px"} for link in row["links"])
    assert row["links"][0]["loop_px"] is None  # a neighbour has nobody between
    assert 0 <= row["links"][1]["loop_px"] < 0.2
    assert row["used"] is True
    assert row["matrix"][0][2] == pytest.approx(2.0, abs=0.6)


def test_aligned_frames_lie_on_the_reference(moving: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "aligned"
    result = call("align", *moving, "-o", folder, "--crop", "none", "-q")
    assert result.exit_code == 0, result.stderr
    written = sorted(folder.iterdir())
    assert [path.name for path in written] == [f"{i:04d}_{path.stem}.tif" for i, path in enumerate(moving)]
    frames = [tifffile.imread(path).astype(float) for path in written]
    assert all(frame.shape == (HEIGHT, WIDTH, 3) for frame in frames)
    np.testing.assert_array_equal(frames[1], tifffile.imread(moving[1]))
    inner = np.s_[8:-8, 8:-8]
    before = np.abs(tifffile.imread(moving[2]).astype(float) - frames[1])[inner].mean()
    assert np.abs(frames[2] - frames[1])[inner].mean() < 0.8 * before


def test_aligned_frames_are_resampled_as_asked(moving: list[Path], tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("bicubic", "lanczos")]
    for folder in folders:
        result = call("align", *moving, "-o", folder, "-q", "--interpolation", folder.name)
        assert result.exit_code == 0, result.stderr
    alike = [
        path.read_bytes() == (folders[1] / path.name).read_bytes() for path in sorted(folders[0].iterdir())
    ]
    assert alike == [False, True, False]  # the middle one is the reference


def test_a_frame_that_cannot_be_aligned(moving: list[Path], tmp_path: Path) -> None:
    blank = tmp_path / "moving" / "z.tif"
    tifffile.imwrite(blank, np.full((HEIGHT, WIDTH, 3), 77, np.uint8))
    skipped = call("align", *moving, blank, "--json")
    assert skipped.exit_code == 0
    assert "z.tif" in skipped.stderr
    assert [row["used"] for row in json.loads(skipped.stdout)["frames"]] == [True, True, True, False]
    assert_refused(call("align", *moving, blank, "--json", "--on-bad-frame", "fail"), 3, "z.tif")
    output = tmp_path / "o.tif"
    assert_refused(call("stack", *moving, blank, "-o", output, "--on-bad-frame", "fail"), 3, "z.tif")
    assert not output.exists()


def test_asking_for_nothing_is_refused(moving: list[Path]) -> None:
    assert_refused(call("align", *moving), 2, "--save-transforms")


def test_nothing_is_overwritten(moving: list[Path], tmp_path: Path) -> None:
    taken, full = tmp_path / "t.json", tmp_path / "full"
    taken.write_text("mine")
    full.mkdir()
    (full / "note.txt").write_text("mine")
    assert_refused(call("align", *moving, "--save-transforms", taken), 1, "t.json")
    assert_refused(call("align", *moving, "-o", full), 1, "full")
    assert taken.read_text() == "mine"
    assert call("align", *moving, "-q", "-y", "--save-transforms", taken, "-o", full).exit_code == 0
    assert json.loads(taken.read_bytes())["width"] == WIDTH
    assert (full / "note.txt").read_text() == "mine"
