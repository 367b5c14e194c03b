"""`gpustack stack --slab`, `--radius` and `--smoothing`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.cli.calling import DESCRIPTION, HEIGHT, WIDTH, assert_refused, call, pixels, shots, write_tiffs


@pytest.fixture
def five(tmp_path: Path) -> list[Path]:
    """Five frames at rest, in the folder that results go to."""
    return write_tiffs(tmp_path, shots(5))


def test_slabs_are_written_beside_the_output(five: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "sharp.tif"
    done = call("stack", *five, "-o", out, "--slab", "3,1", "--align", "none", "--json")
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    slabs = [tmp_path / f"sharp_slab_{number:03d}.tif" for number in (1, 2)]
    assert report["outputs"] == [str(path) for path in (out, *slabs)]
    assert report["settings"]["slab"] == [3, 1]
    assert report["slabs"] == [{"number": 1, "first": 0, "last": 2}, {"number": 2, "first": 2, "last": 4}]
    assert (report["plan"]["slabs"], report["plan"]["open_slabs"]) == (2, 2)
    for path, said in zip(slabs, ("frames 0 to 2", "frames 2 to 4"), strict=True):
        assert pixels(path).shape == pixels(out).shape == (HEIGHT, WIDTH, 3)
        with tifffile.TiffFile(path) as file:
            assert said in file.pages[0].tags[DESCRIPTION].value
    alone = tmp_path / "alone.tif"
    assert call("stack", *slabs, "-o", alone, "--align", "none", "-q").exit_code == 0
    assert np.abs(pixels(alone).astype(int) - pixels(out)).mean() < 0.1  # its noise was measured on a slab


def test_slabs_are_not_replaced_unasked(five: list[Path], tmp_path: Path) -> None:
    (tmp_path / "sharp_slab_002.png").write_bytes(b"mine")
    asked = ("stack", *five, "-o", tmp_path / "sharp.png", "--slab", "3,1", "--align", "none", "-q")
    assert_refused(call(*asked), 1, "sharp_slab_002.png", "--overwrite")
    assert not (tmp_path / "sharp_slab_001.png").exists()
    assert call(*asked, "--overwrite").exit_code == 0
    assert pixels(tmp_path / "sharp_slab_002.png").shape == (HEIGHT, WIDTH, 3)


def test_slabs_of_an_earlier_run_are_not_frames(five: list[Path], tmp_path: Path) -> None:
    del five
    asked = ("stack", tmp_path, "-o", tmp_path / "sharp.tif", "--slab", "3,1", "-y", "--json")
    for _ in "ab":
        done = call(*asked)
        assert done.exit_code == 0, done.stderr
        assert len(json.loads(done.stdout)["frames"]) == 5


def test_plan_tells_of_slabs(five: list[Path]) -> None:
    assert "slabs     2, of which 2 at most" in call("plan", *five, "--slab", "3,1").stdout
    assert "slabs" not in call("plan", *five).stdout


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (("--slab", "3"), 2, "'3' is no size and overlap"),
        (("--slab", "a,b"), 2, "'a,b' is no size and overlap"),
        (("--slab", "1,0"), 2, "--slab 1,0"),
        (("--slab", "3,3"), 2, "--slab 3,3"),
        (("--slab", "6,1"), 2, "A slab is to have 6 frames, and the stack has 5"),
        (("--slab", "3,1", "--method", "depthmap"), 2, "--method depthmap"),
        (("--radius", "0.4"), 2, "--radius 0.4 is out of range. Choose 0.5 to 16 pixels"),
        (("--radius", "nan"), 2, "--radius nan"),
        (("--smoothing", "-1"), 2, "--smoothing -1 is out of range. Choose 0 to 100 noise levels"),
    ],
)
def test_what_cannot_be_is_refused(
    five: list[Path], tmp_path: Path, given: tuple[str, ...], code: int, said: str
) -> None:
    assert_refused(call("stack", *five, "-o", tmp_path / "o.png", *given), code, said)
    assert not (tmp_path / "o.png").exists()


def test_radius_and_smoothing_change_the_picture(five: list[Path], tmp_path: Path) -> None:
    results = set()
    for number, given in enumerate(((), ("--radius", "6"), ("--smoothing", "0"), ("--smoothing", "80"))):
        out = tmp_path / f"o{number}.png"
        done = call("stack", *five, "-o", out, "--align", "none", "--json", *given)
        assert done.exit_code == 0, done.stderr
        if given:
            assert json.loads(done.stdout)["settings"][given[0][2:]] == float(given[1])
        results.add(pixels(out).tobytes())
    assert len(results) == 4
