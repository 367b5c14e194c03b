"""What it costs to align frames at half their size: `python bench/halves.py --json FILE [--scenes NAME,...]`.

The moving camera of true_transforms.py, at sizes below and above WHOLE_SIDE: what `auto` loses against the
true transforms, in dB, and how far corners are off, in pixels of the frames, with planes as large as the
frames and with planes of half their size. `survey_cpu_s`: processor seconds of finding the transforms.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import machine
import numpy as np
from quality_cases import FULL, covered
from true_transforms import HALF, SETTINGS, Pixels, corner_errors, held, placed, shot

import gpustack
from gpustack.engine import price
from gpustack.metrics import psnr
from gpustack.scenes import Rendered, Shoot, render

SCENES = "print,hairs,crystal"
"""Print is the finest, hairs are the thinnest, and in crystal most is blurred."""

FRAMES = 12
ALWAYS, NEVER = 0, 1 << 20


def main() -> None:
    """Measure every stack; the file is written anew after each."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    options.add_argument("--scenes", default=SCENES)
    given = options.parse_args()
    head, rows = machine.heading("halves"), []
    for size in (HALF, FULL):
        for name in given.scenes.split(","):
            rows.append(measured(name, shot(size, FRAMES, 0)))
            print(rows[-1], flush=True)
            machine.write_result(head | {"rows": rows}, given.json, quiet=True)


def measured(name: str, shoot: Shoot) -> dict[str, Any]:
    """One stack, both ways."""
    rendered = render(name, shoot)
    frames = [rendered.frame(index) for index in range(shoot.frames)]
    true = gpustack.stack(frames, SETTINGS, transforms=rendered.transforms)
    row: dict[str, Any] = {
        "scene": name,
        "width": shoot.width,
        "height": shoot.height,
        "frames": shoot.frames,
    }
    for way, side in (("whole", NEVER), ("half", ALWAYS)):
        with patch.object(price, "WHOLE_SIDE", side):
            row[way] = compared(frames, rendered, true)
    return row


def compared(frames: list[Pixels], rendered: Rendered, true: gpustack.Result) -> dict[str, float]:
    """What is lost and how far corners are off."""
    shoot = rendered.shoot
    began = time.process_time()
    places = gpustack.locate(frames, SETTINGS)
    seconds = time.process_time() - began
    found = gpustack.stack(frames, SETTINGS, transforms=[place.transform for place in places])
    counted = covered(rendered.transforms, shoot) & held(found, shoot) & held(true, shoot)
    ours, best = (psnr(placed(of, shoot)[counted], rendered.truth[counted]) for of in (found, true))
    errors = corner_errors(places, rendered)
    return {
        "lost_db": round(best - ours, 3),
        "corner_rms_px": round(float(np.sqrt(np.mean(np.square(errors)))), 3),
        "survey_cpu_s": round(seconds, 2),
    }


if __name__ == "__main__":
    main()
