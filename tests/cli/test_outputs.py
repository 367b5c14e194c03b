"""What is written: formats, depths, profile and EXIF; and what is refused before any work."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gpustack import __version__, api
from gpustack.io.colour import srgb_profile
from gpustack.io.decode import probe
from gpustack.io.metadata import read_metadata
from gpustack.result import Result
from tests.cli.calling import (
    DESCRIPTION,
    HEIGHT,
    MAKE,
    ORIENTATION,
    SOFTWARE,
    WIDTH,
    assert_refused,
    call,
    pixels,
    shots,
    write_tagged,
    write_tiffs,
)
from tests.io.sources import profile as display_p3

STILL = ["--align", "none"]


def as_type(shot: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "uint8":
        return shot
    return shot.astype(np.uint16) * 257 if dtype == "uint16" else (shot / np.float32(255)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_tiff_keeps_every_sample_type(tmp_path: Path, dtype: str, channels: int) -> None:
    alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    colours = [
        np.concatenate([shot, alpha], axis=2)[..., : 4 if channels == 4 else channels] for shot in shots()
    ]
    frames = [as_type(colour if channels > 1 else colour[..., 0], dtype) for colour in colours]
    out = tmp_path / "o.tif"
    assert call("stack", *write_tiffs(tmp_path, frames), "-o", out, *STILL).exit_code == 0
    fused = pixels(out)
    assert fused.dtype == dtype
    assert fused.shape == (HEIGHT, WIDTH, channels)
    if channels == 4:
        assert (fused[..., 3] == fused[..., 3].max()).all()
    sharp = frames[0].reshape(HEIGHT, WIDTH, channels)[:, :40].astype(float)
    assert np.abs(fused[:, :40] - sharp).mean() < 0.01 * sharp.max()


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_png_keeps_8_and_16_bits(tmp_path: Path, dtype: str) -> None:
    frames = write_tiffs(tmp_path, [as_type(shot, dtype) for shot in shots()])
    outs = [tmp_path / "o.png", tmp_path / "o.tif"]
    for out in outs:
        assert call("stack", *frames, "-o", out, *STILL).exit_code == 0
    assert pixels(outs[0]).dtype == dtype
    np.testing.assert_array_equal(pixels(outs[0]), pixels(outs[1]))


@pytest.mark.parametrize("ending", ["jpg", "JPEG"])
def test_a_jpeg_is_8_bit_of_16(tmp_path: Path, ending: str) -> None:
    frames = write_tiffs(tmp_path, [as_type(shot, "uint16") for shot in shots()])
    for out in (tmp_path / f"o.{ending}", tmp_path / "o.tif"):
        assert call("stack", *frames, "-o", out, *STILL).exit_code == 0
    coded, exact = pixels(tmp_path / f"o.{ending}"), pixels(tmp_path / "o.tif") / 257
    assert coded.dtype == np.uint8
    assert np.abs(coded - exact).mean() < 4


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_float_frames_are_refused_by_other_formats_before_any_work(tmp_path: Path, ending: str) -> None:
    frames = write_tiffs(tmp_path, [as_type(shot, "float32") for shot in shots()])
    for more in ([], ["--dry-run"], ["--save-steps", tmp_path / "steps"]):
        result = call("stack", *frames, "-o", tmp_path / f"o.{ending}", *more)
        assert_refused(result, 2, f"o.{ending}", "floating point", ".tif")
    assert not (tmp_path / "steps").exists()


@pytest.fixture
def tagged(tmp_path: Path) -> list[Path]:
    """Three JPEG frames with a profile, whose EXIF differs from frame to frame."""
    return [
        write_tagged(
            tmp_path / f"in{number}.jpg",
            shot,
            icc=srgb_profile(),
            make="Lens & Co",
            description=f"frame {number}",
        )
        for number, shot in enumerate(shots())
    ]


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
@pytest.mark.parametrize(("reference", "number"), [("middle", 1), ("last", 2)])
def test_profile_and_exif_are_the_references(
    tagged: list[Path], tmp_path: Path, ending: str, reference: str, number: int
) -> None:
    out = tmp_path / f"o.{ending}"
    assert call("stack", *tagged, "-o", out, "--reference", reference).exit_code == 0
    (frame,) = probe(out)
    assert read_metadata(frame).icc == srgb_profile()
    assert frame.orientation == 1
    with Image.open(out) as picture:
        exif = picture.getexif()
        assert picture.info["icc_profile"] == srgb_profile()
    assert (exif[MAKE], exif[DESCRIPTION]) == ("Lens & Co", f"frame {number}")
    assert exif[SOFTWARE] == f"gpustack {__version__}"
    assert exif.get(ORIENTATION, 1) == 1


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_exiftool_finds_nothing_wrong(tagged: list[Path], tmp_path: Path) -> None:
    outs = [tmp_path / f"o.{ending}" for ending in ("jpg", "png", "tif")]
    for out in outs:
        assert call("stack", *tagged, "-o", out).exit_code == 0
    command = ["exiftool", "-j", "-Warning", "-Error", "-Make", "-ProfileDescription", *outs]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    for file in told:
        assert file["Make"] == "Lens & Co"
        assert "sRGB" in file["ProfileDescription"]
        assert "Error" not in file
        assert "Warning" not in file, file


def test_an_existing_file_is_kept_unless_overwriting_is_allowed(frames: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "o.png"
    out.write_bytes(b"mine")
    assert_refused(call("stack", *frames, "-o", out), 1, "o.png exists already", "--overwrite")
    assert out.read_bytes() == b"mine"
    assert call("stack", *frames, "-o", out, "--overwrite").exit_code == 0
    assert pixels(out).dtype == np.uint8


def test_a_file_that_turns_up_during_the_run_is_kept(
    frames: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, stack = tmp_path / "o.png", api.stack

    def slowly(*arguments: Any, **options: Any) -> Result:
        out.write_bytes(b"mine")
        return stack(*arguments, **options)

    monkeypatch.setattr(api, "stack", slowly)
    assert_refused(call("stack", *frames, "-o", out), 1, "o.png exists already")
    assert out.read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("--depth", "d.tif"),
        ("--confidence", "c.png"),
        ("--save-transforms", "t.json"),
        ("--save-steps", "steps"),
    ],
)
def test_other_outputs_are_not_overwritten_either(
    frames: list[Path], tmp_path: Path, option: str, name: str
) -> None:
    taken = tmp_path / name
    if option == "--save-steps":
        taken.mkdir()
        (taken / "mine").write_bytes(b"mine")
    else:
        taken.write_bytes(b"mine")
    arguments = ["stack", *frames, "-o", tmp_path / "o.png", option, taken]
    assert_refused(call(*arguments), 1, f"{name} exists already", "--overwrite")
    assert not (tmp_path / "o.png").exists()
    assert call(*arguments, "--overwrite").exit_code == 0
    assert (tmp_path / "o.png").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["-o", "o.gif"], 2, "o.gif"),
        (["-o", "o"], 2, ".jpg"),
        (["-o", "nowhere/o.png"], 1, "nowhere does not exist"),
        (["-o", "o.png", "--depth", "d.jpg"], 2, "d.jpg"),
        (["-o", "o.png", "--confidence", "nowhere/c.tif"], 1, "nowhere does not exist"),
        (["-o", "o.png", "--save-transforms", "t.txt"], 2, ".json"),
        (["-o", "o.tif", "--depth", "o.tif"], 2, "same name"),
        (["-o", "frames/f0.tif/o.png"], 1, "not a folder"),
        (["-o", "o.png", "--save-steps", "frames/f0.tif"], 1, "exists already"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(
    frames: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    frames[0].write_bytes(b"no picture: reading it would be another error")
    assert_refused(call("stack", "frames", *arguments), code, said)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["f0.tif", "f1.tif", "f2.tif", "frames"]


def test_outputs_of_one_size_and_no_leftovers(frames: list[Path], tmp_path: Path) -> None:
    outputs = ["-o", "o.jpg", "--depth", "d.tif", "--confidence", "c.tif", "--save-transforms", "t.json"]
    named = [tmp_path / word if "." in word else word for word in outputs]
    assert call("stack", *frames, *named).exit_code == 0
    names = ["c.tif", "d.tif", "frames", "o.jpg", "o.jpg.gpustack.json", "t.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert len({pixels(tmp_path / name).shape[:2] for name in ("o.jpg", "d.tif", "c.tif")}) == 1


def test_linear_floats_become_openexr_and_others_are_refused_before_any_work(tmp_path: Path) -> None:
    exr = pytest.importorskip("OpenEXR")
    light = np.random.default_rng(1).random((40, 60, 3)).astype(np.float32)
    exr.File({"type": exr.scanlineimage}, {"RGB": light}).write(str(tmp_path / "a.exr"))
    result = call("stack", str(tmp_path / "a.exr"), "-o", str(tmp_path / "o.exr"), *STILL)
    assert result.exit_code == 0
    np.testing.assert_array_equal(exr.File(str(tmp_path / "o.exr")).channels()["RGB"].pixels, light)
    Image.fromarray((light * 255).astype(np.uint8)).save(tmp_path / "b.png")
    result = call("stack", str(tmp_path / "b.png"), "-o", str(tmp_path / "p.exr"), *STILL)
    assert_refused(result, 2, "p.exr", "linear floating point", ".tif")


def test_every_other_frame_is_taken(tmp_path: Path) -> None:
    paths = write_tiffs(tmp_path, shots(5))
    result = call("stack", *map(str, paths), "--every", "2", "-o", str(tmp_path / "o.tif"), "--json", *STILL)
    names = [Path(row["file"]).name for row in json.loads(result.stdout)["frames"]]
    assert names == [path.name for path in paths[::2]]


def test_mixed_profiles_end_with_a_sentence_or_are_converted(tmp_path: Path) -> None:
    for index, icc in enumerate((srgb_profile(), b"")):
        picture = Image.fromarray(np.full((40, 60, 3), 99, np.uint8))
        picture.save(tmp_path / f"{index}.png", icc_profile=icc or display_p3())
    inputs = [str(tmp_path / f"{index}.png") for index in (0, 1)]
    result = call("stack", *inputs, "-o", str(tmp_path / "o.tif"), *STILL)
    assert_refused(result, 3, "1.png", "other colours", "--convert-profile")
    steps = ["--save-steps", str(tmp_path / "steps")]
    result = call("stack", *inputs, "-o", str(tmp_path / "o.tif"), "--convert-profile", *STILL, *steps)
    assert result.exit_code == 0
    for path in (tmp_path / "o.tif", *sorted((tmp_path / "steps/aligned").iterdir())):
        assert read_metadata(probe(path)[0]).icc == srgb_profile()
