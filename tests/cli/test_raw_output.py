"""RAW frames from the command line: linear DNG, white balance, exposure."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from gpustack.io.decode import probe
from gpustack.model.frame import Kind
from tests.cli.calling import assert_refused, call
from tests.io.dng import mosaic, write_dng

pytest.importorskip("rawpy", reason="rawpy has no build for this platform")


@pytest.fixture
def raws(tmp_path: Path) -> list[Path]:
    texture = np.random.default_rng(1).integers(0, 3000, (3, 48, 64)).astype(np.uint16)
    return [
        write_dng(tmp_path / f"{number}.dng", mosaic() + noise, iso=100 * max(1, number))
        for number, noise in enumerate(texture)
    ]


def test_a_dng_beside_its_frames(raws: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "sharp.dng"
    ways = ("--align", "none", "--method", "average", "--slab", "2,1")
    for more in ((), ("--overwrite",)):  # results of the first run are no frames of the second
        done = call("stack", tmp_path, "-o", output, "--json", *ways, *more)
        assert done.exit_code == 0, done.stderr
        report = json.loads(done.stdout)
        assert len(report["frames"]) == len(raws)
        assert len(report["outputs"]) == 3
    for name in ("sharp.dng", "sharp_slab_001.dng", "sharp_slab_002.dng"):
        (frame,) = probe(tmp_path / name)
        assert (frame.kind, frame.size) == (Kind.RAW, (64, 48))
    assert report["settings"]["linear"] is True
    assert "Frames were taken otherwise than the reference 1.dng: ISO speed (2.dng)." in report["warnings"]


@pytest.mark.parametrize("options", [("-o", "out.dng"), ("-o", "out.tif", "--wb", "1,1,1")])
def test_developed_frames_are_refused_before_any_work(
    frames: list[Path], tmp_path: Path, options: tuple[str, ...]
) -> None:
    arguments = [str(tmp_path / word) if word.startswith("out") else word for word in options]
    assert_refused(call("stack", *frames, *arguments, "--dry-run"), 2, "takes RAW frames")
    assert_refused(call("stack", *frames, *arguments), 2, "takes RAW frames")


@pytest.mark.parametrize("text", ["sunny", "1,2", "1,2,x", "1,2,3,4", "0,1,1", "nan,1,1"])
def test_a_balance_that_is_none(raws: list[Path], tmp_path: Path, text: str) -> None:
    assert_refused(call("stack", *raws, "-o", tmp_path / "a.tif", "--wb", text), 2, "--wb")


def test_balance_and_exposure(raws: list[Path], tmp_path: Path) -> None:
    ways = ("--align", "none", "--method", "average", "--quiet")
    means = {}
    for name, options in {
        "plain": (),
        "daylight": ("--wb", "daylight"),
        "red": ("--wb", "4,1,1.6"),
        "dark": ("--exposure", "-1"),
    }.items():
        done = call("stack", *raws, "-o", tmp_path / f"{name}.tif", *ways, *options)
        assert done.exit_code == 0, done.stderr
        means[name] = tifffile.imread(tmp_path / f"{name}.tif").mean((0, 1))
    assert (means["dark"] < 0.8 * means["plain"]).all()
    assert means["red"][0] > 1.2 * means["plain"][0]
    assert abs(means["daylight"] / means["plain"] - 1).max() > 0.01
