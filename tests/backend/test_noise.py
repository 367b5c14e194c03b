"""The noise that is measured, and what the pyramid makes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpustack.backend.protocol import Backend
from gpustack.fuse.scales import DETAIL_NOISE
from gpustack.model.frame import PixelType
from tests.backend import parts

SIGMA = 0.02


def noisy(sigma: float, channels: int = 1) -> Any:
    return np.random.default_rng(5).normal(0.5, sigma, (256, 320, channels))


def level(backend: Backend[Any], values: Any, kind: PixelType = PixelType.UINT16) -> float:
    frame = values.astype(np.float32)
    if kind is not PixelType.FLOAT32:
        frame = np.rint(np.clip(values, 0, 1) * kind.white).astype(kind.value)
    return backend.noise_level(backend.upload(frame), kind)


@pytest.mark.parametrize("kind", list(PixelType))
@pytest.mark.parametrize("sigma", [0.004, SIGMA])
def test_white_noise_is_measured_within_a_tenth(backend: Backend[Any], kind: PixelType, sigma: float) -> None:
    assert level(backend, noisy(sigma), kind) == pytest.approx(sigma, rel=0.1)


def test_noise_of_a_colour_picture_is_that_of_its_luma(backend: Backend[Any]) -> None:
    wanted = SIGMA * np.sqrt(0.299**2 + 0.587**2 + 0.114**2)
    assert level(backend, noisy(SIGMA, 3)) == pytest.approx(wanted, rel=0.1)


@pytest.mark.parametrize("height", [33, 65, 97])
def test_a_last_strip_of_one_row_does_not_pass_for_a_clean_frame(backend: Backend[Any], height: int) -> None:
    assert level(backend, noisy(SIGMA)[:height]) == pytest.approx(SIGMA, rel=0.15)


def test_shading_is_no_noise(backend: Backend[Any]) -> None:
    slope = np.linspace(-0.3, 0.3, 320)[None, :, None]
    assert level(backend, noisy(SIGMA) + slope) == pytest.approx(SIGMA, rel=0.1)


def test_texture_in_half_of_the_picture_changes_it_little(backend: Backend[Any]) -> None:
    values = noisy(SIGMA)
    values[:, 160:] += 0.2 * np.sign(np.random.default_rng(6).normal(size=(256, 160, 1)))
    assert level(backend, values) == pytest.approx(SIGMA, rel=0.1)


@pytest.mark.parametrize(
    ("kind", "floor"),
    [(PixelType.UINT8, 1 / (255 * 12**0.5)), (PixelType.UINT16, 4.4e-6), (PixelType.FLOAT32, 1e-6)],
)
def test_no_file_is_cleaner_than_its_rounding(backend: Backend[Any], kind: PixelType, floor: float) -> None:
    assert level(backend, np.full((100, 90, 3), 0.25), kind) == pytest.approx(floor, rel=0.01)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 40, 3), (2, 3, 4), (40, 1, 2)])
def test_tiny_frames_have_a_noise_too(backend: Backend[Any], shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(1).random(shape)
    assert 0 < level(backend, values) < 1


def test_the_noise_of_detail_levels_is_as_stated(backend: Backend[Any]) -> None:
    image = np.random.default_rng(7).normal(0, 1, (1, 1024, 1024)).astype(np.float32)
    for stated in DETAIL_NOISE:
        detail, _ = parts.level(backend, image, 1.0)
        assert float(detail.var()) == pytest.approx(stated, rel=0.05)
        image = backend.download(backend.reduce(backend.upload(image)))
