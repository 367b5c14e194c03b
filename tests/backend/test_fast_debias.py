"""The compiled loops that undo blur, beside NumPy and OpenCV: within roundings."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from gpustack.backend.choose import has_loops
from gpustack.backend.cpu import Cpu
from gpustack.backend.fast.backend import FastCpu
from gpustack.backend.values import FIT_STRIDE, Best, Mix, Spread

pytestmark = pytest.mark.skipif(not has_loops(), reason="the extra `fast` is not installed")

SIZES = [(1, 1, 1), (3, 5, 3), (30, 17, 4), (97, 210, 3)]
sizes = pytest.mark.parametrize(("height", "width", "channels"), SIZES)
codings = pytest.mark.parametrize("squared", [False, True], ids=["linear", "coded"])


def detail(shape: tuple[int, ...], seed: int) -> Any:
    """Values 0.1..0.9 of fine and coarse detail."""
    random = np.random.default_rng(seed)
    planes = random.random(shape, np.float32).reshape(-1, *shape[-2:])
    coarse = np.stack([cv2.GaussianBlur(plane, (0, 0), 3) for plane in planes]).reshape(shape)
    return np.float32(0.1) + np.float32(0.4) * (planes.reshape(shape) + coarse)


def kept(height: int, width: int, channels: int, squared: bool) -> tuple[Any, Mix[Any], Best[Any]]:
    """An estimate, a mean that is near it, and what is known of both; some means are of light below none."""
    size, random = (height, width), np.random.default_rng(height)
    estimate = detail((channels, *size), 1)
    mean = estimate * estimate if squared else estimate.copy()
    mean += random.normal(0, 0.01, mean.shape).astype(np.float32)
    mean[:, ::7, ::5] = -1e-3
    depth, frame = random.random(size, np.float32) * 9, random.integers(0, 9, size).astype(np.uint16)
    spread = Spread(depth, random.random(size, np.float32) * 5, detail(size, 2))
    energy = random.random(size, np.float32)
    return estimate, Mix(mean, np.ones(size, np.float32), spread, squared), Best(energy, frame)


@sizes
@codings
@pytest.mark.parametrize("radius", [0.3, 1.9])
def test_undoing_a_blur(height: int, width: int, channels: int, squared: bool, radius: float) -> None:
    """The wider radius reaches beyond the ladder's end. Roots of little light tell roundings apart."""
    estimate, mix, _ = kept(height, width, channels, squared)
    inner = slice(height // 4, height)
    fast, plain = (each(1).debias(estimate, mix, radius, 0.004, inner) for each in (FastCpu, Cpu))
    assert fast.dtype == plain.dtype
    np.testing.assert_allclose(fast, plain, rtol=0, atol=2e-5)


@sizes
@codings
def test_trying_radii(height: int, width: int, channels: int, squared: bool) -> None:
    """As many pixels are compared, and what is left differs by roundings."""
    _, mix, best = kept(height, width, channels, squared)
    ask = mix, best, 1e-3, slice(height // 4 // FIT_STRIDE * FIT_STRIDE, height), (0.0, 0.2, 0.9, 3.0)
    fast, plain = (np.asarray(each(1).blur_misfit(*ask)) for each in (FastCpu, Cpu))
    assert fast.shape == plain.shape
    np.testing.assert_array_equal(fast[:, 0], plain[:, 0])
    np.testing.assert_allclose(fast, plain, rtol=1e-5, atol=1e-9)


def test_strips_change_no_bit() -> None:
    """Of the loops, as of everything."""
    estimate, mix, _ = kept(150, 40, 3, True)
    backend, spread = FastCpu(1), mix.spread
    assert spread is not None
    whole = backend.debias(estimate, mix, 0.8, 0.004, slice(0, 150))
    rows = slice(30, 130)
    part = Mix(
        mix.mean[:, rows],
        mix.total[rows],
        Spread(spread.depth[rows], spread.variance[rows], spread.sharpest[rows]),
        True,
    )
    found = backend.debias(estimate[:, rows], part, 0.8, 0.004, slice(20, 80))
    np.testing.assert_array_equal(found, whole[:, 50:110])
