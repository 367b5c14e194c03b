"""Decoded frames: bounded, and decoded once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gpustack.viewing.store import Store


def plane(nbytes: int) -> np.ndarray:
    return np.zeros(nbytes, np.uint8)


def test_no_more_is_held_than_the_limit_and_the_last_used_stay() -> None:
    store = Store(100)
    for index in range(3):
        store.get((index, 0), lambda: plane(40))
        store.get((0, 0), lambda: plane(40))
    assert store.nbytes == 80
    assert store.kept((1, 0)) is None
    assert store.kept((0, 0)) is not None


def test_one_is_kept_however_large() -> None:
    store = Store(10)
    store.get((0, 0), lambda: plane(50))
    store.get((1, 0), lambda: plane(60))
    assert store.nbytes == 60


def test_who_asks_meanwhile_waits_for_the_same() -> None:
    store, made, begun = Store(100), [], threading.Event()

    def make() -> np.ndarray:
        made.append(1)
        begun.set()
        time.sleep(0.05)
        return plane(10)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: store.get((0, 0), make), range(4)))
    assert len(made) == 1
    assert all(one is found[0] for one in found)


def test_what_fails_is_told_to_all_and_tried_again() -> None:
    store = Store(100)
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            store.get((0, 0), lambda: (_ for _ in ()).throw(ValueError("no")))
    assert store.get((0, 0), lambda: plane(1)).nbytes == 1


def test_the_nearest_finer_one_is_found() -> None:
    store = Store(100)
    for level in (0, 1, 3):
        store.keep((7, level), plane(8 - level))
    found = store.finest(7, 3)
    assert found is not None
    assert found[0] == 1
    assert store.finest(7, 0) is None
