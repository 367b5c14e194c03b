"""Medians and ranks are those of the sorted list, however misleading a few of its values are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from gpustack.backend.ranks import median, ranked

Array = npt.NDArray[Any]
COUNT = 10_001


def spread(rng: np.random.Generator) -> Array:
    return np.abs(rng.standard_t(2, COUNT))


LISTS: dict[str, Callable[[np.random.Generator], Array]] = {
    "scattered": spread,
    "of few values": lambda rng: np.round(spread(rng)),
    "all equal": lambda rng: np.full_like(spread(rng), 0.25),
    "ascending": lambda rng: np.sort(spread(rng)),
    "every sixteenth is large": lambda rng: np.where(np.arange(COUNT) % 16 == 0, 1e6, spread(rng)),
    "every sixteenth is nothing": lambda rng: np.where(np.arange(COUNT) % 16 == 0, 0.0, spread(rng)),
    "short": lambda rng: spread(rng)[:50],
}


@pytest.mark.parametrize("make", LISTS.values(), ids=list(LISTS))
@pytest.mark.parametrize("beyond", [0, 1, 17, 40])
def test_the_median_is_that_of_the_smallest(
    make: Callable[[np.random.Generator], Array], beyond: int
) -> None:
    rng = np.random.default_rng(3)
    values = make(rng).astype(np.float32)
    values[rng.permutation(len(values))[:beyond]] = np.inf
    count = len(values) - beyond
    assert median(values, count) == float(np.median(np.sort(values)[:count]))


@pytest.mark.parametrize("make", LISTS.values(), ids=list(LISTS))
@pytest.mark.parametrize("share", [0.0, 0.01, 0.65, 1.0])
def test_a_rank_is_that_of_the_sorted_list(
    make: Callable[[np.random.Generator], Array], share: float
) -> None:
    values = make(np.random.default_rng(5)).astype(np.float32)
    rank = round(share * (len(values) - 1))
    assert ranked(values, rank) == float(np.sort(values)[rank])
