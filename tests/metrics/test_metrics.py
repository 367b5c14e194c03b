"""Figures against hand-made cases, laws, and a slow reference in double precision."""

from __future__ import annotations

from dataclasses import replace
from math import inf, log10
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpustack.metrics import Likeness, compare, difference, psnr, ssim

Picture = npt.NDArray[Any]


def picture(height: int, width: int, seed: int = 0, dtype: str = "uint8", channels: int = 3) -> Picture:
    """Smooth detail and noise, as a photograph has them."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    light = 0.5 + 0.3 * np.sin(0.3 * x + seed)[..., None] * np.cos(0.2 * y)[..., None]
    values = np.clip(light + 0.1 * rng.standard_normal((height, width, channels)), 0, 1)
    return values.astype(dtype) if dtype == "float32" else np.rint(values * np.iinfo(dtype).max).astype(dtype)


def reference_ssim(first: Picture, second: Picture) -> float:
    """The formula of the paper, window by window."""
    at = np.arange(11) - 5.0
    line = np.exp(-(at**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    weights = np.array([0.299, 0.587, 0.114])
    x, y = (p.astype(np.float64) / 255 @ weights for p in (first, second))
    found = []
    for row in range(x.shape[0] - 10):
        for column in range(x.shape[1] - 10):
            a, b = (p[row : row + 11, column : column + 11] for p in (x, y))
            mean_a, mean_b = (window * a).sum(), (window * b).sum()
            var_a, var_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
            shared = (window * (a - mean_a) * (b - mean_b)).sum()
            upper = (2 * mean_a * mean_b + 0.0001) * (2 * shared + 0.0009)
            found.append(upper / ((mean_a**2 + mean_b**2 + 0.0001) * (var_a + var_b + 0.0009)))
    return float(np.mean(found))


def test_ssim_is_that_of_the_paper() -> None:
    first, second = picture(19, 24), picture(19, 24, seed=1)
    assert ssim(first / 255, second / 255) == pytest.approx(reference_ssim(first, second), abs=1e-12)
    assert compare(first, second).ssim == pytest.approx(reference_ssim(first, second), abs=1e-12)


@pytest.mark.parametrize("height", [11, 255, 266, 267, 700])
def test_bands_do_not_show(height: int) -> None:
    first, second = picture(height, 20), picture(height, 20, seed=1)
    found = compare(first, second)
    assert found.ssim == pytest.approx(ssim(first / 255, second / 255), abs=1e-12)
    assert found.psnr == pytest.approx(psnr(first / 255, second / 255), abs=1e-9)
    assert found.pixels == height * 20


pictures = st.builds(
    picture,
    st.integers(1, 40),
    st.just(24),
    st.integers(0, 5),
    st.sampled_from(["uint8", "uint16", "float32"]),
    st.sampled_from([1, 3]),
)


@given(first=pictures, seed=st.integers(6, 9))
@settings(max_examples=40)
def test_likeness_is_symmetric_and_below_that_of_equal_pictures(first: Picture, seed: int) -> None:
    height, width, channels = first.shape
    second = picture(height, width, seed, "uint16", channels)
    there, back = compare(first, second), compare(second, first)
    assert there.psnr == pytest.approx(back.psnr, abs=1e-9)
    assert there.off_share == back.off_share
    assert (there.ssim is None) == (height < 11)
    if there.ssim is not None:
        assert there.ssim == pytest.approx(back.ssim, abs=1e-12)
        assert there.ssim < 0.99
    same = compare(first, first)
    assert same.ssim is None if height < 11 else same.ssim == pytest.approx(1.0, abs=1e-12)
    assert replace(same, ssim=None) == Likeness(inf, None, 0.0, None, None, height * width)


@given(seed=st.integers(0, 20))
@settings(max_examples=10)
def test_sample_types_mix(seed: int) -> None:
    eight = picture(16, 16, seed)
    sixteen = eight.astype(np.uint16) * np.uint16(257)
    assert compare(eight, sixteen).psnr == inf
    assert compare(sixteen, eight / 255).psnr == inf
    assert compare(eight, (eight / 255).astype(np.float32)).psnr > 140


def test_psnr_of_a_known_error() -> None:
    black = np.zeros((20, 20, 3), np.uint8)
    assert compare(black, black + np.uint8(51)).psnr == pytest.approx(-10 * log10(0.2**2))
    assert psnr(np.zeros((4, 4)), np.full((4, 4), 0.1)) == pytest.approx(20)
    assert psnr(black, black) == inf


def test_pixels_are_off_from_one_sample_beyond_the_limit() -> None:
    black = np.zeros((10, 10, 3), np.uint8)
    other = black.copy()
    other[0, :, 1] = 16
    assert compare(black, other).off_share == 0
    other[0, :4, 1] = 17
    assert compare(black, other).off_share == pytest.approx(0.04)
    assert compare(other, black).off_share == pytest.approx(0.04)


def test_near_and_away_from_depth_steps() -> None:
    black = np.zeros((20, 30, 3), np.uint8)
    other = black.copy()
    other[:, :10], other[:, 10:] = 255, 51
    near = np.zeros((20, 30), np.bool_)
    near[:, :10] = True
    found = compare(other, black, near)
    assert found.near_psnr == pytest.approx(0)
    assert found.away_psnr == pytest.approx(-20 * log10(0.2))
    assert found.psnr == pytest.approx(-10 * log10((1 + 2 * 0.04) / 3))
    assert compare(other, black, near & False).near_psnr is None
    assert compare(other, black, near | True).away_psnr is None


def test_only_the_pixels_given_count() -> None:
    first, second = picture(40, 40), picture(40, 40)
    second[:20] = 0
    where = np.zeros((40, 40), np.bool_)
    where[30:, :] = True
    # From row 30 on no window reaches the rows that differ.
    assert compare(first, second, where=where) == Likeness(inf, 1.0, 0.0, None, None, 400)
    where[19, 0] = True
    found = compare(first, second, where=where)
    assert found.psnr < 40
    assert found.off_share == pytest.approx(1 / 401)


def test_what_cannot_be_compared() -> None:
    one = picture(12, 12)
    with pytest.raises(ValueError, match="cannot be compared"):
        compare(one, one[:, :-1])
    with pytest.raises(ValueError, match="no pixel counts"):
        compare(one, one, where=np.zeros((12, 12), np.bool_))


def test_figures_as_json_has_them() -> None:
    found = Likeness(inf, 0.5, 0.25, 30.0, None, 7).as_dict()
    assert found == {
        "psnr_db": None,
        "ssim": 0.5,
        "off_share": 0.25,
        "near_psnr_db": 30.0,
        "away_psnr_db": None,
        "pixels": 7,
    }


def test_a_difference_is_signed_magnified_and_cut_off() -> None:
    first = np.array([[[10, 10, 200]]], np.uint8)
    second = np.array([[[10, 13, 100]]], np.uint8)
    assert difference(first, second, 4.0).tolist() == [[[128, 116, 255]]]
    assert difference(second, first, 4.0).tolist() == [[[128, 140, 0]]]
    assert difference(first.astype(np.uint16) * 257, second, 4.0).tolist() == [[[128, 116, 255]]]


def test_a_difference_of_many_rows() -> None:
    first, second = picture(600, 8), picture(600, 8, seed=1)
    whole = np.clip(np.rint((first / 255 - second / 255) * 255 * 2 + 128), 0, 255)
    assert np.array_equal(difference(first, second, 2.0), whole)
