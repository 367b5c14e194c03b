"""What blur's rims feign: plain areas beside edges get the depth of something that is there."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from gpustack.backend.protocol import Backend
from gpustack.backend.values import Band, Best, Part, sharpness_halo
from gpustack.depth.rims import rims
from gpustack.depth.sight import Sight
from gpustack.depth.surface import surface
from gpustack.settings import FOCUS_SIGMA_PX
from tests.strategies import Picture

HEIGHT, WIDTH = 80, 96
FLOOR = 1e-7
NEAR, RIM_DEPTH, FAR = 3.0, 20.0, 12.0


def disk(radius: float) -> Picture:
    """A disk of blur, antialiased by eight samples a pixel on each axis."""
    half = int(np.ceil(radius)) + 1
    fine = (np.arange(-half * 8, half * 8 + 8) - 3.5) / 8
    inside = (fine[:, None] ** 2 + fine[None] ** 2 <= radius**2).astype(np.float64)
    kernel = inside.reshape(2 * half + 1, 8, 2 * half + 1, 8).sum((1, 3))
    return np.asarray(kernel / kernel.sum(), np.float32)


def measured(backend: Backend[Any], picture: Picture) -> Picture:
    """The focus measure of a picture."""
    size = picture.shape
    best = Best(backend.full(size, -1.0, "float32"), backend.full(size, 65535, "uint16"))
    band = Band(backend.upload(picture[None]), None, None)
    backend.fold_sharpness(Part(best), 0, band, FOCUS_SIGMA_PX, slice(0, size[0]))
    assert sharpness_halo(FOCUS_SIGMA_PX) > 0
    return np.asarray(backend.download(best.energy))


def white_on(dark: float, width: int, radius: float | None) -> Picture:
    """A white bar on a dark ground, in coded values, blurred in light."""
    light = np.full((HEIGHT, WIDTH), dark**2, np.float32)
    light[:, 40 : 40 + width] = 0.8
    if radius is not None:
        light = cv2.filter2D(light, -1, disk(radius), borderType=cv2.BORDER_REPLICATE)
    return np.sqrt(np.maximum(light, 0))


@pytest.mark.parametrize("dark", [0.1, 0.5])
@pytest.mark.parametrize("width", [2, 5, 40])
@pytest.mark.parametrize("radius", [4.0, 8.0, 14.0])
def test_no_rim_is_above_what_is_allowed_for(
    backend: Backend[Any], dark: float, width: int, radius: float
) -> None:
    sharp, blurred = white_on(dark, width, None), white_on(dark, width, radius)
    energy, rim = measured(backend, sharp), measured(backend, blurred)
    beside = np.s_[:, 40 + width + 4 : 40 + width + 18] if width < 40 else np.s_[:, 20:36]
    seen, luma = energy.copy(), sharp.copy()
    seen[beside], luma[beside] = rim[beside], blurred[beside]
    depth = np.where(seen == energy, np.float32(NEAR), np.float32(RIM_DEPTH))
    feigned, _ = rims(backend, seen, luma, depth, FLOOR, coded=True)
    assert rim[beside].max() > 10 * FLOOR  # there is something to see
    assert (rim[beside] / feigned[beside]).max() < 1.1


def planes(inner: float, share: float) -> tuple[Picture, Picture]:
    """Depths and energies: a strong edge at NEAR, plain ground at FAR, and a strip of `inner` with a small
    share of the edge's energy."""
    depth = np.full((HEIGHT, WIDTH), FAR, np.float32)
    energy = np.full((HEIGHT, WIDTH), 3 * FLOOR, np.float32)
    depth[:, 36:44], energy[:, 36:44] = NEAR, 1e5 * FLOOR
    depth[:, 48:56], energy[:, 48:56] = inner, share * 1e5 * FLOOR
    return depth, energy


def test_weak_detail_at_nobodys_depth_is_doubted(backend: Backend[Any]) -> None:
    depth, energy = planes(RIM_DEPTH, 3e-4)
    feigned, _ = rims(backend, energy, np.full_like(depth, 0.5), depth, FLOOR, coded=False)
    assert (feigned[:, 48:56] > energy[:, 48:56]).all()


@pytest.mark.parametrize("inner", [NEAR, NEAR + 1.4])
def test_weak_detail_of_the_edge_itself_is_believed(backend: Backend[Any], inner: float) -> None:
    depth, energy = planes(inner, 3e-4)
    feigned, _ = rims(backend, energy, np.full_like(depth, 0.5), depth, FLOOR, coded=False)
    np.testing.assert_array_equal(feigned[:, 48:56], np.float32(FLOOR))


def test_strong_detail_is_believed(backend: Backend[Any]) -> None:
    depth, energy = planes(RIM_DEPTH, 0.3)
    feigned, _ = rims(backend, energy, np.full_like(depth, 0.5), depth, FLOOR, coded=False)
    np.testing.assert_array_equal(feigned[:, 48:56], np.float32(FLOOR))


def test_a_rim_leaves_no_ridge_in_the_surface(backend: Backend[Any]) -> None:
    """A plain white border between its two edges, where a frame far off wins."""
    depth = np.full((HEIGHT, WIDTH), NEAR, np.float32)
    energy = np.full((HEIGHT, WIDTH), 1e4 * FLOOR, np.float32)
    depth[:, 46:52], energy[:, 46:52] = RIM_DEPTH, 20 * FLOOR
    variance, luma = np.full_like(depth, 0.5), np.full_like(depth, 0.5)
    found = surface(backend, Sight(depth, variance, energy, luma, coded=False, sigma=2.0), FLOOR, 0.001)
    assert np.abs(found.depth - NEAR).max() < 0.5
    assert found.confidence[:, 48:50].max() < 0.2


def test_strips_are_those_of_the_whole(backend: Backend[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    energy = (generator.random((HEIGHT, WIDTH)) ** 12).astype(np.float32)
    luma = generator.random((HEIGHT, WIDTH)).astype(np.float32)
    depth = np.rint(20 * generator.random((HEIGHT, WIDTH))).astype(np.float32)
    whole, sure = rims(backend, energy, luma, depth, FLOOR, coded=True)
    monkeypatch.setattr("gpustack.depth.rims.STRIP_ROWS", 9)
    strips, surely = rims(backend, energy, luma, depth, FLOOR, coded=True)
    np.testing.assert_array_equal(strips, whole)
    np.testing.assert_array_equal(surely, sure)
