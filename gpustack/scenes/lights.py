"""Dark wet stones and twigs before distant lamps: points far brighter than white, and their blur.

The lamps and the night behind them are `afar`: the last frame shows them nearest to sharp, and so does the
truth. Their light, and that of the glints on the stones, is many times white before the lens spreads it, so a
disc is clipped as a camera clips it, on ground that is nearly black.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

import cv2
import numpy as np

from gpustack.scenes.layer import Canvas, Layer, Slope
from gpustack.scenes.objects import Colour, Hair, Oval, Point, cover, glint, hairs, lit, relief, unit
from gpustack.scenes.textures import Plane, band_limit, cells, fractal, mix, noise

LAMPS, STONES, TWIGS, GLINTS, SPARKS = 24, 26, 7, 4, 24
"""How many lamps, places for stones and twigs there are; glints on each stone, and on the gravel."""
NIGHT = 2.0
"""Depth of the night behind the lamps."""
SHORE = Slope(0.88, 0.0, -1.45)
"""The gravel: far at its upper edge, near at the bottom of the picture."""
EDGE = -0.04
"""Where the gravel ends above, in units below the picture's centre."""
RISE = 0.12
"""Height of a stone, in depth."""
UP = np.array([0.0, 0.0, 1.0], np.float32)
_TINTS: tuple[Colour, ...] = (
    (1.0, 0.72, 0.36),
    (1.0, 0.42, 0.12),
    (0.75, 0.88, 1.0),
    (1.0, 0.16, 0.10),
    (0.35, 1.0, 0.50),
)


def lights(canvas: Canvas, rng: np.random.Generator) -> list[Layer]:
    """Night, lamps, gravel, stones and twigs, back to front."""
    # Drawn before any texture: how much a texture takes from `rng` depends on the margin.
    lamps = sorted((_lamp(canvas, rng) for _ in range(LAMPS)), key=lambda lamp: -lamp.depth)
    sparks = [_spark(canvas, rng) for _ in range(SPARKS)]
    stones = _apart([Stone.drawn(canvas, rng) for _ in range(STONES)])
    twigs = [_twig(canvas, rng) for _ in range(TWIGS)]
    return [
        _night(canvas, rng),
        *(lamp.layer(canvas) for lamp in lamps),
        _gravel(canvas, rng),
        *(spark.layer(canvas) for spark in sparks),
        *(layer for stone in stones for layer in stone.layers(canvas, rng)),
        *hairs(canvas, twigs),
    ]


@dataclass(frozen=True, slots=True)
class Spot:
    """A point of light: where it is, its depth, its size (standard deviation in pixels) and its radiance."""

    at: Point
    depth: float
    size: float
    light: Colour

    def layer(self, canvas: Canvas) -> Layer:
        """The spot, a bell and so free of detail that resampling could not follow."""
        box = canvas.spanning(np.array([self.at]), 5.0 * self.size)
        x, y = box.grid()
        square = (x - self.at[0]) ** 2 + (y - self.at[1]) ** 2
        alpha = np.exp(-square / np.float32(2.0 * self.size**2))
        colour = np.broadcast_to(np.asarray(self.light, np.float32), (*box.shape, 3)).copy()
        depth = np.full(box.shape, self.depth, np.float32)
        return Layer(
            colour, np.asarray(alpha * (alpha > 1e-5), np.float32), depth, box, afar=self.depth > 1.0
        )


def _spot(
    canvas: Canvas, rng: np.random.Generator, at: Point, depth: float, light: tuple[float, float]
) -> Spot:
    """A spot of a radiance between the two of `light`, in one of the lamps' colours."""
    size = max(1.3, canvas.unit * float(rng.uniform(0.0013, 0.0022)))
    radiance = float(np.exp(rng.uniform(*np.log(light))))
    tint = _TINTS[int(rng.integers(len(_TINTS)))]
    red, green, blue = (radiance * part for part in tint)
    return Spot(at, depth, size, (red, green, blue))


def _lamp(canvas: Canvas, rng: np.random.Generator) -> Spot:
    """A lamp in the night above the gravel, beyond the range of focus."""
    at = canvas.at(float(rng.uniform(-0.8, 0.8)), float(rng.uniform(-0.55, EDGE)))
    return _spot(canvas, rng, at, float(rng.uniform(1.35, 1.8)), (12.0, 90.0))


def _spark(canvas: Canvas, rng: np.random.Generator) -> Spot:
    """A glint on the gravel."""
    u, v = float(rng.uniform(-0.8, 0.8)), float(rng.uniform(EDGE + 0.02, 0.52))
    depth = SHORE.middle + SHORE.down * v - 0.01
    return _spot(canvas, rng, canvas.at(u, v), depth, (4.0, 30.0))


def _night(canvas: Canvas, rng: np.random.Generator) -> Layer:
    """The sky, a little brighter towards the ground."""
    _, y = canvas.box.grid()
    height = (y - canvas.at(0.0, 0.0)[1]) / canvas.unit
    glow = 0.35 + 0.8 * height + 0.15 * noise(canvas.box.shape, rng, 0.4 * canvas.unit)
    colour = mix(np.asarray(glow, np.float32), (0.0015, 0.002, 0.004), (0.010, 0.009, 0.014))
    ones = np.ones(canvas.box.shape, np.float32)
    return Layer(colour, ones, np.float32(NIGHT) * ones, canvas.box, afar=True)


def _gravel(canvas: Canvas, rng: np.random.Generator) -> Layer:
    """Wet gravel up to an uneven edge."""
    box = canvas.box
    _, y = box.grid()
    ragged = 0.012 * canvas.unit * noise(box.shape, rng, 0.07 * canvas.unit)
    above = np.asarray(canvas.at(0.0, EDGE)[1] - y + ragged, np.float32)
    value, border = cells(box.shape, rng, 0.02 * canvas.unit)
    height = 1.0 * np.minimum(border, 5.0) + 0.6 * fractal(box.shape, rng, 8.0, 2.0)
    colour = _wet(np.asarray(height, np.float32), 0.25 + 0.5 * value, UP)
    return Layer(colour, cover(above), SHORE.over(canvas, box), box)


def _wet(height: Plane, tone: Plane, base: Plane) -> Plane:
    """Light (h, w, 3) of a dark wet surface: relief `height` (pixels) on normals `base`, shade `tone`."""
    smooth = np.asarray(cv2.GaussianBlur(height, (0, 0), 0.9), np.float32)
    normal = unit(base + 0.9 * (relief(smooth, 0.40) - UP))
    dark = mix(tone, (0.003, 0.003, 0.004), (0.044, 0.038, 0.034))
    light = dark * lit(normal)[..., None] + 0.10 * glint(normal, 16.0)[..., None]
    return band_limit(np.asarray(light, np.float32))


@dataclass(frozen=True, slots=True)
class Stone:
    """A rounded stone on the gravel, with glints of water."""

    oval: Oval
    glints: tuple[Spot, ...]

    @staticmethod
    def drawn(canvas: Canvas, rng: np.random.Generator) -> Stone:
        """A stone somewhere on the gravel; those nearer are larger."""
        u, v = float(rng.uniform(-0.75, 0.75)), float(rng.uniform(EDGE, 0.42))
        wide = canvas.unit * (0.06 + 0.13 * (v + 0.1)) * float(rng.uniform(0.8, 1.4))
        oval = Oval(
            *canvas.at(u, v), wide, wide * float(rng.uniform(0.6, 0.85)), float(rng.uniform(-0.5, 0.5))
        )
        places = [(rng.uniform(-0.75, 0.35), rng.uniform(-0.75, 0.2)) for _ in range(GLINTS)]
        return Stone(oval, tuple(_glint(canvas, rng, oval, p, q) for p, q in places))

    def layers(self, canvas: Canvas, rng: np.random.Generator) -> list[Layer]:
        """The stone and its glints; none where the canvas ends before it."""
        box = canvas.spanning(np.array([[self.oval.x, self.oval.y]]), self.oval.along)
        if box.empty:
            return []
        grain = fractal(box.shape, rng, 0.04 * canvas.unit, 2.0)
        colour = _wet(1.1 * grain, 0.45 + 0.22 * grain, self.oval.normal(box, 0.8))
        depth = SHORE.over(canvas, box) - np.float32(RISE) * self.oval.height(box)
        stone = Layer(colour, self.oval.alpha(box), np.asarray(depth, np.float32), box)
        return [stone, *(spot.layer(canvas) for spot in self.glints if not _outside(canvas, spot))]


def _glint(canvas: Canvas, rng: np.random.Generator, oval: Oval, p: float, q: float) -> Spot:
    """A glint at the local place (p, q) of a stone."""
    x, y = oval.point(p, q)
    ground = SHORE.middle + SHORE.down * (y - canvas.at(0.0, 0.0)[1]) / canvas.unit
    top = RISE * max(0.0, 1.0 - p * p - q * q) ** 0.5
    return _spot(canvas, rng, (x, y), ground - top - 0.01, (6.0, 40.0))


def _outside(canvas: Canvas, spot: Spot) -> bool:
    return canvas.spanning(np.array([spot.at]), 0.0).empty


def _apart(stones: list[Stone]) -> list[Stone]:
    """Those that touch none before them, farthest first."""
    kept: list[Stone] = []
    for stone in stones:
        gaps = (hypot(stone.oval.x - other.oval.x, stone.oval.y - other.oval.y) for other in kept)
        if all(gap > stone.oval.along + other.oval.along for gap, other in zip(gaps, kept, strict=True)):
            kept.append(stone)
    return sorted(kept, key=lambda stone: stone.oval.y)


def _twig(canvas: Canvas, rng: np.random.Generator) -> Hair:
    """A dark twig that hangs into the picture from above, before the lamps."""
    u, v = float(rng.uniform(-0.8, 0.8)), float(rng.uniform(-0.30, 0.02))
    lean, bow = float(rng.normal(0.0, 0.3)), float(rng.normal(0.0, 0.06))
    depth, tilt = float(rng.uniform(0.08, 0.62)), float(rng.normal(0.0, 0.02))
    thick = max(1.0, canvas.unit * float(rng.uniform(0.005, 0.011)))
    return Hair(
        canvas.at(u + lean, -0.85),
        canvas.at(u + 0.5 * lean + bow, 0.5 * (v - 0.85)),
        canvas.at(u, v),
        (depth + tilt, depth - tilt),
        (thick, max(0.9, 0.25 * thick)),
        (0.045, 0.030, 0.020),
        gloss=0.05,
        rings=float(rng.uniform(18.0, 40.0)),
    )
