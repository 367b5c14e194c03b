"""Whether a camera at rest is told from one that drifts: `python bench/rest.py --json FILE`.

Rendered stacks of 16 frames of 400x300, with several blurs and noises, whose camera stands still or drifts
evenly by 0.01 or 0.02 pixels a frame. `at_rest`: whether the stack was taken to lie still; `worst_px`: the
corner error of the frame that is off most. `pairs`: pictures of one scene focused twice, registered by their
makers, from the data folder (GPUSTACK_DATA).
"""

from __future__ import annotations

import argparse
import os
from itertools import product
from pathlib import Path
from typing import Any

import machine
import numpy as np

import gpustack
from gpustack.model.transform import corners
from gpustack.scenes import Shoot, render
from gpustack.settings import BackendName

FRAMES, WIDTH, HEIGHT = 16, 400, 300
SCENES = ("macro", "hairs", "cards", "dome", "print", "crystal")
BLUR_AND_NOISE = ((3.0, 0.0), (4.0, 1.0), (6.0, 4.0), (8.0, 1.0))
DRIFTS_PX = (0.0, 0.01, 0.02)
PAIRS = ("lytro", "mfi_whu")
SETTINGS = gpustack.Settings(backend=BackendName.CPU)


def main() -> None:
    """Measure every stack and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    given = options.parse_args()
    cases = product(SCENES, BLUR_AND_NOISE, DRIFTS_PX)
    rows = [measured(scene, blur, noise, drift) for scene, (blur, noise), drift in cases]
    result = {"rows": rows, "counts": [counted(rows, drift) for drift in DRIFTS_PX], "pairs": pairs()}
    machine.write_result(machine.heading("a camera at rest") | result, given.json)


def measured(scene: str, blur: float, noise: float, drift: float) -> dict[str, Any]:
    """One stack; its seed follows from what it is, so that no two share their textures."""
    seed = 1 + SCENES.index(scene) + 10 * BLUR_AND_NOISE.index((blur, noise))
    shoot = Shoot(
        frames=FRAMES,
        width=WIDTH,
        height=HEIGHT,
        max_blur_px=blur,
        noise=noise,
        drift_px=drift * (FRAMES - 1),
        seed=seed,
    )
    rendered = render(scene, shoot)
    places = gpustack.locate([rendered.frame(index) for index in range(FRAMES)], SETTINGS)
    points = corners(WIDTH, HEIGHT)
    errors = [
        np.hypot(*(at.transform.apply(points) - true.apply(points)).T).max()
        for at, true in zip(places, rendered.transforms, strict=True)
    ]
    row = {"scene": scene, "blur_px": blur, "noise": noise, "drift_px_a_frame": drift}
    row |= {"at_rest": at_rest(places), "worst_px": round(float(max(errors)), 3)}
    print(*row.values(), flush=True)
    return row


def at_rest(places: tuple[gpustack.Place, ...]) -> bool:
    """Whether no frame is moved."""
    return not any(place.transform.moves for place in places)


def counted(rows: list[dict[str, Any]], drift: float) -> dict[str, Any]:
    """How many of the stacks with a drift were taken to lie still, and the worst frame of all."""
    own = [row for row in rows if row["drift_px_a_frame"] == drift]
    resting = sum(row["at_rest"] for row in own)
    worst = max(row["worst_px"] for row in own)
    return {"drift_px_a_frame": drift, "stacks": len(own), "at_rest": resting, "worst_px": worst}


def pairs() -> dict[str, dict[str, int]]:
    """By set, how many pairs there are and how many were taken to lie still."""
    data = os.environ.get("GPUSTACK_DATA")
    found = {}
    for name in PAIRS if data else ():
        folders = sorted(path for path in (Path(str(data)) / "mfif_pairs" / name).iterdir() if path.is_dir())
        shots = [
            sorted(path for path in folder.iterdir() if path.stem[-2:] in ("_A", "_B")) for folder in folders
        ]
        resting = [at_rest(gpustack.locate(pair, SETTINGS)) for pair in shots if len(pair) == 2]
        found[name] = {"pairs": len(resting), "at_rest": sum(resting)}
    return found


if __name__ == "__main__":
    main()
