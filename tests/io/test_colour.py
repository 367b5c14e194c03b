"""Development of linear camera RGB to sRGB, and its profile."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest

from gpustack.io.colour import STRIP_ROWS, developed, srgb_profile
from gpustack.io.metadata import sound_profile

SAME = np.eye(3)
CAMERA = np.array([[1.7, -0.6, -0.1], [-0.2, 1.5, -0.3], [0.0, -0.5, 1.5]])


def test_known_values_of_the_standard() -> None:
    linear = np.array([0, 0.0031308, 0.0031309, 0.18, 0.5, 1], np.float32)
    coded = developed(np.repeat(linear[None, :, None], 3, 2), SAME)
    # IEC 61966-2-1 by hand, in double precision.
    expected = [0, 0.04044993, 0.04045091, 0.46135612, 0.73535698, 1]
    np.testing.assert_allclose(coded[0, :, 1], expected, atol=1e-6)
    assert coded.dtype == np.float32
    assert coded.min() == 0
    assert coded.max() == 1


def test_the_matrix_maps_camera_to_srgb_and_out_of_gamut_is_cut() -> None:
    linear = np.random.default_rng(3).random((9, 7, 3), np.float32)
    mixed = np.clip(np.einsum("ij,yxj->yxi", CAMERA, linear.astype(np.float64)), 0, 1)
    expected = np.where(mixed <= 0.0031308, 12.92 * mixed, 1.055 * mixed ** (1 / 2.4) - 0.055)
    assert (mixed == 0).any()
    assert (mixed == 1).any()
    np.testing.assert_allclose(developed(linear, CAMERA), expected, atol=3e-6)


def test_strips_do_not_show_and_the_input_stays() -> None:
    linear = np.random.default_rng(4).random((2 * STRIP_ROWS + 5, 3, 3), np.float32)
    before = linear.copy()
    whole = developed(linear, CAMERA)
    for row in (0, STRIP_ROWS - 1, STRIP_ROWS, 2 * STRIP_ROWS + 4):
        np.testing.assert_allclose(whole[row], developed(linear[row : row + 1], CAMERA)[0], atol=1e-6)
    np.testing.assert_array_equal(linear, before)


def test_the_profile_is_sound_and_without_a_date() -> None:
    profile = srgb_profile()
    assert sound_profile(profile) == profile
    assert profile[16:20] == b"RGB "
    assert profile[24:36] == bytes([0x07, 0xD0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0])
    imagecodecs.cms_profile_validate(profile)


@pytest.mark.parametrize("value", [0.02, 0.18, 0.6])
def test_the_profile_undoes_the_curve(value: float) -> None:
    coded = developed(np.full((1, 1, 3), value, np.float32), SAME)
    primaries = [0.64, 0.33, 0.30, 0.60, 0.15, 0.06]
    linear_profile = imagecodecs.cms_profile(
        "rgb", whitepoint=[0.3127, 0.3290], primaries=primaries, gamma=1.0
    )
    back = imagecodecs.cms_transform(
        np.rint(coded * 65535).astype(np.uint16),
        srgb_profile(),
        linear_profile,
        colorspace="rgb",
        outcolorspace="rgb",
    )
    np.testing.assert_allclose(back / 65535, value, atol=1e-4)
