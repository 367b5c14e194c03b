"""Who owns the pixels of a picture: the winners, without specks, and no two frames own one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpustack.backend.cpu import Cpu
from gpustack.backend.protocol import Backend
from gpustack.fuse.owners import LEAST_ISLAND, boxes, owners
from gpustack.model.layer import Box
from gpustack.model.rect import cut

NOBODY = 65535


def halves(height: int = 200, width: int = 300) -> np.ndarray[Any, np.dtype[np.uint16]]:
    winners = np.zeros((height, width), np.uint16)
    winners[:, width // 2 :] = 1
    return winners


def test_specks_and_small_islands_go_to_what_is_around_them(backend: Backend[Any]) -> None:
    winners = halves()
    winners[50, 50] = 7
    winners[100:102, 200:202] = 3
    winners[150:160, 20:30] = 5  # a hundred pixels stay, of 60,000
    winners[170:176, 20:25] = winners[180:186, 80:85] = 6  # only together enough, so one stays
    owned = owners(backend, winners, range(8), 8, cut(200, 64))
    assert set(np.unique(owned)) == {0, 1, 5, 6}
    assert 15 < (owned == 6).sum() <= 30
    rest = (owned != 5) & (owned != 6)
    assert np.array_equal(owned[rest], halves()[rest])


def test_a_small_island_is_joined_even_where_the_median_keeps_it() -> None:
    winners = np.zeros((500, 800), np.uint16)
    winners[100:105, 100:105] = 1  # 25 pixels, of 400,000
    assert LEAST_ISLAND * winners.size > 25
    winners[:, 600:] = 2
    owned = owners(Cpu(1), winners, range(3), 3, cut(500, 128))
    assert set(np.unique(owned)) == {0, 2}


def test_who_is_not_used_owns_nothing_and_nobody_stays_nobody() -> None:
    winners = halves()
    winners[:20] = NOBODY
    owned = owners(Cpu(1), winners, [0], 2, cut(200, 64))
    assert (owned[:20] == NOBODY).all()
    assert (owned[20:, 150:] == NOBODY).all()
    assert (owned[20:, :148] == 0).all()


@given(seed=st.integers(0, 10_000), frames=st.integers(1, 9), rows=st.integers(1, 40))
def test_bands_change_nothing_and_only_winners_own(seed: int, frames: int, rows: int) -> None:
    winners = np.random.default_rng(seed).integers(0, frames, (37, 53)).astype(np.uint16)
    whole = owners(Cpu(1), winners, range(frames), frames, cut(37, 37))
    assert np.array_equal(owners(Cpu(1), winners, range(frames), frames, cut(37, rows)), whole)
    assert set(np.unique(whole)) <= set(np.unique(winners))


def test_boxes_hold_what_is_owned_and_no_more() -> None:
    owned = np.full((40, 60), NOBODY, np.uint16)
    owned[10:20, 5:6] = 0
    owned[39, 59] = 2
    assert boxes(owned, 3, cut(40, 7)) == [Box(5, 10, 1, 10), None, Box(59, 39, 1, 1)]


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 3)])
def test_tiny_pictures_are_owned_by_their_winners(size: tuple[int, int]) -> None:
    winners = np.zeros(size, np.uint16)
    assert (owners(Cpu(1), winners, [0], 1, cut(size[0], 2)) == 0).all()
