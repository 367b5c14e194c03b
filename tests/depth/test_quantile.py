"""The median that is counted is the one that is sorted for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpustack.backend.cpu import Cpu
from gpustack.backend.protocol import Backend
from gpustack.depth.quantile import median_of
from gpustack.model.rect import Rows, cut

BACKEND: Backend[Any] = Cpu(2)
floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(values=st.lists(floats, min_size=1, max_size=40), rows=st.integers(1, 50))
def test_it_is_that_of_numpy_bit_for_bit(values: list[float], rows: int) -> None:
    plane = np.array(values, np.float32)
    found = median_of(BACKEND, lambda part: plane[part.slice], cut(len(plane), rows))
    with np.errstate(over="ignore"):
        assert found == np.median(plane)


@pytest.mark.parametrize("count", [9999, 10000])
def test_values_that_differ_in_their_last_bits_only(count: int) -> None:
    plane = (1 + np.random.default_rng(1).integers(0, 9, count) * 2.0**-23).astype(np.float32)
    assert median_of(BACKEND, lambda part: plane[part.slice], cut(count, 777)) == np.median(plane)


def test_of_nothing_it_is_nought() -> None:
    assert median_of(BACKEND, lambda _: np.zeros(0, np.float32), (Rows(0, 4),)) == 0
