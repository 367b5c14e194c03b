"""How close the alignment comes to the true transforms: `python bench/alignment.py --json FILE [STACK...]`.

Rendered scenes with breathing, drift, jitter, rotation, flicker and noise, in short and in long stacks.
Errors are root mean squares over the four corners, in pixels, against the transforms that were rendered;
`chain_mean_px` is what links between neighbours alone give; beside them the PSNR of `auto` with the
alignment found and with the true one. `large`: how often large motions between two frames are found (see
large_motion.py), in the scenes and in stacks given as folders or @lists.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import large_motion
import machine
import numpy as np

import gpustack
from gpustack.cli.finding import find
from gpustack.model.transform import corners
from gpustack.scenes import Rendered, Shoot, names, render
from gpustack.scenes.comparison import truth_psnr

WIDTH, HEIGHT = 400, 300
SETTINGS = gpustack.Settings()


def main() -> None:
    """Measure every scene and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    options.add_argument("stacks", nargs="*")
    given = options.parse_args()
    target: Path = given.json
    large = large_motion.rows([find([name]) for name in given.stacks])
    rows = [measured(name, count) for count in (12, 40) for name in names()]
    machine.write_result(machine.heading("alignment") | {"rows": rows, "large": large}, target)


def measured(name: str, count: int) -> dict[str, Any]:
    """One scene in one stack."""
    shoot = Shoot(
        frames=count,
        width=WIDTH,
        height=HEIGHT,
        max_blur_px=7.0,
        noise=1.0,
        breathing=0.03,
        drift_px=6.0,
        jitter_px=0.4,
        rotation_deg=0.3,
        flicker=0.02,
    )
    rendered = render(name, shoot)
    frames = [rendered.frame(index) for index in range(count)]
    found = gpustack.stack(frames, SETTINGS)
    true = gpustack.stack(frames, SETTINGS, transforms=rendered.transforms)
    with patch("gpustack.engine.links.LINK_STEPS", (1,)):
        chain = gpustack.locate(frames, SETTINGS)
    errors = corner_errors(found.places, rendered)
    row = {
        "scene": name,
        "frames": count,
        "mean_px": round(float(np.mean(errors)), 4),
        "max_px": round(max(errors), 4),
        "chain_mean_px": round(float(np.mean(corner_errors(chain, rendered))), 4),
        "largest_residual_px": round(max(place.residual_px for place in found.places), 4),
        "gain_error": round(max(gain_errors(found, rendered)), 5),
        "psnr_db": round(truth_psnr(rendered, found.image, found.report.box), 2),
        "psnr_db_true_transforms": round(truth_psnr(rendered, true.image, true.report.box), 2),
    }
    print(row)
    return row


def corner_errors(found: Sequence[gpustack.Place], rendered: Rendered) -> list[float]:
    """Root mean square over the corners, for each frame."""
    points = corners(WIDTH, HEIGHT)
    pairs = zip((place.transform for place in found), rendered.transforms, strict=True)
    return [float(np.sqrt(((a.apply(points) - b.apply(points)) ** 2).sum(axis=1).mean())) for a, b in pairs]


def gain_errors(found: gpustack.Result, rendered: Rendered) -> list[float]:
    """Relative error of the gain, for each frame."""
    return [abs(a.gain / b.gain - 1) for a, b in zip(found.transforms, rendered.transforms, strict=True)]


if __name__ == "__main__":
    main()
