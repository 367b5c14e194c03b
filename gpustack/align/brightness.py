"""How bright each frame is against the reference."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gpustack.model.transform import Transform

SMALLEST_GAIN_STEP = 0.002
"""A gain closer to 1 than half an 8-bit step at white changes nothing that can be seen, and is left at 1."""

Thumbnail = npt.NDArray[np.float32]


def with_gain(
    transform: Transform, reference: Thumbnail, frame: Thumbnail, factor: float, own: float | None = None
) -> Transform:
    """The transform with the gain that brings the frame's brightness to the reference's.

    Both are thumbnails of the luma, `factor` times smaller than the pictures that the transform speaks of;
    the frame's `own` times, if its picture has another size.

    The median of their ratio where both are neither black nor burnt out; every frame is compared with the
    reference itself, so that gains do not drift along the stack.
    """
    height, width = reference.shape
    y, x = np.mgrid[:height, :width]
    points = transform.scaled(1 / factor).apply(np.stack([x.ravel(), y.ravel()], axis=1))
    if own is not None:
        points = (points + 0.5) * (factor / own) - 0.5
    column, row = np.rint(points).astype(int).T
    inside = (column >= 0) & (column < frame.shape[1]) & (row >= 0) & (row < frame.shape[0])
    here, there = reference.ravel()[inside], frame[row[inside], column[inside]]
    usable = (here > 0.02) & (here < 0.95) & (there > 0.02) & (there < 0.95)
    if usable.sum() < 16:
        return transform
    gain = float(np.median(here[usable] / there[usable]))
    return Transform(transform.matrix, gain if abs(gain - 1) > SMALLEST_GAIN_STEP else 1.0)
