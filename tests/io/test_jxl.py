"""JPEG XL beyond what the tables of formats hold: turned pictures, profiles of any kind, our own files."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from gpustack.errors import DecodeError, UsageError
from gpustack.io import cicp
from gpustack.io.decode import Decoder, probe
from gpustack.io.metadata import Metadata, read_metadata
from gpustack.io.profiles import same_colours
from gpustack.io.write import oriented, write_picture
from tests.cli.calling import assert_refused, call

P3 = (0.68, 0.32, 1.0, 0.265, 0.69, 1.0, 0.15, 0.06, 1.0)
D65 = (0.3127, 0.3290, 1.0)
WHITE = {"uint8": 255, "uint16": 65535, "float32": 1}
with_cjxl = pytest.mark.skipif(shutil.which("cjxl") is None, reason="cjxl is not installed")
with_djxl = pytest.mark.skipif(shutil.which("djxl") is None, reason="djxl is not installed")
every_type = pytest.mark.parametrize("dtype", WHITE)


def bent() -> npt.NDArray[np.float32]:
    """A curve that no number names."""
    level = np.linspace(0, 1, 256)
    return (0.7 * level**1.8 + 0.3 * level**3).astype(np.float32)


PROFILES = {
    "none": None,
    "sRGB": cicp.profile(1, 13),
    "Display P3": cicp.profile(12, 13),
    "light of BT.2020": cicp.profile(9, 8),
    "gamma 2.2": bytes(imagecodecs.cms_profile("rgb", whitepoint=D65, primaries=P3, gamma=2.2)),
    "ProPhoto": bytes(
        imagecodecs.cms_profile(
            "rgb",
            whitepoint=(0.3457, 0.3585, 1.0),
            primaries=(0.7347, 0.2653, 1.0, 0.1596, 0.8404, 1.0, 0.0366, 0.0001, 1.0),
            gamma=1.8,
        )
    ),
}
BENT = bytes(imagecodecs.cms_profile("rgb", whitepoint=D65, primaries=P3, transferfunction=bent()))
GRAY = bytes(imagecodecs.cms_profile("gray", whitepoint=D65, gamma=2.2))


def picture(dtype: str, channels: int) -> npt.NDArray[np.generic]:
    values = np.random.default_rng(channels).random((33, 47, channels)) * WHITE[dtype]
    return values.astype(dtype) if dtype == "float32" else np.rint(values).astype(dtype)


@every_type
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("name", PROFILES)
def test_what_is_written_comes_back(dtype: str, channels: int, name: str, tmp_path: Path) -> None:
    pixels, path = picture(dtype, channels), tmp_path / "a.jxl"
    icc = PROFILES[name] if channels > 2 or PROFILES[name] is None else GRAY
    write_picture(path, pixels, Metadata(icc, resolution=(300.0, 240.5)), overwrite=False, software="s")
    (frame,) = probe(path)
    np.testing.assert_array_equal(Decoder(frame)(frame), pixels)
    told = read_metadata(frame)
    assert same_colours(told.icc, icc, gray=channels < 3)
    assert told.resolution == (300.0, 240.5)


@with_djxl
@pytest.mark.parametrize("name", [name for name, icc in PROFILES.items() if icc is not None])
def test_djxl_finds_the_colours(name: str, tmp_path: Path) -> None:
    """In light: a gamma is infinitely steep at black, where the last digit of a chromaticity is a level."""
    path, found = tmp_path / "a.jxl", tmp_path / "a.icc"
    write_picture(path, picture("uint16", 3), Metadata(PROFILES[name]), overwrite=False, software="s")
    subprocess.run(
        ["djxl", str(path), str(tmp_path / "a.png"), f"--icc_out={found}"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    values = picture("float32", 3)
    straight = PROFILES["light of BT.2020"]
    assert straight is not None
    light = [
        imagecodecs.cms_transform(values, icc, straight, colorspace="rgb", outcolorspace="rgb", flags=0x100)
        for icc in (PROFILES[name] or b"", found.read_bytes())
    ]
    np.testing.assert_allclose(light[1], light[0], atol=5e-4)


def test_a_profile_that_no_numbers_tell_is_refused_before_any_work(tmp_path: Path) -> None:
    frames = [tmp_path / f"{number}.tif" for number in range(2)]
    for path in frames:
        write_picture(path, picture("uint16", 3), Metadata(BENT), overwrite=False, software="s")
    done = call("stack", *frames, "-o", tmp_path / "o.jxl", "--align", "none")
    assert_refused(done, 2, "o.jxl cannot hold the colour profile", "Write to .tif")
    with pytest.raises(UsageError, match="cannot hold the colour profile"):
        write_picture(tmp_path / "p.jxl", picture("uint8", 3), Metadata(BENT), overwrite=False, software="s")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.tif", "1.tif"]


@with_cjxl
@pytest.mark.parametrize("turn", range(1, 9))
def test_jpeg_files_that_were_made_jpeg_xl_keep_their_turn(turn: int, tmp_path: Path) -> None:
    across, down = np.meshgrid(np.linspace(0, 255, 64), np.linspace(0, 255, 40))
    exif = Image.Exif()
    exif[274] = turn
    pixels = np.stack([across, down, 255 - across], -1).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95, subsampling=0, exif=exif)
    coded(tmp_path / "a.jpg")
    (frame,) = probe(tmp_path / "a.jxl")
    (jpeg,) = probe(tmp_path / "a.jpg")
    assert (frame.size, frame.orientation) == (jpeg.size, turn)
    seen, wanted = (oriented(Decoder(f)(f), f.orientation).astype(int) for f in (frame, jpeg))
    assert np.abs(seen - wanted).max() <= 4  # two decoders


@with_cjxl
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("gray", [False, True])
def test_lossy_pictures_with_a_profile_become_srgb(dtype: str, gray: bool, tmp_path: Path) -> None:
    """Against what Little CMS makes of the pixels; libjxl alone would give their light."""
    icc = bytes(imagecodecs.cms_profile("gray", whitepoint=D65, transferfunction=bent())) if gray else BENT
    across, down = np.meshgrid(np.linspace(0.4, 0.6, 96), np.linspace(0.4, 0.6, 64))  # within sRGB
    values = across[..., None] if gray else np.stack([across, down, 1 - across], -1)
    pixels = np.rint(values * WHITE[dtype]).astype(dtype)
    write_picture(tmp_path / "a.png", pixels, Metadata(icc), overwrite=False, software="s")
    coded(tmp_path / "a.png", "-d", "0.1")
    (frame,) = probe(tmp_path / "a.jxl")
    told = read_metadata(frame).icc
    assert told is not None
    assert same_colours(told, None, gray=gray)
    space = "gray" if gray else "rgb"
    wanted = imagecodecs.cms_transform(
        pixels[..., 0] if gray else pixels,
        icc,
        told,
        colorspace=space,
        outcolorspace=space,
        intent=1,
        flags=0x100,
    )
    off = (
        np.abs(Decoder(frame)(frame).astype(float) - np.asarray(wanted).reshape(pixels.shape)) / WHITE[dtype]
    )
    assert off.mean() < 0.5 / 255
    assert off.max() < 4 / 255


@with_cjxl
def test_pixels_without_loss_in_a_profile_of_tables_are_refused(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", picture("uint8", 3), Metadata(BENT), overwrite=False, software="s")
    coded(tmp_path / "a.png", "-d", "0")
    with pytest.raises(DecodeError, match="its colour profile cannot be read"):
        probe(tmp_path / "a.jxl")


@with_cjxl
def test_animations_are_refused(tmp_path: Path) -> None:
    data = io.BytesIO()
    frames = [Image.fromarray(np.asarray(picture("uint8", 3))) for _ in range(2)]
    frames[1].paste((255, 0, 0), (0, 0, 9, 9))
    frames[0].save(data, "PNG", save_all=True, append_images=frames[1:], duration=100)
    (tmp_path / "a.png").write_bytes(data.getvalue())
    coded(tmp_path / "a.png", "-d", "0")
    with pytest.raises(DecodeError, match="it is an animation"):
        probe(tmp_path / "a.jxl")


def coded(path: Path, *options: str) -> None:
    """What the tool of libjxl makes of a picture."""
    command = ["cjxl", str(path), str(path.with_suffix(".jxl")), *options]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
