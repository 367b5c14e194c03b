"""Stacks of several colour profiles: refused, or brought to the reference's colours, in full precision."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image, ImageCms

import gpustack
from gpustack import Crop, Method, Model, Settings
from gpustack.errors import DecodeError, StackError
from gpustack.io.colour import srgb_profile
from gpustack.io.decode import probe
from gpustack.io.profiles import Profiles, profile_name
from gpustack.model.stack import Stack
from tests.cli.calling import assert_refused, call, shots

Pixels = npt.NDArray[Any]
ADOBE, SRGB = bytes(imagecodecs.cms_profile("adobergb")), srgb_profile()
ADOBE_GAMMA = 563 / 256

# Adobe RGB (1998) and sRGB (IEC 61966-2-1) to XYZ of D65, from their primaries.
FROM_ADOBE = [[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]]
FROM_SRGB = [
    [0.4124564, 0.3575761, 0.1804375],
    [0.2126729, 0.7151522, 0.0721750],
    [0.0193339, 0.1191920, 0.9503041],
]


def adobe_of(srgb: Pixels) -> Pixels:
    """sRGB 0..1 in Adobe RGB, by the formulas of both standards."""
    light = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    turn = np.linalg.inv(FROM_ADOBE) @ np.array(FROM_SRGB)
    return np.asarray(np.clip(light @ turn.T, 0, 1) ** (1 / ADOBE_GAMMA))


def srgb_of(adobe: Pixels) -> Pixels:
    """The other way round."""
    light = adobe**ADOBE_GAMMA @ (np.linalg.inv(FROM_SRGB) @ np.array(FROM_ADOBE)).T
    coded = 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    return np.asarray(np.clip(np.where(light <= 0.0031308, 12.92 * light, coded), 0, 1))


def write(path: Path, pixels: Pixels, icc: bytes | None) -> Path:
    colour = pixels.shape[2] > 2
    alpha = ["unassalpha"] if pixels.shape[2] in (2, 4) else None
    tifffile.imwrite(
        path,
        pixels if pixels.shape[2] > 1 else pixels[..., 0],
        photometric="rgb" if colour else "minisblack",
        planarconfig="contig" if pixels.shape[2] > 1 else None,
        extrasamples=alpha,
        iccprofile=icc,
    )
    return path


def profiles_of(*paths: Path) -> tuple[Stack, Profiles]:
    whole = Stack(tuple(frame for path in paths for frame in probe(path)))
    return whole, Profiles(whole, 0)


@pytest.mark.parametrize(
    ("dtype", "top", "most"), [("uint8", 255, 0.6), ("uint16", 65535, 32), ("float32", 1, 5e-4)]
)
def test_conversion_is_that_of_the_standards_in_full_precision(
    dtype: str, top: float, most: float, tmp_path: Path
) -> None:
    """The bound in 16 bits is what profiles round matrices to; 8 bits on the way would be off by 128."""
    draw = np.random.default_rng(0)
    srgb = draw.random((50, 70, 3)) * draw.random((50, 70, 1))  # dark ones, too, where grids are coarse
    given = adobe_of(srgb) * top
    given = (np.rint(given) if top > 1 else given).astype(dtype)
    small = np.zeros((4, 4, 3), dtype)
    stack, profiles = profiles_of(
        write(tmp_path / "a.tif", small, SRGB), write(tmp_path / "b.tif", small, ADOBE)
    )
    found = profiles.convert(stack.frames[1], given, None)
    assert found.dtype == dtype
    wanted = srgb_of(given / top)
    assert np.abs(found / top - wanted)[wanted.min(axis=-1) > 0.02].max() * top <= most


def test_conversion_is_that_of_pillow_in_eight_bits(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (60, 50, 3)).astype(np.uint8)
    paths = write(tmp_path / "a.tif", pixels, SRGB), write(tmp_path / "b.tif", pixels, ADOBE)
    stack, profiles = profiles_of(*paths)
    wanted = ImageCms.profileToProfile(
        Image.fromarray(pixels),
        ImageCms.ImageCmsProfile(BytesIO(ADOBE)),
        ImageCms.ImageCmsProfile(BytesIO(SRGB)),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    found = profiles.convert(stack.frames[1], pixels, None)
    assert np.abs(found.astype(int) - np.asarray(wanted)).max() <= 1


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_left_alone_and_out_may_be_the_pixels(channels: int, tmp_path: Path) -> None:
    gray = bytes(imagecodecs.cms_profile("gray", gamma=1.0))
    other = gray if channels == 2 else ADOBE
    pixels = np.random.default_rng(2).integers(0, 65536, (130, 20, channels)).astype(np.uint16)
    paths = write(tmp_path / "a.tif", pixels, None), write(tmp_path / "b.tif", pixels, other)
    stack, profiles = profiles_of(*paths)
    assert profiles
    found = profiles.convert(stack.frames[1], pixels, None)
    assert np.array_equal(found[..., -1], pixels[..., -1])
    assert not np.array_equal(found[..., 0], pixels[..., 0])
    slot = pixels.copy()
    assert profiles.convert(stack.frames[1], slot, slot) is slot
    assert np.array_equal(slot, found)
    assert np.array_equal(profiles.convert(stack.frames[0], pixels, slot), pixels)


def test_linear_gray_becomes_coded_gray(tmp_path: Path) -> None:
    linear = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16, 1)
    profile = bytes(imagecodecs.cms_profile("gray", gamma=1.0))
    stack, profiles = profiles_of(
        write(tmp_path / "a.tif", linear, None), write(tmp_path / "b.tif", linear, profile)
    )
    found = profiles.convert(stack.frames[1], linear, None) / 65535
    light = linear / 65535
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(found - coded).max() < 2e-4


def test_all_kinds_of_srgb_are_one(data: Path, tmp_path: Path) -> None:
    """What cameras, editors, Little CMS and nobody wrote."""
    small = np.zeros((4, 4, 3), np.uint8)
    found = [SRGB, None, (data / "icc_profiles/sRGB-v4.icc").read_bytes()]
    for name in ("mineral/001.jpg", "amber_flies/flies_0000.jpg"):
        with Image.open(data / "stacks" / name) as picture:
            found.append(picture.info["icc_profile"])
    assert len(set(found)) == 5
    paths = [write(tmp_path / f"{number}.tif", small, icc) for number, icc in enumerate(found)]
    assert not profiles_of(*paths)[1]


def test_real_profiles_are_told_apart_by_name(data: Path, tmp_path: Path) -> None:
    small = np.zeros((4, 4, 3), np.uint8)
    names = {"AdobeCompat-v2.icc": "A98C", "DisplayP3-v4.icc": "sP3", "ProPhoto-v2-micro.icc": "uROM"}
    for file, name in names.items():
        icc = (data / "icc_profiles" / file).read_bytes()
        assert profile_name(icc) == name
        _, profiles = profiles_of(
            write(tmp_path / "a.tif", small, SRGB), write(tmp_path / f"{file}.tif", small, icc)
        )
        with pytest.raises(
            StackError, match=rf"{file}\.tif has the colour profile {name}, .*--convert-profile"
        ):
            profiles.refuse()


def mixed(folder: Path, ending: str) -> tuple[list[Path], list[Path]]:
    """Frames in sRGB; and the same, of which the last is in Adobe RGB."""
    # Colours that both have, and not so dark that 8 bits tell few of them apart.
    frames = [np.rint(140 + 0.4 * (frame - 128.0)).astype(np.uint8) for frame in shots()]
    more: dict[str, Any] = {"quality": 100, "subsampling": 0} if ending == ".jpg" else {}
    adobe = np.rint(adobe_of(frames[2] / 255) * 255).astype(np.uint8)
    paths = {}
    for name, pixels, icc in (
        *((f"{index}", frame, SRGB) for index, frame in enumerate(frames)),
        ("odd", adobe, ADOBE),
    ):
        paths[name] = folder / f"{name}{ending}"
        Image.fromarray(pixels).save(paths[name], icc_profile=icc, **more)
    return [paths["0"], paths["1"], paths["2"]], [paths["0"], paths["1"], paths["odd"]]


@pytest.mark.parametrize("ending", [".tif", ".jpg"])
@pytest.mark.parametrize("align", [Model.NONE, Model.SHIFT])
def test_a_converted_stack_is_the_stack_in_one_profile(ending: str, align: Model, tmp_path: Path) -> None:
    same, odd = mixed(tmp_path, ending)
    settings = Settings(align=align, method=Method.PYRAMID, crop=Crop.NONE, threads=2)
    converting = replace(settings, convert_profile=True)
    wanted, found = (gpustack.stack(paths, converting).image.astype(int) for paths in (same, odd))
    assert np.abs(found - wanted).max() <= (8 if ending == ".jpg" else 3)
    unconverted = gpustack.stack([bare(path) for path in odd], settings).image.astype(int)
    assert np.mean(np.abs(unconverted - wanted) > 4) > 0.05  # it does matter


def bare(path: Path) -> Pixels:
    """The pixels alone."""
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_a_mixed_stack_is_refused_in_one_sentence(tmp_path: Path) -> None:
    _, odd = mixed(tmp_path, ".tif")
    settings = Settings(threads=2)
    with pytest.raises(StackError, match=r"odd\.tif has the colour profile"):
        gpustack.stack(odd, settings)
    done = call("stack", *odd, "-o", tmp_path / "out.tif")
    assert_refused(done, 3, "odd.tif has the colour profile", "--convert-profile")
    assert call("stack", *odd, "-o", tmp_path / "out.tif", "--convert-profile").exit_code == 0
    assert len(gpustack.locate(odd, settings)) == 3  # nothing is fused, so nothing is mixed up


def test_an_untagged_frame_beside_another_profile_is_named(tmp_path: Path) -> None:
    small = np.zeros((4, 4, 3), np.uint8)
    _, profiles = profiles_of(write(tmp_path / "a.tif", small, ADOBE), write(tmp_path / "b.tif", small, None))
    with pytest.raises(StackError, match=r"b\.tif has no colour profile, which is taken for sRGB"):
        profiles.refuse()


def test_a_damaged_profile_is_refused_and_cannot_be_converted(tmp_path: Path) -> None:
    broken = bytearray(ADOBE)
    broken[132:] = bytes(len(broken) - 132)
    pixels = np.zeros((8, 8, 3), np.uint8)
    paths = write(tmp_path / "a.tif", pixels, SRGB), write(tmp_path / "b.tif", pixels, bytes(broken))
    stack, profiles = profiles_of(*paths)
    with pytest.raises(StackError, match="a profile without a name"):
        profiles.refuse()
    with pytest.raises(DecodeError, match=r"b\.tif: its colours cannot be converted"):
        profiles.convert(stack.frames[1], pixels, None)
    twins = write(tmp_path / "c.tif", pixels, bytes(broken)), paths[1]
    assert not profiles_of(*twins)[1]  # the same damage twice mixes nothing up
