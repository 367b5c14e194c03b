"""Scenes in which something moves while the stack is shot: the sharp picture with the thing in each place.

`feeler`  a feeler over the beetle moves once, by a fortieth of the width.
`twitch`  a thin feeler before the cards goes aside and comes back, several times.
`passer`  something passes in front of the leaf, in as many places as frames.
`behind`  the same behind the cards, far out of focus at first.
`fidget`  something on the dome moves a little every few frames, and never rests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gpustack.errors import UsageError
from gpustack.scenes.camera import Pixels, Rendered, Shoot, photograph
from gpustack.scenes.catalogue import layers_of
from gpustack.scenes.layer import Canvas, Layer
from gpustack.scenes.objects import Hair, Oval, Point
from gpustack.scenes.textures import band_limit, fractal, mix

DIFFERENT = 2 / 255
"""Pixels whose sharp pictures differ by more than this, in any colour, show what moves."""

_ROOT, _TIP = (-0.35, 0.30), (0.05, -0.25)
_STEPS = 6  # places of what passes or fidgets


@dataclass(frozen=True, eq=False)
class Moving:
    """A stack with its truths: `poses` are the scene with the thing in each of its places, and `shown` says
    for every frame which of them it shows."""

    poses: tuple[Rendered, ...]
    shown: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.shown)

    def frame(self, index: int) -> Pixels:
        """One frame of the stack, as `Rendered.frame`."""
        return self.poses[self.shown[index]].frame(index)

    def moves(self) -> npt.NDArray[np.bool_]:
        """(h, w): where the thing is in some poses only."""
        truths = np.stack([pose.truth for pose in self.poses])
        return np.asarray((np.ptp(truths, axis=0) > DIFFERENT).any(axis=-1))


def moving_names() -> tuple[str, ...]:
    """The scenes that `render_moving` knows."""
    return tuple(_SCENES)


def render_moving(name: str, shoot: Shoot) -> Moving:
    """Build the scene and shoot it. Raises UsageError for a name that is not in `moving_names()`."""
    if name not in _SCENES:
        raise UsageError(f"There is no moving scene '{name}'.", f"Use one of {', '.join(_SCENES)}.")
    ground, thing, places, shown = _SCENES[name]
    layers, canvas = layers_of(ground, shoot), shoot.canvas()
    poses = tuple(photograph(_among(layers, thing(canvas, place)), shoot) for place in range(places))
    return Moving(poses, tuple(shown(shoot.frames)))


def _among(layers: Sequence[Layer], thing: Layer | None) -> tuple[Layer, ...]:
    """The layers, back to front, with one more before the first that is nearer than it; never at the back."""
    if thing is None:
        return tuple(layers)
    depth = float(thing.depth.mean())
    nearer = (number for number, layer in enumerate(layers) if number and _depth(layer) < depth)
    place = next(nearer, len(layers))
    return (*layers[:place], thing, *layers[place:])


def _depth(layer: Layer) -> float:
    return float(layer.depth[layer.alpha > 0.5].mean())


def _feeler(canvas: Canvas, aside: float, thick: float) -> Layer:
    """A feeler whose tip is moved sideways by some units."""
    root, tip = canvas.at(*_ROOT), canvas.at(_TIP[0] + aside, _TIP[1])
    bend: Point = ((root[0] + tip[0]) / 2 + 0.05 * canvas.unit, (root[1] + tip[1]) / 2)
    radii = thick * canvas.unit, 0.5 * thick * canvas.unit
    return Hair(root, bend, tip, (0.2, 0.2), radii, (0.75, 0.62, 0.40)).layer(canvas)


def _blob(canvas: Canvas, depth: float, at: Point, size: float) -> Layer:
    """Something dark and patchy, upright, at one depth."""
    x, y = canvas.at(*at)
    oval = Oval(x, y, 0.7 * size * canvas.unit, size * canvas.unit)
    box = canvas.spanning(np.array([[x, y]]), size * canvas.unit)
    patches = 0.5 + 0.25 * fractal(box.shape, np.random.default_rng(5), 16.0, 2.0)
    colour = band_limit(mix(patches, (0.05, 0.03, 0.15), (0.35, 0.15, 0.10)))
    return Layer(colour, oval.alpha(box), np.full(box.shape, depth, np.float32), box)


def _passing(depth: float, down: float, size: float) -> Callable[[Canvas, int], Layer | None]:
    def thing(canvas: Canvas, place: int) -> Layer | None:
        return _blob(canvas, depth, (-0.7 + 0.2 * place, down), size) if place else None

    return thing


def _fidgeting(canvas: Canvas, place: int) -> Layer | None:
    return _blob(canvas, 0.6, (0.35 + 0.02 * (place * 5 % 3), 0.10 + 0.03 * (place % 2)), 0.1)


def _once(frames: int) -> Sequence[int]:
    return [int(index >= frames // 4) for index in range(frames)]


def _to_and_fro(frames: int) -> Sequence[int]:
    return [int(index % 7 in (2, 3)) for index in range(frames)]


def _from_a_third(frames: int) -> Sequence[int]:
    passing = range(frames // 3, frames // 3 + _STEPS)
    return [index - passing.start + 1 if index in passing else 0 for index in range(frames)]


def _always(frames: int) -> Sequence[int]:
    return [index * _STEPS // frames for index in range(frames)]


_Scene = tuple[str, Callable[[Canvas, int], Layer | None], int, Callable[[int], Sequence[int]]]

_SCENES: dict[str, _Scene] = {
    "feeler": ("macro", lambda canvas, place: _feeler(canvas, 0.033 * place, 0.006), 2, _once),
    "twitch": ("cards", lambda canvas, place: _feeler(canvas, 0.02 * place, 0.003), 2, _to_and_fro),
    "passer": ("macro", _passing(0.3, 0.25, 0.08), _STEPS + 1, _from_a_third),
    "behind": ("cards", _passing(0.95, 0.02, 0.1), _STEPS + 1, _from_a_third),
    "fidget": ("dome", _fidgeting, _STEPS, _always),
}
