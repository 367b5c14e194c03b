"""Held out: a coin on cloth: rim, letters and emblem stand out in steps, and worn metal glints."""

from __future__ import annotations

from math import pi

import cv2
import numpy as np

from gpustack.scenes.layer import Box, Canvas, Layer, Slope
from gpustack.scenes.objects import Oval, cover, glint, lit, outside, plate, relief, unit
from gpustack.scenes.textures import Plane, area, band_limit, fractal, mix, noise, weave

RAISED = 0.13
"""How far rim and letters stand out of the coin's field, in depth."""
RADIUS = 0.56
"""Of the coin, in units."""
WORN = np.array([-0.11, -0.15, 0.0], np.float32)
"""How the worn metal leans: nearly so that it mirrors the lamp."""
SUN = np.array([1.0, 0.86, 0.70], np.float32)
METAL = (np.array([0.20, 0.095, 0.045], np.float32), np.array([0.86, 0.52, 0.34], np.float32))
_FINE = 4
_WORDS = ("LUX", "FOCUS", "SOL", "TERRA", "AQUA", "VERITAS")


def coin(canvas: Canvas, rng: np.random.Generator) -> list[Layer]:
    """Cloth, the coin's field, and what is raised on it."""
    # Drawn before any texture: how much a texture takes from `rng` depends on the margin.
    x, y = canvas.at(float(rng.uniform(-0.12, 0.12)), float(rng.uniform(-0.05, 0.05)))
    turn, points = float(rng.uniform(-0.5, 0.5)), int(rng.integers(5, 9))
    word, year = str(rng.choice(_WORDS)), str(rng.integers(1750, 2020))
    lean = Slope(0.42, float(rng.uniform(-0.25, 0.25)), float(rng.uniform(-0.40, -0.30)))
    disc = Oval(x, y, RADIUS * canvas.unit, RADIUS * canvas.unit, turn)
    box = canvas.spanning(np.array([[x, y]]), disc.along)
    depth = lean.over(canvas, box)
    script = _script(disc, box, word, year)
    star = _star(disc, box, points)
    rim = cover(disc.along * (0.90 - np.hypot(*disc.local(box))))
    edge = disc.alpha(box)
    field = Layer(_metal(box, rng, 0.0 * edge, 0.0), edge, depth, box)
    raised = np.asarray(edge * np.maximum(rim, script), np.float32)
    letters = Layer(_metal(box, rng, raised, 1.0), raised, depth - np.float32(RAISED), box)
    crown = _cone(disc, box)
    emblem_depth = depth - np.float32(RAISED) * (0.7 + 0.9 * crown)
    emblem = Layer(_metal(box, rng, star, 1.0, 0.10 * canvas.unit * crown), star, emblem_depth, box)
    return [_cloth(canvas, rng, edge, box), field, letters, emblem]


def _cloth(canvas: Canvas, rng: np.random.Generator, edge: Plane, box: Box) -> Layer:
    """Woven cloth in folds, in the coin's shadow near it."""
    shape = canvas.box.shape
    folds = noise(shape, rng, 0.25 * canvas.unit)
    threads = weave(shape, 8.0, 0.4) + 0.10 * fractal(shape, rng, 12.0, 2.0)
    shade = np.zeros(shape, np.float32)
    shade[box.within(canvas.box)] = edge
    move = np.array([[1, 0, 0.03 * canvas.unit], [0, 1, 0.03 * canvas.unit]], np.float32)
    soft = cv2.GaussianBlur(cv2.warpAffine(shade, move, shape[::-1]), (0, 0), 0.02 * canvas.unit)
    light = lit(relief(0.02 * canvas.unit * folds, 1.0)) * (1.0 - 0.6 * soft)
    colour = mix(threads, (0.01, 0.012, 0.03), (0.10, 0.13, 0.30)) * light[..., None]
    depth = Slope(1.0, 0.0, -0.10).over(canvas, canvas.box) + 0.015 * folds
    return plate(canvas, colour, np.asarray(depth, np.float32))


def _metal(box: Box, rng: np.random.Generator, mask: Plane, bevel: float, form: Plane | None = None) -> Plane:
    """Light (h, w, 3) of worn metal that falls off where `mask` ends; `form` is its height in pixels."""
    scratches = cv2.GaussianBlur(noise(box.shape, rng, 1.0), (0, 0), sigmaX=9.0, sigmaY=0.8)
    scratches = 2.2 * scratches + 0.35 * fractal(box.shape, rng, 14.0, 2.0)
    worn = np.asarray(cv2.GaussianBlur(mask, (0, 0), 2.0), np.float32)
    height = 0.5 * scratches + 7.0 * bevel * worn + (0.0 if form is None else form)
    normal = unit(relief(np.asarray(height, np.float32), 0.5) + WORN)
    sky = 0.5 + 0.5 * np.sin(3.0 * normal[..., 0] - 4.0 * normal[..., 1] + 0.3)
    stain = 0.07 * noise(box.shape, rng, 30.0)
    tone = np.clip(0.12 + 0.45 * sky * lit(normal) + stain, 0.0, 1.0)[..., None]
    colour = METAL[0] * (1.0 - tone) + METAL[1] * tone
    shine = 0.16 * glint(normal, 12.0) + 2.2 * glint(normal, 150.0)
    return band_limit(np.asarray(colour + shine[..., None] * SUN, np.float32))


def _script(disc: Oval, box: Box, word: str, year: str) -> Plane:
    """The word above and the year below the emblem, (h, w) 0..1, turned with the coin."""
    sheet = np.zeros((box.height * _FINE, box.width * _FINE), np.uint8)
    for text, down, tall in ((word, -0.54, 0.20), (year, 0.70, 0.22)):
        scale = tall * disc.along * _FINE / 21.0
        thick = max(1, round(0.030 * disc.along * _FINE))
        (wide, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, scale, thick)
        x, y = disc.x - box.left - wide / (2.0 * _FINE), disc.y - box.top + down * disc.along
        at = (round(x * _FINE), round(y * _FINE))
        cv2.putText(sheet, text, at, cv2.FONT_HERSHEY_DUPLEX, scale, 255, thick, cv2.LINE_AA)
    middle = ((disc.x - box.left) * _FINE, (disc.y - box.top) * _FINE)
    turned = cv2.warpAffine(
        sheet, cv2.getRotationMatrix2D(middle, -disc.angle * 180.0 / pi, 1.0), sheet.shape[::-1]
    )
    letters = area(np.asarray(turned, np.float32) / 255.0, box.shape)
    return np.asarray(cv2.GaussianBlur(letters, (0, 0), 0.7), np.float32)


def _star(disc: Oval, box: Box, points: int) -> Plane:
    """A star in the middle of the coin, (h, w) 0..1."""
    p, q = disc.local(box)
    angle = np.arctan2(q, p)
    spread = np.abs(((angle * points / (2.0 * pi) + 0.25) % 1.0) - 0.5) * 2.0
    reach = 0.18 + 0.24 * spread
    return cover(outside(np.asarray(np.hypot(p, q) - reach, np.float32)))


def _cone(disc: Oval, box: Box) -> Plane:
    """Height (h, w), 1 in the middle of the coin and 0 at the star's points."""
    p, q = disc.local(box)
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * np.clip(np.hypot(p, q) / 0.45, 0.0, 1.0)), np.float32)
