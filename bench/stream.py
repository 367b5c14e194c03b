"""Whole stacks on a device: `python bench/stream.py --device cuda:0`.

Frames that lie in page-locked memory; files of three kinds; 200 JPEG frames of 45 megapixels, aligned and
fused; memory against the plan's prediction, and smaller plans; the picture against the CPU backend's.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import traceback
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import devices
import stacks
from machine import heading, write_result
from measure import BenchError
from rates import Flow, build_times, copy_rates, launch_rates
from sweep import Sweep
from workbench import Workbench

OVERLAP_SHARE = 0.85
"""Of the slower of upload and kernels, what both together must reach."""

OVERLAP_PASSES = ("auto", "pyramid")
FLOWING, TOY_FLOWING = 60, 4
DISTINCT, TOY_DISTINCT = 24, 5

Row = dict[str, Any]


class Result:
    """The result file, written again after every section; a section that fails does not stop the others."""

    def __init__(self, path: Path, head: Row) -> None:
        self._path = path
        self.found: Row = head | {"checks": {}, "failed": {}}

    def section(self, name: str, work: Callable[[], Any]) -> None:
        """Enter what `work` gives, or why it failed."""
        print(f"-- {name}", flush=True)
        try:
            self.found[name] = work()
        except Exception as error:  # whatever it is, device time is short
            self.found["failed"][name] = f"{type(error).__name__}: {error}"
            traceback.print_exc(file=sys.stdout)
        else:
            print(self.found[name], flush=True)
        write_result(self.found, self._path, quiet=True)

    def check(self, name: str, holds: bool) -> None:
        """Enter whether something that must hold does."""
        self.found["checks"][name] = holds
        print(f"{'pass' if holds else 'FAIL'}: {name}", flush=True)
        write_result(self.found, self._path, quiet=True)


def rates(result: Result, given: Namespace, sweep: Sweep) -> None:
    """Everything that needs no file."""
    bench = Workbench(given)
    result.found |= bench.describe()
    result.section("copies_gb_s", lambda: copy_rates(bench))
    result.section("launches", lambda: launch_rates(bench))
    result.section("building_s", lambda: build_times(given.device))
    for name in OVERLAP_PASSES:
        flow = Flow(bench, sweep, name, TOY_FLOWING if bench.toy else FLOWING)
        result.section(f"overlap {name}", flow.overlap)
        flow.close()
        share = result.found.get(f"overlap {name}", {}).get("share_of_slower", 0.0)
        if not bench.toy:
            text = f"{name}: upload and kernels together reach {OVERLAP_SHARE} of the slower"
            result.check(text, share >= OVERLAP_SHARE)


def bench(given: Namespace) -> bool:
    """The whole bench; whether nothing failed and all checks hold."""
    toy = given.device == devices.CPU
    result = Result(given.json, heading("stream"))
    sweep = Sweep(devices.TOY_SIZE if toy else devices.SIZE, TOY_DISTINCT if toy else DISTINCT)
    sweep.prepare()
    rates(result, given, sweep)
    missing = stacks.missing_codecs()
    if missing:
        result.found["skipped"] = f"All sections with files: {' and '.join(missing)} are not installed."
        print(result.found["skipped"])
        write_result(result.found, given.json)
    else:
        scratch = Path(tempfile.mkdtemp(prefix="gpustack-bench-", dir=given.scratch))
        try:
            _files(result, given, stacks.Stacks(given.device, sweep, scratch))
        finally:
            shutil.rmtree(scratch)
    return not result.found["failed"] and all(result.found["checks"].values())


def _files(result: Result, given: Namespace, made: stacks.Stacks) -> None:
    """Everything that needs files."""
    for kind in stacks.KINDS:
        result.section(f"files {kind}", partial(made.of_kind, kind))
    if given.raw is not None:
        result.section("files raw", partial(made.of_raw, given.raw))
    result.section("whole", made.whole)
    result.section("plans", made.plans)
    for name, holds in stacks.judged(result.found, toy=given.device == devices.CPU).items():
        result.check(name, holds)
    result.section("agreement", made.agreement)
    for method, share in result.found.get("agreement", {}).items():
        result.check(f"{method}: agrees with the CPU", share < stacks.DISAGREEMENT)


def main() -> None:
    """Command line of this file; exits with 1 where a section or a check fails."""
    parser = devices.arguments(__doc__, "stream.json")
    parser.add_argument("--raw", type=Path, help="a RAW file, whose links are stacked too")
    parser.add_argument("--scratch", type=Path, help="folder with 10 GB of room; else the system's")
    try:
        sys.exit(0 if bench(parser.parse_args()) else 1)
    except BenchError as error:
        raise SystemExit(f"bench: {error}") from None


if __name__ == "__main__":
    main()
