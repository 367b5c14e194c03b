"""Undoing a known blur, and finding out what it is."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from gpustack.backend.debias import blurred, ladder, shares
from gpustack.backend.protocol import Backend
from gpustack.backend.values import BLUR_LADDER, BLUR_STEPS, FIT_STRIDE, Best, Mix, Spread, debias_halo
from gpustack.metrics.likeness import psnr
from tests.strategies import Picture

HEIGHT, WIDTH = 140, 150
NOISE, RADIUS = 0.004, 0.9
WHOLE = slice(0, HEIGHT)

every_count = pytest.mark.parametrize("channels", [1, 3, 4])
codings = pytest.mark.parametrize("squared", [False, True], ids=["linear", "coded"])


def scene(channels: int) -> Picture:
    """A picture (c, h, w) 0.1..0.9 of fine and coarse detail, its channels alike but for their contrast."""
    noise = np.random.default_rng(7).normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(noise, (0, 0), sigma) for sigma in (1.0, 4.0))
    plane = np.float32(0.5) + np.float32(0.3) * fine + coarse
    contrast = np.linspace(0.7, 1.0, channels, dtype=np.float32)[:, None, None]
    return np.clip(np.float32(0.5) + contrast * (plane - np.float32(0.5)), 0.1, 0.9)


def spreads() -> Picture:
    """Variances of indices (h, w), 0.3 to 1.2, smooth."""
    return np.broadcast_to(np.linspace(0.3, 1.2, WIDTH, dtype=np.float32), (HEIGHT, WIDTH)).copy()


def averaged(picture: Picture, variance: Picture, squared: bool) -> Picture:
    """The mean of frames: the light of a picture, blurred by the variances times RADIUS^2 / 4."""
    light = picture * picture if squared else picture
    between = shares(variance * np.float32(RADIUS**2 / 4))
    return np.stack([blurred(ladder(plane), between) for plane in light])


def estimated(picture: Picture) -> Picture:
    """A first estimate: a bit soft, and noisy."""
    soft = np.stack([cv2.GaussianBlur(plane, (0, 0), 0.5) for plane in picture])
    return soft + np.random.default_rng(1).normal(0, NOISE, soft.shape).astype(np.float32)


def mix_of(
    backend: Backend[Any], mean: Picture, variance: Picture, squared: bool, sharpest: Picture | None = None
) -> Mix[Any]:
    nought = np.zeros_like(variance)
    planes = (nought, variance, nought if sharpest is None else sharpest)
    spread = Spread(*(backend.upload(plane) for plane in planes))
    return Mix(backend.upload(mean), backend.upload(np.ones_like(variance)), spread, squared)


def debiased(
    backend: Backend[Any], estimate: Picture, mean: Picture, variance: Picture, squared: bool
) -> Picture:
    mix = mix_of(backend, mean, variance, squared)
    return backend.download(backend.debias(backend.upload(estimate), mix, RADIUS, NOISE, WHOLE))


@every_count
@codings
def test_a_known_blur_is_undone(backend: Backend[Any], channels: int, squared: bool) -> None:
    """The result is better than the estimate, and than the mean."""
    picture, variance = scene(channels), spreads()
    mean, estimate = averaged(picture, variance, squared), estimated(picture)
    found = psnr(debiased(backend, estimate, mean, variance, squared), picture)
    assert found > psnr(estimate, picture) + 6
    assert found > psnr(np.sqrt(mean) if squared else mean, picture) + 6


@codings
def test_each_channel_is_undone(backend: Backend[Any], squared: bool) -> None:
    """Alpha, too."""
    picture, variance = scene(4), spreads()
    mean, estimate = averaged(picture, variance, squared), estimated(picture)
    for found, before, truth in zip(
        debiased(backend, estimate, mean, variance, squared), estimate, picture, strict=True
    ):
        assert psnr(found, truth) > psnr(before, truth) + 4


def test_a_mean_with_something_smeared_in_is_not_used(backend: Backend[Any]) -> None:
    """Where one channel is off by far more than MISFIT, and its surroundings out to the blurs' reach."""
    picture, variance = scene(3), spreads()
    mean, estimate = averaged(picture, variance, squared=True), estimated(picture)
    mean[1, 40:100, 40:100] += np.float32(0.2)
    found = debiased(backend, estimate, mean, variance, squared=True)
    np.testing.assert_array_equal(found[:, 50:90, 50:90], estimate[:, 50:90, 50:90])
    assert psnr(found[:, :, :25], picture[:, :, :25]) > psnr(estimate[:, :, :25], picture[:, :, :25]) + 4


def beside_a_bright_thing(brightness: float) -> tuple[Picture, Picture, Picture]:
    """Ground beside a thing: the truth, the truth's variances of indices, and an estimate in which 0.1 too
    much lies over the ground in a strip beside it."""
    picture = np.full((3, HEIGHT, WIDTH), 0.2, np.float32)
    picture[..., :70] = brightness
    estimate = picture.copy()
    estimate[..., 72:77] += np.float32(0.1)
    return picture, np.full((HEIGHT, WIDTH), 0.4, np.float32), estimate


@pytest.mark.parametrize(("brightness", "most"), [(0.8, 0.03), (0.22, 0.11)], ids=["bright", "hardly bright"])
def test_a_halo_of_the_estimate_goes(backend: Backend[Any], brightness: float, most: float) -> None:
    """Beside what is bright enough to have it; elsewhere what is too much in one may as well be too little
    in the other."""
    picture, variance, estimate = beside_a_bright_thing(brightness)
    mean = averaged(picture, variance, squared=True)
    found = debiased(backend, estimate, mean, variance, squared=True)
    away = np.abs(found - picture)[:, 40:100, 72:77]
    assert away.mean() < most
    assert away.mean() > most / 4 if brightness < 0.5 else True


def test_one_frame_alone_leaves_the_estimate(backend: Backend[Any]) -> None:
    picture, variance = scene(3), np.zeros((HEIGHT, WIDTH), np.float32)
    estimate = estimated(picture)
    found = debiased(backend, estimate, averaged(picture, variance, squared=True), variance, squared=True)
    np.testing.assert_array_equal(found, estimate)


def test_a_wide_blur_of_detail_leaves_the_estimate(backend: Backend[Any]) -> None:
    picture, variance = scene(3), np.full((HEIGHT, WIDTH), 30.0, np.float32)
    estimate = estimated(picture)
    found = debiased(backend, estimate, averaged(picture, variance, squared=True), variance, squared=True)
    np.testing.assert_allclose(found, estimate, atol=NOISE / 20)


def test_a_wide_blur_of_a_plain_place_is_no_harm(backend: Backend[Any]) -> None:
    """The mean of many frames, which has no noise here, is taken: the estimate has some."""
    slope = np.linspace(0.3, 0.6, WIDTH, dtype=np.float32)
    picture, variance = np.full((3, HEIGHT, WIDTH), slope), np.full((HEIGHT, WIDTH), 30.0, np.float32)
    noise = np.random.default_rng(2).normal(0, 0.4 * NOISE, picture.shape).astype(np.float32)
    found = debiased(backend, picture + noise, averaged(picture, variance, squared=True), variance, True)
    assert np.std(found - picture) < np.std(noise) / 4


@codings
def test_bands_with_their_halo_do_not_change_a_bit(backend: Backend[Any], squared: bool) -> None:
    picture, variance = scene(3), spreads()
    mean, estimate = averaged(picture, variance, squared), estimated(picture)
    whole, halo = debiased(backend, estimate, mean, variance, squared), debias_halo()
    for start, stop in ((0, 30), (30, 72), (72, HEIGHT)):
        rows = slice(max(0, start - halo), min(HEIGHT, stop + halo))
        mix = mix_of(backend, mean[:, rows], variance[rows], squared)
        inner = slice(start - rows.start, stop - rows.start)
        found = backend.debias(backend.upload(estimate[:, rows]), mix, RADIUS, NOISE, inner)
        np.testing.assert_array_equal(backend.download(found), whole[:, start:stop])


RADII = tuple(0.3 * 1.25**step for step in range(12))


def misfit(backend: Backend[Any], mix: Mix[Any], energy: Picture, inner: slice = WHOLE) -> Picture:
    best = Best(backend.upload(energy), backend.upload(np.zeros(energy.shape, np.uint16)))
    return backend.blur_misfit(mix, best, 0.001, inner, RADII)


@every_count
@codings
def test_the_misfit_is_least_at_the_true_radius(backend: Backend[Any], channels: int, squared: bool) -> None:
    picture, variance = scene(channels), spreads()
    sharpest = (
        picture[0] if channels == 1 else np.tensordot(np.float32([0.299, 0.587, 0.114]), picture[:3], 1)
    )
    light = np.stack([sharpest] * channels)
    mix = mix_of(backend, averaged(light, variance, squared), variance, squared, sharpest.astype(np.float32))
    sums = misfit(backend, mix, np.ones((HEIGHT, WIDTH), np.float32))
    assert sums.dtype == np.float64
    assert sums.shape == (-(-HEIGHT // FIT_STRIDE), 1 + len(RADII))
    assert (sums[:, 0] == -(-WIDTH // FIT_STRIDE)).all()
    assert RADII[sums[:, 1:].sum(axis=0).argmin()] == pytest.approx(RADIUS, rel=0.12)


def test_only_sharp_pixels_of_a_narrow_spread_are_compared(backend: Backend[Any]) -> None:
    picture, variance = scene(1), spreads()
    energy = np.full((HEIGHT, WIDTH), 0.2, np.float32)
    variance[:, 80:] = 4.0
    energy[:, :40] = 0.1  # 100 times the floor
    sums = misfit(backend, mix_of(backend, picture, variance, squared=False), energy)
    assert (sums[:, 0] == 10).all()
    assert (sums[:, 1:] > 0).all()


def test_the_frame_that_is_farther_than_the_spread_is_no_help(backend: Backend[Any]) -> None:
    """It lies one index from the mean: a variance below 1 about that leaves nothing."""
    variance = spreads()
    mix = mix_of(backend, scene(1), variance, squared=False)
    assert mix.spread is not None
    mix.spread.depth = backend.upload(np.ones_like(variance))
    sums = misfit(backend, mix, np.ones((HEIGHT, WIDTH), np.float32))
    assert (sums[:, 0] == (variance[0, ::FIT_STRIDE] > 1).sum()).all()


def test_a_band_gives_its_own_rows(backend: Backend[Any]) -> None:
    picture, variance = scene(1), spreads()
    mix = mix_of(backend, picture, variance, squared=True, sharpest=picture[0])
    energy = np.ones((HEIGHT, WIDTH), np.float32)
    np.testing.assert_array_equal(
        misfit(backend, mix, energy, slice(40, 70)), misfit(backend, mix, energy)[10:18]
    )


def test_each_step_of_the_ladder_adds_its_variance() -> None:
    for taps, low, high in zip(BLUR_STEPS, BLUR_LADDER, BLUR_LADDER[1:], strict=False):
        at = np.arange(len(taps)) - len(taps) // 2
        assert sum(taps) == 1
        assert (at * at * np.array(taps)).sum() == high - low
