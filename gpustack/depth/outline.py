"""The depth of pixels beside a step: that of the nearer thing or that of the ground, and nothing between.

The focus measure of a hair reaches some pixels beyond it, and there the mean index of the frames is that of
neither. Looking behind nearer things tells, of each such pixel, whether the thing covers it or the ground is
bare (`Backend.look_behind`), and so where the thing ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.backend.values import FRONT, GROUND, Steps
from gpustack.depth.sight import NARROWEST, Sight
from gpustack.model.rect import Rows, cut

OWN_FRAMES = 1.0
"""A mean index that is so close to the depth of what is shown is of it alone, and finer."""

STRIP_ROWS = 256
"""Rows that are worked on in one go."""


def outline(
    backend: Backend[Any],
    sight: Sight,
    steps: Steps[npt.NDArray[Any]],
    shows: npt.NDArray[np.uint8],
    from_near: Callable[[Any], Any],
) -> None:
    """Put the depths right, in place, beside the `steps` (h, w). `shows` (h, w): FRONT where a pixel shows
    the nearer thing, GROUND, or 0; `from_near` turns depths counted from the nearest into the frames'."""

    def work(rows: Rows) -> None:
        depth, variance, what = (plane[rows.slice] for plane in (sight.depth, sight.variance, shows))
        far, near = (
            np.asarray(from_near(plane[rows.slice]), np.float32) for plane in (steps.far, steps.near)
        )
        shown = np.where(what == GROUND, far, near)
        mixed = ((what == GROUND) | (what == FRONT)) & (np.abs(depth - shown) > np.float32(OWN_FRAMES))
        np.copyto(depth, shown, where=mixed)
        np.copyto(variance, NARROWEST, where=mixed)

    backend.each(work, cut(len(shows), STRIP_ROWS))
