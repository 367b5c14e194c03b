"""Pixels for a screen, against ImageCms of Pillow, which has Little CMS of its own."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from gpustack.io.colour import srgb_profile
from gpustack.io.encode import eight_bit
from gpustack.io.screen import Screen


def colours(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (300, 40, 3), np.uint8)


def by_pillow(pixels: np.ndarray, icc: bytes) -> np.ndarray:
    source, target = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    done = ImageCms.profileToProfile(Image.fromarray(pixels), source, target, intent, flags=flags)
    return np.asarray(done)


@pytest.mark.parametrize("name", ["AdobeCompat-v2", "DisplayP3-v4", "ProPhoto-v2-micro"])
def test_other_profiles_become_srgb(data: Path, name: str) -> None:
    icc = (data / f"icc_profiles/{name}.icc").read_bytes()
    wanted = by_pillow(colours(), icc).astype(int)
    assert np.abs(wanted - colours()).mean() > 3, "the profile changes something"
    assert np.abs(Screen(icc)(colours()) - wanted).max() <= 2
    deep = colours().astype(np.uint16) * 257
    assert np.abs(Screen(icc)(deep) - wanted).max() <= 2


def test_srgb_and_no_profile_change_nothing() -> None:
    for icc in (None, srgb_profile()):
        assert np.array_equal(Screen(icc)(colours()), colours())


def test_sixteen_bits_are_rounded_to_nearest() -> None:
    every = np.arange(65_536, dtype=np.uint16).reshape(256, 256, 1)
    assert np.array_equal(Screen()(every), eight_bit(every))
    assert np.array_equal(Screen()(every)[..., 0], np.rint(every[..., 0] / 257))


def test_light_is_coded() -> None:
    light = np.array([0.0, 0.0031308, 0.2140411, 0.5, 1.0, 7.0, -1.0], np.float32).reshape(1, -1, 1)
    assert Screen()(light)[0, :, 0].tolist() == [0, 10, 128, 188, 255, 255, 0]
    assert np.array_equal(Screen()(np.repeat(light, 3, axis=2)), np.repeat(Screen()(light), 3, axis=2))


def test_alpha_is_left_out_and_a_profile_of_other_channels_passed_over() -> None:
    with_alpha = np.concatenate([colours(), colours(1)[..., :1]], axis=2)
    assert np.array_equal(Screen(srgb_profile())(with_alpha), colours())
    gray = colours()[..., :2]
    assert np.array_equal(Screen(srgb_profile())(gray), gray[..., :1])


def test_linear_camera_rgb_is_developed() -> None:
    matrix = np.array([[1.5, -0.3, -0.2], [-0.1, 1.2, -0.1], [0.0, -0.4, 1.4]])
    linear = colours().astype(np.uint16) * 257
    light = np.clip(linear / 65535 @ matrix.T, 0, 1)
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(Screen(None, matrix)(linear) - coded * 255).max() <= 0.51


def test_a_profile_that_is_broken_is_passed_over() -> None:
    broken = srgb_profile()[:128] + b"\0" * 400
    assert np.array_equal(Screen(broken)(colours()), colours())
