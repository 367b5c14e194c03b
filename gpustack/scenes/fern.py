"""Held out: fern fronds and blades of grass at all depths over soil."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np

from gpustack.scenes.layer import Canvas, Layer, Slope
from gpustack.scenes.objects import Colour, Hair, Point, lit, plate, relief
from gpustack.scenes.textures import fractal, mix, noise

FRONDS, BLADES, LEAFLETS = 9, 4, 13
"""How many fronds, blades of grass at the depth of each, and leaflets on each side of a frond."""
_NEAREST, _FARTHEST = 0.03, 0.85


def fern(canvas: Canvas, rng: np.random.Generator) -> list[Layer]:
    """Soil, and the fronds, each nearer than all before it."""
    # Drawn before any texture: how much a texture takes from `rng` depends on the margin.
    step = (_FARTHEST - _NEAREST) / FRONDS
    plants: list[Hair] = []
    for index in range(FRONDS):
        depth = _FARTHEST - (index + 0.5) * step
        plants += [_blade(canvas, rng, depth + 0.45 * step) for _ in range(BLADES)]
        plants += _frond(canvas, rng, depth, 0.20 * step)
    there = [plant for plant in plants if not canvas.spanning(plant.curve(), 0.0).empty]
    return [_soil(canvas, rng), *(plant.layer(canvas) for plant in there)]


def _soil(canvas: Canvas, rng: np.random.Generator) -> Layer:
    """Crumbs of earth with moss on them."""
    shape = canvas.box.shape
    crumbs = fractal(shape, rng, 0.05 * canvas.unit, 2.0)
    moss = 0.5 + 0.9 * noise(shape, rng, 0.12 * canvas.unit) + 0.4 * crumbs
    colour = mix(0.5 + 0.25 * crumbs, (0.02, 0.013, 0.008), (0.16, 0.10, 0.06))
    green = mix(0.5 + 0.25 * crumbs, (0.02, 0.05, 0.006), (0.16, 0.26, 0.05))
    share = np.clip(moss, 0.0, 1.0)[..., None]
    light = (colour * (1.0 - share) + green * share) * lit(relief(1.2 * crumbs, 0.3))[..., None]
    return plate(canvas, light, Slope(0.98, 0.0, -0.06).over(canvas, canvas.box))


def _green(rng: np.random.Generator, depth: float) -> Colour:
    """A green, darker deep in the thicket."""
    light = (1.0 - 0.45 * depth) * float(rng.uniform(0.8, 1.15))
    yellow = float(rng.uniform(0.30, 0.60))
    return 0.48 * yellow * light, 0.42 * light, 0.10 * light


def _blade(canvas: Canvas, rng: np.random.Generator, depth: float) -> Hair:
    """A blade of grass, narrow towards its tip."""
    u, v = float(rng.uniform(-0.8, 0.8)), float(rng.uniform(0.1, 0.7))
    lean, tall = float(rng.normal(0.0, 0.35)), float(rng.uniform(0.4, 0.9))
    wide = max(1.0, canvas.unit * float(rng.uniform(0.0025, 0.0065)))
    points = canvas.at(u, v), canvas.at(u + 0.2 * lean, v - 0.6 * tall), canvas.at(u + lean, v - tall)
    return Hair(*points, (depth, depth - 0.015), (wide, 0.6), _green(rng, depth), gloss=0.10)


def _frond(canvas: Canvas, rng: np.random.Generator, depth: float, tilt: float) -> list[Hair]:
    """A stem with leaflets on both sides, shorter towards the tip."""
    size = canvas.unit
    course = float(rng.uniform(0.0, 2.0 * pi))
    x, y = canvas.at(float(rng.uniform(-0.6, 0.6)), float(rng.uniform(-0.4, 0.4)))
    half, bow = 0.5 * size * float(rng.uniform(0.7, 1.1)), size * float(rng.normal(0.0, 0.12))
    c, s = cos(course), sin(course)
    start, end = (x - half * c, y - half * s), (x + half * c, y + half * s)
    green = _green(rng, depth)
    stem = Hair(
        start,
        (x - bow * s, y + bow * c),
        end,
        (depth + tilt, depth - tilt),
        (max(1.0, 0.006 * size), max(0.7, 0.002 * size)),
        (0.6 * green[0] + 0.06, 0.6 * green[1], green[2]),
        gloss=0.08,
    )
    found: list[Hair] = []
    points = stem.curve()
    for place in np.linspace(0.12, 0.97, LEAFLETS):
        index = int(place * (len(points) - 1))
        along = points[min(index + 1, len(points) - 1)] - points[index - 1]
        angle = float(np.arctan2(along[1], along[0]))
        long = size * 0.20 * (1.06 - place) * (0.4 + min(1.0, 3.0 * place)) * float(rng.uniform(0.85, 1.1))
        at, here = (
            (float(points[index, 0]), float(points[index, 1])),
            depth + tilt * (1.0 - 2.0 * float(place)),
        )
        found += [_leaflet(at, angle + turn, long, here, green, size) for turn in (-1.05, 1.05)]
    return [*found, stem]


def _leaflet(at: Point, angle: float, long: float, depth: float, green: Colour, size: float) -> Hair:
    """A narrow leaf that bends towards the frond's tip."""
    c, s = cos(angle), sin(angle)
    bend = at[0] + 0.5 * long * c, at[1] + 0.5 * long * s
    end = at[0] + long * c - 0.10 * long * s, at[1] + long * s + 0.10 * long * c
    wide = max(1.0, min(0.011 * size, 0.10 * long))
    return Hair(at, bend, end, (depth, depth + 0.012), (wide, 0.4 * wide), green, gloss=0.12)
