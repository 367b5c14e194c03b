"""What the development of a mosaic computes, in plain integers of NumPy: PPG, and means at the border."""

from __future__ import annotations

import numpy as np

from gpustack.model.mosaic import BLUE, GREEN, RED, Mosaic
from tests.kernels.reference import Array

REACH = 3
STEPS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]


def developed(samples: Array, mosaic: Mosaic) -> Array:
    """(h, w) uint16 -> (h, w, 3) uint16."""
    height, width = samples.shape
    light, colours = scaled(samples, mosaic), repeated(np.array(mosaic.colours), samples.shape)
    y, x = np.mgrid[:height, :width]
    edge = np.minimum(np.minimum(y, height - 1 - y), np.minimum(x, width - 1 - x))
    green = np.where(edge < REACH, mean_beside(light, colours, GREEN), found_green(light))
    green = np.where(colours == GREEN, light, green)
    in_row = {RED: (colours == RED).any(axis=1)[:, None], BLUE: (colours == BLUE).any(axis=1)[:, None]}
    out = np.empty((height, width, 3), np.uint16)
    out[..., GREEN] = green
    for colour in (RED, BLUE):
        beside = [clipped(guess(light, green, step) >> 1) for step in ((0, 1), (1, 0))]
        value = np.where(in_row[colour], *beside)
        value = np.where(colours == GREEN, value, opposite(light, green))
        value = np.where(edge < 1, mean_beside(light, colours, colour), value)
        out[..., colour] = np.where(colours == colour, light, value)
    return out


def scaled(samples: Array, mosaic: Mosaic) -> Array:
    """Black subtracted, balanced in float32, cut to whole numbers and clipped."""
    above = samples - repeated(np.array(mosaic.black), samples.shape)
    light = np.maximum(above, 0).astype(np.float32) * repeated(
        np.array(mosaic.gain, np.float32), samples.shape
    )
    return clipped(light.astype(np.int64))


def repeated(four: Array, shape: tuple[int, ...]) -> Array:
    """The values of four pixels over a picture."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.asarray(four[y % 2 * 2 + x % 2])


def clipped(values: Array) -> Array:
    return np.clip(values, 0, 65535)


def moved(plane: Array, y: int, x: int) -> Array:
    """The plane seen from (y, x) away; 0 outside."""
    height, width = plane.shape
    return np.asarray(np.pad(plane, REACH)[REACH + y :, REACH + x :][:height, :width])


def mean_beside(light: Array, colours: Array, colour: int) -> Array:
    """The mean of the pixels of a colour around each pixel; 0 where there are none."""
    there = (colours == colour).astype(np.int64)
    count = sum(moved(there, y, x) for y, x in STEPS)
    return np.asarray(sum(moved(light * there, y, x) for y, x in STEPS) // np.maximum(count, 1))


def found_green(light: Array) -> Array:
    """Green by the direction in which the mosaic changes less."""
    guesses, changes = [], []
    for y, x in ((0, 1), (1, 0)):
        far_before, before, after, far_after = (moved(light, k * y, k * x) for k in (-2, -1, 1, 2))
        value = (before + light + after) * 2 - far_before - far_after >> 2
        guesses.append(np.clip(value, np.minimum(before, after), np.maximum(before, after)))
        own = abs(far_before - light) + abs(far_after - light) + abs(before - after)
        outer = abs(moved(light, 3 * y, 3 * x) - after) + abs(moved(light, -3 * y, -3 * x) - before)
        changes.append(own * 3 + outer * 2)
    return np.asarray(np.where(changes[0] > changes[1], guesses[1], guesses[0]))


def guess(light: Array, green: Array, step: tuple[int, int]) -> Array:
    """Twice a colour, from both neighbours along `step` and how green differs there."""
    total: Array = 2 * green
    for sign in (-1, 1):
        y, x = sign * step[0], sign * step[1]
        total = total + moved(light, y, x) - moved(green, y, x)
    return total


def opposite(light: Array, green: Array) -> Array:
    """Red at blue, and blue at red, along the diagonal that changes less, or both."""
    guesses, changes = [], []
    for step in ((1, 1), (1, -1)):
        y, x = step
        change = abs(moved(light, y, x) - moved(light, -y, -x))
        changes.append(change + abs(moved(green, y, x) - green) + abs(moved(green, -y, -x) - green))
        guesses.append(guess(light, green, step))
    one = np.where(changes[0] > changes[1], guesses[1], guesses[0]) >> 1
    return clipped(np.where(changes[0] == changes[1], (guesses[0] + guesses[1]) >> 2, one))
