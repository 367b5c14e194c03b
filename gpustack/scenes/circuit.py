"""Held out: a circuit board: flat tops at different heights over the board, print, solder and metal."""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.scenes.layer import Box, Canvas, Layer, Slope
from gpustack.scenes.objects import Oval, Point, cover, glint, lit, outside, plate, relief, unit
from gpustack.scenes.parts import Part, apart, drawn
from gpustack.scenes.textures import Plane, area, band_limit, fractal, mix, noise

PARTS = 60
"""Places tried for parts; those that touch another are left out."""
STEEL = np.array([0.95, 0.97, 1.0], np.float32)
BRUSH = np.array([0.12, 0.25, 0.0], np.float32)
_FINE = 3
_LETTERS = {"chip": "U", "can": "C", "chip resistor": "R"}


def circuit(canvas: Canvas, rng: np.random.Generator) -> list[Layer]:
    """The board, and its parts from the lowest to the highest."""
    # Drawn before any texture: how much a texture takes from `rng` depends on the margin.
    lean = Slope(0.95, float(rng.uniform(-0.10, 0.10)), float(rng.uniform(-0.22, -0.12)))
    parts = apart([drawn(canvas, rng, index) for index in range(PARTS)], 0.055 * canvas.unit)
    tracks = [_track(canvas, rng) for _ in range(26)]
    board = _board(canvas, rng, lean, parts, tracks)
    makers: dict[str, Callable[[Canvas, np.random.Generator, Slope, Part], list[Layer]]]
    makers = {"chip": _chip, "can": _can, "chip resistor": _resistor}
    standing = sorted(parts, key=lambda part: part.height)
    return [board, *(layer for part in standing for layer in makers[part.kind](canvas, rng, lean, part))]


def _track(canvas: Canvas, rng: np.random.Generator) -> list[Point]:
    """Corners of a copper track: level, slanting, level."""
    u, v, bend = (
        float(rng.uniform(-0.8, 0.8)),
        float(rng.uniform(-0.55, 0.55)),
        float(rng.uniform(-0.15, 0.15)),
    )
    long = float(rng.uniform(0.1, 0.35))
    steps = ((u, v), (u + long, v), (u + long + abs(bend), v + bend), (u + 2.0 * long, v + bend))
    if rng.uniform() < 0.5:
        steps = tuple((b, a) for a, b in steps)  # type: ignore[assignment]
    return [canvas.at(*step) for step in steps]


def _board(
    canvas: Canvas, rng: np.random.Generator, lean: Slope, parts: list[Part], tracks: list[list[Point]]
) -> Layer:
    """The board with tracks under green lacquer, white print, and the shadows of the parts."""
    box = canvas.box
    copper, ink = np.zeros((2, box.height * _FINE, box.width * _FINE), np.uint8)
    for track in tracks:
        line = np.rint((np.array(track) - (box.left, box.top)) * _FINE * 16).astype(np.int32)
        cv2.polylines(copper, [line], False, 255, max(2, round(0.008 * canvas.unit * _FINE)), cv2.LINE_AA, 4)
        for end in (line[0], line[-1]):
            cv2.circle(copper, end.tolist(), round(0.011 * canvas.unit * _FINE * 16), 255, -1, cv2.LINE_AA, 4)
    for part in parts:
        _outline(canvas, ink, part)
    metal, print_ = (area(np.asarray(sheet, np.float32) / 255.0, box.shape) for sheet in (copper, ink))
    fibre = fractal(box.shape, rng, 6.0, 2.0) + 0.5 * noise(box.shape, rng, 40.0)
    height = 1.6 * cv2.GaussianBlur(metal, (0, 0), 1.2) + 0.25 * fibre
    normal = relief(np.asarray(height, np.float32), 0.5)
    lacquer = mix(0.30 + 0.40 * metal + 0.07 * fibre, (0.004, 0.050, 0.020), (0.05, 0.34, 0.12))
    colour = lacquer * (1.0 - print_[..., None]) + np.float32(0.66) * print_[..., None]
    light = lit(normal) * _shadow(canvas, parts)
    shaded = colour * light[..., None] + 0.10 * glint(normal, 30.0)[..., None]
    return plate(canvas, np.asarray(shaded, np.float32), lean.over(canvas, box))


def _outline(canvas: Canvas, ink: npt.NDArray[np.uint8], part: Part) -> None:
    """Print a frame around a part, and its number beside it."""
    box, thick = canvas.box, max(1, round(0.003 * canvas.unit * _FINE))
    left, top = part.at[0] - part.wide - 0.02 * canvas.unit, part.at[1] - part.tall - 0.02 * canvas.unit
    right, bottom = 2.0 * part.at[0] - left, 2.0 * part.at[1] - top
    a, b = (
        (round((x - box.left) * _FINE), round((y - box.top) * _FINE))
        for x, y in ((left, top), (right, bottom))
    )
    cv2.rectangle(ink, a, b, 255, thick, cv2.LINE_AA)
    scale = 0.022 * canvas.unit * _FINE / 21.0
    cv2.putText(
        ink,
        f"{_LETTERS[part.kind]}{part.mark[-2:]}",
        (a[0], a[1] - 3 * thick),
        0,
        scale,
        255,
        thick,
        cv2.LINE_AA,
    )


def _shadow(canvas: Canvas, parts: list[Part]) -> Plane:
    """Light (h, w), 0..1, that the parts leave the board."""
    shade = np.zeros(canvas.box.shape, np.float32)
    for part in parts:
        far = 0.07 * canvas.unit * part.height
        moved = Part(part.kind, (part.at[0] + far, part.at[1] + far), part.wide, part.tall, part.height, "")
        box = moved.box(canvas, 6.0)
        if not box.empty:
            here = shade[box.within(canvas.box)]
            np.maximum(here, cover(moved.outside(box)), out=here)
    return np.asarray(1.0 - 0.65 * cv2.GaussianBlur(shade, (0, 0), 0.008 * canvas.unit), np.float32)


def _depth(canvas: Canvas, lean: Slope, part: Part, box: Box, height: float) -> Plane:
    """Depth of a top, level, `height` above the board at the part's middle: (h, w)."""
    cx, cy = canvas.at(0.0, 0.0)
    there = lean.middle + (lean.right * (part.at[0] - cx) + lean.down * (part.at[1] - cy)) / canvas.unit
    return np.full(box.shape, there - height, np.float32)


def _print(box: Box, at: Point, text: str, tall: float) -> Plane:
    """A line of print about `at`, capitals `tall` pixels high: (h, w), 0..1."""
    sheet = np.zeros((box.height * _FINE, box.width * _FINE), np.uint8)
    scale, thick = tall * _FINE / 21.0, max(1, round(tall * _FINE / 8.0))
    (wide, high), _ = cv2.getTextSize(text, 0, scale, thick)
    corner = round((at[0] - box.left) * _FINE - wide / 2), round((at[1] - box.top) * _FINE + high / 2)
    cv2.putText(sheet, text, corner, 0, scale, 255, thick, cv2.LINE_AA)
    return area(np.asarray(sheet, np.float32) / 255.0, box.shape)


def _chip(canvas: Canvas, rng: np.random.Generator, lean: Slope, part: Part) -> list[Layer]:
    """A black case with print and a dot, and pins on both long sides."""
    box = part.box(canvas, 0.03 * canvas.unit)
    if box.empty:
        return []
    x, _ = box.grid()
    pitch = 0.25 * part.wide
    comb = cover(outside(np.asarray(0.16 - np.cos((x - part.at[0]) * 2.0 * pi / pitch), np.float32)))
    pins = comb * cover(
        part.outside(box, 0.02 * canvas.unit) + np.maximum(np.abs(x - part.at[0]) - part.wide, 0.0)
    )
    steel = _steel(rng, box, relief(2.0 * np.asarray(cv2.GaussianBlur(pins, (0, 0), 1.5), np.float32), 0.6))
    grain = fractal(box.shape, rng, 5.0, 2.0)
    dark = (
        mix(0.45 + 0.16 * grain, (0.008, 0.008, 0.009), (0.060, 0.058, 0.056))
        * lit(relief(0.4 * grain, 0.5))[..., None]
    )
    mark = 0.8 * _print(box, part.at, part.mark, 0.30 * part.tall)
    dot = Oval(
        part.at[0] - 0.85 * part.wide, part.at[1] + 0.6 * part.tall, 0.10 * part.tall, 0.10 * part.tall
    )
    case = dark * (1.0 - mark[..., None]) + np.float32(0.55) * mark[..., None]
    case *= 1.0 - 0.6 * dot.alpha(box)[..., None]
    return [
        Layer(steel, np.asarray(pins, np.float32), _depth(canvas, lean, part, box, 0.45 * part.height), box),
        Layer(band_limit(case), cover(part.outside(box)), _depth(canvas, lean, part, box, part.height), box),
    ]


def _steel(rng: np.random.Generator, box: Box, normal: Plane) -> Plane:
    """Light (h, w, 3) of brushed metal."""
    brushed = cv2.GaussianBlur(noise(box.shape, rng, 1.0), (0, 0), sigmaX=6.0, sigmaY=0.7)
    turned = unit(normal + brushed[..., None] * BRUSH)
    tone = 0.22 + 0.35 * lit(turned) + 1.2 * glint(turned, 40.0)
    return band_limit(np.asarray(tone[..., None] * STEEL, np.float32))


def _can(canvas: Canvas, rng: np.random.Generator, lean: Slope, part: Part) -> list[Layer]:
    """A capacitor from above: a plastic rim, and a metal top with a cross pressed into it."""
    box = part.box(canvas)
    if box.empty:
        return []
    x, y = box.grid()
    oval = Oval(*part.at, part.wide, part.wide)
    dx, dy = np.abs(x - part.at[0]), np.abs(y - part.at[1])
    groove = np.exp(-((np.minimum(dx, dy) / max(1.5, 0.03 * part.wide)) ** 2)) * (
        np.maximum(dx, dy) < 0.6 * part.wide
    )
    top = Oval(*part.at, 0.84 * part.wide, 0.84 * part.wide).alpha(box)[..., None]
    height = -2.5 * cv2.GaussianBlur(np.asarray(groove, np.float32), (0, 0), 1.0)
    mark = (
        0.7 * _print(box, (part.at[0], part.at[1] + 0.45 * part.wide), part.mark, 0.18 * part.wide)[..., None]
    )
    metal = _steel(rng, box, relief(np.asarray(height, np.float32), 0.6)) * (1.0 - mark)
    sleeve = mix(0.5 + 0.2 * fractal(box.shape, rng, 6.0, 2.0), (0.01, 0.01, 0.05), (0.06, 0.07, 0.22))
    colour = band_limit(np.asarray(metal * top + sleeve * (1.0 - top), np.float32))
    return [Layer(colour, oval.alpha(box), _depth(canvas, lean, part, box, part.height), box)]


def _resistor(canvas: Canvas, rng: np.random.Generator, lean: Slope, part: Part) -> list[Layer]:
    """A chip resistor: solder at both ends, a number between."""
    box = part.box(canvas)
    if box.empty:
        return []
    x, _ = box.grid()
    ends = cover(0.62 * part.wide - np.abs(x - np.float32(part.at[0])))[..., None]
    body = mix(0.4 + 0.15 * fractal(box.shape, rng, 4.0, 2.0), (0.008, 0.008, 0.01), (0.07, 0.07, 0.075))
    mark = 0.8 * _print(box, part.at, part.mark, 0.75 * part.tall)[..., None]
    body = body * (1.0 - mark) + np.float32(0.6) * mark
    solder = _steel(rng, box, relief(0.8 * noise(box.shape, rng, 5.0), 0.5))
    colour = band_limit(np.asarray(body * (1.0 - ends) + solder * ends, np.float32))
    return [Layer(colour, cover(part.outside(box)), _depth(canvas, lean, part, box, part.height), box)]
