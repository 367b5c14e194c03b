"""What is told of single frames, and which of them a stack could do without."""

from __future__ import annotations

import numpy as np
import pytest

from gpustack.coverage import needed
from gpustack.coverage.frames import Look, Needed, Verdict, looks
from gpustack.coverage.picture import AFTER, BEFORE, BETWEEN, Views, focus_map, palette
from gpustack.model.place import Place
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform
from tests.coverage.worlds import curves, slope

SIZE = (400, 300)


def shifted(across: float, gain: float = 1.0) -> Transform:
    return Transform(np.array([[1.0, 0, across], [0, 1, 0], [0, 0, 1]]), Tone.of(gain))


def judged(places: list[Place], need: Needed | None = None) -> tuple[Look, ...]:
    names = [f"{index}.jpg" for index in range(len(places))]
    return looks(names, places, SIZE, [1 / len(places)] * len(places), need)


def verdicts(places: list[Place], need: Needed | None = None) -> list[list[Verdict]]:
    return [list(look.verdicts) for look in judged(places, need)]


def even(count: int = 9) -> list[Place]:
    return [Place(shifted(0.5 * index), residual_px=0.1) for index in range(count)]


def test_good_frames_are_not_blamed() -> None:
    assert verdicts(even()) == [[]] * 9


def test_what_is_wrong_is_named() -> None:
    places = even()
    places[1] = Place(shifted(0.5), residual_px=2.0)
    places[3] = Place(shifted(1.5, gain=1.3), residual_px=0.1)  # to be made brighter: dark
    places[5] = Place(shifted(2.5, gain=0.75), residual_px=0.1)
    places[6] = Place(Transform.identity(), used=False, shaken=True)
    places[7] = Place(Transform.identity(), used=False)
    wrong = verdicts(places)
    assert wrong[1] == [Verdict.APART]
    assert wrong[3] == [Verdict.DARK]
    assert wrong[5] == [Verdict.BRIGHT]
    assert wrong[6] == [Verdict.SHAKEN]
    assert wrong[7] == [Verdict.UNALIGNED]
    assert [wrong[index] for index in (0, 2, 4, 8)] == [[]] * 4


def test_a_frame_that_jumped() -> None:
    places = even()
    places[4] = Place(shifted(12.0), residual_px=0.1)
    wrong = verdicts(places)
    assert wrong[4] == [Verdict.JUMPED]
    assert judged(places)[4].moved_px == pytest.approx(10.0)


def test_light_that_fades_is_not_blamed() -> None:
    places = [Place(shifted(0, gain=1.1**index)) for index in range(12)]
    assert verdicts(places) == [[]] * 12


def test_frames_that_repeat_or_show_nothing() -> None:
    share = {index: 0.2 for index in range(5)} | {4: 0.0}
    steps = {0: 1.5, 1: 0.01, 2: 1.5, 3: 1.5}
    wrong = verdicts(even(5), Needed(share, share, frozenset({1}), steps))
    assert wrong == [[], [], [Verdict.REPEATED], [], [Verdict.IDLE]]
    row = judged(even(5), Needed(share, share, frozenset({1}), steps))[1].as_dict()
    assert (row["spare"], row["step_px"], row["verdicts"]) == (True, 0.01, [])


def test_what_frames_show_adds_up() -> None:
    given = curves(list(np.arange(9) * 2.0), slope(-1, 17))
    seen = given.seen()
    shares = needed.shares(given, seen)
    assert shares.sum() == pytest.approx(1.0)
    assert shares == pytest.approx(np.full(9, 1 / 9), abs=0.03)


def test_frames_that_are_far_apart_are_all_needed() -> None:
    given = curves(list(np.arange(9) * 5.0), slope(-2, 42), ripple_db=0.05)
    seen = given.seen()
    assert needed.spare(given, seen) == ()
    assert needed.alone(given, seen).min() > 0.03


def test_frames_that_are_close_can_be_spared_together() -> None:
    given = curves(list(np.arange(33) * 0.5), slope(0, 16), ripple_db=0.05)
    seen = given.seen()
    assert needed.alone(given, seen).max() == 0
    spare = set(needed.spare(given, seen))
    assert len(spare) >= 16
    kept = [index for index in range(33) if index not in spare]
    lost = given.energies.max(axis=0) / given.energies[kept].max(axis=0)
    assert (lost > 10**0.15).mean() <= needed.SPARED_SHARE
    assert kept[0] == 0
    assert kept[-1] == 32


def test_a_repeated_frame_can_be_spared() -> None:
    places = [0.0, 5, 10, 10, 15, 20, 25]
    given = curves(places, slope(-2, 27), ripple_db=0.02)
    assert len(set(needed.spare(given, given.seen())) & {2, 3}) == 1


def test_the_map_shows_gaps_where_they_are() -> None:
    sides = np.zeros((20, 30), np.int8)
    sides[2:8, 2:8], sides[2:8, 12:18], sides[2:8, 22:28] = -1, 1, 2
    seen = np.ones(sides.shape, bool)
    seen[12:] = False
    preview = np.full((200, 300, 3), 128, np.uint8)
    best = np.tile(np.arange(30) // 4, (20, 1))
    picture = focus_map(Views(preview, best, seen, sides), judged(even()))
    left, right = picture[44:244, 16:316], picture[44:244, 332:632]
    for x, colour in ((50, BEFORE), (150, BETWEEN), (250, AFTER)):
        assert np.abs(left[50, x].astype(int) - colour).max() < 40
    assert np.ptp(left[180, 150].astype(int)) == 0  # gray
    assert np.ptp(right[180, 150].astype(int)) == 0  # nothing is seen there
    assert np.abs(right[50, 150].astype(int) - palette(9)[15 // 4]).max() < 110
    assert np.ptp(right[50, 150].astype(int)) > 60


def test_a_map_without_gaps_can_be_drawn() -> None:
    views = Views(np.zeros((90, 60, 3), np.uint8), np.zeros((9, 6), int), np.zeros((9, 6), bool), None)
    assert focus_map(views, judged(even(1))).shape[2] == 3
