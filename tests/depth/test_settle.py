"""Pixels that only borrow detail have the depth of those that look like them, and nobody else's."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from gpustack.backend.cpu import Cpu
from gpustack.backend.filters import sharpness
from gpustack.backend.protocol import Backend
from gpustack.depth import borrowed, votes
from gpustack.depth.settle import HEARD, settle
from gpustack.depth.sight import Sight
from gpustack.depth.votes import Ballot
from tests.strategies import Picture

BACKEND: Backend[Any] = Cpu(2)
SIZE = HEIGHT, WIDTH = 72, 120
SIGMA = 2.0
NEAR, FAR = 4.0, 15.0
CONTRAST = 0.01
INNER = np.zeros(SIZE, bool)
INNER[20:-20, 20:-20] = True
LEFT, RIGHT = 58, 62
"""A hair stands from the one column to before the other."""


def line(width: int, contrast: float = 0.5) -> Picture:
    """A straight hair on plain ground, a little soft."""
    picture = np.full(SIZE, 0.3, np.float32)
    picture[:, LEFT : LEFT + width] += np.float32(contrast)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.6), np.float32)


def measured(picture: Picture, sigma: float = SIGMA) -> Picture:
    return np.asarray(sharpness(picture, sigma, slice(0, HEIGHT)), np.float32)


@pytest.mark.parametrize("sigma", [1.5, 2.0])
@pytest.mark.parametrize("width", [1, 2, 4, 8, 50])
def test_what_an_edge_lends_is_known_for_borrowed(width: int, sigma: float) -> None:
    """Nothing but the edge has detail: beyond its own few pixels all is borrowed."""
    energy = measured(line(width), sigma)
    own = borrowed.own(np.full(SIZE, NEAR, np.float32), energy, sigma)
    seen = energy > 1e-6 * energy.max()
    beyond = np.s_[:, LEFT - 12 : LEFT - 4]
    assert seen[:, LEFT - 8 : LEFT].all()  # the measure does reach there
    assert not (own & seen)[beyond].any()
    assert own[:, LEFT].all()


def test_weak_detail_of_another_depth_is_its_own() -> None:
    """Ground that is sharpest in its own frame cannot have that from the hair, however weak it is."""
    depth = np.full(SIZE, NEAR, np.float32)
    depth[:, : LEFT - 5] = FAR
    energy = measured(line(4))
    energy[:, : LEFT - 5] = 1e-4 * energy.max()
    own = borrowed.own(depth, energy, SIGMA)
    assert own[:, LEFT - 10 : LEFT - 6].all()


def scene(noise: float = 0.0) -> tuple[Sight, Picture, Picture]:
    """A white hair before a grey ground with detail; near it the hair's frame wins. The sight, how surely it
    is seen, and the true depth."""
    generator = np.random.default_rng(5)
    ground = cv2.GaussianBlur(generator.normal(size=SIZE).astype(np.float32), (0, 0), 1.0) * np.float32(0.03)
    hair = np.zeros(SIZE, bool)
    hair[:, LEFT:RIGHT] = True
    true = np.where(hair, np.float32(NEAR), np.float32(FAR))
    luma = np.where(hair, np.float32(0.9), 0.3 + ground + noise * generator.normal(size=SIZE))
    energy = np.maximum(measured(line(RIGHT - LEFT)), measured(ground))
    depth = np.where(measured(line(RIGHT - LEFT)) > measured(ground), np.float32(NEAR), np.float32(FAR))
    planes = (depth.astype(np.float32), np.full(SIZE, 9, np.float32), energy, luma.astype(np.float32))
    return Sight(*planes, coded=False, sigma=SIGMA), np.ones(SIZE, np.float32), true


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_hair_is_as_thin_as_it_looks(noise: float) -> None:
    sight, sure, true = scene(noise)
    before = np.abs(sight.depth - true) > 1
    settle(BACKEND, sight, Ballot(sight.depth.copy(), sure, sight.luma), CONTRAST)
    after = np.abs(sight.depth - true) > 1
    assert before.mean() > 0.05
    assert after.mean() < 0.1 * before.mean()
    assert not after[:, LEFT:RIGHT].any()


@pytest.mark.parametrize("width", [1, 2])
def test_what_is_too_thin_for_a_median_stays(width: int) -> None:
    """Of a hair as thin no pixel has even depths around it, and it looks like the ground: crests speak."""
    generator = np.random.default_rng(7)
    ground = cv2.GaussianBlur(generator.normal(size=SIZE).astype(np.float32), (0, 0), 1.0) * np.float32(0.03)
    hair = np.zeros(SIZE, bool)
    hair[:, LEFT : LEFT + width] = True
    energy = np.maximum(measured(line(width, 0.25)), measured(ground))
    true = np.where(hair, np.float32(NEAR), np.float32(FAR))
    luma = np.where(hair, np.float32(0.29), 0.3 + ground)
    sight = Sight(true.copy(), np.ones(SIZE, np.float32), energy, luma, coded=False, sigma=SIGMA)
    ballot = Ballot(true.copy(), np.ones(SIZE, np.float32), luma)
    settle(BACKEND, sight, ballot, CONTRAST)
    assert (np.abs(sight.depth - true) < 1)[INNER & hair].all()
    assert (ballot.voters[INNER & hair] == 1).all()


@pytest.mark.parametrize("width", [1, 2, 3, 4, 6])
def test_crests_are_where_a_thing_is_and_hardly_beside_it(width: int) -> None:
    one_peak = np.ones(SIZE, np.float32)
    energy = measured(line(width))
    crest = borrowed.crests(energy, one_peak)[:, LEFT - 16 : LEFT + width + 16]
    assert crest[:, 16 : 16 + width].all()
    assert not crest[:, :15].any()
    assert not crest[:, 17 + width :].any()
    assert not borrowed.crests(energy, 9 * one_peak).any()  # two depths, whose mean is neither
    assert not borrowed.crests(-one_peak, one_peak).any()  # where no frame covers


def test_who_is_hardly_sure_decides_nothing() -> None:
    """Rims of blur are above noise, too: only as much as is sure counts."""
    sight, sure, _ = scene()
    before = sight.depth.copy()
    settle(BACKEND, sight, Ballot(sight.depth.copy(), sure * np.float32(0.02), sight.luma), CONTRAST)
    np.testing.assert_array_equal(sight.depth, before)


def test_where_all_are_of_one_mind_nothing_changes() -> None:
    sight, sure, _ = scene()
    sight.depth[:] = np.linspace(8, 9, WIDTH, dtype=np.float32)
    before = sight.depth.copy()
    settle(BACKEND, sight, Ballot(sight.depth.copy(), sure, sight.luma), CONTRAST)
    np.testing.assert_array_equal(sight.depth, before)


def test_the_majority_of_those_alike_is_found() -> None:
    generator = np.random.default_rng(6)
    bright = generator.random(SIZE) < 0.5
    depth = np.where(bright, np.float32(NEAR), np.float32(FAR))
    strangers = generator.random(SIZE) < 0.1
    depth[strangers] = generator.integers(0, 20, int(strangers.sum()))
    luma = np.where(bright, np.float32(0.8), np.float32(0.2))
    found, heard = votes.majority(Ballot(depth, np.ones(SIZE, np.float32), luma), INNER, CONTRAST)
    true = np.where(bright, NEAR, FAR)[INNER]
    assert (np.abs(found - true) < 1).mean() > 0.99
    assert (heard >= HEARD).mean() > 0.99


def test_an_even_split_is_no_decision() -> None:
    depth = np.where(np.indices(SIZE).sum(axis=0) % 2, np.float32(NEAR), np.float32(FAR))
    plain = np.full(SIZE, 0.5, np.float32)
    _, heard = votes.majority(Ballot(depth, np.ones(SIZE, np.float32), plain), INNER, CONTRAST)
    assert (heard == 0).mean() > 0.95


def test_strips_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, sure, _ = scene(0.01)
    strips, again, _ = scene(0.01)
    settle(BACKEND, whole, Ballot(whole.depth.copy(), sure, whole.luma), CONTRAST)
    monkeypatch.setattr("gpustack.depth.settle.STRIP_ROWS", 7)
    settle(BACKEND, strips, Ballot(strips.depth.copy(), again, strips.luma), CONTRAST)
    np.testing.assert_array_equal(strips.depth, whole.depth)
    np.testing.assert_array_equal(strips.variance, whole.variance)
