"""Gaps are found where frames are missing, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from gpustack.coverage.advice import advice
from gpustack.coverage.axis import places_of
from gpustack.coverage.curves import CURVE_BYTES, Curves, cell_count, curves_bytes
from gpustack.coverage.frames import Look, Needed, looks
from gpustack.coverage.gaps import Coverage, Side, coverage, fine_step
from gpustack.coverage.peaks import BEYOND_PX, CORE_PX, DECLINE, fall, fit, windows
from gpustack.model.place import Place
from gpustack.model.transform import Transform
from tests.coverage.worlds import FLOOR, curves, slope

EVEN = np.arange(14) * 1.6


def found(places: np.ndarray, low: float, high: float) -> Coverage:
    covers = coverage(curves(list(places), slope(low, high)))
    assert covers is not None
    return covers


def told(covers: Coverage, count: int, left_out: tuple[int, ...] = ()) -> tuple[str, ...]:
    places = [Place(Transform.identity(), used=index not in left_out) for index in range(count)]
    need = Needed(dict.fromkeys(range(count), 0.1), dict.fromkeys(range(count), 0.1), frozenset(), {})
    rows: tuple[Look, ...] = looks([f"{i}.jpg" for i in range(count)], places, (60, 40), [0.0] * count, need)
    return advice(covers, rows)


def test_the_places_of_frames_come_out() -> None:
    uneven = np.cumsum([0, 1.5, 1.5, 1.5, 3.0, 1.5, 1.5, 1.5, 0.75, 0.75, 1.5, 1.5, 1.5])
    given = curves(list(uneven), slope(1, 17))
    places, stride = places_of(given.levels(given.seen()))
    assert stride == 1
    assert places == pytest.approx(uneven, rel=0.15, abs=0.5)


@pytest.mark.parametrize("decline", [1.2, 1.5, 2.2])
def test_a_covered_scene_has_no_gap(decline: float) -> None:
    covers = coverage(curves(list(EVEN), slope(0.5, 20), decline=decline))
    assert covers is not None
    assert covers.gaps == ()
    assert covers.covered == 1.0


def test_frames_missing_in_the_middle() -> None:
    kept = np.delete(EVEN, [6, 7])
    covers = found(kept, 0.5, 20)
    (gap,) = covers.gaps
    assert (gap.side, gap.frames) == (Side.BETWEEN, (5, 6))
    assert gap.step_px == pytest.approx(4.8, rel=0.25)
    depth, truth = slope(0.5, 20), 0.5 * (EVEN[5] + EVEN[8])
    inside = covers.sides == 1
    assert np.abs(depth[inside] - truth).max() < 1.2
    assert inside[np.abs(depth - truth) < 0.3].mean() > 0.8
    (said,) = told(covers, len(kept))
    assert "lies between frames 5 (5.jpg) and 6 (6.jpg), 3" in said
    assert "Take 2 frames between them, or steps a third as large." in said


def test_a_frame_that_was_left_out_is_to_be_taken_again() -> None:
    kept = np.delete(EVEN, [6, 7])
    given = curves(list(kept), slope(0.5, 20))
    frames = tuple(index for index in range(14) if index not in (6, 7))
    covers = coverage(Curves(given.energies, frames, FLOOR))
    assert covers is not None
    (said,) = told(covers, 14, (6, 7))
    assert said.endswith(
        "Frames 6 (6.jpg, unaligned), 7 (7.jpg, unaligned) were left out there; take it again."
    )


@pytest.mark.parametrize(
    ("low", "high", "side", "frame", "words"),
    [
        (-3.5, 20, Side.BEFORE, 0, "lies before frame 0 (0.jpg). Begin"),
        (0.5, 24.5, Side.AFTER, 13, "lies after frame 13 (13.jpg). End"),
    ],
)
def test_a_scene_beyond_an_end(low: float, high: float, side: Side, frame: int, words: str) -> None:
    covers = found(EVEN, low, high)
    (gap,) = covers.gaps
    assert (gap.side, gap.frames) == (side, (frame,))
    depth = slope(low, high)
    away = np.maximum(EVEN[0] - depth, depth - EVEN[-1])
    inside = covers.sides != 0
    assert away[inside].min() > 0.8
    assert inside[(away > 2.5) & (away < BEYOND_PX)].mean() > 0.7
    (said,) = told(covers, 14)
    assert words in said
    assert 1 <= gap.more <= 3


def test_steps_that_are_too_wide_all_along_are_one_matter() -> None:
    places = np.arange(8) * 5.0
    (said, *more) = told(found(places, 1, 34), 8)
    assert said.startswith("The steps are too wide all along: ")
    assert "as large." in said
    assert more == []


def test_tiny_steps_are_seen_through() -> None:
    places = np.arange(120) * 0.15
    given = curves(list(places), slope(0.5, 17.5))
    levels = given.levels(given.seen())
    found_at, stride = places_of(levels)
    assert stride > 1
    assert found_at[-1] == pytest.approx(places[-1], rel=0.3)
    covers = coverage(given)
    assert covers is not None
    assert covers.gaps == ()


def test_nothing_is_told_of_too_few_frames_or_of_noise() -> None:
    assert coverage(curves([0, 1.6, 3.2, 4.8], slope(0, 5))) is None
    flat = Curves(np.full((9, 8, 8), FLOOR, np.float32), tuple(range(9)), FLOOR)
    assert coverage(flat) is None


def test_plain_cells_are_not_seen() -> None:
    energies = curves(list(EVEN), slope(0.5, 20)).energies.copy()
    energies[:, 5, 5] = 2 * FLOOR
    energies[:, 9, 9] *= 0.005  # a rim beside strong texture
    seen = Curves(energies, tuple(range(14)), FLOOR).seen()
    assert not seen[5, 5]
    assert not seen[9, 9]
    assert seen.sum() == seen.size - 2


class Given:
    """Levels (n, c) as they are."""

    def __init__(self, levels: np.ndarray) -> None:
        self._levels = levels
        self.top = levels.argmax(axis=0)

    def __len__(self) -> int:
        return len(self._levels)

    def at(self, index: np.ndarray) -> np.ndarray:
        return np.take_along_axis(self._levels, index, axis=0)


def test_a_peak_is_where_it_was_put() -> None:
    places = np.arange(9) * 1.5
    truth = np.linspace(2.0, 10.0, 200)
    levels = Given(-DECLINE * fall(places[:, None] - truth))
    peaks = fit(windows(levels, 1), places, 0.01)
    assert peaks.place == pytest.approx(truth, abs=0.08)
    assert peaks.decline == pytest.approx(np.full(200, DECLINE), rel=0.1)
    assert peaks.misfit.max() < 0.05


def test_a_window_ends_where_another_peak_begins() -> None:
    levels = Given(np.array([[0.0], [-3], [-6], [-2], [1], [-4], [-8], [-3], [-1]]))
    seen = windows(levels, 1)
    assert seen.index[:, 0].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert seen.weight[:, 0].tolist() == [0, 1, 1, 1, 1, 1, 0]


def test_a_fine_step_misses_a_tenth_of_the_contrast() -> None:
    lost = 10 ** (-DECLINE * fall(np.array([fine_step() / 2]))[0] / 20)
    assert lost == pytest.approx(0.89, abs=0.01)
    assert CORE_PX > 1


def test_the_memory_of_curves_is_known() -> None:
    assert cell_count(6000, 4000) == 256
    assert cell_count(100, 80) == 12
    assert curves_bytes(6000, 4000, 10) > 256 * 171 * 10 * 4
    assert curves_bytes(6000, 4000, 1000) - curves_bytes(6000, 4000, 100) == 900 * CURVE_BYTES


def test_a_last_frame_that_shows_very_much_is_hinted_at() -> None:
    covers = found(EVEN, 0.5, 20)
    places = [Place(Transform.identity())] * 14
    shares = dict.fromkeys(range(14), 0.04) | {13: 0.48}
    need = Needed(shares, shares, frozenset(), {})
    rows = looks([f"{index}.jpg" for index in range(14)], places, (60, 40), [0.0] * 14, need)
    (said,) = advice(covers, rows)
    assert said.startswith("Frame 13 (13.jpg), the last, shows 48.0% of the detail best, 12 times")
