"""The CPU backend's part in looking behind nearer things (`Backend.steps`, `Backend.look_behind`).

Beside a nearer thing, the frame that has the ground in focus shows it through that thing's blur. With one
frame focused on the thing and one on the ground, that blur is known: the thing, cut out of its own frame,
spread over the disk of its distance. It is taken off, and what is left is the ground as if nothing were in
front of it, up to the thing's own edge and a little beyond.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.disks import Spreading, disk_blur, gaussian_blur
from gpustack.backend.filters import smooth
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
    Mix,
    Optics,
    Steps,
    behind_halo,
)

Array = npt.NDArray[Any]
_F = np.float32
_SMALL = np.ones((3, 3), np.uint8)
_TILE = 512
_NOWHERE = _F(1e9)


def steps(depth: Array, energy: Array, floor: float, inner: slice) -> Steps[Array]:
    """What `Backend.steps` says."""
    reach = _square(STEP_REACH_PX)
    even = cv2.dilate(depth, _SMALL) - cv2.erode(depth, _SMALL) <= _F(STEP_FRAMES / 2)
    sure = even & (energy > _F(SEEN_NOISE * floor)) & (energy > _F(SEEN_SHARE) * cv2.dilate(energy, reach))
    clumps = cv2.morphologyEx(sure.astype(np.uint8), cv2.MORPH_OPEN, _SMALL)
    farthest = _opened(np.where(sure, depth, -_NOWHERE), cv2.MORPH_OPEN)
    nearest = _opened(np.where(sure, depth, _NOWHERE), cv2.MORPH_CLOSE)
    farthest, nearest = cv2.dilate(farthest, reach), cv2.erode(nearest, reach)
    veiled = farthest - depth > _F(STEP_FRAMES)
    ground = (depth - nearest > _F(STEP_FRAMES)) & ~veiled & (cv2.dilate(clumps, _SMALL) > 0)
    near, far = np.where(ground, nearest, depth), np.where(veiled, farthest, depth)
    side = np.where(veiled, np.uint8(FRONT), ground.astype(np.uint8) * np.uint8(GROUND))
    return Steps(near.astype(_F)[inner], far.astype(_F)[inner], side[inner])


def _opened(plane: Array, kind: int) -> Array:
    return cv2.morphologyEx(plane.astype(_F), kind, _SMALL)


def _square(radius: int) -> Array:
    return np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)


def look_behind(beside: Beside[Array], optics: Optics, inner: slice) -> Looked[Array]:
    """What `Backend.look_behind` says."""
    rows = slice(*inner.indices(beside.picture.shape[1])[:2])
    picture = beside.picture[:, rows].copy()
    bare, fits = (np.zeros(picture.shape[1:], _F) for _ in range(2))
    for own, inside, looking in _looks(beside, optics, rows):
        better, fitting = looking.better(optics.noise)
        picture[:, *own], fits[own] = better[:, *inside], fitting[inside]
        bare[own] = looking.bare[inside]
    return Looked(picture, bare, fits)


def _looks(
    beside: Beside[Array], optics: Optics, rows: slice
) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...], _Look]]:
    """Boxes that hold all that lies beside steps in some rows: where each lies in these, and in the look at
    it."""
    steps = beside.steps
    for own in _boxes(steps.side[rows] > 0):
        whole = slice(own[0].start + rows.start, own[0].stop + rows.start), own[1]
        wide = tuple(
            slice(max(0, part.start - behind_halo()), min(size, part.stop + behind_halo()))
            for part, size in zip(whole, steps.side.shape, strict=True)
        )
        inside = tuple(
            slice(part.start - around.start, part.stop - around.start)
            for part, around in zip(whole, wide, strict=True)
        )
        yield own, inside, _look(beside, wide, optics)


def _boxes(wanted: Array) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the boxes, side by side, that hold all that is wanted."""
    for left in range(0, wanted.shape[1], _TILE):
        part = np.ascontiguousarray(wanted[:, left : left + _TILE], np.uint8)
        x, y, width, height = cv2.boundingRect(part)
        if width:
            yield slice(y, y + height), slice(left + x, left + x + width)


def _shown(mix: Mix[Array], box: tuple[slice, ...]) -> Array:
    """The picture whose weighted sums are in `mix`."""
    return np.asarray(mix.mean[:, *box] / np.maximum(mix.total[box], _F(1e-6)), _F)


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """What was worked out of a box.

    The ground in light, as if nothing were before it, `clear` (c, h, w), and `blurred` as the nearer
    thing's frame shows it; how much of each pixel the thing covers, and how much of the ground's light it
    blocks, 0..1. `front` and `back` are the frames focused on the thing and on the ground.
    """

    picture: Array
    front: Array
    back: Array
    veiled: Array
    ground: Array
    clear: Array
    blurred: Array
    cover: Array
    blocked: Array
    coded: bool

    def apart(self) -> tuple[Array, Array]:
        """How far what was worked out is from what was seen, over the neighbourhood, and the weight of
        that."""
        away = np.where(
            self.veiled,
            self.front - _coded(self.blurred, self.coded),
            self.picture - _coded(self.clear, self.coded),
        )
        weight = self._visible * np.where(self.veiled, 1 - self.cover, self.ground)
        total = smooth(weight, BEHIND_SIGMA_PX)
        means = [np.abs(smooth(plane * weight, BEHIND_SIGMA_PX)) for plane in away]
        return np.max(means, axis=0) / np.maximum(total, _F(0.01)), total

    @property
    def _visible(self) -> Array:
        return np.asarray(np.clip((_F(MOST_COVERED + 0.1) - self.blocked) * _F(5), _F(0), _F(1)))

    @property
    def bare(self) -> Array:
        """How much of the ground each veiled pixel shows, 0..1; 0 elsewhere."""
        return np.asarray((1 - self.cover) * self.veiled, _F)

    def better(self, noise: float) -> tuple[Array, Array]:
        """The picture with the ground put in, and how well that fits what was seen, 0..1."""
        picture, bare, veiled = self.picture, 1 - self.cover, self.veiled
        light = _light(self.front, self.coded) + bare * (self.clear - self.blurred)
        unveiled = _coded(self.clear, self.coded)
        more = np.where(veiled, _coded(light, self.coded), unveiled) - picture
        apart, total = self.apart()
        trust = np.clip(_F(2) - apart * _F(1 / BEHIND_MISFIT), _F(0), _F(1)) * (total > _F(0.02))
        fits = np.asarray(trust * veiled, _F)
        zone = np.where(veiled, _F(1), self._shunned(unveiled) * self.ground)
        share = smooth(trust * zone, BEHIND_TRUST_PX) * self._visible * zone  # no seam where the zone ends
        share *= np.minimum(bare * _F(3), _F(1))
        power = smooth(np.asarray(np.mean(np.square(more), axis=0), _F), BEHIND_SIGMA_PX)
        share *= np.maximum(power - _F(BEHIND_NOISE * noise * noise), _F(0)) / np.maximum(power, _F(1e-12))
        return np.asarray(picture + share * more, _F), fits

    def _shunned(self, unveiled: Array) -> Array:
        """How far the picture is from the frame focused on the ground, towards the ground that was worked
        out, 0..1: where the first pass has shunned that frame as well, the veil is there."""
        veil, taken = self.back - unveiled, self.back - self.picture
        part, whole = (
            smooth(np.asarray(np.mean(veil * plane, axis=0) * self.ground, _F), BEHIND_SIGMA_PX)
            for plane in (taken, veil)
        )
        none, full = VEIL_SHUNNED
        share = part / np.maximum(whole, _F(1e-12))
        return np.asarray(np.clip((share - _F(none)) * _F(1 / (full - none)), _F(0), _F(1)))


def _look(beside: Beside[Array], box: tuple[slice, ...], optics: Optics) -> _Look:
    """Look behind the nearer things of a box."""
    picture, steps, coded = beside.picture[:, *box], _covered(beside, box), optics.coded
    front, back = (_shown(mix, box) for mix in (beside.near, beside.far))
    veiled, ground = steps.side == FRONT, (steps.side == GROUND).astype(_F)
    disk = np.clip(_F(optics.radius) * (steps.far - steps.near), _F(0), _F(DISK_RADII[-1]))
    disk[steps.side == 0] = 0
    spreading = Spreading(disk)
    light, front_light, back_light = (_light(image, coded) for image in (picture, front, back))
    plain = _filled(light, ground)
    cut_out = np.where(veiled, front_light - plain, _F(0))
    cover = _cover(front, _coded(plain, coded), veiled, ground, optics.noise)
    solid = cover * veiled
    veil = spreading.by(disk_blur, cut_out * np.minimum(solid * _F(10), _F(1)))
    blocked = np.minimum(spreading.by(gaussian_blur, solid[None])[0], _F(1))
    clear = back_light - plain - veil
    clear /= 1 - np.minimum(blocked, _F(MOST_COVERED))
    clear = np.maximum(clear + plain, _F(0))
    blurred = spreading.by(gaussian_blur, np.where(steps.side > 0, clear, light))
    return _Look(picture, front, back, veiled, ground, clear, blurred, cover, blocked, coded)


def _covered(beside: Beside[Array], box: tuple[slice, ...]) -> Steps[Array]:
    """The steps of a box, less those pixels of which one of the two frames is missing."""
    there = (beside.near.total[box] > _F(0.5)) & (beside.far.total[box] > _F(0.5))
    steps = beside.steps
    return Steps(steps.near[box], steps.far[box], steps.side[box] * there.astype(np.uint8))


def _light(image: Array, coded: bool) -> Array:
    return image * image if coded else image


def _coded(light: Array, coded: bool) -> Array:
    return np.sqrt(np.maximum(light, _F(0))) if coded else light


def _filled(light: Array, known: Array) -> Array:
    """The mean of what is known nearby."""
    weight = np.maximum(smooth(known, FILL_SIGMA_PX), _F(1e-4))
    return np.stack([smooth(plane * known, FILL_SIGMA_PX) / weight for plane in light])


def _cover(front: Array, plain: Array, veiled: Array, ground: Array, noise: float) -> Array:
    """How much of each pixel the nearer thing covers, 0..1.

    Where the thing's own frame looks like the ground around it, and is joined to that ground by such pixels,
    nothing is covered: what is not, stands out by a share of the contrast nearby.
    """
    contrast = np.abs(front - plain).max(axis=0)
    strongest = cv2.dilate(contrast * veiled, _square(CONTRAST_PX))
    contrast /= np.maximum(strongest, _F(CONTRAST_NOISE * noise) + _F(1e-6))
    low, high = FLOOD
    like = 1 - np.clip((contrast - _F(low)) * _F(1 / (high - low)), _F(0), _F(1))
    like = np.where(veiled, like, ground)
    reached = ground
    for _ in range(FLOOD_PX):
        reached = np.minimum(cv2.dilate(reached, _SMALL), like)
    return np.asarray(1 - reached, _F)
