"""The functions that the backend calls, as C has them: numbers, and pointers to the first of some.

`signatures.py` tells what they are given. Importing this imports numba. Rows of a plane lie one behind the
other; what is not there has no rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpustack.backend.fast import bands, debiasing, lanczos, pixels, rows
from gpustack.backend.fast.arrays import Bordered, Compared, Kept, Means, Planes, Shown, Way
from gpustack.backend.fast.compiled import carray, compiled

_WORK = 1 << 40  # values that the compiler takes the room to work in for; whoever gives it knows how many


@compiled
def planes(image: Any, step: int, channels: int, height: int, width: int) -> Planes:
    """An image."""
    size = (channels - 1) * step + height * width if channels else 0
    return Planes(carray(image, (size,)), step, channels, height, width)


@compiled
def shown(image: Planes, valid: Any, seen: int, first: int, last: int) -> Shown:
    """A band with its mask, of as many rows as are seen or none."""
    return Shown(image, carray(valid, (seen * image.width,)), first, last)


def separated(
    samples: Any, start: int, row: int, scale: Any, out: Any, channels: int, height: int, width: int
) -> None:
    """Samples to planes."""
    planar = planes(out, height * width, channels, height, width)
    count = start + (height - 1) * row + channels * width
    pixels.separated(carray(samples, (count,)), start, row, carray(scale, (channels,)), planar)


def widen(
    low: Any,
    low_step: int,
    high: Any,
    high_step: int,
    image: Any,
    step: int,
    channels: int,
    height: int,
    width: int,
    valid: Any,
    seen: int,
    first: int,
    last: int,
    white: Any,
) -> None:
    """A band into its range."""
    band = shown(planes(image, step, channels, height, width), valid, seen, first, last)
    least = planes(low, low_step, channels, last - first, width)
    pixels.widen(least, planes(high, high_step, channels, last - first, width), band, white)


def blend_in(
    image: Any,
    step: int,
    channels: int,
    height: int,
    width: int,
    valid: Any,
    seen: int,
    mean: Any,
    mean_step: int,
    total: Any,
    depth: Any,
    number: Any,
    work: Any,
) -> None:
    """A band along a depth."""
    size = height * width
    band = shown(planes(image, step, channels, height, width), valid, seen, 0, height)
    sums = planes(mean, mean_step, channels, height, width)
    weight = carray(work, (width,))
    pixels.blend_in(sums, carray(total, (size,)), carray(depth, (size,)), number, band, weight)


def luma_rows(image: Any, step: int, channels: int, height: int, width: int, out: Any) -> None:
    """The luma of an image."""
    source, plane = planes(image, step, channels, height, width), carray(out, (height * width,))
    for y in range(height):
        rows.lit(source, y, rows.line_of(plane, y, width))


def smoothed_curvature(
    plane: Any, height: int, width: int, taps: Any, count: int, scale: Any, out: Any, work: Any
) -> None:
    """What a plane has of curvature."""
    size = height * width
    source, target, weights = carray(plane, (size,)), carray(out, (size,)), carray(taps, (count,))
    bands.smoothed_curvature(source, height, width, weights, scale, target, carray(work, (_WORK,)))


def fold_level(
    image: Any,
    step: int,
    channels: int,
    height: int,
    width: int,
    valid: Any,
    seen: int,
    first: int,
    last: int,
    coarse: Any,
    coarse_step: int,
    coarse_height: int,
    coarse_width: int,
    evidence: Any,
    told: int,
    taps: Any,
    count: int,
    best: Any,
    frame: Any,
    total: Any,
    mean: Any,
    mean_step: int,
    number: int,
    noise: Any,
    steep: int,
    energy: Any,
    work: Any,
) -> None:
    """A level of a frame."""
    size, own = height * width, (last - first) * width
    band = shown(planes(image, step, channels, height, width), valid, seen, first, last)
    small = planes(coarse, coarse_step, channels, coarse_height, coarse_width)
    sums = planes(mean, mean_step, channels, last - first, width)
    nothing = carray(best, (0,))
    kept = Kept(
        carray(best, (own,)), carray(frame, (own,)), carray(total, (own,)), sums, nothing, nothing, nothing
    )
    way = Way(np.uint16(number), noise, steep != 0, False)
    finer, out = carray(evidence, (told * width,)), carray(energy, (size,))
    bands.fold_level(band, small, finer, carray(taps, (count,)), kept, way, out, carray(work, (_WORK,)))


def fold_sharpness(
    image: Any,
    step: int,
    channels: int,
    height: int,
    width: int,
    valid: Any,
    seen: int,
    first: int,
    last: int,
    luma: Any,
    half: Any,
    half_height: int,
    half_width: int,
    taps: Any,
    count: int,
    scale: Any,
    best: Any,
    frame: Any,
    total: Any,
    weighed: int,
    mean: Any,
    mean_step: int,
    mean_channels: int,
    depth: Any,
    variance: Any,
    sharpest: Any,
    spread: int,
    number: int,
    noise: Any,
    steep: int,
    squared: int,
    work: Any,
) -> None:
    """A band of a frame, by its focus measure."""
    own, there = (last - first) * width, spread * width
    band = shown(planes(image, step, channels, height, width), valid, seen, first, last)
    small = planes(half, half_height * half_width, 1, half_height, half_width)
    kept = Kept(
        carray(best, (own,)),
        carray(frame, (own,)),
        carray(total, (weighed * width,)),
        planes(mean, mean_step, mean_channels, last - first, width),
        carray(depth, (there,)),
        carray(variance, (there,)),
        carray(sharpest, (there,)),
    )
    way = Way(np.uint16(number), noise, steep != 0, squared != 0)
    light, weights = carray(luma, (height * width,)), carray(taps, (count,))
    bands.fold_sharpness(band, light, small, weights, scale, kept, way, carray(work, (_WORK,)))


@compiled
def kernels_of(taps: Any, a: int, b: int, c: int, d: int, e: int) -> Any:
    """Five kernels, one behind the other, by how many taps each has."""
    whole = carray(taps, (a + b + c + d + e,))
    rest = whole[a + b + c :]
    return whole[:a], whole[a : a + b], whole[a + b : a + b + c], rest[:d], rest[d:]


def unblurred(
    estimate: Any,
    step: int,
    channels: int,
    height: int,
    width: int,
    mean: Any,
    mean_step: int,
    variance: Any,
    squared: int,
    number: int,
    taps: Any,
    a: int,
    b: int,
    c: int,
    d: int,
    e: int,
    first: int,
    count: int,
    lost: Any,
    away: Any,
    work: Any,
) -> None:
    """What blur took away from a plane of a mean."""
    whole, size = planes(estimate, step, channels, height, width), count * width
    blurred = planes(mean, mean_step, channels, height, width)
    means = Means(blurred, carray(variance, (height * width,)), squared != 0)
    kernels = kernels_of(taps, a, b, c, d, e)
    gone, apart, room = carray(lost, (size,)), carray(away, (size,)), carray(work, (_WORK,))
    debiasing.unblurred(whole, means, number, kernels, first, gone, apart, room)


def misfits(
    sharpest: Any,
    depth: Any,
    variance: Any,
    frame: Any,
    energy: Any,
    widest: Any,
    least: Any,
    squared: int,
    mean: Any,
    step: int,
    channels: int,
    height: int,
    width: int,
    taps: Any,
    a: int,
    b: int,
    c: int,
    d: int,
    e: int,
    scales: Any,
    many: int,
    first: int,
    sums: Any,
    count: int,
    work: Any,
) -> None:
    """How well radii of blur fit."""
    size = height * width
    compared = Compared(
        carray(sharpest, (size,)),
        carray(depth, (size,)),
        carray(variance, (size,)),
        carray(frame, (size,)),
        carray(energy, (size,)),
        widest,
        least,
        squared != 0,
    )
    means, kernels = planes(mean, step, channels, height, width), kernels_of(taps, a, b, c, d, e)
    radii, out = carray(scales, (many,)), carray(sums, (count * (1 + many),))
    debiasing.misfits(compared, means, kernels, radii, first, out, carray(work, (_WORK,)))


def sampled(
    samples: Any,
    rows_held: int,
    row: int,
    width: int,
    height: int,
    left: int,
    top: int,
    x: Any,
    y: Any,
    out: Any,
    channels: int,
    many: int,
    wide: int,
    places: Any,
    work: Any,
) -> None:
    """Pixels by the Lanczos kernel."""
    source = Bordered(carray(samples, (rows_held, row)), width, height, left, top)
    at, below, target = carray(x, (many, wide)), carray(y, (many, wide)), carray(out, (channels, many, wide))
    lanczos.sampled(source, at, below, target, carray(places, (2, wide)), carray(work, (17, wide)))


FUNCTIONS: dict[str, Any] = {
    one.__name__: one
    for one in (
        *(separated, widen, blend_in, luma_rows, smoothed_curvature, fold_level, fold_sharpness),
        *(unblurred, misfits, sampled),
    )
}
"""By the part of their names in `signatures.py` before the point."""
