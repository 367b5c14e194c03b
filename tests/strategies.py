"""Hypothesis strategies: frames, transforms, canvases, and whole cases of frames to be fused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from gpustack.model.canvas import Canvas
from gpustack.model.frame import PixelType
from gpustack.model.rect import cut
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform, normalise, shared_box

Picture = npt.NDArray[Any]
Shape = tuple[int, int]

seeds = st.integers(0, 2**32 - 1)
sides = st.one_of(st.integers(1, 20), st.sampled_from([33, 40, 65]))
shapes = st.sampled_from([(1, 1), (1, 40), (23, 1), (5, 7), (19, 35), (33, 70)])
"""One pixel, one row, one column, less than a block of the GPU's kernels, and more than one both ways."""

channel_counts = st.integers(1, 4)
pixel_types = st.sampled_from(PixelType)
band_heights = st.integers(1, 12).map(lambda half: 2 * half)


@dataclass(frozen=True)
class Case:
    """Frames (h, w, c), the transform of each, the canvas they are fused on, and their luma noise."""

    frames: list[Picture]
    places: list[Transform]
    canvas: Canvas
    noise: float

    def banded(self, rows: int) -> Case:
        """The same on a canvas cut into bands of `rows`."""
        return replace(self, canvas=replace(self.canvas, bands=cut(self.canvas.height, rows)))

    def extended(self, index: int) -> Case:
        """The same with frame `index` once more at the end."""
        return replace(
            self, frames=[*self.frames, self.frames[index]], places=[*self.places, self.places[index]]
        )


def quantised(values: Picture, pixel_type: PixelType) -> Picture:
    """Values 0..1 in a frame's own dtype."""
    if pixel_type is PixelType.FLOAT32:
        return values.astype(np.float32)
    return np.rint(np.clip(values, 0, 1) * pixel_type.white).astype(pixel_type.value)


def images(seed: int, count: int, channels: int, shape: Shape) -> Picture:
    """Pictures (n, c, h, w) float32 of white noise 0..1."""
    return np.random.default_rng(seed).random((count, channels, *shape), np.float32)


def _content(kind: str, shape: tuple[int, ...], generator: np.random.Generator) -> Picture:
    if kind == "flat":
        return np.full(shape, generator.random())
    if kind == "extremes":
        return generator.integers(0, 2, shape).astype(float)
    if kind == "half":
        return np.where(np.arange(shape[1])[None, :, None] < shape[1] // 2, generator.random(shape), 0.5)
    return generator.random(shape)


kinds = st.sampled_from(["noise", "flat", "extremes", "half"])


@st.composite
def pictures(draw: st.DrawFn, height: int, width: int, channels: int, pixel_type: PixelType) -> Picture:
    """One frame; a float frame may hold values from -1 to 2."""
    values = _content(draw(kinds), (height, width, channels), np.random.default_rng(draw(seeds)))
    if pixel_type is PixelType.FLOAT32 and draw(st.booleans()):
        values = 3 * values - 1
    return quantised(values, pixel_type)


small = st.floats(-1, 1, allow_nan=False, width=32)


@st.composite
def tones(draw: st.DrawFn, most: float) -> Tone:
    """A gain 0.9..1.1 for all colours, or one for each with an offset up to 0.02; times `most`."""
    gains, offsets = ([most * draw(small) for _ in range(3)] for _ in range(2))
    if draw(st.booleans()):
        return Tone.of(1 + 0.1 * gains[0])
    return Tone.of([1 + 0.1 * gain for gain in gains], [0.02 * offset for offset in offsets])


@st.composite
def similarities(draw: st.DrawFn, width: int, height: int, most: float = 1.0) -> Transform:
    """Shift up to 5 % of the width, scale 0.95..1.05, turn up to 2 degrees, gain 0.9..1.1; times `most`; the
    colours may have tones of their own."""
    turn = np.deg2rad(2.0) * most * draw(small)
    scale = 1 + 0.05 * most * draw(small)
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    x, y = (width - 1) / 2, (height - 1) / 2
    shift = [0.05 * width * most * draw(small) for _ in "xy"]
    matrix = np.array(
        [[cos, -sin, x - cos * x + sin * y + shift[0]], [sin, cos, y - sin * x - cos * y + shift[1]]]
    )
    return Transform(np.vstack([matrix, [0.0, 0.0, 1.0]]), draw(tones(most)))


@st.composite
def homographies(draw: st.DrawFn, width: int, height: int, most: float = 1.0) -> Transform:
    """A similarity with a perspective that changes the scale by up to 2 % across the picture."""
    near = draw(similarities(width, height, most))
    lean = np.eye(3)
    lean[2, :2] = [0.02 * most * draw(small) / side for side in (width, height)]
    return Transform(normalise(near.matrix @ lean), near.tone)


@st.composite
def whole_shifts(draw: st.DrawFn, width: int, height: int) -> Transform:
    """A shift by whole pixels, up to the picture's size and one more."""
    matrix = np.eye(3)
    matrix[:2, 2] = draw(st.integers(-width - 1, width + 1)), draw(st.integers(-height - 1, height + 1))
    return Transform(matrix)


def transforms(width: int, height: int) -> st.SearchStrategy[Transform]:
    """Any of the transforms that frames may have."""
    return st.one_of(
        st.just(Transform.identity()),
        whole_shifts(width, height),
        similarities(width, height),
        homographies(width, height),
    )


def _shared(
    places: list[Transform], width: int, height: int, channels: int, kind: PixelType
) -> Canvas | None:
    left, top, right, bottom = shared_box(places, width, height)
    if right <= left or bottom <= top:
        return None
    return Canvas(left, top, right - left, bottom - top, channels, kind, cut(bottom - top, height + 1))


@st.composite
def cases(
    draw: st.DrawFn, most_frames: int = 6, least_frames: int = 1, pixel_type: PixelType | None = None
) -> Case:
    """Frames of one size, moved or not, on a canvas that they cover or do not; frame 0 always covers it."""
    height, width, channels = draw(sides), draw(sides), draw(channel_counts)
    kind = pixel_type or draw(pixel_types)
    count = draw(st.integers(least_frames, most_frames))
    frames = [draw(pictures(height, width, channels, kind)) for _ in range(count)]
    others = transforms(width, height) if draw(st.booleans()) else st.just(Transform.identity())
    places = [Transform.identity(), *(draw(others) for _ in range(count - 1))]
    canvas = _shared(places, width, height, channels, kind) if draw(st.booleans()) else None
    whole = Canvas(0, 0, width, height, channels, kind, cut(height, height + 1), covered=False)
    noise = draw(st.sampled_from([1e-6, 0.002, 0.03]))
    return Case(frames, places, canvas or whole, noise)
