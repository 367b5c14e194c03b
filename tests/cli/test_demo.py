"""`gpustack demo` from nothing to a picture beside the truth."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.cli.calling import assert_refused, call, pixels


@pytest.mark.slow
def test_the_demo_writes_frames_and_results_and_tells_how_good_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    result = call("demo", "-o", folder)
    assert result.exit_code == 0, result.stderr
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    frames = [f"frames/frame_{number:02d}.jpg" for number in range(16)]
    assert found == sorted(["comparison.png", "confidence.tif", "depth.tif", "stacked.png", *frames])
    fused, alone = map(float, re.findall(r"([\d.]+) dB", result.stdout))
    assert fused > alone + 5
    assert re.search(r"^seconds: render [\d.]+, survey", result.stdout, re.MULTILINE)
    assert str(folder / "comparison.png") in result.stdout
    picture, depth = pixels(folder / "stacked.png"), pixels(folder / "depth.tif")
    assert picture.shape[:2] == depth.shape[:2]
    assert np.ptp(depth) > 10
    # A second demo does not touch the first one's files.
    assert_refused(call("demo", "-o", folder), 1, "exists already", "--overwrite")


def test_a_folder_that_holds_something_is_refused_before_rendering(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert_refused(call("demo", "-o", tmp_path), 1, "exists already")
    assert_refused(call("demo", "-o", tmp_path / "mine.txt"), 1, "exists already")
    assert_refused(call("demo", "-o", tmp_path / "mine.txt" / "demo"), 1, "cannot be made")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_unknown_scene(tmp_path: Path) -> None:
    result = call("demo", "-o", tmp_path / "demo", "--scene", "moon")
    assert result.exit_code == 2
    assert "There is no scene 'moon'. Choose one of macro" in result.stderr
    assert not (tmp_path / "demo").exists()
