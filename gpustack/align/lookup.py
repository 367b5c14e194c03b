"""Values of small host arrays between their pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]


def bilinear(values: Values, x: Values, y: Values) -> Values:
    """Values (..., h, w), at least 2x2, at positions (n, ...) in pixels; outside, those of the rim."""
    height, width = values.shape[-2:]
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    left, top = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    across, down = x - left, y - top
    upper = values[..., top, left] * (1 - across) + values[..., top, left + 1] * across
    lower = values[..., top + 1, left] * (1 - across) + values[..., top + 1, left + 1] * across
    return np.asarray(upper * (1 - down) + lower * down)
