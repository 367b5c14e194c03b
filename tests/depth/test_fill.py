"""Filling in strips gives what filling the whole plane gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpustack.backend.cpu import Cpu
from gpustack.backend.protocol import Backend
from gpustack.depth import fill
from gpustack.depth.fill import FILL_SIGMA_PX, RIM_WEIGHT, filled

BACKEND: Backend[Any] = Cpu(2)


def whole(top: Any, bottom: Any) -> Any:
    """Pull and push, level by level, as the method is told."""
    if max(top.shape) == 1:
        return BACKEND.fill_in(top, bottom, None, RIM_WEIGHT)
    rim = whole(BACKEND.reduce(top), BACKEND.reduce(bottom))
    return BACKEND.fill_in(top, bottom, rim, RIM_WEIGHT)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (23, 1), (2, 2), (57, 31), (130, 75)])
@pytest.mark.parametrize("rows", [2, 6, 128])
def test_strips_change_no_bit(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], rows: int) -> None:
    monkeypatch.setattr(fill, "STRIP_ROWS", rows)
    random = np.random.default_rng(size[0])
    depth = random.random(size, np.float32) * 20
    confidence = np.where(random.random(size) > 0.7, random.random(size), 0).astype(np.float32)
    sums = BACKEND.smooth_by(depth, confidence, FILL_SIGMA_PX)
    np.testing.assert_array_equal(filled(BACKEND, depth, confidence), whole(*sums))
