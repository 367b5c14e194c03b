"""What steps.cu, cover.cu, veil.cu and behind.cu compute, in plain float32 NumPy with the same order of
operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gpustack.backend.disks import disk
from gpustack.backend.values import (
    BEHIND_MISFIT,
    BEHIND_NOISE,
    BEHIND_SIGMA_PX,
    BEHIND_TRUST_PX,
    CONTRAST_NOISE,
    CONTRAST_PX,
    DISK_RADII,
    FILL_SIGMA_PX,
    FLOOD,
    FLOOD_PX,
    FRONT,
    GROUND,
    MOST_COVERED,
    SEEN_NOISE,
    SEEN_SHARE,
    STEP_FRAMES,
    STEP_REACH_PX,
    VEIL_SHUNNED,
    Beside,
    Looked,
    Optics,
    Steps,
)
from tests.kernels.reference import Array, F, blur, mirrored

NOWHERE = F(1e9)


# --- Morphology: windows end at the picture's edges


def largest(plane: Array, reach: int) -> Array:
    """The largest value of a square around each pixel."""
    wide = np.pad(plane, reach, mode="edge")
    for axis in (0, 1):
        windows = np.lib.stride_tricks.sliding_window_view(wide, 2 * reach + 1, axis=axis)
        wide = windows.max(axis=-1)
    return wide


def smallest(plane: Array, reach: int) -> Array:
    """The smallest value of a square around each pixel."""
    return -largest(-plane, reach)


def stepped(depth: Array, energy: Array, floor: float) -> Steps[Array]:
    """Where depth steps."""
    even = largest(depth, 1) - smallest(depth, 1) <= F(STEP_FRAMES / 2)
    around = largest(energy, STEP_REACH_PX)
    sure = even & (energy > F(SEEN_NOISE * floor)) & (energy > F(SEEN_SHARE) * around)
    clumps = largest(smallest(sure.astype(F), 1), 2) > 0
    farthest = largest(largest(smallest(np.where(sure, depth, -NOWHERE), 1), 1), STEP_REACH_PX)
    nearest = smallest(smallest(largest(np.where(sure, depth, NOWHERE), 1), 1), STEP_REACH_PX)
    veiled = farthest - depth > F(STEP_FRAMES)
    ground = (depth - nearest > F(STEP_FRAMES)) & ~veiled & clumps
    side = np.where(veiled, FRONT, np.where(ground, GROUND, 0)).astype(np.uint8)
    return Steps(np.where(ground, nearest, depth), np.where(veiled, farthest, depth), side)


# --- What is spread by a radius of its own at each pixel


def shares(radius: Array) -> list[Array]:
    """How much each of DISK_RADII counts for a radius."""
    out, rungs = [], np.array(DISK_RADII, F)
    for number, rung in enumerate(rungs):
        share = np.ones_like(radius)
        if number:
            share = np.fmin(share, (radius - rungs[number - 1]) / (rung - rungs[number - 1]))
        if number + 1 < len(rungs):
            share = np.fmin(share, (rungs[number + 1] - radius) / (rungs[number + 1] - rung))
        out.append(np.fmax(share, F(0)))
    return out


def spread(plane: Array, radius: Array, by: Callable[[Array, float], Array]) -> Array:
    """The plane, blurred by each radius, linearly between them."""
    own, *others = shares(radius)
    total = own * plane
    for rung, share in zip(DISK_RADII[1:], others, strict=True):
        if share.any():
            total = total + share * by(plane, rung)
    return total


def disk_blur(plane: Array, radius: float) -> Array:
    """The mean over a disk, its pixels row by row."""
    kernel = disk(radius)
    wide, total = mirrored(plane, len(kernel) // 2), np.zeros_like(plane)
    for (row, column), tap in np.ndenumerate(kernel):
        total = total + tap * wide[row : row + plane.shape[0], column : column + plane.shape[1]]
    return total


def gaussian_blur(plane: Array, radius: float) -> Array:
    """A Gaussian of the disk's variance."""
    return blur(plane, radius / 2)


# --- Looking behind


@dataclass(frozen=True)
class Code:
    """Light and its code."""

    coded: bool

    def light(self, image: Array) -> Array:
        return image * image if self.coded else image

    def coded_of(self, light: Array) -> Array:
        return np.sqrt(np.maximum(light, F(0))) if self.coded else light


@dataclass(frozen=True)
class Strip:
    """What was worked out: images (c, h, w) and planes (h, w)."""

    front: Array
    back: Array
    veiled: Array
    ground: Array
    clear: Array
    blurred: Array
    cover: Array
    blocked: Array

    @property
    def visible(self) -> Array:
        return np.clip((F(MOST_COVERED + 0.1) - self.blocked) * F(5), F(0), F(1))


def covering(front: Array, plain: Array, veiled: Array, ground: Array, noise: float) -> Array:
    """How much of each pixel the nearer thing covers."""
    contrast = np.where(veiled, np.abs(front - plain).max(axis=0), F(0))
    share = contrast / np.maximum(largest(contrast, CONTRAST_PX), F(CONTRAST_NOISE * noise) + F(1e-6))
    low, high = FLOOD
    like = F(1) - np.clip((share - F(low)) * F(1 / (high - low)), F(0), F(1))
    like = np.where(veiled, like, ground.astype(F))
    reached = ground.astype(F)
    for _ in range(FLOOD_PX):
        reached = np.minimum(largest(reached, 1), like)
    return F(1) - reached


def looked(beside: Beside[Array], optics: Optics) -> Looked[Array]:
    """The picture with the ground put in, and what that told."""
    strip, code = _strip(beside, optics), Code(optics.coded)
    picture, bare = beside.picture, F(1) - strip.cover
    sharpened = code.coded_of(code.light(strip.front) + bare * (strip.clear - strip.blurred))
    more = np.where(strip.veiled, sharpened, code.coded_of(strip.clear)) - picture
    trust = _trust(strip, picture, code)
    zone = np.where(strip.veiled, F(1), np.where(strip.ground, _shunned(strip, picture, code), F(0)))
    power = blur(_mean(more * more), BEHIND_SIGMA_PX)
    share = blur(trust * zone, BEHIND_TRUST_PX) * strip.visible * zone
    share = share * np.minimum(bare * F(3), F(1))
    above = np.maximum(power - F(BEHIND_NOISE * optics.noise * optics.noise), F(0))
    share = share * (above / np.maximum(power, F(1e-12)))
    better = np.where(share > 0, picture + share * more, picture)
    return Looked(better, np.where(strip.veiled, bare, F(0)), np.where(strip.veiled, trust, F(0)))


def _mean(image: Array) -> Array:
    """Over the channels, one by one."""
    total = np.zeros_like(image[0])
    for channel in image:
        total = total + channel
    return total / F(len(image))


def _shunned(strip: Strip, picture: Array, code: Code) -> Array:
    """How far the picture is from the veiled frame, towards the ground without its veil."""
    veil = strip.back - code.coded_of(strip.clear)
    part, whole = (
        blur(np.where(strip.ground, _mean(each), F(0)), BEHIND_SIGMA_PX)
        for each in (veil * (strip.back - picture), veil * veil)
    )
    none, full = VEIL_SHUNNED
    return np.clip((part / np.maximum(whole, F(1e-12)) - F(none)) * F(1 / (full - none)), F(0), F(1))


def _strip(beside: Beside[Array], optics: Optics) -> Strip:
    code, steps = Code(optics.coded), beside.steps
    front, back = (mix.mean / np.maximum(mix.total, F(1e-6)) for mix in (beside.near, beside.far))
    there = (beside.near.total > F(0.5)) & (beside.far.total > F(0.5))
    veiled, ground = ((steps.side == side) & there for side in (FRONT, GROUND))
    radius = np.clip(F(optics.radius) * (steps.far - steps.near), F(0), F(DISK_RADII[-1]))
    radius = np.where(veiled | ground, radius, F(0))
    light = code.light(beside.picture)
    weight = np.maximum(blur(ground.astype(F), FILL_SIGMA_PX), F(1e-4))
    plain = np.stack([blur(np.where(ground, plane, F(0)), FILL_SIGMA_PX) / weight for plane in light])
    cover = covering(front, code.coded_of(plain), veiled, ground, optics.noise)
    solid = np.where(veiled, cover, F(0))
    blocked = np.minimum(spread(solid, radius, gaussian_blur), F(1))
    cut_out = np.where(veiled, (code.light(front) - plain) * np.minimum(cover * F(10), F(1)), F(0))
    veil = np.stack([spread(plane, radius, disk_blur) for plane in cut_out])
    let_through = F(1) - np.minimum(blocked, F(MOST_COVERED))
    clear = np.maximum((code.light(back) - plain - veil) / let_through + plain, F(0))
    shown = np.where(veiled | ground, clear, light)
    blurred = np.stack([spread(plane, radius, gaussian_blur) for plane in shown])
    return Strip(front, back, veiled, ground, clear, blurred, cover, blocked)


def _trust(strip: Strip, picture: Array, code: Code) -> Array:
    """How well what was worked out fits what was seen."""
    away = np.where(
        strip.veiled, strip.front - code.coded_of(strip.blurred), picture - code.coded_of(strip.clear)
    )
    weight = strip.visible * np.where(strip.veiled, F(1) - strip.cover, strip.ground.astype(F))
    total = blur(weight, BEHIND_SIGMA_PX)
    furthest = np.max([np.abs(blur(plane * weight, BEHIND_SIGMA_PX)) for plane in away], axis=0)
    trust = np.clip(F(2) - furthest / np.maximum(total, F(0.01)) * F(1 / BEHIND_MISFIT), F(0), F(1))
    return np.where(total > F(0.02), trust, F(0))
