"""How far the alignment is off, case by case: `python bench/alignment_cases.py --json FILE`.

Rendered stacks of 16 frames of 1200x900 (see moving.py). Errors are root mean squares over the four corners,
in pixels, against the transforms that were rendered: over the frames of a stack other than the reference,
and for the frame that is worst. A row is a case; `stacks` holds each scene and seed of it, or one with
`--one-a-case`. `--align auto` asks what it costs to let the stack choose its model, where it needs none but
the default.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import machine
import moving
import numpy as np
from frames import default_cache

import gpustack
from gpustack.model.transform import corners
from gpustack.settings import BackendName, Model

BARS_PX = {"common": 0.1, "hard": 0.25}


def main() -> None:
    """Measure every case and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    options.add_argument("--cache", type=Path, default=default_cache(), help="folder of rendered frames")
    options.add_argument("--only", default="", help="only cases whose names begin so")
    options.add_argument("--align", type=Model, default=Model.SIMILARITY, help="model of the alignment")
    options.add_argument(
        "--one-a-case", action="store_true", help="six stacks of the usual case, one of others"
    )
    given = options.parse_args()
    every = moving.one_a_case() if given.one_a_case else moving.stacks()
    stacks = [stack for stack in every if stack.case.startswith(given.only)]
    moving.rendered(stacks, given.cache)
    found = [measured(stack, given.cache, given.align) for stack in stacks]
    rows = [row(case, found) for case in dict.fromkeys(stack.case for stack in stacks)]
    head = machine.heading("alignment by case") | {"align": given.align.value, "bars_px": BARS_PX}
    machine.write_result(head | {"rows": rows}, given.json)


def measured(stack: moving.Moving, cache: Path, model: Model) -> dict[str, Any]:
    """One stack, located from its files."""
    started = time.perf_counter()
    settings = gpustack.Settings(backend=BackendName.CPU, align=model)
    places = gpustack.locate(stack.frames(cache), settings)
    seconds = time.perf_counter() - started
    points = corners(stack.shoot.width, stack.shoot.height)
    truth = stack.transforms()
    pairs = [
        pair for index, pair in enumerate(zip(places, truth, strict=True)) if index != stack.shoot.reference
    ]
    rms, worst = moving.corner_errors([at.transform.apply(points) - true.apply(points) for at, true in pairs])
    gains = [abs(at.transform.gain / true.gain - 1) for at, true in pairs]
    result = {
        "case": stack.case,
        "label": "hard" if stack.hard else "common",
        "scene": stack.scene,
        "seed": stack.shoot.seed,
        "rms_px": round(rms, 3),
        "max_px": round(worst, 3),
        "left_out": sum(not place.used for place in places),
        "gain_error": round(max(gains), 4),
        "seconds": round(seconds, 2),
    }
    print(*result.values(), flush=True)
    return result


def row(case: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    """A case: the mean square over its stacks, and the worst frame of all."""
    own = [stack for stack in found if stack["case"] == case]
    rms = float(np.sqrt(np.mean([stack["rms_px"] ** 2 for stack in own])))
    label = own[0]["label"]
    worst = max(stack["rms_px"] for stack in own)
    return {
        "case": case,
        "label": label,
        "rms_px": round(rms, 3),
        "worst_stack_px": worst,
        "max_px": max(stack["max_px"] for stack in own),
        "within_bar": worst <= BARS_PX[label],
        "stacks": [{key: stack[key] for key in stack if key not in ("case", "label")} for stack in own],
    }


if __name__ == "__main__":
    main()
