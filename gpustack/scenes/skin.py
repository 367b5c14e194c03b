"""Skin: pores, creases and a faint mottle on a curved surface, and a few hairs that stand off it.

Almost all of it is within a few 8-bit levels of what surrounds it.
"""

from __future__ import annotations

from math import cos, sin

import cv2
import numpy as np

from gpustack.scenes.layer import Box, Canvas, Layer
from gpustack.scenes.objects import Hair, glint, hairs, lit, plate, relief
from gpustack.scenes.textures import Plane, cells, fractal, mix, noise

HAIRS = 9
"""How many hairs stand on the skin."""
_PALE, _DEEP = (0.62, 0.40, 0.30), (0.46, 0.25, 0.18)


def skin(canvas: Canvas, rng: np.random.Generator) -> list[Layer]:
    """The skin and its hairs, back to front."""
    # Drawn before any texture: how much a texture takes from `rng` depends on the margin.
    course, bend = float(rng.uniform(0.15, 1.2)), float(rng.uniform(0.55, 0.75))
    standing = [_hair(canvas, rng, course, bend) for _ in range(HAIRS)]
    x, y = canvas.box.grid()
    u, v = (plane / canvas.unit for plane in _from_centre(canvas, x, y))
    depth = _curved(u, v, course, bend) + 0.015 * noise(canvas.box.shape, rng, 0.35 * canvas.unit)
    surface = plate(canvas, _surface(canvas, rng, depth, _shadow(canvas, standing)), depth.astype(np.float32))
    return [surface, *hairs(canvas, standing)]


def _from_centre(canvas: Canvas, x: Plane, y: Plane) -> tuple[Plane, Plane]:
    cx, cy = canvas.at(0.0, 0.0)
    return x - np.float32(cx), y - np.float32(cy)


def _curved(u: Plane, v: Plane, course: float, bend: float) -> Plane:
    """Depth of the bare surface, a finger that lies in the direction `course`."""
    across, along = sin(course) * u - cos(course) * v, cos(course) * u + sin(course) * v
    return np.asarray(0.25 + bend * across**2 * 1.3 + 0.22 * along, np.float32)


def _surface(canvas: Canvas, rng: np.random.Generator, depth: Plane, shadow: Plane) -> Plane:
    """Light (h, w, 3) of the skin: shading of its form, its creases and its pores."""
    shape, size = canvas.box.shape, canvas.unit
    mottle = 0.6 * fractal(shape, rng, 0.12 * size, 0.02 * size) + 0.8 * fractal(shape, rng, 9.0, 2.0)
    colour = mix(0.5 + 0.10 * mottle, _DEEP, _PALE)
    form = np.asarray(cv2.GaussianBlur(depth, (0, 0), 0.03 * size), np.float32)
    height = -0.45 * size * form + _pores(shape, rng, size) + _creases(shape, rng, size)
    normal = relief(np.asarray(height, np.float32), 1.0)
    light = (0.55 + 0.45 * lit(normal)) * shadow
    return np.asarray(colour * light[..., None] + 0.05 * glint(normal, 9.0)[..., None], np.float32)


def _pores(shape: tuple[int, int], rng: np.random.Generator, size: float) -> Plane:
    """Small pits, height (h, w) in pixels."""
    count = int(shape[0] * shape[1] / (0.030 * size) ** 2)
    dots = np.zeros(shape, np.float32)
    where = rng.integers(0, shape[0], count), rng.integers(0, shape[1], count)
    np.add.at(dots, where, rng.uniform(0.4, 1.0, count).astype(np.float32))
    wide = max(1.2, 0.0022 * size)
    pits = cv2.GaussianBlur(dots, (0, 0), wide) * np.float32(2.0 * np.pi * wide**2)
    return np.asarray(-0.60 * wide * np.minimum(pits, 1.2), np.float32)


def _creases(shape: tuple[int, int], rng: np.random.Generator, size: float) -> Plane:
    """The net of fine lines between small fields, height (h, w) in pixels."""
    _, border = cells(shape, rng, max(8.0, 0.026 * size))
    wide = max(1.5, 0.0018 * size)
    lines = np.exp(-((border / wide) ** 2))
    soft = cv2.GaussianBlur(np.asarray(lines, np.float32), (0, 0), 1.0)
    return np.asarray(-0.55 * wide * soft, np.float32)


def _hair(canvas: Canvas, rng: np.random.Generator, course: float, bend: float) -> Hair:
    """A hair that leaves the skin at a flat angle and rises towards the camera."""
    u, v = float(rng.uniform(-0.65, 0.55)), float(rng.uniform(-0.42, 0.42))
    angle, long = float(rng.normal(course + 0.5, 0.25)), float(rng.uniform(0.18, 0.40))
    du, dv = long * cos(angle), long * sin(angle)
    bow = float(rng.normal(0.0, 0.13))
    root, tip = (
        float(_curved(np.array(u + far * du), np.array(v + far * dv), course, bend)) for far in (0.0, 1.0)
    )
    thick = max(1.0, canvas.unit * float(rng.uniform(0.0014, 0.0026)))
    places = ((u, v), (u + 0.5 * du - bow * dv, v + 0.5 * dv + bow * du), (u + du, v + dv))
    start, middle, end = (canvas.at(*place) for place in places)
    depths = (root - 0.03, min(root, tip) - float(rng.uniform(0.14, 0.28)))
    return Hair(start, middle, end, depths, (thick, 0.45 * thick), (0.10, 0.055, 0.030), gloss=0.15)


def _shadow(canvas: Canvas, standing: list[Hair]) -> Plane:
    """Light (h, w), 0..1, that the hairs leave the skin, the lamp being at the top left."""
    shade = np.zeros(canvas.box.shape, np.float32)
    for hair in standing:
        layer = hair.layer(canvas)
        moved = _moved(layer.box, round(0.012 * canvas.unit)).clip(canvas.box)
        part = shade[moved.within(canvas.box)]
        np.maximum(part, layer.alpha[: moved.height, : moved.width], out=part)
    return np.asarray(1.0 - 0.22 * cv2.GaussianBlur(shade, (0, 0), 0.006 * canvas.unit), np.float32)


def _moved(box: Box, by: int) -> Box:
    return Box(box.left + by, box.top + by, box.right + by, box.bottom + by)
