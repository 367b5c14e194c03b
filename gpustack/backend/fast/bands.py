"""Compiled loops over a band: one level of a Laplacian pyramid, and the focus measure, each with its fold.

A row is filtered, waits in a ring until the rows below it are there, and is folded in while it is still in
the cache. All work in `work`, whose size `given.Taps.room` knows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpustack.backend.fast import folding, rows
from gpustack.backend.fast.arrays import Array, Kept, Planes, Shown, Way
from gpustack.backend.fast.compiled import F, compiled
from gpustack.backend.fast.rows import line_of, plane_row
from gpustack.backend.values import EVIDENCE

_EVIDENCE = F(EVIDENCE)
_REDUCED = 2  # rows around a band whose energy is wanted, too, to be reduced
_RED, _GREEN, _BLUE = F(0.299), F(0.587), F(0.114)


@compiled
def ring_rows(least: int) -> int:
    """Rows of a ring that holds at least so many: a power of two."""
    count = 1
    while count < least:
        count *= 2
    return count


@compiled
def detail_row(image: Planes, coarse: Planes, y: int, line: Array, detail: Array, power: Array) -> None:
    """Row `y` of a level's detail, its planes one behind the other, and the square of its luma."""
    n = power.size
    for c in range(image.channels):
        rows.expanded(coarse, c, y, line, line_of(detail, c, n))
    if image.channels < 3:
        for c in range(image.channels - 1, -1, -1):
            gray_less(plane_row(image, c, y), line_of(detail, c, n), power)
        return
    colours_less(
        (plane_row(image, 0, y), plane_row(image, 1, y), plane_row(image, 2, y)),
        (line_of(detail, 0, n), line_of(detail, 1, n), line_of(detail, 2, n)),
        power,
    )
    for c in range(3, image.channels):
        less(plane_row(image, c, y), line_of(detail, c, n))


@compiled
def less(value: Array, detail: Array) -> None:
    """A plane minus its expansion, in its place."""
    for x in range(detail.size):
        detail[x] = value[x] - detail[x]


@compiled
def gray_less(value: Array, detail: Array, power: Array) -> None:
    """The same, and its square."""
    for x in range(detail.size):
        level = value[x] - detail[x]
        detail[x] = level
        power[x] = level * level


@compiled
def colours_less(values: tuple[Array, ...], details: tuple[Array, ...], power: Array) -> None:
    """The same of three colours, and the square of their luma."""
    red, green, blue = values
    out, middle, last = details
    for x in range(power.size):
        r, g, b = red[x] - out[x], green[x] - middle[x], blue[x] - last[x]
        out[x], middle[x], last[x] = r, g, b
        level = (r * _RED + g * _GREEN) + b * _BLUE
        power[x] = level * level


@compiled
def fold_details(
    shown: Shown, y: int, detail: Array, energy: Array, kept: Kept, way: Way, room: tuple[Array, Array]
) -> None:
    """Fold row `y` of a level's detail in."""
    own, n = y - shown.first, energy.size
    level, share = room
    rows.copied(energy, level)
    folding.heard(level, shown.valid, y)
    folding.weighed(level, kept, own, way, share)
    for c in range(kept.mean.channels):
        folding.mixed(plane_row(kept.mean, c, own), line_of(detail, c, n), share)
    best, frame = line_of(kept.energy, own, n), line_of(kept.frame, own, n)
    folding.keep_best(best, frame, level, way.number)


@compiled
def fold_level(
    shown: Shown, coarse: Planes, evidence: Array, taps: Array, kept: Kept, way: Way, out: Array, work: Array
) -> None:
    """Fold a level in; its energy (h w,) is made for the rows without the halo and those around them that
    reducing reads."""
    height, n, channels = shown.image.height, shown.image.width, shown.image.channels
    reach = taps.size - 1
    many, last = ring_rows(reach + 1), ring_rows(2 * reach + 1) - 1
    details, ring = work[: many * channels * n], work[many * channels * n :]
    padded = ring[(last + 1) * n :]
    level, rest = padded[n + 2 * reach :][:n], padded[2 * n + 2 * reach :]
    share, line = rest[:n], rest[n:]
    padded, power = padded[: n + 2 * reach], padded[reach : reach + n]
    done, stop = max(0, shown.first - _REDUCED), min(height, shown.last + _REDUCED)
    blank(out, 0, done * n)
    blank(out, stop * n, height * n)
    end = min(height, stop + reach)
    for y in range(max(0, done - reach), end):
        detail = line_of(details, y & (many - 1), channels * n)
        detail_row(shown.image, coarse, y, line, detail, power)
        rows.mirror(padded, n, reach)
        rows.across(padded, taps, line_of(ring, y & last, n))
        while done < stop and (done + reach <= y or y == end - 1):
            energy = line_of(out, done, n)
            rows.down(ring, done, height, last, taps, energy)
            if evidence.size:
                heed(energy, line_of(evidence, done, n))
            if shown.first <= done < shown.last:
                detail = line_of(details, done & (many - 1), channels * n)
                fold_details(shown, done, detail, energy, kept, way, (level, share))
            done += 1


@compiled
def blank(out: Array, start: int, stop: int) -> None:
    """Nought from one place to another."""
    for x in range(start, stop):
        out[x] = F(0)


@compiled
def heed(energy: Array, evidence: Array) -> None:
    """Add the evidence of finer levels to a row's energy."""
    for x in range(energy.size):
        energy[x] = energy[x] + _EVIDENCE * evidence[x]


@compiled
def smoothed_curvature(
    plane: Array, height: int, n: int, taps: Array, scale: Any, out: Array, work: Array
) -> None:
    """The squared Laplacian of a plane, smoothed."""
    reach, done = taps.size - 1, 0
    last = ring_rows(2 * reach + 1) - 1
    ring, padded = work, work[(last + 1) * n :][: n + 2 * reach]
    for y in range(height):
        rows.curvature(plane, height, y, scale, padded[reach : reach + n])
        rows.mirror(padded, n, reach)
        rows.across(padded, taps, line_of(ring, y & last, n))
        while done < height and (done + reach <= y or y == height - 1):
            rows.down(ring, done, height, last, taps, line_of(out, done, n))
            done += 1


@compiled
def fold_pixels(shown: Shown, y: int, luma: Array, energy: Array, kept: Kept, way: Way, share: Array) -> None:
    """Fold row `y` of a frame in; of the energy what the frame does not cover is taken out."""
    own, n = y - shown.first, energy.size
    folding.heard(energy, shown.valid, y)
    if kept.total.size:
        folding.weighed(energy, kept, own, way, share)
    for c in range(kept.mean.channels):
        mean, value = plane_row(kept.mean, c, own), plane_row(shown.image, c, y)
        if way.squared:
            folding.mixed_squares(mean, value, share)
        else:
            folding.mixed(mean, value, share)
    best, frame = line_of(kept.energy, own, n), line_of(kept.frame, own, n)
    if not kept.depth.size:
        folding.keep_best(best, frame, energy, way.number)
        return
    depth, variance = line_of(kept.depth, own, n), line_of(kept.variance, own, n)
    folding.spread(depth, variance, np.float32(way.number), share)
    sharpest = line_of(kept.sharpest, own, n)
    folding.keep_sharpest(best, frame, energy, way.number, luma, sharpest)


@compiled
def fold_sharpness(
    shown: Shown, luma: Array, half: Planes, taps: Array, scale: Any, kept: Kept, way: Way, work: Array
) -> None:
    """Fold a band in by its focus measure: what the luma (h w,) has at full size, and `half` at half size."""
    height, n = shown.image.height, shown.image.width
    reach, done = taps.size - 1, shown.first
    last = ring_rows(2 * reach + 1) - 1
    ring, rest = work, work[(last + 1) * n :]
    energy, wide, share, padded = rest[:n], rest[n : 2 * n], rest[2 * n : 3 * n], rest[3 * n :]
    line = padded[n + 2 * reach :]
    end = min(height, shown.last + reach)
    for y in range(max(0, done - reach), end):
        rows.curvature(luma, height, y, scale, padded[reach : reach + n])
        rows.mirror(padded, n, reach)
        rows.across(padded, taps, line_of(ring, y & last, n))
        while done < shown.last and (done + reach <= y or y == end - 1):
            rows.down(ring, done, height, last, taps, energy)
            rows.expanded(half, 0, done, line, wide)
            added(energy, wide)
            fold_pixels(shown, done, line_of(luma, done, n), energy, kept, way, share)
            done += 1


@compiled
def added(energy: Array, more: Array) -> None:
    """Add a row to another."""
    for x in range(energy.size):
        energy[x] = energy[x] + more[x]
