"""Sequences in a spool behave as lists do."""

from __future__ import annotations

import numpy as np
import pytest

from gpustack.engine.spooled import Picked, Spooled
from gpustack.ghosts.glance import Glance


def glance(index: int) -> Glance:
    return Glance(np.full((3, 4), index, np.uint8), 2, (8, 6), linear=False)


def test_values_come_back_as_they_were() -> None:
    found = Spooled(values=map(glance, range(5)))
    assert len(found) == 5
    assert [int(one.values[2, 3]) for one in found] == list(range(5))
    last = found[-1]
    assert isinstance(last, Glance)
    assert (last.factor, last.size, last.linear) == (2, (8, 6), False)
    assert found[1] is not found[1]
    for index in (5, -6):
        with pytest.raises(IndexError):
            found[index]


def test_parts_of_it_are_made_when_asked_for() -> None:
    found = Spooled(values=(np.array([index]) for index in range(6)))
    part = found[2:]
    found.append(np.array([6]))
    assert [int(one[0]) for one in part] == [2, 3, 4, 5]
    assert [int(one[0]) for one in part[::2]] == [2, 4]
    assert [int(one[0]) for one in Picked(found, [6, 0])] == [6, 0]


def test_it_knows_its_bytes() -> None:
    found: Spooled[Glance] = Spooled()
    assert not found
    assert found.nbytes() == 0
    found.extend([glance(0), glance(1), glance(2)])
    assert found.nbytes() == 3 * 12
    assert found.nbytes(2) == 12
    assert found.nbytes(3) == 0
