"""Ours beside peers: whole-process time, CPU time and peak memory on the same frames, in one run.

`python bench/speed.py --set fuse12 --runs 3 --json bench/results/speed-fuse12.json`; contract in README.md.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from developing import DevelopedFirst
from frames import FrameSet, default_cache, picture_size, psnr
from machine import heading, write_result
from measure import BenchError, Figures, measure, positive, rounds, summary
from peers import Competitor, Task, ours, peers, symbolic
from registered import registered_psnr
from sets import SETS, frame_set

from gpustack.io.decode import probe

# An aligned picture may be cropped to what all frames share; less than this share of a side is a failure.
LEAST_SIDE, MOST_SIDE = 0.85, 1.15
OURS = "gpustack"

# One competitor's results, in the form they have in the result file.
Row = dict[str, Any]


@dataclass
class Arena:
    """Runs competitors on one set of frames and keeps the size and quality of what each wrote."""

    frames: FrameSet
    home: Path
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    quality: dict[str, float] = field(default_factory=dict)

    def run(self, competitor: Competitor) -> Figures:
        """One measured run; raises BenchError where it fails or its picture is missing or of a wrong size."""
        home = self.home / competitor.name.replace(" ", "-")
        shutil.rmtree(home, ignore_errors=True)
        (home / "scratch").mkdir(parents=True)
        frames = self.frames
        task = Task(frames.frames, frames.folder, home / frames.out, home / "scratch", frames.align)
        figures = measure(competitor.commands(task), home / "log.txt")
        self._inspect(competitor.name, task.out)
        shutil.rmtree(task.scratch)
        return figures

    def _inspect(self, name: str, picture: Path) -> None:
        size = picture_size(picture)
        (frame, *_) = probe(self.frames.frames[0])
        _refuse_other_size(name, size, (frame.height, frame.width), self.frames.align)
        self.sizes[name] = size
        if self.frames.truth and name not in self.quality:
            compare = registered_psnr if self.frames.align else psnr
            self.quality[name] = compare(picture, self.frames.truth)


def _refuse_other_size(name: str, size: tuple[int, int], frame: tuple[int, int], align: bool) -> None:
    least, most = (LEAST_SIDE, MOST_SIDE) if align else (1, 1)
    if not all(least * side <= got <= most * side for got, side in zip(size, frame, strict=True)):
        raise BenchError(
            f"{name} wrote {size[1]}x{size[0]} px from frames of {frame[1]}x{frame[0]} px: "
            "its figures would not compare; look at its picture and log under the cache folder."
        )


def split_by_presence(wanted: Sequence[Competitor]) -> tuple[list[Competitor], list[str]]:
    """The competitors that are installed, and the names of the peers that are not; ours must be there."""
    here = [each for each in wanted if each.version()]
    absent = [each.name for each in wanted if each not in here]
    if any(name.startswith(OURS) for name in absent):
        raise BenchError(
            "gpustack does not run here: try `python -m gpustack stack --help` with this Python."
        )
    return here, absent


def chosen(all_of_them: Sequence[Competitor], only: str) -> list[Competitor]:
    """Those whose name begins with one of the comma-separated names in `only`; all for an empty text."""
    starts = tuple(name.strip() for name in only.split(",")) if only else ("",)
    found = [each for each in all_of_them if each.name.startswith(starts)]
    if not found:
        raise BenchError(f"No competitor is called {only!r}: `python bench/peers.py list` shows the names.")
    return found


def fight(frames: FrameSet, competitors: Sequence[Competitor], runs: int, home: Path) -> list[Row]:
    """Measure all competitors in interleaved rounds; one row of results for each, the fastest first."""
    arena = Arena(frames, home)
    by_name = {each.name: each for each in competitors}
    taken = rounds(list(by_name), runs, lambda name: arena.run(by_name[name]))
    rows = [_row(by_name[name], figures, arena) for name, figures in taken.items()]
    for row in rows:
        row["to_fastest_peer"] = ratios(row, rows)
        row["to_fastest_as_good"] = ratios(row, [other for other in rows if _as_good(other, row)])
    return sorted(rows, key=lambda row: row["wall_s"]["median"])


def _row(competitor: Competitor, figures: list[Figures], arena: Arena) -> Row:
    name, frames = competitor.name, arena.frames
    taken = summary(figures)
    (frame, *_) = probe(frames.frames[0])
    megapixels = len(frames.frames) * frame.megapixels
    return {
        "name": name,
        "version": competitor.version(),
        "commands": symbolic(competitor, frames.align, frames.out),
        **taken,
        "mp_s": round(megapixels / taken["wall_s"]["median"], 2),
        "size": list(reversed(arena.sizes[name])),
        "psnr_db": round(arena.quality[name], 2) if name in arena.quality else None,
    }


def _as_good(other: Row, row: Row) -> bool:
    """Whether a picture is known to come as close to the truth as that of a row."""
    return other["psnr_db"] is not None and other["psnr_db"] >= row["psnr_db"]


def ratios(row: Row, others: Sequence[Row]) -> dict[str, Any] | None:
    """A row's median wall time and peak as multiples of those of the fastest peer among others (below 1 is
    better), and its throughput, as a multiple of the peer's; None where there is no peer."""
    theirs = [other for other in others if not other["name"].startswith(OURS)]
    if not theirs:
        return None
    fastest = min(theirs, key=lambda other: float(other["wall_s"]["median"]))
    return {
        "peer": fastest["name"],
        "wall": round(row["wall_s"]["median"] / fastest["wall_s"]["median"], 3),
        "throughput": round(fastest["wall_s"]["median"] / row["wall_s"]["median"], 2),
        "peak": round(row["peak_mib"]["median"] / fastest["peak_mib"]["median"], 3),
    }


def show(rows: Sequence[Row], absent: Sequence[str]) -> None:
    """Print the rows as a table, and who was not there."""
    print(f"{'':<24}{'wall s':>10}{'cpu s':>10}{'MP/s':>10}{'peak MiB':>10}{'PSNR dB':>10}")
    for row in rows:
        wall, cpu, peak = (f"{row[name]['median']:>10.1f}" for name in ("wall_s", "cpu_s", "peak_mib"))
        print(f"{row['name']:<24}{wall}{cpu}{row['mp_s']:>10.1f}{peak}{row['psnr_db'] or '-':>10}")
    if absent:
        print(f"not installed: {', '.join(absent)} (python bench/peers.py install)")


def bench(given: argparse.Namespace) -> None:
    """The whole bench: frames, rounds, table, result file."""
    head = heading("speed")
    frames = frame_set(given.set, given.cache)
    wanted = chosen([*ours(given.backend), *peers(given.cache)], given.only)
    reading = [each if each.name.startswith(frames.readers) else DevelopedFirst(each) for each in wanted]
    present, absent = split_by_presence(reading)
    rows = fight(frames, present, given.runs, given.cache / "runs" / given.set)
    show(rows, absent)
    if given.json:
        result = {**head, **frames.describe(), "runs": given.runs, "results": rows, "not_installed": absent}
        write_result(result, given.json)


def main() -> None:
    """Command line of this file."""
    parser = argparse.ArgumentParser(
        description="Time, CPU and memory of ours and of peers on the same frames."
    )
    parser.add_argument("--set", choices=tuple(SETS), required=True, help="the frames and the task")
    parser.add_argument("--runs", type=positive, default=3, help="measured runs each, after one warm-up")
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument(
        "--only", default="", help="names to run, comma-separated, by their beginning: gpustack,enfuse"
    )
    parser.add_argument("--backend", choices=("auto", "cuda", "cpu"), default="auto", help="backend of ours")
    parser.add_argument(
        "--cache", type=Path, default=default_cache(), help="folder of frames and environments"
    )
    try:
        bench(parser.parse_args())
    except BenchError as error:
        raise SystemExit(f"bench: {error}") from None


if __name__ == "__main__":
    main()
