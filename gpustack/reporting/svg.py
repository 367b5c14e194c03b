"""Drawings of numbers over frames, as SVG within a page: lines, bars, and a ramp of colours.

Each says in words what it shows, for those who do not see it. Colours of lines and texts are those of the
page, dark or light; lines differ in their dashes, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gpustack.reporting.html import Html, element, joined
from gpustack.reporting.scale import Axis

Colours = npt.NDArray[np.uint8]

_WIDTH, _HEIGHT, _BARS_WIDTH = 420, 200, 860
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 10, 10, 36
_DOTS = 60
"""Frames that get dots, names and a gap of their own, at most; of more, the table has the names."""
_LEAST_SHARE = 0.01
"""In percent: what the axis of shares spans at least."""


@dataclass(frozen=True, slots=True)
class Line:
    """A value for each frame, None where there is none, under a name (empty where it is the only one)."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over frames. unit: of the values, as `px`; least: what the axis spans at least, so that rounding
    is not drawn as a storm; digits: of the values in words; from_zero: the axis begins there."""

    name: str
    title: str
    unit: str
    lines: tuple[Line, ...]
    least: float
    digits: int
    from_zero: bool = False


def line_chart(chart: Chart, names: Sequence[str]) -> Html:
    """The lines over the frames `names`; frames without a value are crosses on the axis."""
    known = [value for line in chart.lines for value in line.values if value is not None]
    x = _frames_axis(len(names), _WIDTH)
    y = Axis.over(*_span(chart, known), chart.least, _HEIGHT - _TOP - _BOTTOM, 5)
    parts = [_frame_of(x, y, chart.unit), *_crosses(chart.lines[0].values, names, x)]
    parts += [_line(line, number, x, y, names) for number, line in enumerate(chart.lines, 1)]
    told = [_in_words(line, names, chart.unit, chart.digits) for line in chart.lines]
    return _drawing(chart.name, chart.title, " ".join(told), _WIDTH, *parts)


def share_bars(shares: Sequence[float], names: Sequence[str], colours: Colours, out: Sequence[bool]) -> Html:
    """A bar a frame in its colour, as high as its share of the picture; frames left `out` are crosses."""
    x = _frames_axis(len(names), _BARS_WIDTH)
    y = Axis.over(0, max([_LEAST_SHARE, *(100 * share for share in shares)]), 0, _HEIGHT - _TOP - _BOTTOM, 5)
    wide = x.length / len(names) * (0.86 if len(names) <= _DOTS else 1)
    bars = [
        element(
            "rect",
            *([element("title", f"{names[index]}: {share:.1%}")] if len(names) <= _DOTS else []),
            x=_number(_LEFT + x.at(index) - wide / 2),
            y=_number(_high(y, 100 * share)),
            width=_number(wide),
            height=_number(y.at(100 * share)),
            fill=_hex(colours[index]),
        )
        for index, share in enumerate(shares)
        if share > 0
    ]
    values = [None if left else 100 * share for share, left in zip(shares, out, strict=True)]
    parts = [_frame_of(x, y, "%"), *_crosses(values, names, x), *bars]
    told = _in_words(Line("", values), names, "%", 1)
    return _drawing("shares", "Share of the picture that each frame won", told, _BARS_WIDTH, *parts)


def ramp(name: str, colours: Colours, first: str, last: str) -> Html:
    """The colours of the frames as a strip between words for the first and the last."""
    stops = np.linspace(0, len(colours) - 1, min(len(colours), 16)).round().astype(int)
    shades = [
        element("stop", offset=f"{place:.3g}", stop_color=_hex(colours[index]))
        for place, index in zip(np.linspace(0, 1, len(stops)), stops, strict=True)
    ]
    strip = joined(
        element("linearGradient", *shades, id=f"{name}-ramp"),
        element("rect", width=_WIDTH, height=14, rx=3, fill=f"url(#{name}-ramp)"),
    )
    drawn = element(
        "svg",
        strip,
        viewBox=f"0 0 {_WIDTH} 14",
        preserveAspectRatio="none",
        aria_hidden="true",
        class_="ramp",
    )
    return element("div", element("span", first), drawn, element("span", last), class_="legend")


def _span(chart: Chart, known: Sequence[float]) -> tuple[float, float]:
    if chart.from_zero:
        return 0.0, max([chart.least, *known])
    return min(known, default=0.0), max(known, default=0.0)


def _frames_axis(count: int, width: int) -> Axis:
    """One place a frame, with half a place before the first and after the last."""
    return Axis.over(-0.5, count - 0.5, 1, width - _LEFT - _RIGHT, 10 if width > _WIDTH else 6, whole=True)


def _frame_of(x: Axis, y: Axis, unit: str) -> Html:
    """Both axes with their marks and names."""
    right, bottom = _number(_LEFT + x.length), _number(_TOP + y.length)
    rows = []
    for value in y.marks:
        at = _number(_high(y, value))
        rows.append(element("line", x1=_LEFT, x2=right, y1=at, y2=at, class_="grid"))
        rows.append(element("text", y.label(value), x=_LEFT - 6, y=at, dy="0.32em", text_anchor="end"))
    for value in x.marks:
        at = _number(_LEFT + x.at(value))
        rows.append(
            element("text", x.label(value), x=at, y=_number(_TOP + y.length + 14), text_anchor="middle")
        )
    axis = element("line", x1=_LEFT, x2=right, y1=bottom, y2=bottom, class_="axis")
    middle = _number(_LEFT + x.length / 2)
    under = element("text", "frame", x=middle, y=_HEIGHT - 4, text_anchor="middle", class_="name")
    turn = f"translate(12 {_number(_TOP + y.length / 2)}) rotate(-90)"
    beside = element("text", unit, transform=turn, text_anchor="middle", class_="name")
    return joined(*rows, axis, under, beside)


def _line(line: Line, number: int, x: Axis, y: Axis, names: Sequence[str]) -> Html:
    """A path, broken where values are missing, and a dot a value where there is room."""
    steps, pen_up, dots = [], True, []
    for index, value in enumerate(line.values):
        if value is None:
            pen_up = True
            continue
        at = _number(_LEFT + x.at(index)), _number(_high(y, value))
        steps.append(f"{'M' if pen_up else 'L'}{at[0]} {at[1]}")
        dots.append(element("circle", element("title", names[index]), cx=at[0], cy=at[1], r=2))
        pen_up = False
    path = element("path", d="".join(steps), class_=f"line-{number}")
    return joined(path, *dots) if len(dots) <= _DOTS else path


def _crosses(values: Sequence[float | None], names: Sequence[str], x: Axis) -> list[Html]:
    """A cross on the axis for each frame that has no value."""
    return [
        element(
            "path",
            element("title", f"{names[index]}: left out"),
            d=f"M{_number(_LEFT + x.at(index) - 3)} {_HEIGHT - _BOTTOM - 3}l6 6m0 -6l-6 6",
            class_="cross",
        )
        for index, value in enumerate(values)
        if value is None
    ]


def _in_words(line: Line, names: Sequence[str], unit: str, digits: int) -> str:
    """The least and the most of a line, and where."""
    known = [(value, index) for index, value in enumerate(line.values) if value is not None]
    if not known:
        return "No frame has a value."
    (low, first), (high, last) = min(known), max(known, key=lambda pair: (pair[0], -pair[1]))
    ends = [
        f"{value:.{digits}f} {unit} (frame {at}, {names[at]})" for value, at in ((low, first), (high, last))
    ]
    missing = len(line.values) - len(known)
    left = f"; {missing} left out" if missing else ""
    if low == high:
        return f"{line.name or 'It'} is {low:.{digits}f} {unit} everywhere{left}."
    return f"{line.name or 'It'} goes from {ends[0]} to {ends[1]}{left}."


def _drawing(name: str, title: str, told: str, width: int, *parts: Html) -> Html:
    ids = f"{name}-title {name}-told"
    texts = element("title", title, id=f"{name}-title"), element("desc", told, id=f"{name}-told")
    box = f"0 0 {width} {_HEIGHT}"
    return element("svg", *texts, *parts, viewBox=box, role="img", aria_labelledby=ids, class_="chart")


def _high(y: Axis, value: float) -> float:
    return _TOP + y.length - y.at(value)


def _number(value: float) -> str:
    """Of a coordinate: a tenth of a unit is finer than any screen."""
    return f"{value:.1f}".removesuffix(".0")


def _hex(colour: npt.NDArray[np.uint8]) -> str:
    return "#" + bytes(colour.tolist()).hex()
