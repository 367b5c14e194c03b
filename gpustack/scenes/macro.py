"""The scene of the demonstration: a beetle on a leaf, a feeler swept back over it, hairs in front."""

from __future__ import annotations

from dataclasses import dataclass
from math import radians

import cv2
import numpy as np

from gpustack.scenes.layer import Box, Canvas, Layer, Slope
from gpustack.scenes.objects import Hair, Oval, Point, glint, hairs, lit, plate, relief, unit
from gpustack.scenes.textures import Plane, band_limit, cells, fractal, mix, noise

LEAF = Slope(0.62, 0.06, -0.62)
"""The leaf leans back: far at the top of the picture, near at the bottom."""
HEADING = radians(152.0)
"""Where the beetle looks: left and a little down."""
LAMP = np.array([1.0, 0.97, 0.85], np.float32)
"""Colour of the light where it is mirrored."""
UP = np.array([0.0, 0.0, 1.0], np.float32)
BACK = 0.40
"""Height of the beetle's back above the leaf, in depth."""


def macro(canvas: Canvas, rng: np.random.Generator) -> list[Layer]:
    """The beetle on its leaf, back to front."""
    beetle = Beetle.on(canvas)
    # Drawn before any texture: how much a texture takes from `rng` depends on the margin.
    down = _down(canvas, rng)
    return [
        _leaf(canvas, rng, beetle),
        *hairs(canvas, beetle.legs()),
        beetle.wings(rng),
        beetle.collar(rng),
        beetle.head(rng),
        *hairs(canvas, [*beetle.feelers(), *down]),
    ]


def _leaf(canvas: Canvas, rng: np.random.Generator, beetle: Beetle) -> Layer:
    """A leaf with a midrib, side veins and a net of small ones, shaded by the beetle."""
    box = canvas.box
    net_values, net = cells(box.shape, rng, 0.028 * canvas.unit)
    rib = _veins(canvas)
    height = 0.8 * np.minimum(net, 5.0) - 0.014 * canvas.unit * rib + 0.7 * fractal(box.shape, rng, 6.0, 2.0)
    normal = relief(np.asarray(cv2.GaussianBlur(height, (0, 0), 0.8), np.float32), 0.22)
    tone = 0.45 + 0.10 * fractal(box.shape, rng, 0.4 * canvas.unit, 3.0) + 0.12 * (net_values - 0.5)
    green = mix(np.asarray(tone, np.float32), (0.012, 0.055, 0.006), (0.16, 0.34, 0.05))
    pale = np.asarray((0.34, 0.46, 0.16), np.float32)
    veined = green + (pale - green) * (0.75 * rib + 0.30 * np.exp(-net / 1.2))[..., None]
    light = lit(normal) * beetle.shadow() + 0.10 * glint(normal, 12.0)
    return plate(canvas, veined * light[..., None], LEAF.over(canvas, box))


def _veins(canvas: Canvas) -> Plane:
    """Strength (h, w) of the midrib and the side veins, 0..1."""
    x, y = canvas.box.grid()
    cx, cy = canvas.at(-0.05, 0.12)
    u, v = (x - cx) / canvas.unit, (y - cy) / canvas.unit
    along, across = 0.94 * u - 0.34 * v, 0.34 * u + 0.94 * v + 0.05 * u * u
    away = np.abs(across)
    rib = np.exp(-((away / 0.011) ** 2))
    phase = (along - 0.75 * away + 0.25 * away * away) / 0.19 + 0.5 * (across > 0)
    off = np.abs(phase - np.rint(phase)) * 0.19 * 0.8
    side = 0.8 * np.exp(-((off / 0.0045) ** 2)) * np.exp(-away / 0.9)
    return np.asarray(np.maximum(rib, side), np.float32)


def _down(canvas: Canvas, rng: np.random.Generator) -> list[Hair]:
    """Fine bright hairs that rise from the leaf's near edge into the picture and towards the camera."""
    found = []
    for place in np.linspace(-0.82, 0.82, 15):
        u, v = float(place + rng.normal(0.0, 0.03)), float(rng.uniform(0.50, 0.62))
        tall, lean = float(rng.uniform(0.22, 0.50)), float(rng.normal(0.06, 0.08))
        root = LEAF.middle + LEAF.right * u + LEAF.down * v
        points = (canvas.at(u, v), canvas.at(u - 0.3 * lean, v - 0.6 * tall), canvas.at(u + lean, v - tall))
        thick = max(0.9, 0.0032 * canvas.unit)
        rise = float(rng.uniform(0.15, 0.30))
        found.append(Hair(*points, (root, root - rise), (thick, 0.45 * thick), (0.62, 0.66, 0.50), gloss=0.5))
    return found


@dataclass(frozen=True, slots=True)
class Beetle:
    """Where the beetle sits: the ovals of its wing cases, collar and head, and the canvas' unit in pixels."""

    back: Oval
    neck: Oval
    face: Oval
    canvas: Canvas

    @staticmethod
    def on(canvas: Canvas) -> Beetle:
        """The beetle in the middle of the picture."""
        size = canvas.unit
        x, y = canvas.at(0.12, -0.03)
        back = Oval(x, y, 0.33 * size, 0.195 * size, HEADING)
        neck = Oval(*back.point(1.12, 0.0), 0.105 * size, 0.135 * size, HEADING)
        face = Oval(*back.point(1.46, 0.0), 0.075 * size, 0.088 * size, HEADING)
        return Beetle(back, neck, face, canvas)

    def shadow(self) -> Plane:
        """Light (h, w), 0..1, that the beetle leaves the leaf, the lamp being at the top left."""
        box = self.canvas.box
        shade = np.zeros(box.shape, np.float32)
        shift = 0.06 * self.canvas.unit
        for part in (self.back, self.neck, self.face):
            oval = Oval(part.x + shift, part.y + shift, 1.08 * part.along, 1.1 * part.across, part.angle)
            shade = np.maximum(shade, oval.alpha(box))
        return np.asarray(1.0 - 0.72 * cv2.GaussianBlur(shade, (0, 0), 0.035 * self.canvas.unit), np.float32)

    def wings(self, rng: np.random.Generator) -> Layer:
        """The wing cases: iridescent, with a seam, and rows of pits along them."""
        box = self._box(self.back)
        p, q = self.back.local(box)
        # Rows follow the curve of the back: `across` is the angle around it.
        across = np.arcsin(np.clip(q / np.sqrt(np.maximum(1.0 - p * p, 0.05)), -1.0, 1.0))
        rows = 0.5 + 0.5 * np.cos(across * 18.0)
        pits = rows**2 * (0.5 + 0.5 * np.cos(p * 62.0 + 2.0 * np.rint(across * 18.0 / (2.0 * np.pi)))) ** 2
        seam = np.exp(-((q / 0.018) ** 2))
        grain = fractal(box.shape, rng, 10.0, 2.0)
        height = 0.30 * grain - self.canvas.unit * (0.017 * pits + 0.006 * seam)
        hue = 0.5 + 0.55 * q - 0.25 * p + 0.02 * grain - 0.25 * pits
        return self._shell(self.back, box, np.asarray(height, np.float32), np.asarray(hue, np.float32), BACK)

    def collar(self, rng: np.random.Generator) -> Layer:
        """The shield behind the head: densely wrinkled, coppery."""
        box = self._box(self.neck)
        wrinkles = 1.1 * noise(box.shape, rng, 3.0) + 0.8 * noise(box.shape, rng, 6.0)
        hue = 0.90 + 0.03 * noise(box.shape, rng, 9.0)
        return self._shell(self.neck, box, wrinkles, np.asarray(hue, np.float32), 0.30)

    def head(self, rng: np.random.Generator) -> Layer:
        """The head, with two black eyes that mirror the lamp."""
        box = self._box(self.face)
        hue = np.full(box.shape, 0.42, np.float32)
        shell = self._shell(self.face, box, 0.9 * noise(box.shape, rng, 2.5), hue, 0.24)
        colour, size = shell.colour, self.canvas.unit
        for side in (-1.0, 1.0):
            eye = Oval(*self.face.point(0.15, 0.66 * side), 0.036 * size, 0.026 * size, HEADING)
            normal = eye.normal(box, 1.0)
            ball = 0.012 + 0.04 * lit(normal) + 1.6 * glint(normal, 60.0)
            alpha = eye.alpha(box)[..., None]
            colour = np.asarray(colour * (1.0 - alpha) + ball[..., None] * alpha, np.float32)
        return Layer(band_limit(colour), shell.alpha, shell.depth, shell.box)

    def legs(self) -> list[Hair]:
        """Six legs of two parts, from under the body to the leaf."""
        found: list[Hair] = []
        for p, reach, swing in ((0.72, 1.75, 0.42), (0.20, 2.05, 0.02), (-0.38, 2.0, -0.55)):
            for side in (-1.0, 1.0):
                hip, knee = self.back.point(p, 0.75 * side), self.back.point(p + 0.4 * swing, 1.42 * side)
                foot = self.back.point(p + 1.1 * swing, reach * side)
                found += self._leg(hip, knee, foot)
        return found

    def _leg(self, hip: Point, knee: Point, foot: Point) -> list[Hair]:
        """Thigh and shin; the knee stands above the leaf."""
        size, colour = self.canvas.unit, (0.035, 0.022, 0.018)
        raised = self._ground(knee) - 0.16
        upper, lower = (self._ground(hip) - 0.10, raised), (raised, self._ground(foot))
        thigh = Hair(hip, _middle(hip, knee), knee, upper, (0.017 * size, 0.011 * size), colour)
        shin = Hair(knee, _middle(knee, foot), foot, lower, (0.010 * size, 0.006 * size), colour)
        return [shin, thigh]

    def feelers(self) -> list[Hair]:
        """Two long ringed feelers: one swept back over the wing cases, one out to the side."""
        size, pale = self.canvas.unit, (0.50, 0.36, 0.20)
        radii = (0.0080 * size, max(0.7, 0.0018 * size))
        top = self._ground((self.back.x, self.back.y)) - BACK
        swept = (self.face.point(0.55, 0.35), self.back.point(1.4, 1.9), self.back.point(-0.95, 0.25))
        aside = (self.face.point(0.55, -0.35), self.back.point(2.15, -1.9), self.back.point(0.35, -2.2))
        return [
            Hair(*swept, (top + 0.10, top - 0.10), radii, pale, rings=11.0),
            Hair(*aside, (top + 0.10, top - 0.02), radii, pale, rings=11.0),
        ]

    def _ground(self, point: Point) -> float:
        """Depth of the leaf at a pixel."""
        cx, cy = self.canvas.at(0.0, 0.0)
        u, v = (point[0] - cx) / self.canvas.unit, (point[1] - cy) / self.canvas.unit
        return LEAF.middle + LEAF.right * u + LEAF.down * v

    def _box(self, oval: Oval) -> Box:
        """The pixels that a part of the beetle takes."""
        return self.canvas.spanning(np.array([[oval.x, oval.y]]), max(oval.along, oval.across))

    def _shell(self, oval: Oval, box: Box, height: Plane, hue: Plane, rise: float) -> Layer:
        """A domed, glossy part: `height` (h, w) in pixels is its relief, `hue` 0..1 green to copper."""
        normal = unit(oval.normal(box, 0.9) + 0.85 * (relief(height, 0.30) - UP))
        cool = mix(2.0 * hue, (0.004, 0.035, 0.060), (0.020, 0.200, 0.070))
        warm = mix(2.0 * hue - 1.0, (0.0, 0.0, 0.0), (0.42, 0.02, 0.01))
        gloss = 0.30 * glint(normal, 14.0) + 1.1 * glint(normal, 90.0)
        colour = np.asarray((cool + warm) * lit(normal)[..., None] + gloss[..., None] * LAMP, np.float32)
        depth = LEAF.over(self.canvas, box) - np.float32(rise) * oval.height(box)
        return Layer(band_limit(colour), oval.alpha(box), depth.astype(np.float32), box)


def _middle(a: Point, b: Point) -> Point:
    """Half way, a little lifted, so that limbs are bent."""
    return 0.5 * (a[0] + b[0]) + 0.12 * (b[1] - a[1]), 0.5 * (a[1] + b[1]) - 0.12 * (b[0] - a[0])
