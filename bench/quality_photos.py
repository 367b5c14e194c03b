"""Two stacks from photographs and light fields whose sharp picture is known, from the data folder.

`cotton` comes with its frames. `motorcycle` (Middlebury 2014) is a picture with disparity, which is shot here
as the rendered scenes are: cut into slabs of depth, each laid over what lies behind it. What a slab hides is
not known; the slab behind it is continued by its nearest pixels, as far as blur can show it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from measure import BenchError

from gpustack.scenes import Rendered, Shoot
from gpustack.scenes.camera import photograph
from gpustack.scenes.layer import Box, Layer

Plane = npt.NDArray[np.float32]

PHOTOS = ("cotton", "motorcycle")
SLABS, ROOM, MARGIN_PX = 16, 0.03, 32
SIZE = (741, 500)
MAX_BLUR_PX = 8.0


def folder() -> Path | None:
    """Where the sets lie, None without GPUSTACK_DATA."""
    data = os.environ.get("GPUSTACK_DATA")
    return Path(data) / "ground_truth" if data else None


def cotton() -> tuple[list[npt.NDArray[np.uint8]], Plane]:
    """The frames, and the sharp picture 0..1; both (h, w, 3)."""
    home = _home("cotton")
    frames = [_rgb(path) for path in sorted((home / "frames").iterdir())]
    return frames, _rgb(home / "input_Cam040.png").astype(np.float32) / np.float32(255)


def motorcycle(shoot: Shoot) -> Rendered:
    """The picture shot with the camera of `shoot`, whose size must be SIZE."""
    home = _home("motorcycle")
    picture = _linear(_rgb(home / "motorcycle_left.png").astype(np.float32) / 255)
    disparity = _filled(np.load(home / "motorcycle_disp.npz")["arr_0"])
    # The radius of the blur disk is linear in the inverse of the distance, so in disparity.
    span = float(np.ptp(disparity)) / (1 - 2 * ROOM)
    depth = (ROOM + (disparity.max() - disparity) / span).astype(np.float32)
    border = (MARGIN_PX,) * 4
    wide = [cv2.copyMakeBorder(plane, *border, cv2.BORDER_REFLECT_101) for plane in (picture, depth)]
    return photograph(tuple(_slabs(*(np.asarray(plane, np.float32) for plane in wide))), shoot)


def _slabs(colour: Plane, depth: Plane) -> Iterator[Layer]:
    """The layers, back to front."""
    index = np.minimum((depth * SLABS).astype(int), SLABS - 1)
    height, width = depth.shape
    box = Box(-MARGIN_PX, -MARGIN_PX, width - MARGIN_PX, height - MARGIN_PX)
    for slab in sorted(np.unique(index).tolist(), reverse=True):
        # A surface that goes on into the next slab goes on with its own pixels.
        known = (index == slab) | (index == slab - 1)
        nearest, away = _nearest(known)
        shown = (index == slab) | ((index < slab) & (away <= MARGIN_PX / 2)) | (slab == index.max())
        yield Layer(colour[nearest], shown.astype(np.float32), depth[nearest], box)


def _nearest(known: npt.NDArray[np.bool_]) -> tuple[tuple[Any, Any], Plane]:
    """For every pixel the known one that is nearest (rows, columns), and how far away it is."""
    away, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rows, columns = (np.zeros(int(labels.max()) + 1, int) for _ in range(2))
    rows[labels[known]], columns[labels[known]] = np.nonzero(known)
    return (rows[labels], columns[labels]), np.asarray(away, np.float32)


def _filled(disparity: Plane) -> Plane:
    """Holes, which are what one camera does not see, lie as far away as the farther side of the hole."""
    known = np.isfinite(disparity)
    nearest, _ = _nearest(known)
    filled = disparity[nearest]
    least = cv2.erode(filled, np.ones((1, 31), np.uint8))
    smooth = cv2.medianBlur(np.where(known, disparity, least).astype(np.float32), 5)
    return np.asarray(smooth, np.float32)


def _linear(coded: npt.NDArray[Any]) -> Plane:
    """sRGB-coded values to linear light (IEC 61966-2-1)."""
    bright = ((coded + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    return np.where(coded <= 0.04045, coded / np.float32(12.92), bright).astype(np.float32)


def _home(name: str) -> Path:
    home = folder()
    if home is None or not (home / name).is_dir():
        raise BenchError(f"{name} needs the data folder: set GPUSTACK_DATA to its path.")
    return home / name


def _rgb(path: Path) -> npt.NDArray[np.uint8]:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise BenchError(f"{path} is no picture.")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
