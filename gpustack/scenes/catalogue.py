"""The scenes, by name, and what each of them tests.

`macro`    a beetle on a leaf: everything at once, and the picture of the demonstration.
`hairs`    many crossing hairs before a textured ground: thin things in front, each seen sharp and as a veil.
`cards`    overlapping textured cards: hard steps in depth, straight edges against other textures.
`dome`     one smooth dome, textured in patches: even depth, and areas without texture to be filled.
`print`    a slanted printed page: a plain depth ramp under the finest detail and the hardest contrast.
`crystal`  a faceted relief: planes that meet in ridges, depth without steps but with kinks.
`wing`     two insect wings before a textured ground: dark veins, and a membrane that is partly seen through.
`lights`   dark wet stones before lamps that no frame has in focus: clipped discs and glints on dark.
`skin`     pores and creases of little contrast on a curved surface, and a few hairs that stand off it.

Every depth is spread evenly into the stack, with a little room before the nearest and behind the farthest
point; a layer that is `afar` keeps its depth outside the range.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from math import cos, pi, sin

import cv2
import numpy as np

from gpustack.errors import UsageError
from gpustack.scenes.camera import Rendered, Shoot, photograph
from gpustack.scenes.heldout import HELD_OUT
from gpustack.scenes.layer import Box, Builder, Canvas, Layer, Slope
from gpustack.scenes.lens import View, top_depth
from gpustack.scenes.lights import lights
from gpustack.scenes.macro import macro
from gpustack.scenes.objects import Colour, Hair, Oval, cover, glint, hairs, lit, plate, relief, unit
from gpustack.scenes.skin import skin
from gpustack.scenes.textures import Plane, area, band_limit, cells, fractal, lettering, mix, noise, weave
from gpustack.scenes.wing import wing

ROOM = 0.03
"""Share of the depth range left free before the nearest and behind the farthest visible point."""


def names() -> tuple[str, ...]:
    """The scenes that are offered; `render` also knows those of `heldout_names()`."""
    return tuple(_SCENES)


def render(name: str, shoot: Shoot) -> Rendered:
    """Build the scene and shoot it; frames are rendered when they are asked for.

    Raises UsageError for a name that is neither in `names()` nor in `heldout_names()`.
    """
    return photograph(layers_of(name, shoot), shoot)


def layers_of(name: str, shoot: Shoot) -> tuple[Layer, ...]:
    """What a scene is made of, back to front. Raises UsageError as `render` does."""
    build = _SCENES.get(name) or HELD_OUT.get(name)
    if build is None:
        raise UsageError(f"There is no scene '{name}'.", f"Use one of {', '.join(names())}.")
    canvas = shoot.canvas()
    rng = np.random.default_rng((shoot.seed, zlib.crc32(name.encode())))
    return _spread(build(canvas, rng), canvas)


def _spread(layers: list[Layer], canvas: Canvas) -> tuple[Layer, ...]:
    """The layers, depths stretched so that what is seen spans the range, less the room at both ends."""
    here = View(np.eye(3), 0.0, 0.0, canvas.width, canvas.height)
    counted = (
        replace(item, depth=np.full_like(item.depth, np.nan)) if item.afar else item for item in layers
    )
    seen = top_depth(tuple(counted), here)
    near, far = float(np.nanmin(seen)), float(np.nanmax(seen))
    scale = np.float32((1.0 - 2.0 * ROOM) / max(far - near, 1e-6))
    return tuple(
        item if item.afar else replace(item, depth=np.float32(ROOM) + (item.depth - np.float32(near)) * scale)
        for item in layers
    )


def _hairs(canvas: Canvas, rng: np.random.Generator) -> list[Layer]:
    """Bright and dark hairs at all depths, crossing the picture, before a cloth at the far end."""
    # Drawn before any texture: how much a texture takes from `rng` depends on the margin.
    crossing = [_crossing(canvas, rng) for _ in range(30)]
    shape = canvas.box.shape
    cloth = 0.6 * weave(shape, 9.0, 0.5) + 0.14 * fractal(shape, rng, 24.0, 2.0) + 0.15
    far = Slope(1.0, 0.0, -0.1).over(canvas, canvas.box)
    return [plate(canvas, mix(cloth, (0.02, 0.05, 0.06), (0.20, 0.24, 0.22)), far), *hairs(canvas, crossing)]


def _crossing(canvas: Canvas, rng: np.random.Generator) -> Hair:
    """One hair across the picture, somewhere, at some depth."""
    angle, off = rng.uniform(0.0, pi), rng.uniform(-0.6, 0.6)
    half, bow = rng.uniform(0.35, 0.95), rng.normal(0.0, 0.18)
    along, across = np.array([cos(angle), sin(angle)]), np.array([-sin(angle), cos(angle)])
    start, bend, end = (
        canvas.at(*(place * along + (off + side) * across).tolist())
        for place, side in ((-half, 0.0), (0.0, bow), (half, 0.0))
    )
    depth, tilt = rng.uniform(0.05, 0.85), rng.normal(0.0, 0.05)
    thick = max(1.0, canvas.unit * rng.uniform(0.0016, 0.0045))
    colour = _HAIR_COLOURS[int(rng.integers(len(_HAIR_COLOURS)))]
    return Hair(start, bend, end, (depth - tilt, depth + tilt), (thick, 0.6 * thick), colour)


def _cards(canvas: Canvas, rng: np.random.Generator) -> list[Layer]:
    """Cards thrown on a table, the farthest first, each even in depth."""
    shape = canvas.box.shape
    wood = fractal(shape, rng, 48.0, 2.0) + 0.6 * _grain(shape, rng)
    brown = mix(0.5 + 0.2 * wood, (0.06, 0.03, 0.015), (0.38, 0.22, 0.11))
    cards = [_card(canvas, rng, index) for index in range(len(_CARD_PLACES))]
    return [plate(canvas, brown, np.ones(shape, np.float32)), *cards]


def _grain(shape: tuple[int, int], rng: np.random.Generator) -> Plane:
    """Fibres running to the right: (h, w), deviation about 1."""
    fibres = cv2.GaussianBlur(noise(shape, rng, 1.0), (0, 0), sigmaX=12.0, sigmaY=0.7)
    return np.asarray(fibres / max(float(fibres.std()), 1e-6), np.float32)


def _card(canvas: Canvas, rng: np.random.Generator, index: int) -> Layer:
    """A turned rectangle at one depth, with one of five textures and a white rim."""
    u, v, angle = _CARD_PLACES[index]
    x, y = canvas.at(u, v)
    frame = Oval(x, y, 0.25 * canvas.unit, 0.17 * canvas.unit, angle)
    box = canvas.spanning(np.array([[x, y]]), 0.31 * canvas.unit)
    p, q = frame.local(box)
    outside = np.maximum((np.abs(p) - 1.0) * frame.along, (np.abs(q) - 1.0) * frame.across)
    inner = mix(_pattern(box, rng, index, angle), *_CARD_COLOURS[index % len(_CARD_COLOURS)])
    rim = cover(outside + 0.02 * canvas.unit)[..., None]
    depth = 0.85 * (1.0 - index / (len(_CARD_PLACES) - 1))
    colour = band_limit(inner * rim + 0.75 * (1.0 - rim))
    return Layer(colour, cover(outside), np.full(box.shape, depth, np.float32), box)


def _pattern(box: Box, rng: np.random.Generator, kind: int, angle: float) -> Plane:
    """A texture (h, w), about 0..1."""
    patterns: tuple[Callable[[], Plane], ...] = (
        lambda: 0.5 + 0.22 * fractal(box.shape, rng, 32.0, 2.0),
        lambda: lettering(box.shape, rng, 9.0),
        lambda: weave(box.shape, 7.0, angle) + 0.05 * noise(box.shape, rng, 2.0),
        lambda: cells(box.shape, rng, 14.0)[0] + 0.05 * noise(box.shape, rng, 2.0),
        lambda: 0.5 + 0.5 * np.tanh(2.0 * noise(box.shape, rng, 6.0)),
    )
    return np.asarray(patterns[kind % len(patterns)](), np.float32)


_HAIR_COLOURS: tuple[Colour, ...] = (
    (0.75, 0.62, 0.40),
    (0.60, 0.28, 0.10),
    (0.80, 0.80, 0.78),
    (0.03, 0.025, 0.02),
    (0.25, 0.42, 0.55),
)
_CARD_PLACES = (
    (-0.48, -0.22, 0.21),
    (0.40, -0.24, 0.13),
    (0.02, -0.16, -0.59),
    (-0.34, 0.20, -0.06),
    (0.46, 0.18, -0.22),
    (0.08, 0.24, -0.52),
    (-0.08, 0.02, -0.14),
)
_CARD_COLOURS: tuple[tuple[Colour, Colour], ...] = (
    ((0.03, 0.06, 0.20), (0.25, 0.45, 0.75)),
    ((0.03, 0.02, 0.02), (0.72, 0.68, 0.58)),
    ((0.20, 0.02, 0.02), (0.70, 0.30, 0.12)),
    ((0.02, 0.12, 0.06), (0.40, 0.60, 0.20)),
    ((0.10, 0.03, 0.14), (0.70, 0.55, 0.65)),
)


def _dome(canvas: Canvas, rng: np.random.Generator) -> list[Layer]:
    """One opaque surface: a hill with patches of rough texture and bare, evenly shaded areas between."""
    shape = canvas.box.shape
    x, y = canvas.at(0.0, 0.0)
    hill = Oval(x, y, 0.78 * canvas.unit, 0.56 * canvas.unit)
    p, q = hill.local(canvas.box)
    # A cosine foot instead of a sphere's rim: the slope stays finite, so every depth has its ring of pixels.
    height = 0.5 + 0.5 * np.cos(np.pi * np.clip(np.hypot(p, q), 0.0, 1.0))
    rough = cover(-6.0 * (noise(shape, rng, 0.16 * canvas.unit) - 0.1))
    texture = 0.17 * rough * fractal(shape, rng, 16.0, 2.0)
    normal = relief(np.asarray(height, np.float32), 0.22 * canvas.unit)
    colour = mix(0.5 + texture, (0.05, 0.12, 0.16), (0.80, 0.62, 0.42)) * lit(normal)[..., None]
    return [plate(canvas, colour, np.asarray(1.0 - height, np.float32))]


def _print(canvas: Canvas, rng: np.random.Generator) -> list[Layer]:
    """A page of print that leans back, far at the top, with line patterns at both sides."""
    shape = canvas.box.shape
    paper = lettering(shape, rng, max(6.0, 0.022 * canvas.unit))
    x, y = canvas.box.grid()
    u = (x - canvas.at(0.0, 0.0)[0]) / canvas.unit
    fan = 0.5 + 0.5 * np.sin(2.0 * np.pi * (x + 0.12 * y) / 5.0)
    bars = 0.5 + 0.5 * np.tanh(4.0 * np.sin(2.0 * np.pi * y / 8.0))
    sheet = np.where(u < -0.55, fan, np.where(u > 0.55, bars, paper))
    sheet = np.where(np.abs(np.abs(u) - 0.55) < 0.012, 1.0, sheet)
    fibre = 1.0 + 0.03 * fractal(shape, rng, 8.0, 2.0)
    colour = mix(np.asarray(sheet, np.float32), (0.02, 0.02, 0.03), (0.70, 0.67, 0.60)) * fibre[..., None]
    return [plate(canvas, colour, Slope(0.5, 0.06, -1.0).over(canvas, canvas.box))]


def _crystal(canvas: Canvas, rng: np.random.Generator) -> list[Layer]:
    """A relief of flat triangles over a shaken grid, each lit by its own slope and finely grained."""
    fine = 4
    box = canvas.box
    triangles = _triangles(canvas, rng)
    surface = np.zeros((len(triangles), 3), np.float32)
    labels = np.zeros((box.height * fine, box.width * fine), np.int32)
    for index, corner in enumerate(triangles):
        surface[index] = np.linalg.solve(np.c_[corner[:, :2], np.ones(3)], corner[:, 2])
        outline = ((corner[:, :2] - (box.left, box.top) + 0.5) * fine - 0.5) * 16.0
        cv2.fillConvexPoly(labels, np.rint(outline).astype(np.int32), index, shift=4)
    x, y = box.grid()
    a, b, c = np.moveaxis(surface[labels[::fine, ::fine]], -1, 0)
    depth = a * x + b * y + c
    normal = unit(np.c_[0.45 * canvas.unit * surface[:, :2], np.ones(len(surface))])
    tint = mix(0.5 + 0.3 * noise((len(triangles), 1), rng, 1.0), (0.16, 0.05, 0.30), (0.62, 0.38, 0.80))[:, 0]
    flat = (tint * lit(normal)[:, None] + 0.22 * glint(normal, 20.0)[:, None]).astype(np.float32)
    facets = np.dstack([area(np.ascontiguousarray(flat[labels, band]), box.shape) for band in range(3)])
    return [plate(canvas, facets * (1.0 + 0.16 * fractal(box.shape, rng, 12.0, 2.0))[..., None], depth)]


def _triangles(canvas: Canvas, rng: np.random.Generator) -> Plane:
    """Triangles (n, 3, 3) of (x, y, depth) that tile the canvas and a strip around it."""
    step = canvas.unit / 4.5
    box = canvas.box.grow(round(2 * step))
    rows, columns = int(box.height / step) + 1, int(box.width / step) + 1
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1) * step + (box.left, box.top)
    grid = grid + rng.uniform(-0.32, 0.32, grid.shape) * step
    points = np.dstack([grid, rng.uniform(0.0, 1.0, grid.shape[:2])])
    a, b, c, d = points[:-1, :-1], points[:-1, 1:], points[1:, :-1], points[1:, 1:]
    halves = np.concatenate([np.stack([a, b, c], axis=2), np.stack([b, d, c], axis=2)])
    return np.asarray(halves.reshape(-1, 3, 3), np.float32)


_SCENES: dict[str, Builder] = {
    "macro": macro,
    "hairs": _hairs,
    "cards": _cards,
    "dome": _dome,
    "print": _print,
    "crystal": _crystal,
    "wing": wing,
    "lights": lights,
    "skin": skin,
}
