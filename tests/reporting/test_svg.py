"""Drawings: numbers where they belong, and in words."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gpustack.coverage.picture import palette
from gpustack.reporting.scale import Axis
from gpustack.reporting.svg import Chart, Line, line_chart, ramp, share_bars
from tests.reporting.pages import Node, parsed


def drawn(markup: str) -> Node:
    return parsed(f"<!DOCTYPE html>\n<html>{markup}</html>")


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.sampled_from([1e-6, 0.02, 0.5, 1.0]))
def test_an_axis_holds_its_values_between_round_marks(low: float, span: float, least: float) -> None:
    assume(max(span, least) > 1e-9 * abs(low))
    axis = Axis.over(low, low + span, least, 100, 5)
    slack = 1e-6 * axis.step + 1e-9 * abs(low)
    assert axis.low <= low + slack
    assert axis.high >= low + span - slack
    assert axis.high - axis.low >= least * (1 - 1e-9)
    assert 2 <= len(axis.marks) <= 9
    assert axis.at(axis.low) == pytest.approx(0)
    assert axis.at(axis.high) == pytest.approx(100)
    labels = [axis.label(value) for value in axis.marks]
    assert len(set(labels)) == len(labels)
    for value, label in zip(axis.marks, labels, strict=True):
        assert float(label.replace("\N{MINUS SIGN}", "-")) == pytest.approx(value, abs=axis.step / 1000)
    for one, other in pairwise(axis.marks):
        assert other - one == pytest.approx(axis.step, rel=1e-6)


def chart(*values: float | None) -> Chart:
    return Chart("x", "Shift", "px", (Line("", values),), 0.5, 2)


def points(path: str) -> list[list[tuple[float, float]]]:
    """The strokes of a path."""
    strokes = [re.findall(r"([\d.]+) ([\d.]+)", stroke) for stroke in path.split("M")[1:]]
    return [[(float(x), float(y)) for x, y in stroke] for stroke in strokes]


def test_a_line_goes_through_its_values_and_breaks_where_one_is_missing() -> None:
    picture = drawn(line_chart(chart(0.0, 1.0, None, 3.0, -1.0), list("abcde")))
    (line,) = picture.all("path", class_="line-1")
    first, second = points(str(line.attributes["d"]))
    assert (len(first), len(second)) == (2, 2)
    xs = [x for x, _ in first + second]
    assert np.diff(xs) == pytest.approx(np.array([1, 2, 1]) * (xs[1] - xs[0]), abs=0.15)
    ys = np.array([y for _, y in first + second])
    values = np.array([0.0, 1.0, 3.0, -1.0])
    per_px = (ys[2] - ys[3]) / 4
    np.testing.assert_allclose(ys, ys[0] + per_px * values, atol=0.15)
    assert per_px < 0
    (cross,) = picture.all("path", class_="cross")
    assert cross.one("title").text == "c: left out"
    assert (
        picture.one("desc").text == "It goes from -1.00 px (frame 4, e) to 3.00 px (frame 3, d); 1 left out."
    )


def test_marks_stand_beside_what_they_name() -> None:
    picture = drawn(line_chart(chart(*range(11)), [str(index) for index in range(11)]))
    (line,) = picture.all("path", class_="line-1")
    (stroke,) = points(str(line.attributes["d"]))
    numbers = {
        node.text: float(str(node.attributes["y"]))
        for node in picture.all("text")
        if node.attributes["text-anchor"] == "end"
    }
    assert numbers == pytest.approx({str(v): stroke[v][1] for v in (0, 2, 4, 6, 8, 10)}, abs=0.11)


def test_nothing_and_one_value_and_no_change_are_drawn_too() -> None:
    assert "No frame has a value." in drawn(line_chart(chart(None), ["a"])).text
    assert "It is 2.00 px everywhere." in drawn(line_chart(chart(2.0, 2.0), ["a", "b"])).text
    drawn(share_bars([0.0], ["a"], palette(1), [True]))
    drawn(ramp("x", palette(1), "a", "b"))


def test_a_value_by_rounding_alone_is_no_storm() -> None:
    picture = drawn(line_chart(chart(1e-13, -2e-13, 0.0), list("abc")))
    (line,) = picture.all("path", class_="line-1")
    (stroke,) = points(str(line.attributes["d"]))
    assert max(y for _, y in stroke) - min(y for _, y in stroke) == 0


def test_bars_are_as_high_as_their_shares() -> None:
    shares = [0.1, 0.0, 0.6, 0.3]
    picture = drawn(share_bars(shares, list("abcd"), palette(4), [False, True, False, False]))
    bars = picture.all("rect")
    heights = np.array([float(str(bar.attributes["height"])) for bar in bars])
    np.testing.assert_allclose(heights / heights[1], np.array([0.1, 0.6, 0.3]) / 0.6, atol=0.005)
    colours = [str(bar.attributes["fill"]) for bar in bars]
    assert colours == ["#" + bytes(palette(4)[index].tolist()).hex() for index in (0, 2, 3)]
    assert [bar.one("title").text for bar in bars] == ["a: 10.0%", "c: 60.0%", "d: 30.0%"]
    assert len(picture.all("path", class_="cross")) == 1


def test_small_shares_stand_on_zero() -> None:
    picture = drawn(share_bars([0.001] * 1000, ["f"] * 1000, palette(1000), [False] * 1000))
    labels = [node.text for node in picture.all("text") if node.attributes["text-anchor"] == "end"]
    assert labels == ["0", "0.02", "0.04", "0.06", "0.08", "0.10"]
    bars = picture.all("rect")
    assert {float(str(bar.attributes["y"])) for bar in bars} == {10.0}
    assert len(bars) == 1000


def test_many_frames_have_a_line_and_no_dots() -> None:
    few = drawn(line_chart(chart(*range(60)), ["f"] * 60))
    many = drawn(line_chart(chart(*range(61)), ["f"] * 61))
    assert len(few.all("circle")) == 60
    assert not many.all("circle")
