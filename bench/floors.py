"""The bytes that a kernel must move: each input read once, each output written once, from its own arguments.

Neighbours that a kernel reads again come from caches and shared memory and do not count, nor do the halos of
blocks. What depends on the pictures is a share that the caller states (`Shares`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gpustack.align.sight import SAMPLES

ITEMSIZE = {"uint8": 1, "uint16": 2, "float32": 4}


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of the pixels, 0..1: `won` by the frame that is folded in, `near` it on the depth surface.

    A frame that has its turn in a stack of n wins 1/n of the pixels in the end, but more on its way there;
    of 60 frames a pixel is near two. That a frame widens the range seen so far becomes rare: taken as never.
    """

    won: float = 0.3
    near: float = 2 / 60


@dataclass(frozen=True, slots=True)
class Call:
    """A launch: its arguments as the kernel gets them, blocks in z, bytes of a frame's sample, and shares."""

    arguments: Sequence[Any]
    depth: int
    item: int
    shares: Shares

    def number(self, at: int) -> int:
        """An integer argument; an address other than 0 is true."""
        return int(self.arguments[at])

    def pixels(self, at: int) -> int:
        """Height times width, which are arguments `at` and the one after."""
        return self.number(at) * self.number(at + 1)

    def quarter(self, at: int) -> int:
        """Pixels of the half-size picture of one whose height and width are arguments `at` and the next."""
        return half(self.number(at)) * half(self.number(at + 1))


def half(side: int) -> int:
    """Pixels of a side at half size."""
    return (side + 1) // 2


def part_bytes(part: Any, channels: int, won: float) -> float:
    """Bytes a pixel of what is kept of the frames, in common.cuh's `Part`, when one more is folded in.

    The energy is read, 4; where the frame wins, energy and frame are written, 6. A soft choice reads and
    writes total and mean, 8 + 8c, everywhere; a hard one writes the picture, 4c, where the frame wins. A
    spread is two planes read and written, and the luma written where the frame wins.
    """
    kept = channels if int(part["kept"]) else 0
    spread = 16 + 4 * won if int(part["depth"]) else 0.0
    if int(part["total"]):
        return 4 + 6 * won + 8 + 8 * kept + spread
    return 4 + (6 + 4 * kept) * won


def _wants_image(part: Any, channels: int, won: float) -> float:
    """Bytes a pixel of the picture that is folded in: read only where it is kept."""
    if not int(part["kept"]):
        return 0.0
    return 4 * channels * (1.0 if int(part["total"]) else won)


def _load(call: Call) -> float:
    """load_shifted, warp_... (frame, h, w, channels, out, valid, height, width, ...)."""
    channels, masked = call.number(3), call.number(5) != 0
    return call.pixels(6) * (channels * (call.item + 4) + masked)


def _reduce(call: Call) -> float:
    return 4 * call.depth * (call.pixels(2) + call.quarter(2))


def _fold_level(call: Call) -> float:
    band, part = call.arguments[0], call.arguments[1]
    height, width, channels = (int(band[name]) for name in ("height", "width", "channels"))
    inner = (int(band["last"]) - int(band["first"])) * width
    wanted = (int(band["until"]) - int(band["from"])) * width
    image = 4 * channels * (height * width + half(height) * half(width))
    energy = wanted * (4 + 4 * (int(band["evidence"]) != 0))
    extent = 2 * channels * call.item * (int(band["low"]) != 0)
    mask = int(band["valid"]) != 0
    return image + energy + inner * (extent + mask + part_bytes(part, channels, call.shares.won))


def _fold_in(call: Call) -> float:
    """(image, plane, channels, energy, valid, height, width, part)."""
    channels, part, won = call.number(2), call.arguments[7], call.shares.won
    each = 4 + (call.number(4) != 0) + _wants_image(part, channels, won) + part_bytes(part, channels, won)
    return call.pixels(5) * each


def _fold_sharpness(call: Call) -> float:
    """(luma, half, height, width, scale, image, plane, channels, valid, first, last, part, taps)."""
    channels, part, won = call.number(7), call.arguments[11], call.shares.won
    inner = (call.number(10) - call.number(9)) * call.number(3)
    each = (call.number(8) != 0) + _wants_image(part, channels, won) + part_bytes(part, channels, won)
    return 4 * (call.pixels(2) + call.quarter(2)) + inner * each


def _merge(call: Call) -> float:
    """(part, other, channels, height, width): both energies; totals and means, or the winner's picture."""
    part, channels, won = call.arguments[0], call.number(2), call.shares.won
    soft = int(part["total"]) != 0
    kept = 12 + 12 * channels if soft else 8 * channels * won
    return call.pixels(3) * (8 + 8 * won + kept)


def _blend_in(call: Call) -> float:
    """(image, plane, channels, depth, valid, height, width, ...): depth; image, mean and total where near."""
    near = (call.number(4) != 0) + 12 * call.number(2) + 8
    return call.pixels(5) * (4 + call.shares.near * near)


def _pack(call: Call) -> float:
    """(image, plane, channels, low, high, plane, white, out, height, width)."""
    return call.pixels(8) * call.number(2) * (4 + call.item + 2 * call.item * (call.number(3) != 0))


def _develop(call: Call) -> float:
    mosaic = call.arguments[2]
    return int(mosaic["height"]) * int(mosaic["width"]) * (2 + 6)


def _take(call: Call) -> float:
    """(plane, strength, pixels, ...): strength is read; a sample's four arrays are written."""
    pixels = call.number(2)
    return 4 * pixels + 44 * min(SAMPLES, pixels // 4)


def _improve(call: Call) -> float:
    """(estimate, plane, mean, plane, lost, strength, trust, spread, noise, squared, height, width, first,
    out, rows): a channel's three planes and its result; three planes for all."""
    return call.number(14) * call.number(11) * (16 * call.depth + 12)


def _misfit(call: Call) -> float:
    """(fit, sums): of the pixels that are compared six rungs, the mean's colours, depth, variance, energy and
    index, once for all radii."""
    fit = call.arguments[0]
    height, width, stride = (int(fit[name]) for name in ("height", "width", "stride"))
    return -(-height // stride) * -(-width // stride) * (24 + 4 * int(fit["channels"]) + 14)


def _around(call: Call) -> float:
    """(low, high, plane, height, width, first, low out, high out, rows)."""
    return 2 * call.item * call.depth * call.number(4) * (call.number(3) + call.number(8))


def _beside(call: Call, *, images: int, planes: int, out: int) -> float:
    """A kernel on a strip beside depth steps, whose first argument is `Beside`: so many images and so many
    bytes of planes are read, and so many bytes a pixel written."""
    beside = call.arguments[0]
    pixels = int(beside["height"]) * int(beside["width"])
    return pixels * (4 * images * int(beside["channels"]) + planes + out)


def _each_beside(call: Call, *, images: int, planes: int) -> float:
    """The same where z counts channels, for each of which a plane is written; planes are read once."""
    beside = call.arguments[0]
    pixels = int(beside["height"]) * int(beside["width"])
    return pixels * (4 * images * int(beside["channels"]) + planes + 4 * call.depth)


def _put_in(call: Call) -> float:
    """(beside, found, trust, zone, power, noise, first, out, rows, ...): the picture, sides and two planes;
    what else is read, is beside steps: taken as nowhere."""
    beside = call.arguments[0]
    return int(beside["width"]) * call.number(8) * (8 * int(beside["channels"]) + 9)


BYTES: dict[str, Callable[[Call], float]] = {
    "load_shifted": _load,
    "warp_bicubic": _load,
    "warp_lanczos": _load,
    "develop_malvar": _develop,
    "develop_rcd": _develop,
    "reduce": _reduce,
    "between_cells": lambda call: 4 * call.pixels(8),
    "shrink_mask": lambda call: call.pixels(1) + call.quarter(1),
    "add_detail": lambda call: call.depth * (8 * call.pixels(7) + 4 * call.quarter(7)),
    "fold_level": _fold_level,
    "fold_in": _fold_in,
    "keep_nearest": _fold_in,  # the depth in the place of the energy
    "merge": _merge,
    "merge_extent": lambda call: 4 * call.item * call.depth * call.pixels(4),
    "blend_in": _blend_in,
    "detail_of": lambda call: call.depth * (8 * call.pixels(6) + 4 * call.quarter(6)),
    "power_of": lambda call: call.pixels(4) * (4 * (3 if call.number(2) >= 3 else 1) + 4),
    "bend_of": lambda call: 8 * call.pixels(3),
    "blur_line": lambda call: 8 * call.pixels(5),
    "heed": lambda call: 12 * call.pixels(3),
    "extend_by": lambda call: call.depth * call.pixels(7) * (4 + 2 * call.item),
    "add": lambda call: 12 * call.depth * call.pixels(2),
    "luma": lambda call: call.pixels(4) * (4 * (3 if call.number(2) >= 3 else 1) + 4),
    "curvature": lambda call: 8 * call.pixels(1),
    "fold_sharpness": _fold_sharpness,
    # The nearest frame's picture is read where no frame was near: taken as nowhere.
    "blended": lambda call: call.pixels(7) * (8 * call.depth + 4),
    "pack": _pack,
    "clamp_to": lambda call: call.depth * call.pixels(6) * (8 + 2 * call.item),
    "around": _around,
    "begin": lambda call: 12 * call.pixels(4),
    "climb": lambda call: 20 * call.pixels(2),
    "unblur": lambda call: 28 * call.pixels(9),
    "halo": lambda call: 8 * call.pixels(4),
    "trust": lambda call: call.pixels(10) * (4 * call.number(1) + 12),
    "improve": _improve,
    "misfit": _misfit,
    "fill_float32": lambda call: 4 * call.number(1),
    "fill_uint8": lambda call: call.number(1),
    "fill_uint16": lambda call: 2 * call.number(1),
    "median": lambda call: 8 * call.pixels(2),
    "smooth_by": lambda call: 16 * call.pixels(4),
    "fill_in": lambda call: 12 * call.pixels(5) + (4 * call.quarter(5) if call.number(2) else 0),
    "surely_seen": lambda call: 9 * call.pixels(6),
    # (depth, seen, step, height, width, first, near, far, side, rows)
    "step_sides": lambda call: 5 * call.pixels(3) + 9 * call.number(9) * call.number(4),
    "lay_sides": lambda call: _beside(call, images=0, planes=17, out=5),
    "plain_sums": lambda call: _each_beside(call, images=1, planes=1),
    "liken": lambda call: _beside(call, images=2, planes=9, out=4),
    "flood": lambda call: 9 * call.pixels(3),
    "block_light": lambda call: 13 * call.pixels(4),
    "unveil": lambda call: _each_beside(call, images=3, planes=25),
    "refocus": lambda call: _each_beside(call, images=2, planes=5),
    "compare": lambda call: _each_beside(call, images=4, planes=13),
    "judge": lambda call: _beside(call, images=6, planes=17, out=24),
    "lay_zone": lambda call: 21 * call.pixels(7),
    "put_in": _put_in,
    # (frame, width, channels, scale, high, wide, out, height, width): blocks of high x wide pixels.
    "survey_luma": lambda call: call.pixels(7) * (call.pixels(4) * call.number(2) * call.item + 4),
    # (frame, height, width, channels, scale, step, ...): 32 rows in every `step`.
    "noise": lambda call: (
        32 * -(-call.number(1) // call.number(5)) * call.number(2) * call.number(3) * call.item
    ),
    "thumbnail": lambda call: 4 * call.pixels(1),
    # (frame, width, channels, scale, linear, burnt, high, wide, out, height, width): as the luma.
    "light": lambda call: call.pixels(9) * call.number(6) * call.number(7) * call.number(2) * call.item,
    "to_light": lambda call: 8 * call.pixels(2),
    "blur": lambda call: 8 * call.pixels(2),
    "band_pass": lambda call: 8 * call.pixels(5) + 4 * call.pixels(2),
    "energies": lambda call: 4 * call.pixels(5) * (call.number(2) * call.number(3) + 1),
    "gains": lambda call: 8 * call.pixels(2),
    "even_out": lambda call: 8 * call.pixels(6) + 4 * call.pixels(2),
    # (plane, height, apart, out, keys, step, rows, width): a row and those beside it.
    "strength": lambda call: call.pixels(6) * (4 * min(3, call.number(2)) + 4 + 4 / call.number(5)),
    "tally": lambda call: 4 * call.number(1),
    "narrow": lambda call: 4 * call.number(1),
    "count_strong": lambda call: 4 * call.number(1),
    "take": _take,
    # (x, y, value, jacobian, count, every, ...): what is kept is read and written.
    "thin": lambda call: 88 * -(-call.number(4) // call.number(5)),
    "look_up": lambda call: 20 * call.number(3),  # what it reads of the plane comes from the cache
    "add_up": lambda call: 44 * call.number(4),
}
"""What each kernel moves in one launch."""


def bytes_moved(name: str, arguments: Sequence[Any], depth: int, pixel: str, shares: Shares) -> float:
    """The bytes of one launch of kernel `name`, for frames of dtype `pixel`."""
    return float(BYTES[name](Call(arguments, depth, ITEMSIZE[pixel], shares)))
