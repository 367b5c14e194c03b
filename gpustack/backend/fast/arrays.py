"""What the compiled loops work on: arrays, and tuples of them. Knows no numba."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Planes(NamedTuple):
    """The planes (h, w) of an image, whole rows each: where they lie, and how far one is from the next.

    `flat` (n,) is of one kind for any number of them, so that a loop is compiled once.
    """

    flat: Array
    step: int
    channels: int
    height: int
    width: int

    @staticmethod
    def of(image: Array) -> Planes:
        """Those of an image (c, h, w), whose rows may be some of a larger one's; written to, if it may be."""
        channels, height, width = image.shape
        if channels and image.strides[1:] != (width * 4, 4):
            image = np.ascontiguousarray(image)
        step = image.strides[0] // 4
        size = (channels - 1) * step + height * width if channels else 0
        flat = np.lib.stride_tricks.as_strided(image, (size,), (4,))
        return Planes(flat, step, channels, height, width)


class Ring(NamedTuple):
    """Row `y` of a plane of so many rows, of which a ring has `last` + 1; or place `y` of one row, where
    `height` is 0."""

    y: int
    height: int
    last: int


class Shown(NamedTuple):
    """A band of a frame: its image, the mask (h w,) or (0,), and its rows `first` to `last` without the
    halo."""

    image: Planes
    valid: Array
    first: int
    last: int


class Kept(NamedTuple):
    """A part's arrays, (h w,) each; what it does not keep is (0,)."""

    energy: Array
    frame: Array
    total: Array
    mean: Planes
    depth: Array
    variance: Array
    sharpest: Array


class Way(NamedTuple):
    """How a frame is weighed: its number, the noise, and what the part says of its mean."""

    number: Any
    noise: Any
    steep: bool
    squared: bool


class Means(NamedTuple):
    """A mean of frames that is blurred by a variance (h, w), in square pixels; `squared`: it is of light."""

    mean: Planes
    variance: Array
    squared: bool


class Compared(NamedTuple):
    """What tells how far frames blur, (h, w) each: the luma of the sharpest frame, where the frames of the
    mean lie, the sharpest one's number and its focus measure; below which variance, above which measure."""

    sharpest: Array
    depth: Array
    variance: Array
    frame: Array
    energy: Array
    widest: Any
    least: Any
    squared: bool


class Bordered(NamedTuple):
    """Samples (rows, width x channels) float32 of a frame of `width` and `height`, its edge repeated: `left`
    are the columns before the first tap of position 0, row 0 is the first tap's of whole position `top`."""

    samples: Array
    width: int
    height: int
    left: int
    top: int
