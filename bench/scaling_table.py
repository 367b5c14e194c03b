"""The result of `scaling.py` as the tables of docs/performance.md: `python bench/scaling_table.py FILE`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Lines of a table in Markdown."""
    yield from (_line(head), _line(["---"] * len(head)), *map(_line, rows), "")


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def growth(rows: Sequence[Row]) -> Iterator[str]:
    """Wall seconds and peak MiB: a line for each size and number of frames, a column for each method."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    found = {(row["megapixels"], row["frames"], row["method"]): row for row in rows}
    lines = []
    for megapixels, frames in dict.fromkeys(place[:2] for place in found):
        cells = [_taken(found.get((megapixels, frames, method))) for method in methods]
        lines.append((f"{megapixels} MP", frames, *cells))
    return table(("size", "frames", *(f"`{method}`" for method in methods)), lines)


def _taken(row: Row | None) -> str:
    if row is None:
        return "-"
    digits = 1 if row["wall_s"] < 100 else 0
    return f"{row['wall_s']:.{digits}f} s, {row['peak_mib']:.0f}"


def how(result: Row) -> Iterator[str]:
    """By method: whether growth is linear, and what all cores are worth."""
    gained = {row["method"]: row for row in result["cores"]}
    head = ("method", "off the sum by", "a frame, of 8", "peak, of 8", "cores")
    lines = []
    for method, fit in result["fits"].items():
        times = f"{gained[method]['times']:.2f}" if method in gained else "-"
        error = f"{100 * fit['largest_error']:.0f} %"
        lines.append((f"`{method}`", error, f"{fit['ratio_n']:.2f}", f"{fit['peak_ratio_n']:.3f}", times))
    return table(head, lines)


def main() -> None:
    """Print both tables of a result file."""
    result = json.loads(Path(sys.argv[1]).read_text())
    print("\n".join((*growth(result["results"]), *how(result))))


if __name__ == "__main__":
    main()
