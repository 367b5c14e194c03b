"""States as files and back, on every backend, and files that hold something else."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpustack.backend.gpu import core
from gpustack.backend.protocol import Backend
from gpustack.backend.values import Best, Extent, Mix, Part, Preference
from gpustack.engine.keeping import read_states, write_states
from gpustack.fuse.fold import ANEW
from gpustack.fuse.measure import empty_best, empty_spread, preference
from gpustack.io.parts import DamagedError, PartWriter, reading
from gpustack.settings import Prefer

HEIGHT, WIDTH = 37, 11


@dataclass(slots=True)
class State:
    """Every kind of thing that states hold."""

    part: Part[Any]
    extents: list[Extent[Any]]
    begun: defaultdict[int, Any]
    scratch: Any = field(default=None, metadata=ANEW)


def empty(backend: Backend[Any]) -> State:
    def begin() -> Best[Any]:
        return empty_best(backend, HEIGHT, WIDTH, 3)

    none = backend.full((0, HEIGHT, WIDTH), 0.0, "float32")
    mix = Mix(none, backend.full((HEIGHT, WIDTH), 0.0, "float32"), empty_spread(backend, HEIGHT, WIDTH))
    part = Part(begin(), mix, 0.1, preference=preference(backend, Prefer.FAR, HEIGHT, WIDTH, 0.2))
    extents = [Extent(*(backend.full((3, HEIGHT, WIDTH), value, "uint8") for value in (255, 0)))]
    return State(part, extents, defaultdict(begin))


def planes(state: State) -> list[Any]:
    assert isinstance(state.part.preference, Preference)
    assert state.part.mix is not None
    assert state.part.mix.spread is not None
    best = [state.part.best, *(state.begun[key] for key in sorted(state.begun))]
    found = [plane for each in best for plane in (each.energy, each.frame, each.image)]
    found += [state.part.mix.total, state.part.mix.spread.depth, state.part.preference.valley]
    return [*found, state.extents[0].low, state.extents[0].high]


def drawn(backend: Backend[Any]) -> State:
    """A state with values everywhere."""
    chance, state = np.random.default_rng(4), empty(backend)
    for number in (3, 1):
        state.begun[number].last = number
    state.part.best.last, state.scratch = 7, backend.full((2, 2), 1.0, "float32")
    for plane in planes(state):
        was = backend.download(plane)
        new = chance.integers(0, 200, was.shape).astype(was.dtype)
        backend.copy(backend.upload(new), plane)
    return state


@pytest.fixture
def kept(backend: Backend[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[State, Path]:
    monkeypatch.setattr(core, "PIECE_BYTES", 5 * WIDTH * 4)
    state = drawn(backend)
    with (tmp_path / "p.npz").open("wb") as file, PartWriter(file) as part:
        write_states(part, backend, [state])
    return state, tmp_path / "p.npz"


def test_a_state_comes_back(backend: Backend[Any], kept: tuple[State, Path]) -> None:
    wanted, path = kept
    found = empty(backend)
    with reading(path) as part:
        read_states(part, backend, [found])
    assert sorted(found.begun) == [1, 3]
    assert [found.begun[number].last for number in (1, 3)] == [1, 3]
    assert (found.part.best.last, found.scratch) == (7, None)
    for mine, theirs in zip(planes(found), planes(wanted), strict=True):
        np.testing.assert_array_equal(backend.download(mine), backend.download(theirs))


def test_pieces_make_the_whole(backend: Backend[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "PIECE_BYTES", 5 * WIDTH * 4)
    whole = np.random.default_rng(5).random((3, HEIGHT, WIDTH), np.float32)
    for array in (whole, whole[0]):
        pieces = list(backend.pieces(backend.upload(array)))
        assert [rows.start for rows, _ in pieces][1:] == [rows.stop for rows, _ in pieces][:-1]
        assert all(piece.flags.c_contiguous for _, piece in pieces)
        np.testing.assert_array_equal(np.concatenate([piece for _, piece in pieces], axis=-2), array)


def test_another_state_is_refused(backend: Backend[Any], kept: tuple[State, Path]) -> None:
    lower = empty(backend)
    lower.extents = lower.extents * 2
    flat = empty(backend)
    flat.part.preference = None
    small = empty(backend)
    small.part.best = empty_best(backend, HEIGHT, WIDTH - 1, 3)
    for state in (lower, flat, small):
        with reading(kept[1]) as part, pytest.raises(DamagedError):
            read_states(part, backend, [state])
