"""`--layers` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from psd_tools import PSDImage
from psd_tools.constants import Resource

from gpustack.io.colour import srgb_profile
from gpustack.watching import arrivals
from tests.cli.calling import assert_refused, call, pixels
from tests.io.dng import mosaic, write_dng


@pytest.mark.parametrize("ending", [".psd", ".psb", ".tif"])
def test_layers_beside_the_picture(ending: str, frames: list[Path], tmp_path: Path) -> None:
    layers = tmp_path / f"layers{ending}"
    done = call("stack", *frames, "-o", tmp_path / "sharp.tif", "--layers", layers, "--json")
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["outputs"] == [str(tmp_path / "sharp.tif"), str(layers)]
    assert report["layers"] == {"frames": ["f0.tif", "f1.tif", "f2.tif"], "left_out": []}
    assert report["plan"]["passes"][-1] == "layers"
    sharp = pixels(tmp_path / "sharp.tif")
    merged = tifffile.imread(layers) if ending == ".tif" else PSDImage.open(layers).numpy() * 255
    assert np.array_equal(np.rint(merged), sharp)


def test_a_person_is_told_which_frames_have_no_layer(frames: list[Path], tmp_path: Path) -> None:
    flat = tmp_path / "flat.tif"
    tifffile.imwrite(flat, np.full_like(pixels(frames[0]), 128), photometric="rgb")
    wanted = ("-o", tmp_path / "sharp.tif", "--layers", tmp_path / "out.psd", "--align", "none")
    done = call("stack", *frames, flat, *wanted)
    assert "out.psd: 3 layers above the picture; none of flat.tif, which own nothing" in done.stderr
    assert "layers" not in call("stack", *frames, *wanted, "--quiet", "--overwrite").stderr


def test_results_of_a_run_before_are_no_frames(frames: list[Path]) -> None:
    folder = frames[0].parent
    wanted = ("-o", folder / "sharp.tif", "--layers", folder / "layers.tif", "--json")
    for more in ((), ("--overwrite",)):
        done = call("stack", folder, *wanted, *more)
        assert done.exit_code == 0, done.stderr
        assert len(json.loads(done.stdout)["frames"]) == 3


def test_the_plan_shows_the_pass(frames: list[Path], tmp_path: Path) -> None:
    wanted = ("-o", tmp_path / "sharp.tif", "--layers", tmp_path / "out.psd")
    shown = call("stack", *frames, *wanted, "--dry-run")
    assert "layers (each decodes every frame once)" in shown.stdout
    assert "layers" in call("plan", *frames, "--layers").stdout
    assert "layers" not in call("plan", *frames).stdout
    assert not (tmp_path / "out.psd").exists()


@pytest.mark.parametrize(
    ("layers", "code", "said"),
    [
        ("layers.jpg", 2, "The format of layers.jpg is not known. End the name in"),
        ("nowhere/layers.psd", 1, "does not exist"),
        ("sharp.tif", 2, "Two outputs have the same name"),
        ("taken.psd", 1, "exists already"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(
    layers: str, code: int, said: str, frames: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "taken.psd").write_bytes(b"mine")
    done = call("stack", *frames, "-o", tmp_path / "sharp.tif", "--layers", tmp_path / layers)
    assert_refused(done, code, said)
    assert (tmp_path / "taken.psd").read_bytes() == b"mine"
    assert not (tmp_path / "sharp.tif").exists()


def test_floats_are_refused(frames: list[Path], tmp_path: Path) -> None:
    for path in frames:
        tifffile.imwrite(path, pixels(path).astype(np.float32) / 255, photometric="rgb")
    done = call("stack", *frames, "-o", tmp_path / "sharp.tif", "--layers", tmp_path / "out.psd")
    assert_refused(done, 2, "out.psd would need 8 or 16 bits a channel")


def test_layers_of_raw_frames_are_developed_beside_a_linear_dng(tmp_path: Path) -> None:
    pytest.importorskip("rawpy", reason="rawpy has no build for this platform")
    texture = np.random.default_rng(1).integers(0, 3000, (3, 48, 64)).astype(np.uint16)
    folder = tmp_path / "raws"
    folder.mkdir()
    for number, noise in enumerate(texture):
        write_dng(folder / f"{number}.dng", mosaic() + noise)
    ways = ("--align", "none", "--method", "average")
    for output, layers in (("sharp.tif", "one.psd"), ("sharp.dng", "two.psd")):
        done = call("stack", folder, "-o", tmp_path / output, "--layers", tmp_path / layers, *ways)
        assert done.exit_code == 0, done.stderr
    developed = tifffile.imread(tmp_path / "sharp.tif") / 65535
    for layers in ("one.psd", "two.psd"):
        psd = PSDImage.open(tmp_path / layers)
        assert psd.depth == 16
        assert np.abs(psd.numpy() - developed).max() < 0.5 / 65535
        assert psd.image_resources.get_data(Resource.ICC_PROFILE) == srgb_profile()


@pytest.mark.parametrize("ways", [(), ("--align", "none", "--reference", "first", "--method", "pyramid")])
def test_a_watch_writes_the_layers_of_a_run(
    ways: tuple[str, ...], frames: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where frames at rest were folded as they came."""
    monkeypatch.setattr(arrivals, "SETTLE_S", arrivals.SETTLE_S / 5)
    more = ("--backend", "cpu", "--threads", "2", *ways)
    once = ("-o", tmp_path / "once.tif", "--layers", tmp_path / "once.psd", *more)
    assert call("stack", frames[0].parent, *once).exit_code == 0
    watched = ("-o", tmp_path / "out.tif", "--layers", tmp_path / "out.psd", "--until-idle", "500ms", *more)
    done = call("watch", frames[0].parent, *watched)
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "out.psd").read_bytes() == (tmp_path / "once.psd").read_bytes()
