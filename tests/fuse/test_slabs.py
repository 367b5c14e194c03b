"""Slabs: each is the stack of its frames, the whole is the stack of the slabs."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpustack.backend.protocol import Backend
from gpustack.engine.path import Fused, InSlabsOf, Recipe, render
from gpustack.errors import UsageError
from gpustack.fuse.fold import Fold
from gpustack.fuse.pyramid import pyramid
from gpustack.fuse.slabs import InSlabs, extended, open_at_once
from gpustack.model.canvas import Canvas
from gpustack.model.frame import PixelType
from gpustack.model.rect import cut
from gpustack.model.slab import Slab, slabs_of
from gpustack.model.transform import Transform
from gpustack.settings import Method
from tests.fuse.fusing import folded, fuse
from tests.strategies import Case, Picture, cases, quantised

one_pass = pytest.mark.parametrize("method", [Method.AUTO, Method.PYRAMID, Method.AVERAGE])


def in_slabs(
    backend: Backend[Any], method: Method, case: Case, slabs: tuple[Slab, ...], used: range
) -> tuple[Fused, dict[int, Picture]]:
    """The picture of all, and those of the slabs by number."""
    kept: dict[int, Picture] = {}

    def pass_over(name: str, folds: list[Fold[Any]]) -> list[Any]:
        assert name == method.value
        return [folded(backend, fold, case, [used]) for fold in folds]

    wanted = InSlabsOf(slabs, frozenset(used), lambda slab, picture: kept.update({slab.number: picture}))
    return render(backend, pass_over, Recipe(method, case.noise), wanted), kept


def part_of(case: Case, frames: range) -> Case:
    return replace(
        case, frames=case.frames[frames.start : frames.stop], places=case.places[frames.start : frames.stop]
    )


@one_pass
@given(case=cases(most_frames=5), drawn=st.data())
def test_a_slab_is_the_stack_of_its_frames(
    backend: Backend[Any], method: Method, case: Case, drawn: st.DataObject
) -> None:
    size = drawn.draw(st.integers(1, len(case.frames)))
    slabs = slabs_of(len(case.frames), size, drawn.draw(st.integers(0, size - 1)))
    _, kept = in_slabs(backend, method, case, slabs, range(len(case.frames)))
    assert list(kept) == [slab.number for slab in slabs]
    for slab in slabs:
        alone = fuse(backend, method, part_of(case, slab.frames))
        assert kept[slab.number].tobytes() == alone.picture.tobytes()


@one_pass
@given(case=cases(most_frames=5))
def test_the_whole_is_the_stack_of_the_slabs(backend: Backend[Any], method: Method, case: Case) -> None:
    case = replace(case, canvas=replace(case.canvas, left=0, top=0, covered=True))
    slabs = slabs_of(len(case.frames), min(2, len(case.frames)), 1 if len(case.frames) > 1 else 0)
    fused, kept = in_slabs(backend, method, case, slabs, range(len(case.frames)))
    again = Case(list(kept.values()), [Transform.identity()] * len(kept), case.canvas, case.noise)
    assert fused.picture.tobytes() == fuse(backend, method, again).picture.tobytes()


@one_pass
def test_frames_that_are_left_out_count_but_do_not_come(backend: Backend[Any], method: Method) -> None:
    frames = [quantised(np.random.default_rng(n).random((40, 30, 3)), PixelType.UINT8) for n in range(6)]
    canvas = Canvas(0, 0, 30, 40, 3, PixelType.UINT8, cut(40, 16))
    case = Case(frames, [Transform.identity()] * 6, canvas, 0.01)
    fused, kept = in_slabs(backend, method, case, slabs_of(6, 2, 0), range(1, 4))
    assert list(kept) == [1, 2]  # the third slab has no frame
    np.testing.assert_array_equal(kept[1], frames[1])
    assert set(np.unique(fused.winners)) <= {1, 2, 3}


@one_pass
def test_a_slab_that_covers_less_leaves_no_edge(backend: Backend[Any], method: Method) -> None:
    even = np.full((40, 30, 3), 200, np.uint8)
    away = Transform(np.array([[1.0, 0, -7], [0, 1, -9], [0, 0, 1]]))  # covers row 9 and column 7 onwards
    canvas = Canvas(0, 0, 30, 40, 3, PixelType.UINT8, cut(40, 16), covered=False)
    case = Case([even] * 4, [Transform.identity()] * 2 + [away] * 2, canvas, 0.01)
    fused, kept = in_slabs(backend, method, case, slabs_of(4, 2, 0), range(4))
    assert not kept[2][:9].any()
    assert (fused.picture == 200).all()


def test_a_picture_is_extended_from_its_nearest_pixels() -> None:
    picture = np.arange(1, 13, dtype=np.uint8).reshape(3, 4, 1)
    covered = np.array([[0, 0, 0, 0], [0, 1, 1, 0], [1, 0, 0, 1]], bool)
    wanted = [[6, 6, 7, 7], [6, 6, 7, 7], [9, 9, 12, 12]]
    np.testing.assert_array_equal(extended(picture, covered)[..., 0], wanted)
    np.testing.assert_array_equal(extended(picture, covered & False), picture)


@given(count=st.integers(1, 40), drawn=st.data())
def test_slabs_hold_every_frame_and_overlap_as_asked(count: int, drawn: st.DataObject) -> None:
    size = drawn.draw(st.integers(1, count))
    overlap = drawn.draw(st.integers(0, size - 1))
    slabs = slabs_of(count, size, overlap)
    assert set().union(*(slab.frames for slab in slabs)) == set(range(count))
    assert [slab.number for slab in slabs] == list(range(1, len(slabs) + 1))
    assert {len(slab.frames) for slab in slabs[:-1]} <= {size}
    for one, other in pairwise(slabs):
        assert len(range(other.frames.start, one.frames.stop)) == overlap
        assert other.frames.stop > one.frames.stop
    most = max(sum(index in slab.frames for slab in slabs) for index in range(count))
    assert open_at_once(slabs) == most


def test_a_slab_larger_than_the_stack_is_refused() -> None:
    with pytest.raises(UsageError, match="A slab is to have 7 frames, and the stack has 6"):
        slabs_of(6, 7, 1)


def test_states_are_priced_for_all_slabs_that_have_begun() -> None:
    inner = pyramid(0.01)
    alone = inner.footprint(3, 1)
    for overlap, most in ((0, 1), (2, 2), (3, 4)):
        fold = InSlabs(inner, slabs_of(12, 4, overlap), frozenset(range(12)), lambda *_: None)
        size = fold.footprint(3, 1)
        assert size.afar == (most + 1) * alone.afar
        assert size.near >= (most + 1) * alone.near
