"""What Lanczos gives over bicubic: `python bench/interpolation.py --json bench/results/interpolation.json`.

PSNR in dB against the truth of rendered scenes with a camera that breathes, drifts, shakes and turns, fused
with the true transforms, with and without noise; beside them the same scene with a camera that stands still,
whose frames need no resampling.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import machine
import numpy as np

import gpustack
from gpustack.scenes import Shoot, names, render
from gpustack.scenes.comparison import truth_psnr
from gpustack.settings import Interpolation, Method, Model, Settings

STILL = Shoot(frames=16, width=640, height=480, max_blur_px=10.0)
MOVING = replace(STILL, breathing=0.03, drift_px=8.0, jitter_px=0.5, rotation_deg=0.3, flicker=0.02)
METHODS = (Method.AUTO, Method.PYRAMID, Method.AVERAGE)
NOISES = (0.0, 1.0)


def main() -> None:
    """Measure every scene and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    target: Path = options.parse_args().json
    rows = [row for noise in NOISES for name in names() for row in scene_rows(name, noise)]
    gains = {
        f"{method.value}, noise {noise:g}": gain(rows, method, noise)
        for method in METHODS
        for noise in NOISES
    }
    machine.write_result(machine.heading("interpolation") | {"lanczos_gain_db": gains, "rows": rows}, target)
    for row in rows:
        print(*row.values())
    print(gains)


def scene_rows(name: str, noise: float) -> list[dict[str, Any]]:
    """One scene with one noise (standard deviation, 8-bit levels), by each method."""
    moving, still = (render(name, replace(shoot, noise=noise)) for shoot in (MOVING, STILL))
    frames, resting = ([scene.frame(index) for index in range(STILL.frames)] for scene in (moving, still))
    rows = []
    for method in METHODS:
        found: dict[str, float] = {}
        for interpolation in Interpolation:
            settings = Settings(method, interpolation=interpolation)
            result = gpustack.stack(frames, settings, transforms=moving.transforms)
            found[interpolation.value] = round(truth_psnr(moving, result.image, result.report.box), 2)
        unmoved = gpustack.stack(resting, Settings(method, Model.NONE))
        found["still camera"] = round(truth_psnr(still, unmoved.image, unmoved.report.box), 2)
        rows.append({"scene": name, "noise": noise, "method": method.value, "psnr_db": found})
    return rows


def gain(rows: list[dict[str, Any]], method: Method, noise: float) -> dict[str, float]:
    """By how many dB Lanczos is better than bicubic: mean, least and most over the scenes."""
    differences = [
        row["psnr_db"]["lanczos"] - row["psnr_db"]["bicubic"]
        for row in rows
        if (row["method"], row["noise"]) == (method.value, noise)
    ]
    shown = {"mean": np.mean(differences), "least": min(differences), "most": max(differences)}
    return {name: round(float(value), 2) for name, value in shown.items()}


if __name__ == "__main__":
    main()
