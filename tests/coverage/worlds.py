"""Focus curves of a made-up scene, as the model has them, with frames anywhere on the axis."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.coverage.curves import Curves
from gpustack.coverage.peaks import CORE_PX, DECLINE

FLOOR = 1e-6


def curves(
    places: Sequence[float],
    depth: npt.NDArray[np.float64],
    *,
    decline: float = DECLINE,
    ripple_db: float = 0.2,
    contrast: float = 1e-2,
) -> Curves:
    """Curves of cells at `depth` (rows, columns) seen by frames at `places`, both in pixels of blur; every
    value is off by `ripple_db`, as those of resampled frames are."""
    random = np.random.default_rng(5)
    away = np.asarray(places)[:, None, None] - depth
    energy = contrast * (1 + (away / CORE_PX) ** 2) ** -decline
    energy *= 10 ** (random.normal(0, ripple_db, energy.shape) / 10)
    return Curves((energy + FLOOR).astype(np.float32), tuple(range(len(places))), FLOOR)


def slope(low: float, high: float, rows: int = 24, columns: int = 64) -> npt.NDArray[np.float64]:
    """A plain that goes from one depth to another from left to right."""
    return np.tile(np.linspace(low, high, columns), (rows, 1))


def photographs(
    places: Sequence[float], low: float, high: float, size: tuple[int, int] = (320, 192)
) -> list[npt.NDArray[np.uint8]]:
    """Frames (h, w, 3) of a leaning plain with natural texture, blurred by a disk of as many pixels as focus
    is away, with a little noise."""
    width, height = size
    random = np.random.default_rng(3)
    plain = sum(
        cv2.resize(random.normal(0, grain, (height // grain + 2, width // grain + 2)), size)
        for grain in (1, 2, 4, 8)
    )
    plain = np.float32(128 + 9 * plain)
    depth = np.linspace(low, high, width)
    blurred = np.stack([_disk(plain, radius) for radius in np.arange(0, 12.1, 0.25)])
    frames = []
    for place in places:
        away = np.minimum(np.abs(depth - place) / 0.25, len(blurred) - 1.001)
        whole = away.astype(int)
        columns = np.arange(width)
        mixed = (1 - away % 1) * blurred[whole, :, columns].T
        mixed += (away % 1) * blurred[whole + 1, :, columns].T
        noisy = mixed + random.normal(0, 0.7, mixed.shape)
        frames.append(np.repeat(np.clip(noisy, 0, 255).astype(np.uint8)[..., None], 3, axis=2))
    return frames


def _disk(plain: npt.NDArray[np.float32], radius: float) -> npt.NDArray[np.float32]:
    reach = int(np.ceil(radius + 0.5))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return cv2.filter2D(plain, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101)
