"""Time and memory by the number of frames, drawn on logarithmic axes: one picture, two panels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

PANEL, MARGIN, GAP = (430, 380), (70, 46), 40
COLOURS = {"auto": "#b3261e", "pyramid": "#1f5fa8", "depthmap": "#2e7d32", "average": "#7a5195"}
INK, GRID = "#202020", "#dddddd"
MARKS = ("dot", "square", "ring", "cross")
FONT = ImageFont.load_default(13)


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
            self.draw.line([self.at(x, self.y_range[0]), self.at(x, self.y_range[1])], GRID)
            self.draw.text(self.at(x, self.y_range[0]), f"\n{x:g}", INK, FONT, anchor="ma", align="center")
        for y in y_ticks:
            self.draw.line([self.at(self.x_range[0], y), self.at(self.x_range[1], y)], GRID)
            left, middle = self.at(self.x_range[0], y)
            self.draw.text((left - 6, middle), f"{y:g}", INK, FONT, anchor="rm")
        corner = (self.left, self.top, self.left + PANEL[0], self.top + PANEL[1])
        self.draw.rectangle(corner, outline=INK)
        self.draw.text((self.left, self.top - 8), title, INK, FONT, anchor="ld")

    def line(self, points: Sequence[tuple[float, float]], colour: str, mark: str) -> None:
        """A line through points, each with a mark."""
        places = [self.at(*point) for point in points]
        self.draw.line(places, colour, 2)
        for x, y in places:
            _mark(self.draw, x, y, colour, mark)


def write_plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """One line for each method and size: wall seconds, and peak memory, by the number of frames."""
    size = MARGIN[0] * 2 + 2 * PANEL[0] + GAP + 110, MARGIN[1] * 2 + PANEL[1]
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    counts = sorted({row["frames"] for row in rows})
    sizes = sorted({row["megapixels"] for row in rows})
    panels = (("wall_s", "seconds, by frames"), ("peak_mib", "peak MiB, by frames"))
    for number, (name, title) in enumerate(panels):
        left = MARGIN[0] + number * (PANEL[0] + GAP + MARGIN[0] // 2)
        ticks = _ticks([row[name] for row in rows])
        x_range = counts[0] / 1.3, counts[-1] * 1.3
        axes = Axes(draw, left, MARGIN[1], x_range, (ticks[0], ticks[-1]))
        axes.frame(title, counts, ticks)
        for method in COLOURS:
            for mark, megapixels in zip(MARKS, sizes, strict=False):
                chosen = [row for row in rows if (row["method"], row["megapixels"]) == (method, megapixels)]
                axes.line([(row["frames"], row[name]) for row in chosen], COLOURS[method], mark)
    _legend(draw, left + PANEL[0] + 16, MARGIN[1], sizes)
    picture.save(path, optimize=True)


def _legend(draw: ImageDraw.ImageDraw, left: int, top: int, sizes: Sequence[int]) -> None:
    for number, (method, colour) in enumerate(COLOURS.items()):
        draw.line([(left, top + 20 * number + 8), (left + 18, top + 20 * number + 8)], colour, 2)
        draw.text((left + 24, top + 20 * number + 8), method, INK, FONT, anchor="lm")
    below = top + 20 * len(COLOURS) + 16
    for number, (mark, megapixels) in enumerate(zip(MARKS, sizes, strict=False)):
        _mark(draw, left + 9, below + 20 * number, INK, mark)
        draw.text((left + 24, below + 20 * number), f"{megapixels} MP", INK, FONT, anchor="lm")


def _mark(draw: ImageDraw.ImageDraw, x: float, y: float, colour: str, mark: str) -> None:
    box = (x - 4, y - 4, x + 4, y + 4)
    shapes: dict[str, Callable[[], None]] = {
        "dot": lambda: draw.ellipse(box, colour),
        "square": lambda: draw.rectangle(box, colour),
        "ring": lambda: draw.ellipse(box, "white", colour, 2),
        "cross": lambda: draw.line([box[:2], box[2:]], colour, 2),
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
