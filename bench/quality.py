"""How close each method comes to the truth: `python bench/quality.py --json bench/results/quality.json`.

Rendered scenes with known sharp picture and depth, still and with a camera that breathes, drifts and
flickers, and the `cotton` set where GPUSTACK_DATA is given. PSNR in dB against the truth; depth as mean
absolute error in frames.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import machine
import numpy as np

import gpustack
from gpustack.scenes import Rendered, Shoot, names, render
from gpustack.scenes.comparison import psnr, truth_psnr
from gpustack.settings import Method, Model, Settings

STILL = Shoot(frames=16, width=640, height=480, max_blur_px=10.0, noise=1.0)
MOVING = replace(STILL, breathing=0.03, drift_px=8.0, jitter_px=0.5, rotation_deg=0.3, flicker=0.02)


def main() -> None:
    """Measure every scene and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    target: Path = options.parse_args().json
    rows = [row for name in names() for row in scene_rows(name)]
    rows += cotton_rows()
    machine.write_result(machine.heading("quality") | {"rows": rows}, target)
    for row in rows:
        print(row["scene"], row["camera"], {m: round(v, 2) for m, v in row["psnr_db"].items()})


def scene_rows(name: str) -> list[dict[str, Any]]:
    """One scene, with a still and a moving camera."""
    return [_row(name, "still", STILL), _row(name, "moving", MOVING)]


def _row(name: str, camera: str, shoot: Shoot) -> dict[str, Any]:
    rendered = render(name, shoot)
    frames = [rendered.frame(index) for index in range(shoot.frames)]
    align = Model.NONE if camera == "still" else Model.SIMILARITY
    results = {method.value: gpustack.stack(frames, Settings(method, align, depth=True)) for method in Method}
    marks = {"best pixel of any frame": best_pixel(rendered, frames)} if camera == "still" else {}
    return {
        "scene": name,
        "camera": camera,
        "psnr_db": {m: truth_psnr(rendered, r.image, r.report.box) for m, r in results.items()},
        "depth_error_frames": {m: depth_error(rendered, r) for m, r in results.items()},
        "marks_db": marks,
    }


def best_pixel(rendered: Rendered, frames: list[Any]) -> float:
    """The upper mark for choosing: at each pixel the frame value nearest to the truth."""
    truth = rendered.truth
    error = np.min([np.abs(frame / np.float32(255) - truth) for frame in frames], axis=0)
    return psnr(error, np.zeros_like(error))


def depth_error(rendered: Rendered, result: gpustack.Result) -> float:
    """Mean absolute error of the depth, in frames, over the part that was kept."""
    left, top, width, height = result.report.box
    assert result.depth is not None
    return float(np.abs(result.depth - rendered.depth[top : top + height, left : left + width]).mean())


def cotton_rows() -> list[dict[str, Any]]:
    """The light-field set `cotton`, whose sharp picture is known."""
    folder = Path(os.environ.get("GPUSTACK_DATA", "")) / "ground_truth" / "cotton"
    if not (folder / "frames").is_dir():
        print("cotton is left out: GPUSTACK_DATA does not name the data folder")
        return []
    truth = cv2.cvtColor(cv2.imread(str(folder / "input_Cam040.png")), cv2.COLOR_BGR2RGB) / 255.0
    paths = sorted((folder / "frames").iterdir())
    found = {m.value: gpustack.stack(paths, Settings(m, Model.NONE)).image / 255.0 for m in Method}
    return [{"scene": "cotton", "camera": "still", "psnr_db": {m: psnr(i, truth) for m, i in found.items()}}]


if __name__ == "__main__":
    main()
