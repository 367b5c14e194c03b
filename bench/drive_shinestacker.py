"""Run Shine Stacker without its window: `drive_shinestacker.py METHOD ALIGN FOLDER SCRATCH OUT`.

Shine Stacker has no headless command, so this script drives its Python API; it runs in Shine Stacker's own
environment. The actions and their settings are those of its "new project" dialog: frames aligned and
balanced, then the chosen stacker, everything at its default.
"""

from __future__ import annotations

import sys
from pathlib import Path

from shinestacker.algorithms import (
    AlignFrames,
    BalanceFrames,
    CombinedActions,
    DepthMapStack,
    FocusStack,
    PyramidAutoStack,
    StackJob,
)

STACKERS = {"pyramid": PyramidAutoStack, "depthmap": DepthMapStack}


def drive(method: str, align: bool, folder: Path, scratch: Path, out: Path) -> None:
    """Stack the pictures of `folder` into `out`; `scratch` must exist and takes what lies between."""
    job = StackJob("bench", str(scratch), input_path=str(folder))
    if align:
        job.add_action(CombinedActions("aligned", actions=[AlignFrames(), BalanceFrames()]))
    job.add_action(FocusStack("fused", STACKERS[method](), plot_stack=False))
    if not job.run():
        raise SystemExit("shinestacker: the job failed")
    (picture,) = (scratch / "fused").iterdir()
    picture.replace(out)


if __name__ == "__main__":
    method, align, *paths = sys.argv[1:]
    drive(method, align == "yes", *map(Path, paths))
