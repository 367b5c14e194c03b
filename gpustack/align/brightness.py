"""How bright each frame is against the reference.

Frames are compared as light, on small pictures: blur moves light about and neither makes nor takes any, so
where both are averaged over more than the blur reaches they hold the same light, however differently they
are blurred. Coded values do not: a sharp texture has another mean than its blur. The lens darkens the corners
on the sensor while the picture moves and scales, which looks like a change of brightness; what falls off with
the distance from the sensor's middle is therefore solved for together with the gains, one law for all frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.align.tone_fit import gain_of, line_of
from gpustack.backend.matching import HUBER, MAD_TO_SIGMA, light_of
from gpustack.backend.ranks import median
from gpustack.backend.resample import resample
from gpustack.model.rect import Rows
from gpustack.model.tone import LUMA, Tone
from gpustack.model.transform import Matrix, Transform
from gpustack.settings import Interpolation

Values = npt.NDArray[Any]

SIDE = 128
"""Longer side of the pictures of light, in blocks, at most."""

REACH = 2.6
"""Standard deviation, in blocks, of the Gaussian over which light is averaged: 2 % of the longer side."""

AREA = 12
"""Side, in widths of the Gaussian, of the areas whose averages err alike: so large that offsets of rendered
scenes are off by about their standard error."""

STEP = 3
"""Of the averages every third one is looked at, each way: those between say nothing new."""

BLACK = 0.02
"""Averages up to this coded value are not looked at."""

LEAST_KNOWN = 0.997
"""Share of an average that must be of blocks whose light is known: what burnt out in one frame is spread over
its surroundings where another is blurred."""

MOST_JUDGED = 32
"""Frames that the falloff is found from, at most, spread over the stack: memory does not grow with it."""

LEAST = 16
"""Fewer usable averages than this say nothing of the brightness."""

_FALLS = 2  # powers of the squared distance from the middle that the lens's falloff is made of
_STEEPEST = 0.5  # standard deviation of their weights, as far as anything is known of a lens
_ROUNDS = 6
_SETTLED = 1e-4  # a falloff that changes by less than this changes no gain that counts
_CODES = np.linspace(0, 2, 8193, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Light:
    """The mean light of a frame, its luma's or its colours': (1 or 3, h, w) over blocks of `factor` pixels a
    side; float16, as that of all frames of a stack is kept, and rounding averages out.

    `size` is the frame's, (width, height); `linear` says that its values are light, as those of RAW files.
    """

    values: Values
    factor: int
    size: tuple[int, int]
    linear: bool


@dataclass(frozen=True, slots=True)
class _Pair:
    """Averages of the reference and of a frame at the same places of the subject, (colours, n) float32, as
    values; and (n, _FALLS) float32 how much more the reference falls off there. Values up to `black` say
    nothing."""

    here: Values
    there: Values
    falls: Values
    black: float


def factor_of(size: tuple[int, int]) -> int:
    """The side of the blocks, in pixels, for a frame of `size`."""
    return -(-max(size) // SIDE)


def seen_light(values: Values, factor: int, size: tuple[int, int], *, linear: bool, colours: bool) -> Light:
    """What is kept of the light that a backend gives, (1 or 3, h, w) float32."""
    kept = values if colours else _luma(values)[None]
    return Light(kept.astype(np.float16), factor, size, linear)


def tones(
    lights: Sequence[Light], transforms: Sequence[Transform | None], reference: int, *, colours: bool
) -> list[Tone]:
    """What brings each frame to the reference's brightness: a gain; with `colours` one for each that the
    lights have, and where values are coded an offset. Frames without a transform keep their brightness.

    Every frame is compared with the reference itself, so that tones do not drift along the stack. Lights are
    asked for one at a time, some twice.
    """
    here = lights[reference]
    others = {
        index: transform
        for index, transform in enumerate(transforms)
        if index != reference and transform is not None
    }
    judged = {
        index: _beside(here, lights[index], others[index])
        for index in [*others][:: -(-len(others) // MOST_JUDGED) or 1]
    }
    lines = colours and not here.linear
    fall = _falloff([*judged.values()])
    count = len(here.values) if colours else 1
    found = [Tone((1.0,) * count, (0.0,) * count)] * len(lights)
    for index, transform in others.items():
        pair = judged.pop(index, None) or _beside(here, lights[index], transform)
        if pair.here.shape[1] >= LEAST:
            even = replace(pair, there=pair.there * np.exp(pair.falls @ fall))
            found[index] = _tones(even, lines) if colours else Tone((_gain(even),))
    return found


def _gain(pair: _Pair) -> float:
    return gain_of(_luma(pair.here), _luma(pair.there))


def _tones(pair: _Pair, lines: bool) -> Tone:
    """The tone of each colour; where all but all of it is black, the luma's gain."""
    fits = []
    for here, there in zip(pair.here, pair.there, strict=True):
        seen = np.minimum(here, there) > pair.black
        here, there = here[seen], there[seen]
        areas = len(here) * (STEP / (AREA * REACH)) ** 2
        if len(here) < LEAST:
            fits.append((_gain(pair), 0.0))
        else:
            fits.append(line_of(here, there, areas) if lines else (gain_of(here, there), 0.0))
    return Tone(tuple(gain for gain, _ in fits), tuple(offset for _, offset in fits))


def _beside(reference: Light, light: Light, transform: Transform) -> _Pair:
    """The averages of two frames, where both hold the subject and are usable."""
    height, width = reference.values.shape[1:]
    motion = np.linalg.inv(_to_pixels(light)) @ transform.matrix @ _to_pixels(reference)
    seen = np.ascontiguousarray(np.moveaxis(light.values, 0, -1), np.float32)
    moved = resample(seen, Transform(motion), 1.0, width, Rows(0, height), Interpolation.BICUBIC)
    inside = np.ones((height, width), bool) if moved.valid is None else moved.valid > 0
    known = inside & np.isfinite(reference.values).all(axis=0) & np.isfinite(moved.image).all(axis=0)
    weight, most = (np.maximum(_smoothed(part), 1e-9) for part in (known, inside))
    here, there = (
        _coded((_smoothed(np.where(known, values, 0)) / weight)[:, ::STEP, ::STEP], reference.linear)
        for values in (reference.values, moved.image)
    )
    black = float(light_of(np.array(BLACK))) if reference.linear else BLACK
    usable = (known & (weight > LEAST_KNOWN * most))[::STEP, ::STEP]
    usable &= np.minimum(_luma(here), _luma(there)) > black
    falls = _falls(reference, light, transform)
    here, there, falls = (
        part.astype(np.float32) for part in (here[:, usable], there[:, usable], falls[usable])
    )
    return _Pair(here, there, falls, black)


def _to_pixels(light: Light) -> Matrix:
    """Blocks to pixels of the frame, centres at whole numbers in both."""
    half = (light.factor - 1) / 2
    return np.array([[light.factor, 0, half], [0, light.factor, half], [0, 0, 1.0]])


def _falls(reference: Light, light: Light, transform: Transform) -> Values:
    """(rows, columns, _FALLS): powers of the squared distance from the sensor's middle, at the reference's
    blocks that are looked at less those at the same places of the frame. Nothing is known of where on the
    sensor a crop lies: none."""
    height, width = reference.values.shape[1:]
    y, x = np.mgrid[:height:STEP, :width:STEP]
    if light.size != reference.size:
        return np.zeros((*x.shape, _FALLS))
    points = Transform(_to_pixels(reference)).apply(np.stack([x.ravel(), y.ravel()], axis=1))
    here, there = (_distance(at, light.size) for at in (points, transform.apply(points)))
    falls = [here**power - there**power for power in range(1, _FALLS + 1)]
    return np.stack(falls, axis=1).reshape(*x.shape, _FALLS)


def _distance(points: Matrix, size: tuple[int, int]) -> Values:
    """Squared distances from the middle, 1 in the corners."""
    middle = (np.array(size) - 1) / 2
    return np.asarray(((points - middle) ** 2).sum(axis=1) / max(1.0, float((middle**2).sum())))


def _falloff(pairs: Sequence[_Pair]) -> Values:
    """The weights of the falls, from all frames: robust least squares on the logarithms of their ratios, less
    what each frame has for itself, its gain (Frisch and Waugh, Econometrica 1, 1933).

    Offsets are not solved for with them: dark corners are dark, so the two would take each other's place.
    """
    fall: Values = np.zeros(_FALLS)
    logs = [
        (np.log(_luma(pair.here) / _luma(pair.there)), pair.falls)
        for pair in pairs
        if pair.here.shape[1] >= LEAST
    ]
    for _ in range(_ROUNDS):
        normal, right = np.zeros((_FALLS, _FALLS)), np.zeros(_FALLS)
        for ratio, falls in logs:
            rest = ratio - falls @ fall
            size = np.abs(rest - median(rest, len(rest)))
            spread = MAD_TO_SIGMA * median(size, len(size)) + 1e-4
            weight = np.minimum(1, HUBER * spread / np.maximum(size, 1e-12)) / spread**2
            free = falls - (weight @ falls) / weight.sum()
            normal += free.T @ (free * weight[:, None])
            right += free.T @ (ratio * weight)
        # Neighbouring averages share most of their light: as many count for one as lie within the Gaussian.
        normal, right = (part * STEP**2 / (4 * np.pi * REACH**2) for part in (normal, right))
        before, fall = fall, np.linalg.solve(normal + np.eye(_FALLS) / _STEEPEST**2, right)
        if np.abs(fall - before).max() < _SETTLED:
            break
    return fall


def _luma(values: Values) -> Values:
    """(1 or 3, ...) -> (...)."""
    return np.asarray(values[0] if len(values) == 1 else np.tensordot(LUMA, values, 1))


def _coded(light: Values, linear: bool) -> Values:
    """Values of a mean light, in the encoding that the frames came in."""
    return np.asarray(light if linear else np.interp(light, light_of(_CODES), _CODES))


def _smoothed(planes: Values) -> Values:
    """(..., h, w): sums over the surroundings, weighed by the Gaussian and not normalised.

    By filters, not matrix products: for those the BLAS starts threads, which contend with ours.
    """
    kernel = _gaussian()
    flat = planes.reshape(-1, *planes.shape[-2:]).astype(np.float32)
    sums = [cv2.sepFilter2D(p, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_CONSTANT) for p in flat]
    return np.asarray(sums).reshape(planes.shape)


def _gaussian() -> Values:
    """The weights along an axis, as far as they are not negligible."""
    reach = int(np.ceil(6 * REACH))
    at = np.arange(-reach, reach + 1)
    return np.exp(-(at**2) / (2 * REACH**2)).astype(np.float32)
