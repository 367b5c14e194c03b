"""Competitors on a case: their pictures, of peers kept by version, and the rows of figures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import machine
from measure import BenchError, measure
from peers import Competitor, Ours, Task, symbolic
from quality_cases import Case, Ready
from quality_judge import Judge

Row = dict[str, Any]

MARK = "best pixel of any frame"


@dataclass(frozen=True)
class Kept:
    """What a competitor wrote for a case, and how long it took."""

    picture: Path
    depth: Path | None
    wall_s: float


def rows(ready: Ready, competitors: Sequence[Competitor]) -> list[Row]:
    """The figures of every competitor on one case, and of the mark; one that fails has its reason instead."""
    judge = Judge(ready)
    found = [_row(ready, judge, each) for each in competitors]
    mark = judge.mark()
    return found + ([_heading(ready, MARK) | mark] if mark else [])


def _row(ready: Ready, judge: Judge, competitor: Competitor) -> Row:
    row = _heading(ready, competitor.name) | {"version": _version(competitor)}
    try:
        kept = run(ready, competitor)
        row |= judge.figures(kept.picture, kept.depth) | {"wall_s": kept.wall_s}
    except BenchError as error:
        row["failed"] = str(error).splitlines()[0]
    shown = {name: row.get(name) for name in ("psnr_db", "near_psnr_db", "ssim", "wall_s", "failed")}
    print(f"{row['scene']:<10} {competitor.name:<24} {shown}", flush=True)
    return row


def _heading(ready: Ready, method: str) -> Row:
    return asdict(ready.case) | {"digest": ready.digest, "method": method}


def case_of(row: Row) -> Case:
    """The case that a row is about."""
    return Case(**{name: row[name] for name in asdict(Case("", 0))})


def key(row: Row) -> tuple[Any, ...]:
    """What a row is about: the case and the method."""
    return (*asdict(case_of(row)).values(), row["method"])


def _version(competitor: Competitor) -> str | None:
    """Ours is the commit that is here, with "+changes" where files differ from it."""
    if isinstance(competitor, Ours):
        return str(machine.heading("")["commit"])
    return competitor.version()


def run(ready: Ready, competitor: Competitor) -> Kept:
    """Run a competitor, or take what the same version of a peer wrote for the same case before."""
    if isinstance(competitor, Ours):
        return _work(ready, competitor)
    identity = {"version": _version(competitor), "commands": commands(competitor, ready.case)}
    stem = ready.results / competitor.name.replace(" ", "-")
    picture, told = stem.with_suffix(".tif"), stem.with_suffix(".json")
    before = json.loads(told.read_text()) if told.exists() else {}
    if {name: before.get(name) for name in identity} == identity:
        return Kept(picture, None, before["wall_s"])
    fresh = _work(ready, competitor)
    ready.results.mkdir(exist_ok=True)
    told.unlink(missing_ok=True)
    fresh.picture.replace(picture)
    told.write_text(json.dumps(identity | {"wall_s": fresh.wall_s}, indent=1))
    shutil.rmtree(fresh.picture.parent)
    return Kept(picture, None, fresh.wall_s)


def commands(competitor: Competitor, case: Case) -> list[str]:
    """What is run on a case, with names in place of paths."""
    return symbolic(competitor, case.camera == "moving", out="OUT.tif")


def _work(ready: Ready, competitor: Competitor) -> Kept:
    """One run from start to exit, its files in a folder of its own."""
    home = ready.folder.parent / "runs" / competitor.name.replace(" ", "-")
    shutil.rmtree(home, ignore_errors=True)
    (home / "scratch").mkdir(parents=True)
    moves = ready.case.camera == "moving"
    task = Task(ready.frames, ready.folder, home / "out.tif", home / "scratch", align=moves)
    commands = competitor.commands(task)
    depth = None
    if isinstance(competitor, Ours):
        depth = home / "depth.tif"
        commands[0] += ["--depth", str(depth)]
    taken = measure(commands, home / "log.txt")
    if not task.out.is_file():
        raise BenchError("it wrote no picture")
    return Kept(task.out, depth, round(taken.wall_s, 2))
