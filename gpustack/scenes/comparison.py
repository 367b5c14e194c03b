"""A result beside the truth: figures, and a picture to look at."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.metrics import psnr
from gpustack.scenes.camera import Rendered

Pixels = npt.NDArray[Any]
Box = tuple[int, int, int, int]

GAP_PX = 4
"""White columns and rows between the parts of the comparison picture."""


def truth_psnr(rendered: Rendered, picture: Pixels, box: Box) -> float:
    """PSNR of a result (h, w, 3) of an integer dtype, which shows `box` (left, top, width, height) of the
    reference."""
    return psnr(picture / np.iinfo(picture.dtype).max, _cut(rendered.truth, box))


def single_frame_psnr(rendered: Rendered, box: Box) -> float:
    """PSNR of the reference, the frame that a photographer would have taken instead of a stack."""
    index = (len(rendered.transforms) - 1) // 2
    return truth_psnr(rendered, _cut(rendered.frame(index), box), box)


def comparison(rendered: Rendered, picture: Pixels, depth: Pixels, box: Box) -> npt.NDArray[np.uint8]:
    """Reference frame and result above, truth and depth below, (h, w, 3) uint8."""
    frame = _cut(rendered.frame((len(rendered.transforms) - 1) // 2), box)
    truth = np.rint(_cut(rendered.truth, box) * 255)
    rows = [
        [_eight_bit(frame), _eight_bit(picture)],
        [truth.astype(np.uint8), _coloured(depth, len(rendered.transforms))],
    ]
    return _framed([_framed(row, axis=1) for row in rows], axis=0)


def _cut(picture: Pixels, box: Box) -> Pixels:
    left, top, width, height = box
    return picture[top : top + height, left : left + width]


def _eight_bit(picture: Pixels) -> npt.NDArray[np.uint8]:
    if picture.dtype == np.uint8:
        return np.asarray(picture, np.uint8)
    return np.rint(picture / (np.iinfo(picture.dtype).max / 255)).astype(np.uint8)


def _coloured(depth: Pixels, frames: int) -> npt.NDArray[np.uint8]:
    """Depth by colour, near (first frame) bright, far dark: a scale whose lightness is monotone."""
    near = 255 - np.rint(depth * (255 / max(1, frames - 1))).astype(np.uint8)
    coloured = cv2.cvtColor(cv2.applyColorMap(near, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    return np.asarray(coloured, np.uint8)


def _framed(parts: list[Pixels], axis: int) -> Pixels:
    """Parts in a row or column with white gaps."""
    shape = list(parts[0].shape)
    shape[axis] = GAP_PX
    gap = np.full(shape, 255, np.uint8)
    return np.concatenate([parts[0], *(piece for part in parts[1:] for piece in (gap, part))], axis=axis)
