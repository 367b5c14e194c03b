"""The pictures of docs/quality.md and docs/algorithms.md: `python bench/quality_pictures.py quality depth`.

`quality`: details of rendered scenes at 200 %, the truth, all our methods and two peers side by side, where
all pictures together are worst. `depth`: what `auto` sees of the demo stack: winners, depth and
confidence. Pictures of peers are taken from the cache of quality.py where the same version made them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from frames import default_cache
from measure import REPOSITORY, BenchError
from peers import Competitor, FocusWeave, OpenFocus, ours
from quality_cases import FULL, Case, Ready, prepared
from quality_judge import read_picture
from quality_runs import run

import gpustack
from gpustack.scenes import Shoot, render

Picture = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]

SCENES = ("hairs", "cards", "print", "dome", "lights")
CROP, ZOOM, MARGIN = (84, 64), 2, 24
LABEL_HEIGHT, GAP, WIDTH = 22, 6, 400
MOST_BYTES, QUALITIES = 100_000, (92, 86, 80, 72, 64, 56)
DEMO = Shoot(frames=16, max_blur_px=8.0, breathing=0.03, drift_px=6.0, jitter_px=0.5, flicker=0.01, noise=1.0)


def main() -> None:
    """Make the pictures that are asked for."""
    parser = argparse.ArgumentParser(description="The pictures of the documents about quality.")
    parser.add_argument("pictures", nargs="+", choices=["quality", "depth"])
    parser.add_argument("--cache", type=Path, default=default_cache(), help="frames and environments")
    parser.add_argument("--images", type=Path, default=REPOSITORY / "docs" / "images", help="where they go")
    given = parser.parse_args()
    try:
        if "quality" in given.pictures:
            _save(given.images / "quality.jpg", details(given.cache))
        if "depth" in given.pictures:
            _save(given.images / "depth.jpg", depth())
    except BenchError as error:
        raise SystemExit(f"quality_pictures: {error}") from None


def _save(path: Path, picture: Picture) -> None:
    """As JPEG of the best quality that is small enough for the documents."""
    for quality in QUALITIES:
        done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if done and data.nbytes < MOST_BYTES:
            path.write_bytes(data.tobytes())
            return
    raise BenchError(f"{path.name} is too large")


def details(cache: Path) -> Picture:
    """A row for each scene and a column for each picture, (h, w, 3) BGR."""
    shown: list[Competitor] = [*ours(), OpenFocus("guided_filter", cache, steady=True), FocusWeave(cache)]
    heads = ["truth", *(each.name.removeprefix("gpustack ") for each in shown)]
    rows = [np.hstack([_label(name) for name in heads])]
    for scene in SCENES:
        ready = prepared(Case(scene, 0), FULL, cache / "quality")
        rows.append(_row(ready, [read_picture(run(ready, each).picture) for each in shown]))
    return np.vstack(rows)


def _label(name: str) -> Picture:
    """A column's head, black on white."""
    out = np.full((LABEL_HEIGHT, CROP[0] * ZOOM, 3), 255, np.uint8)
    cv2.putText(out, name, (4, LABEL_HEIGHT - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return out


def _row(ready: Ready, pictures: Sequence[npt.NDArray[Any]]) -> Picture:
    """The detail of one scene, the truth first."""
    truth = np.rint(ready.truth() * 255).astype(np.uint8)
    left, top = _worst(truth, pictures)
    box = slice(top, top + CROP[1]), slice(left, left + CROP[0])
    return np.hstack([_enlarged(picture[box]) for picture in (truth, *pictures)])


def _worst(truth: Picture, pictures: Sequence[npt.NDArray[Any]]) -> tuple[int, int]:
    """Left and top of the crop with the largest errors of all pictures together, away from the rim."""
    error = np.zeros(truth.shape[:2], np.float32)
    for picture in pictures:
        away = picture.astype(np.float32) - truth
        error += np.minimum(np.abs(away).mean(axis=-1), 32)  # many pixels count for more than a few extremes
    within = cv2.boxFilter(error, cv2.CV_32F, CROP, anchor=(0, 0))
    inner = within[MARGIN : -CROP[1] - MARGIN, MARGIN : -CROP[0] - MARGIN]
    top, left = np.unravel_index(int(inner.argmax()), inner.shape)
    return int(left) + MARGIN, int(top) + MARGIN


def _enlarged(crop: npt.NDArray[Any]) -> Picture:
    """At 200 %, in the order of OpenCV's channels."""
    large = cv2.resize(crop, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_CUBIC)
    return np.asarray(large[..., ::-1], np.uint8)


def depth() -> Picture:
    """Winners, depth and confidence of the frames of `gpustack demo`, side by side, (h, w, 3) BGR."""
    scene = render("macro", DEMO)
    frames = [scene.frame(index) for index in range(DEMO.frames)]
    result = gpustack.stack(frames, gpustack.Settings(depth=True))
    assert result.depth is not None
    assert result.confidence is not None
    planes = [_near_is_bright(plane.astype(np.float32)) for plane in (result.winners, result.depth)]
    sure = np.rint(_small(result.confidence, cv2.INTER_AREA) * 255).astype(np.uint8)
    gap = np.full((len(sure), GAP, 3), 255, np.uint8)
    return np.hstack([planes[0], gap, planes[1], gap, cv2.cvtColor(sure, cv2.COLOR_GRAY2BGR)])


def _near_is_bright(plane: Plane) -> Picture:
    """Frame indices in colours, the first frame bright."""
    share = 1 - np.clip(_small(plane) / (DEMO.frames - 1), 0, 1)
    return np.asarray(cv2.applyColorMap(np.rint(share * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS))


def _small(plane: Plane, how: int = cv2.INTER_NEAREST) -> Plane:
    """A plane as wide as the picture has room for; indices are not averaged."""
    height = round(plane.shape[0] * WIDTH / plane.shape[1])
    return np.asarray(cv2.resize(plane, (WIDTH, height), interpolation=how))


if __name__ == "__main__":
    main()
