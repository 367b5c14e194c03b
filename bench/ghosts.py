"""What ghost removal wins where things move, and what it takes for motion where nothing does:
`python bench/ghosts.py --json FILE [STACK...]`.

Rendered scenes in which something moves, with the truth for every place that it had, fused by each method
with and without. Rendered scenes at rest, with a still and a moving camera, and the photographed stacks
given: what is found there by mistake, at the thresholds as they are and at shares of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import machine
import numpy as np

import gpustack
from gpustack.backend.cpu import Cpu
from gpustack.cli.finding import find
from gpustack.engine.lights import lit
from gpustack.ghosts import change, runs
from gpustack.ghosts.glance import aligned
from gpustack.ghosts.resolve import resolve
from gpustack.metrics import psnr
from gpustack.model.frame import Frame, Kind, PixelType
from gpustack.model.place import Place
from gpustack.model.transform import Transform
from gpustack.scenes import Shoot, names, render
from gpustack.scenes.moving import Moving, moving_names, render_moving
from gpustack.settings import BackendName, Deghost, Method, Model

STILL = Shoot(frames=20, width=800, height=600, noise=1.0)
HANDHELD = replace(STILL, breathing=0.03, drift_px=6.0, jitter_px=1.0, rotation_deg=0.2, flicker=0.01)
CAMERAS = {
    "still": STILL,
    "still, noise 3": replace(STILL, noise=3.0, seed=1),
    "moving": replace(HANDHELD, seed=2),
}
SETTINGS = gpustack.Settings(backend=BackendName.CPU)

AROUND_PX = 4
"""Pixels around what moves that are judged with it."""

SHARES = (1.0, 0.8)
"""Of the thresholds: how far off the first false alarm is."""


def main() -> None:
    """Measure and write the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    options.add_argument("stacks", nargs="*")
    given = options.parse_args()
    moving = [row for name in moving_names() for row in fused(name, render_moving(name, STILL))]
    rest = [at_rest(name, camera) for name in names() for camera in CAMERAS]
    rest += [photographed(stack) for stack in given.stacks]
    machine.write_result(machine.heading("ghosts") | {"moving": moving, "at_rest": rest}, given.json)


def fused(name: str, scene: Moving) -> list[dict[str, Any]]:
    """One row a method: how close to the nearest truth, where it moves and elsewhere."""
    frames = [scene.frame(index) for index in range(len(scene))]
    truths = [pose.truth for pose in scene.poses]
    around = np.ones((2 * AROUND_PX + 1,) * 2, np.uint8)
    moves = cv2.dilate(scene.moves().astype(np.uint8), around) > 0
    rows = []
    for method in Method:
        row: dict[str, Any] = {"scene": name, "method": method.value, "moves": round(float(moves.mean()), 4)}
        for deghost in (Deghost.OFF, Deghost.ON):
            wish = replace(SETTINGS, method=method, align=Model.NONE, deghost=deghost)
            result = gpustack.stack(frames, wish)
            picture = (result.image / 255).astype(np.float32)
            row |= {f"{key}_{deghost.value}": value for key, value in judged(picture, truths, moves).items()}
            row["blobs"] = len(result.report.ghosts)
        print(row, flush=True)
        rows.append(row)
    return rows


def judged(picture: Any, truths: Sequence[Any], moves: Any) -> dict[str, float]:
    """PSNR against the truth that is nearest where things move, and outside; and the share of what moves
    that is clearly nearer to another truth: ghosts."""
    here = [psnr(picture[moves], truth[moves]) for truth in truths]
    best = int(np.argmax(here))
    away = [np.abs(picture - truth).max(axis=-1) for truth in truths]
    other = np.min([far for place, far in enumerate(away) if place != best], axis=0)
    ghost = moves & (away[best] > 0.1) & (other < away[best] / 2)
    return {
        "psnr": round(here[best], 2),
        "psnr_rest": round(psnr(picture[~moves], truths[best][~moves]), 2),
        "ghosts": round(float(ghost.sum() / moves.sum()), 4),
    }


def at_rest(name: str, camera: str) -> dict[str, Any]:
    """A rendered scene in which nothing moves but the camera."""
    scene = render(name, CAMERAS[camera])
    frames = [scene.frame(index) for index in range(len(scene))]
    places = (
        gpustack.locate(frames, SETTINGS)
        if camera == "moving"
        else [Place(Transform.identity())] * len(frames)
    )
    return told({"stack": name, "camera": camera}, frames, places)


def photographed(name: str) -> dict[str, Any]:
    """The frames of a photographed stack, a folder or a glob, that have the size of the first."""
    stack = find([name], quiet=True)
    frames = [cv2.cvtColor(cv2.imread(str(frame.path)), cv2.COLOR_BGR2RGB) for frame in stack]
    frames = [frame for frame in frames if frame.shape == frames[0].shape]
    return told(
        {"stack": stack.frames[0].path.parent.name, "camera": "photographed"},
        frames,
        gpustack.locate(frames, SETTINGS),
    )


def told(row: dict[str, Any], frames: list[Any], places: Sequence[Place]) -> dict[str, Any]:
    """How many blobs are found, and the share of the picture, for shares of the thresholds."""
    backend = Cpu(1)
    height, width = frames[0].shape[:2]
    frame = Frame(Path("array"), width, height, 3, PixelType.UINT8, Kind.ARRAY)
    glances = [lit(backend, pixels, frame, 1).glance() for pixels in frames]
    reference = (len(frames) - 1) // 2
    used = [index for index, place in enumerate(places) if place.used]
    row["frames"] = len(used)
    for share in SHARES:
        with (
            mock.patch.object(change, "SHARE", share * change.SHARE),
            mock.patch.object(runs, "SHARE", share * runs.SHARE),
            mock.patch.object(change, "TAIL", share * change.TAIL),
            mock.patch.object(change, "WIDE_SHARE", share * change.WIDE_SHARE),
        ):
            found = resolve(lambda i: aligned(glances[i], places[i].transform, glances[reference]), used)
        row[f"blobs_at_{share}"], row[f"share_at_{share}"] = len(found.blobs), round(found.share, 5)
    print(row, flush=True)
    return row


if __name__ == "__main__":
    main()
