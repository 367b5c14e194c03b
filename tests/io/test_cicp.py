"""Profiles made of numbers, and numbers read from profiles."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest

from gpustack.io import cicp
from gpustack.io.colour import srgb_profile
from gpustack.io.icc import linear_gamut
from tests.io.sources import profile


@pytest.mark.parametrize("primaries", cicp.GAMUTS)
def test_chromaticities_survive_a_profile(primaries: int) -> None:
    gamut = cicp.GAMUTS[primaries]
    made = cicp.coded(gamut, cicp.LINEAR)
    assert made is not None
    found = linear_gamut(made)
    assert found is not None
    for name in ("white", "red", "green", "blue"):
        assert getattr(found, name) == pytest.approx(getattr(gamut, name), abs=3e-5)


def test_coded_and_broken_profiles_are_not_linear() -> None:
    assert linear_gamut(srgb_profile()) is None
    assert linear_gamut(profile()) is None
    linear = cicp.coded(cicp.GAMUTS[1], cicp.LINEAR)
    assert linear is not None
    for stop in (0, 100, 130, 200, 400):
        assert linear_gamut(linear[:stop]) is None


@pytest.mark.parametrize(
    ("transfer", "level", "light"), [(13, 0.5, 0.21404), (8, 0.5, 0.5), (4, 0.5, 0.5**2.2), (18, 0.5, 1 / 12)]
)
def test_curves_are_those_of_the_code_points(transfer: int, level: float, light: float) -> None:
    icc = cicp.profile(12, transfer)
    assert icc is not None
    linear = cicp.coded(cicp.GAMUTS[12], cicp.LINEAR)
    gray = np.full((2, 2, 3), level, np.float32)
    seen = imagecodecs.cms_transform(gray, icc, linear, colorspace="rgb", outcolorspace="rgb")
    np.testing.assert_allclose(seen, light, atol=2e-3)


def test_what_a_profile_cannot_say_is_left_out() -> None:
    assert cicp.profile(9, 16) is None
    assert cicp.profile(10, 13) is None
    assert cicp.profile(2, 2) == srgb_profile()
