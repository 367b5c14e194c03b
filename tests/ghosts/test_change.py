"""What counts as motion between two frames, and what does not: defocus, noise, tones, sub-cell shifts, burnt
cells."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from gpustack.ghosts.change import changed, looks
from gpustack.ghosts.glance import Aligned

SHAPE = (96, 128)
AT = slice(40, 46), slice(60, 66)


def ground(seed: int = 0) -> npt.NDArray[np.float32]:
    """Light with texture of some cells."""
    noise = np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)
    coarse = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return np.asarray(0.3 + 0.05 * coarse / coarse.std(), np.float32)


def frame(light: Any, known: Any = None) -> Aligned:
    return Aligned(np.asarray(light, np.float32), np.ones(SHAPE, bool) if known is None else known)


def difference(here: Any, there: Any, known: Any = None) -> npt.NDArray[np.bool_]:
    return changed(looks(frame(here)), looks(frame(there, known)))


def with_thing(light: npt.NDArray[np.float32], at: tuple[slice, slice] = AT) -> npt.NDArray[np.float32]:
    out = light.copy()
    out[at] = 0.9
    return out


def test_a_thing_that_comes_is_seen_where_it_is() -> None:
    found = difference(ground(), with_thing(ground()))
    inside = np.zeros(SHAPE, bool)
    inside[AT] = True
    assert found[inside].mean() > 0.8
    near = cv2.dilate(inside.astype(np.uint8), np.ones((17, 17), np.uint8)) > 0
    assert not found[~near].any()


def test_a_thin_thing_is_seen_where_it_was_and_where_it_is() -> None:
    here, there = ground(), ground()
    here[20:70, 50:52], there[20:70, 58:60] = 0.8, 0.8
    found = difference(here, there)
    assert found[25:65, 50:52].mean() > 0.8
    assert found[25:65, 58:60].mean() > 0.8
    assert not found[:, 90:].any()


@pytest.mark.parametrize(
    "other",
    [
        lambda light: cv2.GaussianBlur(light, (0, 0), 1.5),
        lambda light: light + np.float32(0.004) * np.random.default_rng(1).standard_normal(SHAPE),
        lambda light: light * 1.02,
        lambda light: np.roll(light, 1, axis=1),
    ],
    ids=["defocus", "noise", "tone", "shift"],
)
def test_what_happens_to_the_whole_picture_is_no_motion(other: Any) -> None:
    assert not difference(ground(), other(ground())).any()


def test_a_thing_is_seen_in_spite_of_some_defocus() -> None:
    assert difference(ground(), with_thing(cv2.GaussianBlur(ground(), (0, 0), 0.7)))[AT].any()


def test_a_whole_picture_that_changes_much_hides_what_moved() -> None:
    coarse = cv2.GaussianBlur(ground(), (0, 0), 6.0)
    assert not difference(ground(), with_thing(coarse, (slice(40, 42), slice(60, 62)))).any()


def test_what_is_not_known_tells_nothing() -> None:
    known = np.ones(SHAPE, bool)
    known[30:60, 50:80] = False
    assert not difference(ground(), with_thing(ground()), known).any()


def test_a_glint_of_one_cell_is_no_thing() -> None:
    spark = ground()
    spark[40, 60] += 0.05
    assert not difference(ground(), spark).any()
