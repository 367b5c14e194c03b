"""The result file of quality.py as Markdown: `python bench/quality_table.py FILE [--figure NAME]`.

One row a case: our methods, the best peer of each kind and of all, and the mark; `--all` has a column for
every peer. `--claims` prints what the file proves instead, one line a claim with the rows that break it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quality_runs import MARK, Row

OURS = ("gpustack auto", "gpustack pyramid", "gpustack depthmap", "gpustack average")
PYRAMIDS = ("enfuse", "focusweave", "openfocus c", "shinestacker pyramid")
DEPTH_MAPS = ("openfocus b", "shinestacker depthmap")
FIGURES = {"psnr_db": 1, "near_psnr_db": 1, "away_psnr_db": 1, "ssim": 4, "off_share": 5}
DEPTH_FIGURES = {
    "depth_mae_textured": 3,
    "depth_off_share": 4,
    "depth_mae_within": 3,
    "depth_off_within": 4,
    "depth_mae_frames": 3,
}
MOST_MAE, MOST_OFF, LEAD_DB, CLOSED = 0.35, 0.02, 1.5, 1 / 3

# Of one case, by method.
Group = dict[str, Row]


def main() -> None:
    """Print the wanted table."""
    parser = argparse.ArgumentParser(description="Markdown from a result file of quality.py.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--figure", choices=[*FIGURES, "depth"], default="psnr_db")
    parser.add_argument("--held-out", action="store_true", help="the rows held out of tuning, and no others")
    parser.add_argument("--all", action="store_true", help="a column for every peer")
    parser.add_argument("--claims", action="store_true", help="what the rows prove, and those that break it")
    given = parser.parse_args()
    rows = json.loads(given.file.read_text())["rows"]
    groups = grouped([row for row in rows if row["held_out"] == given.held_out and "failed" not in row])
    if given.claims:
        print("\n".join(claims(groups)))
    elif given.figure == "depth":
        print(depth_table(groups))
    else:
        print(table(groups, given.figure, every=given.all))


def grouped(rows: list[Row]) -> dict[str, Group]:
    """The rows by case, in words."""
    found: dict[str, Group] = {}
    for row in rows:
        found.setdefault(case_name(row), {})[row["method"]] = row
    return found


def case_name(row: Row) -> str:
    """A case as a table has it: scene and seed, then whatever is not as in the plainest case."""
    name = f"{row['scene']} {row['seed']}"
    special = [f"noise {row['noise']:g}"] if row["noise"] != 1 else []
    special += ["16 bit"] if row["bits"] == 16 else []
    special += ["moving"] if row["camera"] == "moving" else []
    return ", ".join([name, *special])


def table(groups: dict[str, Group], figure: str, *, every: bool = False) -> str:
    """One figure of every case."""
    peers = sorted({name for group in groups.values() for name in group if name not in (*OURS, MARK)})
    ours = [name.removeprefix("gpustack ") for name in OURS]
    others = peers if every else ["best pyramid peer", "best depth-map peer", "best peer"]
    lines = []
    for name, group in groups.items():
        values = {method: row[figure] for method, row in group.items() if row.get(figure) is not None}
        if not values:
            continue
        best = [_best(values, figure, among) for among in (PYRAMIDS, DEPTH_MAPS, peers)]
        theirs = [_shown(values.get(peer), figure) for peer in peers] if every else best
        cells = [_shown(values.get(method), figure) for method in OURS]
        lines.append([name, *cells, *theirs, _shown(values.get(MARK), figure)])
    return _markdown(["case", *ours, *others, "best pixel"], lines)


def depth_table(groups: dict[str, Group]) -> str:
    """How good our depth is, of `auto`, by case."""
    lines = [
        [name, *(_number(row.get(figure), digits) for figure, digits in DEPTH_FIGURES.items())]
        for name, row in ((name, group.get(OURS[0], {})) for name, group in groups.items())
        if "depth_mae_frames" in row
    ]
    heading = ["mean error, textured", "off by more than 1.5", "mean error, texture of its own", "off", "all"]
    return _markdown(["case", *heading], lines)


def claims(groups: dict[str, Group]) -> Iterator[str]:
    """Each claim with how many rows hold it, and those that do not."""
    leads = {name: lead for name, group in groups.items() if (lead := _lead(group, OURS[0])) is not None}
    yield _claim("auto is first", leads, lambda lead: lead > 0)
    yield _claim(f"auto leads by {LEAD_DB} dB or more", leads, lambda lead: lead >= LEAD_DB)
    for ours, among in ((OURS[1], PYRAMIDS), (OURS[2], DEPTH_MAPS)):
        kind = {
            name: lead for name, group in groups.items() if (lead := _lead(group, ours, among)) is not None
        }
        yield _claim(f"{ours} is first of its kind", kind, lambda lead: lead > 0)
    shares = {name: share for name, group in groups.items() if (share := _closed(name, group)) is not None}
    yield _claim("auto closes a third of the way to the mark (hairs, cards)", shares, lambda s: s >= CLOSED)
    depth = {
        name: group[OURS[0]] for name, group in groups.items() if "depth_off_share" in group.get(OURS[0], {})
    }
    errors = {name: row["depth_mae_textured"] for name, row in depth.items()}
    wrong = {name: row["depth_off_share"] for name, row in depth.items()}
    yield _claim(f"depth is within {MOST_MAE} frames in the mean", errors, lambda error: error <= MOST_MAE)
    yield _claim(
        f"fewer than {MOST_OFF:.0%} are off by more than 1.5 frames", wrong, lambda share: share < MOST_OFF
    )


def _claim(text: str, values: dict[str, float], holds: Any) -> str:
    broken = {name: value for name, value in values.items() if not holds(value)}
    listed = "".join(
        f"\n    {name}: {value:.3f}" for name, value in sorted(broken.items(), key=lambda pair: pair[1])
    )
    return f"- {text}: {len(values) - len(broken)} of {len(values)}{listed}"


def _lead(group: Group, method: str, among: tuple[str, ...] = ()) -> float | None:
    """PSNR of ours less that of the best peer, None where either is missing."""
    peers = [name for name in group if (name in among if among else name not in (*OURS, MARK))]
    values = [group[name]["psnr_db"] for name in peers if group[name]["psnr_db"] is not None]
    return float(group[method]["psnr_db"] - max(values)) if method in group and values else None


def _closed(name: str, group: Group) -> float | None:
    """The share of the way from the best peer to the mark that `auto` has gone."""
    lead = _lead(group, OURS[0])
    if lead is None or MARK not in group or not name.startswith(("hairs", "cards")):
        return None
    best = group[OURS[0]]["psnr_db"] - lead
    return float(lead / (group[MARK]["psnr_db"] - best))


def _best(values: dict[str, float], figure: str, among: Any) -> str:
    """The best value among methods, and whose it is."""
    here = {name: value for name, value in values.items() if name in among}
    if not here:
        return "–"
    name = (min if figure == "off_share" else max)(here, key=lambda method: here[method])
    return f"{_shown(here[name], figure)} ({name})"


def _shown(value: float | None, figure: str) -> str:
    return _number(value, FIGURES[figure])


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _markdown(heads: list[str], lines: list[list[str]]) -> str:
    rule = ["---", *(["---:"] * (len(heads) - 1))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *lines))


if __name__ == "__main__":
    main()
