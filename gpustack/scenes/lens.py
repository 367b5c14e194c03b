"""The lens: a blur disk, the defocus of one layer, and the layers laid over one another.

Everything is linear light. A blurred layer is its alpha and its premultiplied colour, each averaged over the
disk; laid back to front, a blurred thing in front lets the background show through, as it does behind a real
aperture.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cache
from math import ceil, sqrt

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.model.transform import Matrix, Transform
from gpustack.scenes.layer import Box, Layer
from gpustack.scenes.textures import Plane

SUPPORT = 4
"""Pixels beyond a sample that Lanczos resampling reads."""
TILE = 192
"""Side in pixels of the squares that a layer is blurred in."""
_NEGLIGIBLE = 0.05
_FINE = 16


@dataclass(frozen=True, slots=True)
class View:
    """How one frame sees the scene.

    `matrix` maps reference pixels to frame pixels; `focus` is the depth in focus (0 nearest to 1 farthest),
    or None for the truth: every layer in focus, and one that is `afar` as the nearest focus shows it.
    `max_blur_px` is the disk's radius one whole depth range away; the frame has `width` x `height` pixels.
    """

    matrix: Matrix
    focus: float | None
    max_blur_px: float
    width: int
    height: int

    @property
    def frame(self) -> Box:
        """The pixels of the frame."""
        return Box(0, 0, self.width, self.height)

    def radius(self, layer: Layer, depth: Plane) -> Plane:
        """Signed radius in pixels of the blur disk at `depth`, any shape, of the layer."""
        if self.focus is not None:
            return np.asarray(np.float32(self.max_blur_px) * (depth - np.float32(self.focus)), np.float32)
        if not layer.afar:
            return np.zeros_like(depth)
        return np.asarray(np.float32(self.max_blur_px) * (depth - np.clip(depth, 0.0, 1.0)), np.float32)


@cache
def disk(radius: float) -> Plane:
    """The blur kernel of a disk of `radius` pixels: (k, k) float32, odd k, sum 1.

    The pixels of a sharp layer already hold the average over a pixel, so the kernel has the variance of the
    bare disk, radius**2 / 4 on each axis: below one pixel a 3x3 kernel of just that variance, from there on
    the covered area of a disk that is smaller by the variance (1/12) which counting areas adds.
    """
    if radius < _NEGLIGIBLE:
        return np.ones((1, 1), np.float32)
    if radius < 1.0:
        side = radius * radius / 8.0
        line = np.array([side, 1.0 - 2.0 * side, side])
        return np.outer(line, line).astype(np.float32)
    return _covered(sqrt(radius * radius - 1.0 / 3.0))


def _covered(radius: float) -> Plane:
    """Share of each pixel that a disk covers, by 16 x 16 points to a pixel; normalised to sum 1."""
    reach = ceil(radius - 0.5)
    size = 2 * reach + 1
    at = (np.arange(size * _FINE) + 0.5) / _FINE - size / 2.0
    inside = at[:, None] ** 2 + at[None, :] ** 2 <= radius * radius
    share = inside.reshape(size, _FINE, size, _FINE).mean(axis=(1, 3))
    return np.asarray(share / share.sum(), np.float32)


def reach(max_blur_px: float) -> int:
    """Pixels that light can spread: the largest disk, and as much as the next slice beyond it is larger."""
    return ceil(max_blur_px * 1.25) + 1


def expose(layers: tuple[Layer, ...], view: View) -> Plane:
    """The light on the frame: (h, w, 3) float32, linear, no noise; layers are given back to front."""
    light = np.zeros((view.height, view.width, 3), np.float32)
    for layer in layers:
        _lay(light, layer, view)
    return light


def _lay(light: Plane, layer: Layer, view: View) -> None:
    """Lay a layer over the light behind it, tile by tile.

    A tile of a long hair is mostly empty, and one of a slope has few depths: both need few blurs.
    """
    ends = view.radius(layer, np.array([layer.depth.min(), layer.depth.max()], np.float32))
    even = float(ends[1] - ends[0]) < _NEGLIGIBLE
    most = float(np.abs(ends).max())
    beyond = reach(most if layer.afar else min(most, view.max_blur_px))
    for tile in layer.box.moved(view.matrix).grow(beyond + SUPPORT).clip(view.frame).tiles(TILE):
        reached = tile.clip(_holding(layer, view.matrix, tile.grow(beyond)).grow(beyond))
        if reached.empty:
            continue
        around = reached.grow(beyond)
        colour, alpha, radius = _seen(layer, view, around)
        blurred = _flat(colour, alpha, abs(float(radius.mean()))) if even else defocus(colour, alpha, radius)
        share, added = (plane[reached.within(around)] for plane in blurred)
        under = light[reached.within(view.frame)]
        under *= 1.0 - share[..., None]
        under += added


def _holding(layer: Layer, matrix: Matrix, box: Box) -> Box:
    """The part of the frame's `box` in which something of the layer lies; empty where nothing does."""
    there = box.moved(Transform(matrix).inverse().matrix).grow(SUPPORT).clip(layer.box)
    if there.empty:
        return there
    filled = (layer.alpha[there.within(layer.box)] > 0).astype(np.uint8)
    left, top, width, height = cv2.boundingRect(filled)
    corner = Box(there.left + left, there.top + top, there.left + left + width, there.top + top + height)
    return corner.moved(matrix).grow(SUPPORT).clip(box) if width else corner


def top_depth(layers: tuple[Layer, ...], view: View) -> Plane:
    """Depth, 0 to 1, of the frontmost layer that covers half of a pixel or more: (h, w) float32."""
    depth = np.ones((view.height, view.width), np.float32)
    for layer in layers:
        box = layer.box.moved(view.matrix).grow(SUPPORT).clip(view.frame)
        if not box.empty:
            here, covers = _depth_where(layer, view, box)
            np.copyto(depth[box.within(view.frame)], here, where=covers)
    return depth


def _depth_where(layer: Layer, view: View, box: Box) -> tuple[Plane, npt.NDArray[np.bool_]]:
    """The layer's depth over `box`, and where it covers half of a pixel."""
    alpha = _resample(layer.alpha, layer.box, view.matrix, box, cv2.INTER_LANCZOS4, cv2.BORDER_CONSTANT)
    depth = _resample(layer.depth, layer.box, view.matrix, box, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
    return depth, alpha >= 0.5


def _seen(layer: Layer, view: View, box: Box) -> tuple[Plane, Plane, Plane]:
    """A layer's sharp colour (h, w, 3), alpha (h, w) and signed blur radius (h, w) over the frame's `box`."""
    where = (layer.box, view.matrix, box)
    colour = _resample(layer.colour, *where, cv2.INTER_LANCZOS4, cv2.BORDER_REPLICATE)
    alpha = _resample(layer.alpha, *where, cv2.INTER_LANCZOS4, cv2.BORDER_CONSTANT)
    depth = _resample(layer.depth, *where, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
    return np.maximum(colour, 0.0), np.clip(alpha, 0.0, 1.0), view.radius(layer, depth)


def _resample(plane: Plane, source: Box, matrix: Matrix, box: Box, interpolation: int, border: int) -> Plane:
    """Resample a layer's plane, which lies at `source` of the reference, over `box` of the frame."""
    into = np.array([[1, 0, -box.left], [0, 1, -box.top], [0, 0, 1.0]])
    out = np.array([[1, 0, source.left], [0, 1, source.top], [0, 0, 1.0]])
    steps = (into @ matrix @ out)[:2]
    if np.array_equal(steps[:, :2], np.eye(2)) and np.array_equal(steps[:, 2], np.rint(steps[:, 2])):
        return _moved_whole(plane, int(steps[0, 2]), int(steps[1, 2]), box, border)
    warped = cv2.warpAffine(plane, steps, (box.width, box.height), flags=interpolation, borderMode=border)
    return np.asarray(warped, np.float32)


def _moved_whole(plane: Plane, right: int, down: int, box: Box, border: int) -> Plane:
    """The plane moved by whole pixels, cut or continued to the size of `box`."""
    height, width = plane.shape[:2]
    wanted = Box(-right, -down, box.width - right, box.height - down)
    # At least one row and column to continue from, where the box lies beside the plane.
    left, top = min(max(wanted.left, 0), width - 1), min(max(wanted.top, 0), height - 1)
    inner = Box(left, top, max(min(wanted.right, width), left + 1), max(min(wanted.bottom, height), top + 1))
    cut = plane[inner.top : inner.bottom, inner.left : inner.right]
    edges = (top - wanted.top, wanted.bottom - inner.bottom, left - wanted.left, wanted.right - inner.right)
    before, after, head, tail = (max(0, edge) for edge in edges)
    wide = cv2.copyMakeBorder(cut, before, after, head, tail, border, value=0)
    rows, columns = max(0, -edges[0]), max(0, -edges[2])
    return np.asarray(wide[rows : rows + box.height, columns : columns + box.width], np.float32)


def defocus(colour: Plane, alpha: Plane, radius: Plane) -> tuple[Plane, Plane]:
    """Blur a layer whose disk radius varies: returns alpha (h, w) and premultiplied colour (h, w, 3).

    `radius` (h, w) is signed, so that the two sides of the focus are cut apart. The layer is cut into slices
    by hat weights that sum to one over the radius; each slice is blurred with its own disk, and the sum is
    divided by the blurred weights, without which an opaque surface would turn translucent where its depth
    changes.
    """
    low, high = float(radius.min()), float(radius.max())
    if high - low < _NEGLIGIBLE:
        return _flat(colour, alpha, abs(0.5 * (low + high)))
    total = np.zeros((*alpha.shape, 5), np.float32)
    planes = np.dstack([np.ones_like(alpha), alpha, colour * alpha[..., None]])
    nodes = ladder(low, high)
    for before, node, after in zip(nodes, nodes[1:], nodes[2:], strict=False):
        rise, fall = (radius - before) / (node - before), (after - radius) / (after - node)
        _add_slice(total, planes, np.maximum(np.minimum(rise, fall), 0.0), disk(abs(node)))
    weight = np.maximum(total[..., :1], 1e-6)
    total /= weight
    return np.clip(total[..., 1], 0.0, 1.0), total[..., 2:]


def _flat(colour: Plane, alpha: Plane, radius: float) -> tuple[Plane, Plane]:
    """Blur a layer that lies at one depth."""
    planes = np.dstack([alpha, colour * alpha[..., None]])
    blurred = np.asarray(cv2.filter2D(planes, -1, disk(radius), borderType=cv2.BORDER_REPLICATE), np.float32)
    return np.clip(blurred[..., 0], 0.0, 1.0), blurred[..., 1:]


def _add_slice(total: Plane, planes: Plane, weight: Plane, kernel: Plane) -> None:
    """Add the blurred slice to `total`, touching only the rectangle where it can have light."""
    left, top, width, height = cv2.boundingRect((weight > 0).astype(np.uint8))
    if not width:
        return
    frame = Box(0, 0, weight.shape[1], weight.shape[0])
    part = Box(left, top, left + width, top + height).grow(kernel.shape[0] // 2).clip(frame).within(frame)
    cut = planes[part] * weight[part][..., None]
    total[part] += cv2.filter2D(cut, -1, kernel, borderType=cv2.BORDER_CONSTANT)


def ladder(low: float, high: float) -> list[float]:
    """Signed radii at which slices are taken, from below `low` to above `high`; 0 is one of them if it lies
    between.

    A quarter of a pixel apart near the focus, a fifth of the radius farther out, where neighbouring disks
    look alike.
    """
    rungs = [0.0]
    while len(rungs) < 3 or rungs[-3] <= max(abs(low), abs(high)):
        rungs.append(rungs[-1] + max(0.25, rungs[-1] / 5.0))
    every = [-rung for rung in rungs[:0:-1]] + rungs
    return every[max(0, bisect_right(every, low) - 2) : bisect_left(every, high) + 2]
