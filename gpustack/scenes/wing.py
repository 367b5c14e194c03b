"""Two insect wings before the ground: opaque veins, and between them a membrane that is seen through.

Depth is that of the wing on its veins and on the dark spot at its edge. The membrane takes a tenth to a
quarter of the light, so what is seen there is mostly the ground, and depth is the ground's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from gpustack.scenes.layer import Canvas, Layer, Slope
from gpustack.scenes.objects import Oval, cover, glint, lit, outside, plate, relief, unit
from gpustack.scenes.textures import Plane, band_limit, cells, fractal, mix, noise

VEIN = np.array([0.030, 0.016, 0.010], np.float32)
"""Colour of the veins."""
SPOT = np.array([0.09, 0.035, 0.012], np.float32)
"""Colour of the spot at the edge."""
MEMBRANE = 0.14
"""Share of the light that the membrane takes where it is thinnest."""
_RAYS = (-0.80, -0.62, -0.38, -0.10, 0.20, 0.50)


def wing(canvas: Canvas, rng: np.random.Generator) -> list[Layer]:
    """The hind wing and the fore wing over the ground, back to front."""
    # Drawn before any texture: how much a texture takes from `rng` depends on the margin.
    fore = Wing.drawn(canvas, rng)
    turn = float(rng.uniform(0.28, 0.42))
    x, y = fore.shape.point(-0.08, 0.62)
    shape = Oval(x, y, 0.92 * fore.shape.along, 1.25 * fore.shape.across, fore.shape.angle + turn)
    hind = replace(fore, shape=shape, root=fore.root + 0.24)
    return [_ground(canvas, rng), hind.layer(rng), fore.layer(rng)]


def _ground(canvas: Canvas, rng: np.random.Generator) -> Layer:
    """Bark: ridges, cracks and lichen, the same lamp as on the wings."""
    shape = canvas.box.shape
    lichen, crack = cells(shape, rng, 0.045 * canvas.unit)
    rough = fractal(shape, rng, 0.06 * canvas.unit, 2.0)
    height = 1.3 * rough + 0.8 * np.minimum(crack, 4.0)
    normal = relief(np.asarray(cv2.GaussianBlur(height, (0, 0), 0.8), np.float32), 0.35)
    patches = cover(-4.0 * (noise(shape, rng, 0.11 * canvas.unit) + 0.5 * lichen - 0.6))[..., None]
    bark = mix(0.45 + 0.25 * rough, (0.03, 0.018, 0.010), (0.46, 0.32, 0.19))
    green = mix(0.5 + 0.25 * rough, (0.10, 0.17, 0.06), (0.45, 0.55, 0.28))
    colour = (bark * (1.0 - patches) + green * patches) * lit(normal)[..., None]
    far = Slope(1.0, 0.04, -0.10).over(canvas, canvas.box) - 0.02 * noise(shape, rng, 0.3 * canvas.unit)
    return plate(canvas, colour, np.asarray(far, np.float32))


@dataclass(frozen=True, slots=True)
class Wing:
    """A wing of the outline `shape`, whose root is at its left end and at the depth `root`."""

    shape: Oval
    root: float
    rise: float
    canvas: Canvas

    @staticmethod
    def drawn(canvas: Canvas, rng: np.random.Generator) -> Wing:
        """A fore wing somewhere across the picture."""
        size = canvas.unit
        x, y = canvas.at(float(rng.uniform(-0.12, 0.12)), float(rng.uniform(-0.20, -0.06)))
        oval = Oval(x, y, 0.78 * size, 0.21 * size, float(rng.uniform(-0.30, 0.10)))
        return Wing(oval, 0.05, float(rng.uniform(0.30, 0.42)), canvas)

    def layer(self, rng: np.random.Generator) -> Layer:
        """Veins and membrane as one layer, opaque on the veins."""
        box = self.canvas.spanning(np.array([[self.shape.x, self.shape.y]]), 1.1 * self.shape.along)
        p, q = self.shape.local(box)
        wide = np.sqrt(np.clip(1.0 - p * p, 0.0, 1.0)) * (0.62 + 0.38 * np.sin(1.3 * p + 0.5))
        rim = outside(np.asarray(np.abs(q - 0.12 * p * p) - wide, np.float32))
        net = self._net(p, q, rim, rng)
        spot = cover(outside(np.asarray(np.hypot((p - 0.62) / 0.10, (q + 0.52) / 0.10) - 1.0, np.float32)))
        film = 1.0 + 0.4 * noise(box.shape, rng, 0.15 * self.canvas.unit)
        thin = MEMBRANE + 0.025 * film + 0.07 * np.clip(-p, 0.0, 1.0)
        alpha = cover(rim) * np.maximum(np.maximum(net, 0.93 * spot), thin)
        colour = self._colour(p, q, net, film)
        colour = colour * (1.0 - spot[..., None]) + SPOT * spot[..., None]
        depth = self.root + self.rise * (0.5 + 0.5 * p) + 0.10 * q * q + 0.012 * np.cos(18.0 * q)
        return Layer(band_limit(np.asarray(colour, np.float32)), *_single(alpha, depth), box)

    def _net(self, p: Plane, q: Plane, rim: Plane, rng: np.random.Generator) -> Plane:
        """How far a pixel is covered by veins (h, w): the rim, rays from the root, and a net between them."""
        size = self.canvas.unit
        _, border = cells(p.shape, rng, 0.055 * size)
        # Cells have stairs for borders; a vein has none.
        smooth = np.asarray(cv2.GaussianBlur(np.minimum(border, 9.0), (0, 0), 1.1), np.float32)
        fine = cover(smooth - max(0.9, 0.0014 * size))
        bold = cover(np.abs(rim + 0.003 * size) - 0.0042 * size)
        spread = np.sqrt(np.clip(p + 1.05, 0.0, 2.1) / 2.0)
        for ray in _RAYS:
            line = outside(np.asarray(q - ray * spread - 0.10 * (p + 1.0) * ray, np.float32))
            bold = np.maximum(bold, cover(np.abs(line) - size * (0.0040 - 0.0011 * (p + 1.0))))
        return np.asarray(np.maximum(0.96 * fine, bold), np.float32)

    def _colour(self, p: Plane, q: Plane, net: Plane, film: Plane) -> Plane:
        """Light (h, w, 3) of veins, round and glossy, and of the membrane's faint colours."""
        soft = np.asarray(cv2.GaussianBlur(net, (0, 0), 1.2), np.float32)
        normal = unit(relief(soft, 1.6) + np.dstack([0.10 * np.cos(18.0 * q), 0.25 * q, 0.0 * q]))
        phase = 7.0 * film + 5.0 * q + 2.0 * p
        tints = [0.42 + 0.12 * np.cos(phase + shift) for shift in (0.0, 2.1, 4.2)]
        sheen = np.dstack(tints) * (0.75 + 0.6 * glint(normal, 10.0))[..., None]
        vein = VEIN * lit(normal)[..., None] + 0.25 * glint(normal, 24.0)[..., None]
        return np.asarray(sheen * (1.0 - net[..., None]) + vein * net[..., None], np.float32)


def _single(alpha: Plane, depth: Plane) -> tuple[Plane, Plane]:
    return np.asarray(alpha, np.float32), np.asarray(depth, np.float32)
