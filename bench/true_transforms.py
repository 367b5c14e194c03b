"""What the picture loses by our alignment: `python bench/true_transforms.py --json FILE`.

Every scene of the catalogue, shot with the moving camera of quality_cases.py (2.8 % breathing, drift, jitter,
a turn, 3 % flicker), in stacks of 12 and of 24 frames with two seeds: PSNR of `auto` with the alignment found
and with the true one, over what all frames cover. `soft_argmax_db`: the true transforms, one Lanczos
resampling and a plain mean weighed by sharpness, as a mark that needs no program. `one_frame_db`: the sharp
picture as the first frame would show it, without blur and noise, brought back by one bicubic resampling:
where detail is finer than pixels pass on, no picture that moved comes much closer. Nothing moves in these
scenes but the camera, so what moves is not looked for.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import machine
import numpy as np
import numpy.typing as npt
from quality_cases import FULL, HALF, MILD, covered, moving

import gpustack
from gpustack.metrics import psnr
from gpustack.model.transform import Transform, corners
from gpustack.scenes import Rendered, Shoot, names, render
from gpustack.scenes.camera import encode
from gpustack.scenes.lens import View, expose
from gpustack.settings import BackendName, Deghost

Pixels = npt.NDArray[Any]

FRAMES, SEEDS = (12, 24), (0, 1)
FULL_SIZE = ("hairs", "cards", "dome", "print")
"""Scenes that are shot at full size, too, with 24 frames and the first seed."""
BAR_DB = 0.5
SOFT_SIGMA_PX, SOFT_POWER = 2.0, 8
"""The plain mean: energy of the Laplacian, smoothed by this, to this power."""
SETTINGS = gpustack.Settings(backend=BackendName.CPU, deghost=Deghost.OFF)


def main() -> None:
    """Measure every stack; the file is written anew after each."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    options.add_argument("--scenes", default=",".join(names()))
    options.add_argument("--frames", type=int, nargs="*", default=FRAMES, help="lengths of the stacks")
    given = options.parse_args()
    scenes = given.scenes.split(",")
    stacks = [(name, shot(HALF, count, seed)) for count in given.frames for seed in SEEDS for name in scenes]
    stacks += [
        (name, shot(FULL, FULL.frames, SEEDS[0]))
        for name in FULL_SIZE
        if name in scenes and FULL.frames in given.frames
    ]
    head, rows = machine.heading("true transforms"), []
    for name, shoot in stacks:
        rows.append(measured(name, shoot))
        print(*rows[-1].values(), flush=True)
        lost = [row["lost_db"] for row in rows]
        found = {"bar_db": BAR_DB, "most_lost_db": max(lost), "within_bar": max(lost) <= BAR_DB, "rows": rows}
        machine.write_result(head | found, given.json, quiet=True)


def shot(size: Shoot, frames: int, seed: int) -> Shoot:
    """The moving camera with mild noise."""
    return moving(replace(size, frames=frames, noise=MILD, seed=seed))


def measured(name: str, shoot: Shoot) -> dict[str, Any]:
    """One stack."""
    rendered = render(name, shoot)
    frames = [rendered.frame(index) for index in range(shoot.frames)]
    found = gpustack.stack(frames, SETTINGS)
    true = gpustack.stack(frames, SETTINGS, transforms=rendered.transforms)
    counted = covered(rendered.transforms, shoot) & held(found, shoot) & held(true, shoot)

    def close(picture: Pixels) -> float:
        return round(psnr(picture[counted], rendered.truth[counted]), 2)

    errors = corner_errors(found.places, rendered)
    found_db, true_db = close(placed(found, shoot)), close(placed(true, shoot))
    return {
        "scene": name,
        "width": shoot.width,
        "frames": shoot.frames,
        "seed": shoot.seed,
        "lost_db": round(true_db - found_db, 2),
        "psnr_db": found_db,
        "psnr_db_true_transforms": true_db,
        "soft_argmax_db": close(soft_argmax(frames, rendered.transforms)),
        "one_frame_db": close(one_frame(rendered)),
        "corner_rms_px": round(float(np.sqrt(np.mean(np.square(errors)))), 3),
        "corner_max_px": round(max(errors), 3),
        "left_out": sum(not place.used for place in found.places),
    }


def soft_argmax(frames: Sequence[Pixels], transforms: Sequence[Transform]) -> Pixels:
    """The frames' mean, weighed by their sharpness, as the truth is coded: (h, w, 3)."""
    aligned = [
        _brought(f / np.float32(255), at, cv2.INTER_LANCZOS4)
        for f, at in zip(frames, transforms, strict=True)
    ]
    energies = [_sharpness(picture) for picture in aligned]
    most = np.maximum(np.max(energies, axis=0), np.float32(1e-12))
    weights = [(energy / most) ** SOFT_POWER for energy in energies]
    total = sum(weight[..., None] * picture for weight, picture in zip(weights, aligned, strict=True))
    return np.asarray(np.clip(total / np.sum(weights, axis=0)[..., None], 0, 1))


def one_frame(rendered: Rendered) -> Pixels:
    """The sharp picture, seen by the first frame and brought back: (h, w, 3)."""
    at, shoot = rendered.transforms[0], rendered.shoot
    sharp = encode(
        expose(rendered.layers, View(at.matrix, None, shoot.max_blur_px, shoot.width, shoot.height))
    )
    return _brought(sharp, Transform(at.matrix), cv2.INTER_CUBIC)


def _brought(frame: Pixels, transform: Transform, interpolation: int) -> Pixels:
    """A frame (h, w, 3) 0..1 as the reference sees it."""
    size, how = frame.shape[1::-1], interpolation | cv2.WARP_INVERSE_MAP
    matrix = transform.matrix[:2]
    moved = cv2.warpAffine(frame, matrix, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(np.clip(moved * np.float32(transform.gain), 0, 1))


def _sharpness(picture: Pixels) -> Pixels:
    edges = cv2.Laplacian(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.CV_32F)
    return np.asarray(cv2.GaussianBlur(edges * edges, (0, 0), SOFT_SIGMA_PX))


def placed(result: gpustack.Result, shoot: Shoot) -> Pixels:
    """A result (h, w, 3) 0..1 where it lies in the reference, 0 around it."""
    left, top, width, height = result.report.box
    whole = np.zeros((shoot.height, shoot.width, 3), np.float32)
    whole[top : top + height, left : left + width] = result.image / np.float32(255)
    return whole


def held(result: gpustack.Result, shoot: Shoot) -> npt.NDArray[np.bool_]:
    """Where a result lies in the reference."""
    left, top, width, height = result.report.box
    held = np.zeros((shoot.height, shoot.width), np.bool_)
    held[top : top + height, left : left + width] = True
    return held


def corner_errors(places: Sequence[gpustack.Place], rendered: Rendered) -> list[float]:
    """Root mean square over the corners, in pixels, for each frame but the reference."""
    shoot = rendered.shoot
    points = corners(shoot.width, shoot.height)
    pairs = [
        (place.transform.apply(points), true.apply(points))
        for index, (place, true) in enumerate(zip(places, rendered.transforms, strict=True))
        if index != shoot.reference
    ]
    return [float(np.sqrt(((a - b) ** 2).sum(axis=1).mean())) for a, b in pairs]


if __name__ == "__main__":
    main()
