"""Compiled loops over a band: one level of a Laplacian pyramid, and the focus measure, each with its fold.

A row is filtered, waits in a ring until the rows below it are there, and is folded in while it is still in
the cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpustack.backend.fast import folding, rows
from gpustack.backend.fast.arrays import Array, Kept, Planes, Room, Shown, Way
from gpustack.backend.fast.compiled import F, compiled
from gpustack.backend.fast.folding import room_for
from gpustack.backend.values import EVIDENCE

_EVIDENCE = F(EVIDENCE)
_REDUCED = 2  # rows around a band whose energy is wanted, too, to be reduced


@compiled
def ring_rows(least: int) -> int:
    """Rows of a ring that holds at least so many: a power of two."""
    count = 1
    while count < least:
        count *= 2
    return count


@compiled
def luma_rows(image: Planes, out: Array) -> None:
    """The luma (h, w) of an image."""
    for y in range(len(out)):
        if image.channels < 3:
            out[y] = rows.plane_row(image, 0, y)
        else:
            red, green = rows.plane_row(image, 0, y), rows.plane_row(image, 1, y)
            rows.luma(red, green, rows.plane_row(image, 2, y), out[y])


@compiled
def detail_row(image: Planes, coarse: Planes, y: int, line: Array, out: Array) -> None:
    """Row `y` of a level's detail, (c, w)."""
    for c in range(image.channels):
        value, target = rows.plane_row(image, c, y), out[c]
        rows.expanded(coarse, c, y, line, target)
        for x in range(target.size):
            target[x] = value[x] - target[x]


@compiled
def squared_luma(detail: Array, out: Array) -> None:
    """The square of the luma of a row (c, w)."""
    if len(detail) < 3:
        out[:] = detail[0]
    else:
        rows.luma(detail[0], detail[1], detail[2], out)
    for x in range(out.size):
        out[x] = out[x] * out[x]


@compiled
def fold_details(
    shown: Shown, y: int, detail: Array, energy: Array, kept: Kept, way: Way, room: Room
) -> None:
    """Fold row `y` of a level's detail (c, w) in."""
    own = y - shown.first
    folding.heard(energy, shown.valid, y, room.energy)
    folding.shares(kept.energy[own], kept.total[own], way, room)
    for c in range(len(detail)):
        folding.mixed(rows.plane_row(kept.mean, c, own), detail[c], room.new, False)
    folding.keep_best(kept, own, room.energy, way.number)


@compiled
def fold_level(
    shown: Shown, coarse: Planes, evidence: Array, taps: Array, kept: Kept, way: Way, energy: Array
) -> None:
    """Fold a level in; its energy (h, w) is made for the rows without the halo and those around them that
    reducing reads."""
    height, n = energy.shape
    reach = taps.size - 1
    details = np.empty((ring_rows(reach + 1), shown.image.channels, n), F)
    ring = np.empty((ring_rows(2 * reach + 1), n), F)
    line, padded = np.empty(coarse.width + 2, F), np.empty(n + 2 * reach, F)
    room = room_for(n)
    done, stop = max(0, shown.first - _REDUCED), min(height, shown.last + _REDUCED)
    energy[:done] = F(0)
    energy[stop:] = F(0)
    end = min(height, stop + reach)
    for y in range(max(0, done - reach), end):
        detail = details[y & (len(details) - 1)]
        detail_row(shown.image, coarse, y, line, detail)
        squared_luma(detail, padded[reach : reach + n])
        rows.mirror(padded, n, reach)
        rows.across(padded, taps, ring[y & (len(ring) - 1)])
        while done < stop and (done + reach <= y or y == end - 1):
            rows.down(ring, done, height, taps, energy[done])
            if evidence.size:
                heed(energy[done], evidence[done])
            if shown.first <= done < shown.last:
                fold_details(shown, done, details[done & (len(details) - 1)], energy[done], kept, way, room)
            done += 1


@compiled
def heed(energy: Array, evidence: Array) -> None:
    """Add the evidence of finer levels to a row's energy."""
    for x in range(energy.size):
        energy[x] = energy[x] + _EVIDENCE * evidence[x]


@compiled
def smoothed_curvature(plane: Array, taps: Array, scale: Any, out: Array) -> None:
    """The squared Laplacian of a plane, smoothed."""
    height, n = plane.shape
    reach, done = taps.size - 1, 0
    ring, padded = np.empty((ring_rows(2 * reach + 1), n), F), np.empty(n + 2 * reach, F)
    for y in range(height):
        rows.curvature(plane, y, scale, padded[reach : reach + n])
        rows.mirror(padded, n, reach)
        rows.across(padded, taps, ring[y & (len(ring) - 1)])
        while done < height and (done + reach <= y or y == height - 1):
            rows.down(ring, done, height, taps, out[done])
            done += 1


@compiled
def fold_pixels(shown: Shown, y: int, luma: Array, energy: Array, kept: Kept, way: Way, room: Room) -> None:
    """Fold row `y` of a frame in."""
    own = y - shown.first
    folding.heard(energy, shown.valid, y, room.energy)
    if kept.total.size:
        folding.shares(kept.energy[own], kept.total[own], way, room)
    if kept.mean.channels:
        for c in range(shown.image.channels):
            mean, value = rows.plane_row(kept.mean, c, own), rows.plane_row(shown.image, c, y)
            folding.mixed(mean, value, room.new, way.squared)
    if kept.depth.size:
        folding.spread(kept.depth[own], kept.variance[own], way.number, room.new)
        folding.keep_sharpest(kept, own, room.energy, way.number, luma[y])
    folding.keep_best(kept, own, room.energy, way.number)


@compiled
def fold_sharpness(
    shown: Shown, luma: Array, half: Planes, taps: Array, scale: Any, kept: Kept, way: Way
) -> None:
    """Fold a band in by its focus measure: what the luma (h, w) has at full size, and `half` at half size."""
    height, n = luma.shape
    reach, done = taps.size - 1, shown.first
    ring, padded = np.empty((ring_rows(2 * reach + 1), n), F), np.empty(n + 2 * reach, F)
    room, line = room_for(n), np.empty(half.width + 2, F)
    energy, wide = np.empty(n, F), np.empty(n, F)
    end = min(height, shown.last + reach)
    for y in range(max(0, done - reach), end):
        rows.curvature(luma, y, scale, padded[reach : reach + n])
        rows.mirror(padded, n, reach)
        rows.across(padded, taps, ring[y & (len(ring) - 1)])
        while done < shown.last and (done + reach <= y or y == end - 1):
            rows.down(ring, done, height, taps, energy)
            rows.expanded(half, 0, done, line, wide)
            for x in range(n):
                energy[x] = energy[x] + wide[x]
            fold_pixels(shown, done, luma, energy, kept, way, room)
            done += 1
