"""A stack of a known shape: the inside of a cone (the simulator of Pertuz et al., 2013), 30 gray frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gpustack.backend.protocol import Backend
from gpustack.model.canvas import Canvas
from gpustack.model.frame import PixelType
from gpustack.model.rect import cut
from gpustack.model.transform import Transform
from gpustack.settings import Method
from tests.fuse.fusing import fuse
from tests.strategies import Case


def test_the_depth_of_a_cone_changes_with_the_distance_from_its_axis(
    backend: Backend[Any], data: Path
) -> None:
    files = sorted(
        (data / "ground_truth" / "cone_sim").glob("*.png"), key=lambda file: (len(file.name), file.name)
    )
    frames = [cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)[..., None] for file in files]
    height, width = frames[0].shape[:2]
    canvas = Canvas(0, 0, width, height, 1, PixelType.UINT8, cut(height, 64))
    noise = backend.noise_level(backend.upload(frames[0]), PixelType.UINT8)
    case = Case(frames, [Transform.identity()] * len(frames), canvas, noise)
    found = fuse(backend, Method.DEPTHMAP, case).surface
    assert found is not None
    y, x = np.mgrid[:height, :width]
    radius = np.hypot(x - (width - 1) / 2, y - (height - 1) / 2)
    inside = (radius < 0.45 * min(height, width)) & (radius > 8)
    # The slope is the stack's own; that the shape is a cone is what is known.
    slope = np.polyfit(radius[inside], found.depth[inside], 1)
    off = np.abs(found.depth[inside] - np.polyval(slope, radius[inside]))
    assert np.median(off) < 0.5
    assert off.mean() < 1.0
    assert slope[0] * radius[inside].max() > 10
