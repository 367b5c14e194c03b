"""Held out: a flower of thick overlapping petals with smooth gradients, and stamens in front of them."""

from __future__ import annotations

from math import cos, pi, sin

import cv2
import numpy as np

from gpustack.scenes.layer import Canvas, Layer, Slope
from gpustack.scenes.objects import Colour, Hair, Oval, cover, glint, hairs, lit, outside, plate, relief, unit
from gpustack.scenes.textures import Plane, band_limit, cells, fractal, mix, noise

WHORLS = (8, 7, 5)
"""Petals in each whorl, the outermost first."""
STAMENS = 26
UP = np.array([0.0, 0.0, 1.0], np.float32)
_FARTHEST, _STEP, _GAP = 0.82, 0.024, 0.06


def petals(canvas: Canvas, rng: np.random.Generator) -> list[Layer]:
    """Leaves behind, petals from the outermost on, each nearer than the last, and the stamens."""
    # Drawn before any texture: how much a texture takes from `rng` depends on the margin.
    centre = float(rng.uniform(-0.15, 0.15)), float(rng.uniform(-0.10, 0.10))
    hue = float(rng.uniform(0.0, 1.0))
    shapes = _places(canvas, rng, centre)
    threads = [_stamen(canvas, rng, centre) for _ in range(STAMENS)]
    leaves = _leaves(canvas, rng)
    shade = np.zeros(canvas.box.shape, np.float32)
    laid: list[Layer] = []
    # Front to back, so that each petal knows what shades it.
    for shape, depth in reversed(shapes):
        laid.append(_petal(canvas, rng, shape, depth, hue, shade))
    return [leaves, *reversed(laid), *hairs(canvas, threads), *_anthers(canvas, rng, threads)]


def _places(
    canvas: Canvas, rng: np.random.Generator, centre: tuple[float, float]
) -> list[tuple[Oval, float]]:
    """Outline and depth of every petal, farthest first."""
    found, depth = [], _FARTHEST
    for whorl, count in enumerate(WHORLS):
        first = float(rng.uniform(0.0, 2.0 * pi))
        long = canvas.unit * (0.31 - 0.065 * whorl)
        for index in range(count):
            angle = first + 2.0 * pi * index / count + float(rng.normal(0.0, 0.07))
            x, y = canvas.at(*centre)
            away = long * float(rng.uniform(0.92, 1.08))
            oval = Oval(x + away * cos(angle), y + away * sin(angle), 1.08 * long, 0.62 * long, angle)
            found.append((oval, depth))
            depth -= _STEP
        depth -= _GAP
    return found


def _petal(
    canvas: Canvas, rng: np.random.Generator, shape: Oval, base: float, hue: float, shade: Plane
) -> Layer:
    """One petal: cupped, notched, with faint veins; `shade` is what lies before it, which it then joins."""
    box = canvas.spanning(np.array([[shape.x, shape.y]]), 1.1 * shape.along)
    p, q = shape.local(box)
    wide = (0.55 + 0.45 * p) * 0.5 + 0.62
    level = (p + 0.06 * np.exp(-((q / 0.25) ** 2))) ** 2 + (q / np.maximum(wide, 0.2)) ** 2 - 0.95
    alpha = cover(outside(np.asarray(level, np.float32)))
    fan = np.arctan2(q, p + 1.6)
    veins = noise((1, 240), rng, 1.6)[0]
    lines = np.interp(fan, np.linspace(-0.9, 0.9, 240), veins).astype(np.float32)
    grain = fractal(box.shape, rng, 10.0, 2.0)
    cup = 0.16 * shape.across * (1.0 - q * q - 0.5 * p * p)
    normal = relief(np.asarray(cup + 0.25 * grain + 0.8 * lines, np.float32), 0.9)
    tone = 0.55 + 0.38 * p + 0.035 * lines * (0.4 + np.clip(p, 0.0, 1.0)) + 0.014 * grain
    low, high = _hues(hue)
    light = lit(normal) * (1.0 - 0.55 * _soft(shade[box.within(canvas.box)], 0.02 * canvas.unit))
    colour = mix(tone, low, high) * light[..., None] + 0.03 * glint(normal, 8.0)[..., None]
    np.maximum(shade[box.within(canvas.box)], alpha, out=shade[box.within(canvas.box)])
    depth = np.float32(base) + 0.02 * q * q - 0.02 * p
    return Layer(band_limit(np.asarray(colour, np.float32)), alpha, np.asarray(depth, np.float32), box)


def _soft(plane: Plane, sigma: float) -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), max(1.0, sigma)), np.float32)


def _hues(hue: float) -> tuple[Colour, Colour]:
    """Colours at the foot and at the tip of a petal: white to pink, or yellow to red."""
    foot = (0.80, 0.70 - 0.1 * hue, 0.62 - 0.45 * hue)
    tip = (0.66, 0.16 + 0.10 * hue, 0.34 - 0.26 * hue)
    return foot, tip


def _stamen(canvas: Canvas, rng: np.random.Generator, centre: tuple[float, float]) -> Hair:
    """A thread from the flower's middle, outwards and towards the camera."""
    angle, long = float(rng.uniform(0.0, 2.0 * pi)), float(rng.uniform(0.05, 0.17))
    du, dv, bow = long * cos(angle), long * sin(angle), float(rng.normal(0.0, 0.2))
    u, v = centre
    depth = 0.10 - float(rng.uniform(0.0, 0.06))
    points = (
        canvas.at(u, v),
        canvas.at(u + 0.5 * du - bow * dv, v + 0.5 * dv + bow * du),
        canvas.at(u + du, v + dv),
    )
    thick = max(1.0, 0.0030 * canvas.unit)
    return Hair(*points, (depth, depth - 0.04), (thick, 0.8 * thick), (0.70, 0.62, 0.30), gloss=0.12)


def _anthers(canvas: Canvas, rng: np.random.Generator, threads: list[Hair]) -> list[Layer]:
    """The heads of the stamens, grainy with pollen."""
    found = []
    for thread in sorted(threads, key=lambda thread: -thread.depths[1]):
        size = max(2.0, 0.013 * canvas.unit)
        oval = Oval(*thread.end, size, 0.65 * size, float(rng.uniform(0.0, pi)))
        box = canvas.spanning(np.array([thread.end]), size)
        if box.empty:
            continue
        grain = noise(box.shape, rng, 2.2)
        normal = unit(oval.normal(box, 0.9) + 0.5 * (relief(grain, 0.5) - UP))
        colour = mix(0.5 + 0.2 * grain, (0.25, 0.11, 0.01), (0.85, 0.55, 0.08)) * lit(normal)[..., None]
        depth = np.float32(thread.depths[1]) - 0.015 * oval.height(box)
        found.append(Layer(band_limit(colour), oval.alpha(box), np.asarray(depth, np.float32), box))
    return found


def _leaves(canvas: Canvas, rng: np.random.Generator) -> Layer:
    """Dark leaves behind the flower."""
    shape = canvas.box.shape
    tone, border = cells(shape, rng, 0.03 * canvas.unit)
    ribs = np.asarray(np.exp(-((border / 2.2) ** 2)), np.float32)
    broad = noise(shape, rng, 0.22 * canvas.unit)
    share = (
        0.45
        + 0.16 * broad
        + 0.10 * (tone - 0.5)
        + 0.16 * _soft(ribs, 0.8)
        + 0.05 * fractal(shape, rng, 8.0, 2.0)
    )
    colour = mix(share, (0.006, 0.022, 0.006), (0.10, 0.22, 0.05))
    depth = Slope(1.0, 0.0, 0.05).over(canvas, canvas.box) + 0.01 * broad
    return plate(canvas, colour, np.asarray(depth, np.float32))
