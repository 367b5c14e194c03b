"""Time and memory by the number of frames, on logarithmic axes: two panels, readable at half their size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

PANEL, LEFT, TOP, BOTTOM, GAP, RIGHT = (640, 560), 100, 150, 96, 130, 40
COLOURS = {"auto": "#b3261e", "pyramid": "#1f5fa8", "depthmap": "#2e7d32", "average": "#7a5195"}
INK, GRID = "#202020", "#dddddd"
MARKS = ("dot", "square", "ring", "cross")
FONT = ImageFont.load_default(26)
LINE, MARK = 4, 9
"""Pixels: how wide a line is, and how far a mark reaches from its middle."""


@dataclass(frozen=True)
class Axes:
    """A panel whose top left corner lies at (left, top); both axes are logarithmic."""

    draw: ImageDraw.ImageDraw
    left: int
    top: int
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixels of a point."""
        across = _share(x, self.x_range) * PANEL[0]
        return self.left + across, self.top + (1 - _share(y, self.y_range)) * PANEL[1]

    def frame(self, title: str, x_ticks: Iterable[float], y_ticks: Iterable[float]) -> None:
        """Grid, numbers and title."""
        for x in x_ticks:
            self.draw.line([self.at(x, self.y_range[0]), self.at(x, self.y_range[1])], GRID, 2)
            across, down = self.at(x, self.y_range[0])
            self.draw.text((across, down + 12), f"{x:g}", INK, FONT, anchor="ma")
        for y in y_ticks:
            self.draw.line([self.at(self.x_range[0], y), self.at(self.x_range[1], y)], GRID, 2)
            left, middle = self.at(self.x_range[0], y)
            self.draw.text((left - 12, middle), f"{y:g}", INK, FONT, anchor="rm")
        corner = (self.left, self.top, self.left + PANEL[0], self.top + PANEL[1])
        self.draw.rectangle(corner, outline=INK, width=2)
        self.draw.text((self.left, self.top - 12), title, INK, FONT, anchor="ld")
        below = (self.left + PANEL[0] / 2, self.top + PANEL[1] + 48)
        self.draw.text(below, "frames", INK, FONT, anchor="ma")

    def line(self, points: Sequence[tuple[float, float]], colour: str, mark: str) -> None:
        """A line through points, each with a mark."""
        places = [self.at(*point) for point in points]
        self.draw.line(places, colour, LINE)
        for x, y in places:
            _mark(self.draw, x, y, colour, mark)


def write_plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """One line for each method and size: wall seconds, and peak memory, by the number of frames."""
    size = LEFT + 2 * PANEL[0] + GAP + RIGHT, TOP + PANEL[1] + BOTTOM
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    counts = sorted({row["frames"] for row in rows})
    sizes = sorted({row["megapixels"] for row in rows})
    panels = (("wall_s", "seconds"), ("peak_mib", "peak, MiB"))
    for number, (name, title) in enumerate(panels):
        left = LEFT + number * (PANEL[0] + GAP)
        ticks = _ticks([row[name] for row in rows])
        x_range = counts[0] / 1.3, counts[-1] * 1.3
        axes = Axes(draw, left, TOP, x_range, (ticks[0], ticks[-1]))
        axes.frame(title, counts, ticks)
        for method in COLOURS:
            for mark, megapixels in zip(MARKS, sizes, strict=False):
                chosen = [row for row in rows if (row["method"], row["megapixels"]) == (method, megapixels)]
                axes.line([(row["frames"], row[name]) for row in chosen], COLOURS[method], mark)
    _legend(draw, sizes)
    picture.save(path, optimize=True)


def _legend(draw: ImageDraw.ImageDraw, sizes: Sequence[int]) -> None:
    """Methods by their colours and sizes by their marks, in one row above the panels."""
    left, middle = float(LEFT), TOP / 3
    for method, colour in COLOURS.items():
        draw.line([(left, middle), (left + 44, middle)], colour, LINE)
        draw.text((left + 56, middle), method, INK, FONT, anchor="lm")
        left += 56 + FONT.getlength(method) + 44
    left += 44
    for mark, megapixels in zip(MARKS, sizes, strict=False):
        label = f"{megapixels} MP"
        _mark(draw, left, middle, INK, mark)
        draw.text((left + 24, middle), label, INK, FONT, anchor="lm")
        left += 24 + FONT.getlength(label) + 44


def _mark(draw: ImageDraw.ImageDraw, x: float, y: float, colour: str, mark: str) -> None:
    box = (x - MARK, y - MARK, x + MARK, y + MARK)
    shapes: dict[str, Callable[[], None]] = {
        "dot": lambda: draw.ellipse(box, colour),
        "square": lambda: draw.rectangle(box, colour),
        "ring": lambda: draw.ellipse(box, "white", colour, LINE),
        "cross": lambda: draw.line([box[:2], box[2:]], colour, LINE),
    }
    shapes[mark]()


def _share(value: float, bounds: tuple[float, float]) -> float:
    return (log10(value) - log10(bounds[0])) / (log10(bounds[1]) - log10(bounds[0]))


def _ticks(values: Sequence[float]) -> list[float]:
    """1, 2 and 5 times powers of ten, from below the least value to above the largest."""
    powers = range(floor(log10(min(values))), ceil(log10(max(values))) + 1)
    steps = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    first = max(step for step in steps if step <= min(values))
    last = min(step for step in [*steps, 10.0 * steps[-3]] if step >= max(values))
    return [step for step in steps if first <= step <= last]
