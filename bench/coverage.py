"""Does `gpustack inspect` find the gaps of a stack? Rendered stacks, frames taken out, the truth known.

    python bench/coverage.py --json bench/results/coverage.json

Each scene is shot with 1.6 pixels of blur from frame to frame, breathing, jitter and noise, and inspected as
it is and with frames taken out of the middle and the ends. The true transforms are given: how well stacks
with gaps are aligned is another question. The truth of a cell is the focus measure of the
sharp picture against that of the sharpest frame that is left, both free of noise and movement: a cell that
misses more than 3 dB is in a gap, one that misses less than 2 dB is not, and those between count for neither.
Only cells with detail count.

Also here: what the focus measure does with blur, pooled over all cells, beside the model of
`gpustack.coverage.peaks`.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from machine import heading, write_result

import gpustack
from gpustack.backend import filters
from gpustack.coverage.peaks import DECLINE, fall
from gpustack.model.transform import Transform
from gpustack.scenes import Rendered, Shoot, render
from gpustack.settings import FOCUS_SIGMA_PX

SCENES = ("crystal", "macro", "print", "dome", "cards", "skin")
OUT: tuple[tuple[int, ...], ...] = ((), (7,), (7, 8), (0, 1), (14, 15), (0, 1, 6, 7))
SHOOT: dict[str, Any] = {
    "frames": 16,
    "width": 480,
    "height": 320,
    "max_blur_px": 24.0,
    "breathing": 0.01,
    "jitter_px": 0.3,
    "noise": 1.0,
}
GAP_DB, COVERED_DB = 3.0, 2.0
RADII = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)

Plane = npt.NDArray[np.float32]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    result = heading("coverage") | {"shoot": SHOOT, "gap_db": GAP_DB, "covered_db": COVERED_DB}
    rows, falls = [], {}
    for name in SCENES:
        scene = render(name, Shoot(**SHOOT))
        still = render(name, Shoot(**SHOOT | {"breathing": 0.0, "jitter_px": 0.0, "noise": 0.0}))
        energies = np.stack([measure(still.frame(index) / np.float32(255)) for index in range(len(still))])
        sharp = measure(still.truth)
        falls[name] = falling(still, energies, sharp)
        frames = [scene.frame(index) for index in range(len(scene))]
        for out in OUT:
            rows.append(row(name, Shot(frames, scene.transforms, energies, sharp), out))
            print(rows[-1])
    total = {key: sum(one[key] for one in rows) for key in ("in_gaps", "found", "covered", "false")}
    whole = [one for one in rows if not one["out"]]
    result |= {
        "rows": rows,
        "total": total,
        "found_share": round(total["found"] / total["in_gaps"], 3),
        "false_share": round(total["false"] / total["covered"], 4),
        "false_share_whole": round(sum(o["false"] for o in whole) / sum(o["covered"] for o in whole), 4),
        "falls_db": falls,
        "model_db": {str(radius): round(float(DECLINE * fall(np.array(radius))), 2) for radius in RADII},
    }
    print({key: value for key, value in result.items() if key.endswith(("share", "whole", "db"))})
    if given.json:
        write_result(result, given.json)


def measure(picture: Plane) -> Plane:
    """The focus measure of a picture (h, w, 3) 0..1."""
    planes = np.ascontiguousarray(np.moveaxis(picture.astype(np.float32), -1, 0))
    return filters.sharpness(filters.luma(planes), FOCUS_SIGMA_PX, slice(0, planes.shape[1]))


def falling(scene: Rendered, energies: Plane, sharp: Plane) -> dict[str, float | None]:
    """By how many dB the measure is less than that of the sharp picture at some radii of blur; None where no
    pixel is blurred so."""
    step = SHOOT["max_blur_px"] / (SHOOT["frames"] - 1)
    away = np.abs(np.arange(len(energies))[:, None, None] - scene.depth) * step
    found: dict[str, float | None] = {}
    for radius in RADII:
        near = np.abs(away - radius) < 0.25
        if not near.any():
            found[str(radius)] = None
            continue
        wanted = np.broadcast_to(sharp, energies.shape)[near].sum(dtype=np.float64)
        found[str(radius)] = round(float(10 * np.log10(wanted / energies[near].sum(dtype=np.float64))), 2)
    return found


@dataclass(frozen=True)
class Shot:
    """Frames and where they lie; the focus measure of each without movement and noise, and of the truth."""

    frames: list[npt.NDArray[Any]]
    transforms: tuple[Transform, ...]
    energies: Plane
    sharp: Plane


def row(name: str, shot: Shot, out: tuple[int, ...]) -> dict[str, Any]:
    """How a stack without some frames is judged."""
    kept = [index for index in range(len(shot.frames)) if index not in out]
    places = [shot.transforms[index] for index in kept]
    started = time.process_time()
    found = gpustack.inspect(
        [shot.frames[index] for index in kept],
        gpustack.Settings(crop=gpustack.Crop.NONE),
        transforms=places,
    )
    seconds = time.process_time() - started
    assert found.coverage is not None
    covers = found.coverage
    best = np.stack([cells(plane, covers.seen.shape) for plane in shot.energies[kept]]).max(axis=0)
    missed = 10 * np.log10(cells(shot.sharp, covers.seen.shape) / best)
    told, seen = covers.sides != 0, covers.seen
    gap, covered = seen & (missed > GAP_DB), seen & (missed < COVERED_DB)
    return {
        "scene": name,
        "out": list(out),
        "seen": round(float(seen.mean()), 3),
        "in_gaps": int(gap.sum()),
        "found": int((gap & told).sum()),
        "covered": int(covered.sum()),
        "false": int((covered & told).sum()),
        "gaps": [(one.side.value, list(one.frames), round(one.share, 3)) for one in covers.gaps],
        "step_px": round(float(np.median(np.diff(covers.places))), 2),
        "cpu_seconds": round(seconds, 2),
    }


def cells(plane: Plane, shape: tuple[int, ...]) -> Plane:
    """Means over cells."""
    rows, columns = shape
    high, wide = plane.shape[0] // rows, plane.shape[1] // columns
    return plane[: rows * high, : columns * wide].reshape(rows, high, columns, wide).mean(axis=(1, 3))


if __name__ == "__main__":
    main()
