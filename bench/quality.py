"""How close ours and the peers come to the truth: `python bench/quality.py --json FILE`.

Rendered scenes with known sharp picture and depth, and two sets of the data folder where GPUSTACK_DATA is
given; what is measured, and how, is in README.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import machine
from frames import default_cache
from measure import BenchError
from peers import Competitor, ours, quality_peers, slow_peers
from quality_cases import FULL, HALF, SMALL, Case, design, prepared
from quality_runs import Row, case_of, commands, key, rows
from speed import chosen

from gpustack.scenes import Shoot


def main() -> None:
    """Measure the wanted cases and methods; the rows of others that are in the file stay."""
    given = _options().parse_args()
    size, root = SMALL if given.small else HALF if given.half else FULL, given.cache / "quality"
    cases = [case for case in design(given.held_out) if not given.scenes or case.scene in given.scenes]
    cases = [case for case in cases if case.first or not given.first]
    try:
        fast, slow = _competitors(given)
        for case, competitors in _turns(cases, fast, slow):
            _measure(case, competitors, size, root, given.json)
    except BenchError as error:
        raise SystemExit(f"quality: {error}") from None


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", type=Path, required=True, help="result file; its other rows are kept")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="frames and environments")
    parser.add_argument("--scenes", type=_names, default=[], help="only these, by comma")
    parser.add_argument("--methods", default="", help="only those whose name begins so, by comma")
    parser.add_argument("--held-out", action="store_true", help="the scenes and seeds held out of tuning")
    parser.add_argument("--first", action="store_true", help="only each scene's plainest case")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--half", action="store_true", help="frames of 800x600; into a file of their own")
    size.add_argument("--small", action="store_true", help="12 frames of 480x360, for a quick look")
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--ours-only", action="store_true", help="run ours; rows of peers stay as they are")
    who.add_argument("--peers-only", action="store_true", help="run the peers")
    return parser


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _competitors(given: argparse.Namespace) -> tuple[list[Competitor], list[Competitor]]:
    """Those that are wanted and installed: the quick, and those that take minutes a stack."""
    groups = (
        ([] if given.peers_only else ours()) + ([] if given.ours_only else quality_peers(given.cache)),
        [] if given.ours_only else slow_peers(given.cache),
    )
    wanted = chosen([each for group in groups for each in group], given.methods)
    missing = [each.name for each in wanted if not each.version()]
    if missing:
        print(f"not installed: {', '.join(missing)}")
    fast, slow = ([each for each in group if each in wanted and each.version()] for group in groups)
    return fast, slow


def _turns(
    cases: Sequence[Case], fast: list[Competitor], slow: list[Competitor]
) -> list[tuple[Case, list[Competitor]]]:
    """All cases with the quick competitors, then the plainest of each scene with the slow ones."""
    turns = [(case, fast) for case in cases] if fast else []
    return turns + [(case, slow) for case in cases if case.first and slow]


def _measure(case: Case, competitors: Sequence[Competitor], size: Shoot, root: Path, target: Path) -> None:
    """Measure one case, and put its rows in the place of those that the file has of them."""
    ready = prepared(case, size, root)
    found = {key(row): row for row in rows(ready, competitors)}
    kept = [row for row in _written(target) if key(row) not in found and not _stale(row, case, ready.digest)]
    order = sorted([*kept, *found.values()], key=lambda row: [str(part) for part in key(row)])
    result = machine.heading("quality") | {
        "size": f"{size.width}x{size.height}x{size.frames}",
        "commands": _commands(),
        "rows": order,
    }
    machine.write_result(result, target, quiet=True)


def _commands() -> dict[str, dict[str, list[str]]]:
    """What is run, with names in place of paths, on still and on moving cameras."""
    everybody = [*ours(), *quality_peers(Path("CACHE")), *slow_peers(Path("CACHE"))]
    return {
        each.name: {camera: commands(each, Case("", 0, camera)) for camera in ("still", "moving")}
        for each in everybody
    }


def _written(target: Path) -> list[Row]:
    """The rows that the result file has."""
    found: list[Row] = json.loads(target.read_text())["rows"] if target.exists() else []
    return found


def _stale(row: Row, case: Case, digest: str) -> bool:
    """Whether a row is of this case, but of frames that are not rendered so any more."""
    return case_of(row) == case and row["digest"] != digest


if __name__ == "__main__":
    main()
