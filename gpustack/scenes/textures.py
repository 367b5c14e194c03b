"""Textures in linear light: noise, cells, lettering, weave; all band-limited before they become a layer.

A texture with energy up to the Nyquist frequency cannot be shifted by half a pixel without loss, and a
renderer that blurs its own textures by resampling them would favour the reference frame. So every colour map
passes `band_limit`.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]

CUTOFF = 0.55
"""Middle of the low-pass' slope, as a share of the Nyquist frequency."""
_TAPS = 19
_KAISER = 4.0


def band_limit(picture: Plane) -> Plane:
    """Remove what lies above 0.7 of the Nyquist frequency from (h, w[, c]) float32; clipped below at 0.

    A sinc under a Kaiser window, on each axis: passes 99 % at 0.4 of Nyquist and less than 1 % from 0.7 on.
    """
    at = np.arange(_TAPS) - _TAPS // 2
    line = np.sinc(CUTOFF * at) * np.kaiser(_TAPS, _KAISER)
    kernel = (line / line.sum()).astype(np.float32)
    return np.maximum(np.asarray(cv2.sepFilter2D(picture, -1, kernel, kernel), np.float32), 0.0)


def noise(shape: tuple[int, int], rng: np.random.Generator, size: float) -> Plane:
    """Smooth noise of features about `size` pixels wide: (h, w) float32, mean 0, standard deviation 1."""
    height, width = shape
    step = max(1.0, size)
    grid = rng.standard_normal((int(height / step) + 4, int(width / step) + 4), np.float32)
    # One map for both axes, cut after: a resize to `shape` would stretch the features of one axis.
    large = cv2.resize(grid, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)[:height, :width]
    return _standard(large)


def fractal(shape: tuple[int, int], rng: np.random.Generator, coarse: float, fine: float) -> Plane:
    """Noise of all sizes from `coarse` to `fine` pixels, by octaves: (h, w), mean 0, deviation 1."""
    total = np.zeros(shape, np.float32)
    size, weight = coarse, 1.0
    while size >= fine:
        total += weight * noise(shape, rng, size)
        size, weight = size / 2.0, weight * 0.7
    return _standard(total)


def cells(shape: tuple[int, int], rng: np.random.Generator, size: float) -> tuple[Plane, Plane]:
    """Irregular cells about `size` pixels wide.

    Returns two (h, w) float32 maps: a random value 0..1 per cell, and the distance to the cell's border in
    pixels.
    """
    height, width = shape
    count = max(4, int(height * width / size**2))
    seeds = np.full(shape, 255, np.uint8)
    seeds[rng.integers(0, height, count), rng.integers(0, width, count)] = 0
    _, labels = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    values = np.asarray(rng.random(int(labels.max()) + 1, np.float32)[labels], np.float32)
    border = cv2.morphologyEx(values, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    distance = cv2.distanceTransform((~border).astype(np.uint8), cv2.DIST_L2, 5)
    return values, np.asarray(distance, np.float32)


def lettering(shape: tuple[int, int], rng: np.random.Generator, size: float) -> Plane:
    """Lines of printed words, capitals about `size` pixels high: (h, w) float32, 1 is paper and 0 is ink."""
    fine = 3
    height, width = shape[0] * fine, shape[1] * fine
    sheet = np.full((height, width), 255, np.uint8)
    pitch = max(1, round(2.0 * size * fine))
    thick = max(1, round(size * fine / 7.0))
    for row, bottom in enumerate(range(pitch, height + pitch, pitch)):
        words = " ".join(rng.permutation(_WORDS).tolist() * (1 + width // (pitch * 40)))
        font = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX)[row % 2]
        cv2.putText(sheet, words, (-pitch // 2, bottom), font, size * fine / 21.0, 0, thick, cv2.LINE_AA)
    return area(np.asarray(sheet, np.float32) / 255.0, shape)


def weave(shape: tuple[int, int], pitch: float, angle: float) -> Plane:
    """Crossing threads `pitch` pixels apart, turned by `angle` radians: (h, w) float32, 0..1."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    phase = np.float32(2.0 * np.pi / pitch)
    u = phase * (np.cos(angle) * x + np.sin(angle) * y)
    v = phase * (np.cos(angle) * y - np.sin(angle) * x)
    return np.asarray(0.5 + 0.25 * np.cos(u) + 0.25 * np.cos(v), np.float32)


def area(picture: Plane, shape: tuple[int, int]) -> Plane:
    """A picture drawn finer, averaged down to `shape` (h, w)."""
    return np.asarray(cv2.resize(picture, shape[::-1], interpolation=cv2.INTER_AREA), np.float32)


def mix(share: npt.ArrayLike, low: tuple[float, float, float], high: tuple[float, float, float]) -> Plane:
    """Blend two linear RGB colours by `share` (h, w), clipped to 0..1: (h, w, 3) float32."""
    part = np.clip(np.asarray(share, np.float32), 0.0, 1.0)[..., None]
    return np.asarray(np.asarray(low) * (1.0 - part) + np.asarray(high) * part, np.float32)


def _standard(plane: npt.ArrayLike) -> Plane:
    """The plane with mean 0 and standard deviation 1."""
    values = np.asarray(plane, np.float32)
    return np.asarray((values - values.mean()) / max(float(values.std()), 1e-6), np.float32)


_WORDS = (
    *(
        "focus",
        "stack",
        "depth",
        "lens",
        "frame",
        "sharp",
        "0123456789",
        "halo",
        "blur",
        "edge",
        "disk",
        "plane",
    ),
    *(
        "Glass",
        "Light",
        "grain",
        "(1/250 s)",
        "f/8",
        "mm^2",
        "100%",
        "pixel",
        "Q&A",
        "scale",
        "shift",
        "middle",
    ),
)
