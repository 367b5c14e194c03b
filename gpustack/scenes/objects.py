"""The shapes of a scene and how light falls on them: plates, ovals, tilted cards, hairs.

Alpha comes from the distance to the outline, so an edge is about two pixels wide and can be resampled
faithfully.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, sin

import numpy as np
import numpy.typing as npt

from gpustack.model.transform import Matrix
from gpustack.scenes.layer import Box, Canvas, Layer
from gpustack.scenes.textures import Plane, band_limit

Point = tuple[float, float]
Colour = tuple[float, float, float]

SOFT = 1.25
"""Half the width of an edge, in pixels."""
_SEGMENTS = 32
_SHADED = 3.0


def unit(vectors: npt.ArrayLike) -> Plane:
    """The vectors (..., 3) made one long, float32."""
    given = np.asarray(vectors, np.float32)
    return np.asarray(given / np.linalg.norm(given, axis=-1, keepdims=True), np.float32)


LIGHT = unit([-0.45, -0.60, 0.66])
"""Direction to the light (x, y, towards the camera)."""
HALFWAY = unit(LIGHT + unit([0.0, 0.0, 1.0]))
"""Normal of a mirror that throws the light into the camera."""


def cover(outside: npt.ArrayLike) -> Plane:
    """Share of a pixel that a shape covers, from the distance to its outline in pixels, positive outside."""
    share = np.clip(0.5 - np.asarray(outside, np.float32) / (2.0 * SOFT), 0.0, 1.0)
    return np.asarray(share * share * (3.0 - 2.0 * share), np.float32)


def outside(level: Plane) -> Plane:
    """Distance in pixels, to first order, to where `level` (h, w) is 0; negative where it is negative."""
    down, right = np.gradient(level)
    return np.asarray(level / np.maximum(np.hypot(down, right), 1e-6), np.float32)


def lit(normal: Plane) -> Plane:
    """How much of the light a matt surface takes: (h, w), 0..1, some of it from all around."""
    return np.asarray(0.30 + 0.70 * np.maximum(normal @ LIGHT, 0.0), np.float32)


def glint(normal: Plane, power: float) -> Plane:
    """How strongly a glossy surface mirrors the light: (h, w), 0..1, narrower with more `power`."""
    return np.asarray(np.maximum(normal @ HALFWAY, 0.0) ** np.float32(power), np.float32)


def relief(height: Plane, strength: float) -> Plane:
    """Unit normals (h, w, 3) of a height map in pixels, steepened by `strength`."""
    down, right = np.gradient(height)
    return unit(np.dstack([-strength * right, -strength * down, np.ones_like(height)]))


def plate(canvas: Canvas, colour: Plane, depth: Plane) -> Layer:
    """An opaque layer over the whole canvas: colour (h, w, 3) and depth (h, w) of the canvas' shape."""
    return Layer(band_limit(colour), np.ones_like(depth), depth, canvas.box)


@dataclass(frozen=True, slots=True)
class Oval:
    """An ellipse: centre (x, y) and half axes in pixels; `angle` (radians) is that of the axis `along`."""

    x: float
    y: float
    along: float
    across: float
    angle: float = 0.0

    def local(self, box: Box) -> tuple[Plane, Plane]:
        """Coordinates (p, q) along and across, (h, w) each; the rim is where p*p + q*q is 1."""
        x, y = box.grid()
        dx, dy = x - np.float32(self.x), y - np.float32(self.y)
        c, s = np.float32(cos(self.angle)), np.float32(sin(self.angle))
        p, q = (c * dx + s * dy) / self.along, (c * dy - s * dx) / self.across
        return p.astype(np.float32), q.astype(np.float32)

    def point(self, p: float, q: float) -> Point:
        """The pixel (x, y) at the local coordinates (p, q)."""
        c, s = cos(self.angle), sin(self.angle)
        a, b = p * self.along, q * self.across
        return self.x + c * a - s * b, self.y + s * a + c * b

    def alpha(self, box: Box) -> Plane:
        """Share of each pixel inside, (h, w), from the distance to the rim to first order."""
        p, q = self.local(box)
        rho = np.maximum(np.hypot(p, q), 1e-3)
        steep = np.hypot(p / self.along, q / self.across) / rho
        return cover((rho - 1.0) / np.maximum(steep, 1e-6))

    def height(self, box: Box) -> Plane:
        """Height (h, w) of the half ellipsoid on it: 1 in the middle, 0 at the rim and beyond."""
        p, q = self.local(box)
        return np.asarray(np.sqrt(np.clip(1.0 - p * p - q * q, 0.0, 1.0)), np.float32)

    def normal(self, box: Box, bulge: float) -> Plane:
        """Unit normals (h, w, 3) of that half ellipsoid, `bulge` times as high as it is wide to one side."""
        p, q = self.local(box)
        c, s = np.float32(cos(self.angle)), np.float32(sin(self.angle))
        rise = np.float32(bulge * self.across)
        a, b = rise * p / np.float32(self.along), np.float32(bulge) * q
        return unit(np.dstack([c * a - s * b, s * a + c * b, np.maximum(self.height(box), 0.05)]))


@dataclass(frozen=True, slots=True)
class Hair:
    """A thin curved thing: a quadratic curve from `start` to `end`, drawn towards `bend`, in pixels.

    `depths` and `radii` (pixels) are those of its two ends and change evenly along it; `rings` is how many
    dark rings it wears; `gloss` how bright the line of light on it is.
    """

    start: Point
    bend: Point
    end: Point
    depths: tuple[float, float]
    radii: tuple[float, float]
    colour: Colour
    gloss: float = 0.3
    rings: float = 0.0

    def curve(self) -> Matrix:
        """Points (n, 2) along it."""
        t = np.linspace(0.0, 1.0, _SEGMENTS + 1)[:, None]
        a, b, c = (np.asarray(point, np.float64) for point in (self.start, self.bend, self.end))
        return np.asarray((1.0 - t) ** 2 * a + 2.0 * t * (1.0 - t) * b + t * t * c)

    def layer(self, canvas: Canvas) -> Layer:
        """The hair as a layer, round and lit from one side."""
        points = self.curve()
        thick = max(self.radii) + 2.0 * SOFT
        box = canvas.spanning(points, thick)
        distance, place, side = _nearest(points, box, thick)
        radius = np.float32(self.radii[0]) + np.float32(self.radii[1] - self.radii[0]) * place
        # A hair of two pixels has no room for its shading; spread wider it does not alias along the hair.
        round_ = np.clip(side * distance / np.maximum(radius, _SHADED), -1.0, 1.0)
        shade = 0.45 + 0.55 * np.sqrt(1.0 - round_ * round_)
        shade *= 1.0 - 0.45 * (np.sin(np.float32(2.0 * np.pi * self.rings) * place) > 0.3)
        shine = np.float32(self.gloss) * np.exp(-(((round_ + 0.35) / 0.3) ** 2))
        colour = np.asarray(self.colour, np.float32) * shade[..., None] + shine[..., None]
        return Layer(band_limit(colour), cover(distance - radius), self._depth(box), box)

    def _depth(self, box: Box) -> Plane:
        """Depth (h, w), even along the line between the ends, so smooth beside the hair as well."""
        x, y = box.grid()
        dx, dy = self.end[0] - self.start[0], self.end[1] - self.start[1]
        share = ((x - self.start[0]) * dx + (y - self.start[1]) * dy) / max(dx * dx + dy * dy, 1e-6)
        depth = self.depths[0] + (self.depths[1] - self.depths[0]) * np.clip(share, 0.0, 1.0)
        return np.asarray(depth, np.float32)


def hairs(canvas: Canvas, many: Sequence[Hair]) -> list[Layer]:
    """The hairs as layers, farthest first; those that lie outside the canvas are left out."""
    back_to_front = sorted(many, key=lambda hair: -sum(hair.depths))
    layers = (hair.layer(canvas) for hair in back_to_front if not canvas.spanning(hair.curve(), 0.0).empty)
    return list(layers)


def _nearest(points: Matrix, box: Box, reach: float) -> tuple[Plane, Plane, Plane]:
    """For every pixel of `box`: distance to the polyline, place on it 0..1, side of it -1 or 1; (h, w) each.

    Pixels farther than `reach` from every segment keep a large distance: only a window about each segment is
    looked at.
    """
    distance = np.full(box.shape, 1e6, np.float32)
    place, side = np.zeros(box.shape, np.float32), np.ones(box.shape, np.float32)
    for index, (a, b) in enumerate(pairwise(points)):
        window = Box.around(np.stack([a, b]), reach).clip(box)
        if window.empty:
            continue
        part = window.within(box)
        near, along, turn = _to_segment(a, b, window)
        closer = near < distance[part]
        np.copyto(distance[part], near, where=closer)
        np.copyto(place[part], (index + along) / (len(points) - 1), where=closer)
        np.copyto(side[part], turn, where=closer)
    return distance, place, side


def _to_segment(a: Matrix, b: Matrix, window: Box) -> tuple[Plane, Plane, Plane]:
    """Distance to the segment from `a` to `b`, place along it 0..1, and the side, over `window`."""
    x, y = window.grid()
    (ax, ay), (dx, dy) = a.astype(np.float32), (b - a).astype(np.float32)
    along = np.clip(((x - ax) * dx + (y - ay) * dy) / max(dx * dx + dy * dy, np.float32(1e-6)), 0.0, 1.0)
    near = np.hypot(x - ax - along * dx, y - ay - along * dy)
    return near, along, np.where((x - ax) * dy - (y - ay) * dx >= 0, 1.0, -1.0).astype(np.float32)
