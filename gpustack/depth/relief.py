"""Heights and normals from a depth map, in micrometres where the scale is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gpustack.errors import UsageError
from gpustack.settings import RELIEF

Plane = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scale:
    """What a frame and a pixel are worth.

    step_um: micrometres from one frame to the next; um_per_px: micrometres of a pixel; None where not known.
    relief: height of the whole depth as a share of the picture's longer side, where they are not known.
    near_first: the first frame is focused nearest to the camera.
    """

    step_um: float | None = None
    um_per_px: float | None = None
    relief: float = RELIEF
    near_first: bool = True

    def __post_init__(self) -> None:
        for name in ("step_um", "um_per_px", "relief"):
            value = getattr(self, name)
            if value is not None and not 0 < value < np.inf:
                raise UsageError(f"A {name} of {value:g} is no length.", "Give a number above 0.")

    @property
    def known(self) -> bool:
        """Whether heights and widths have a unit. Raises UsageError where only one of them has."""
        if (self.step_um is None) != (self.um_per_px is None):
            missing = "--um-per-px" if self.um_per_px is None else "--step-um"
            raise UsageError("The scale is known in one direction only.", f"Give {missing}, too, or neither.")
        return self.step_um is not None


def nearness(depth: Plane, top: float, scale: Scale) -> Plane:
    """Depth in frames, 0 to `top` -> 0 (farthest) to 1 (nearest), (h, w) float32."""
    share = np.asarray(np.clip(depth / np.float32(max(top, 1e-6)), 0, 1), np.float32)
    return np.asarray(1 - share, np.float32) if scale.near_first else share


def heights_um(depth: Plane, top: float, scale: Scale) -> Plane:
    """Height above the farthest frame in micrometres, (h, w) float32. Raises UsageError without a step."""
    if scale.step_um is None:
        raise UsageError("Heights need a unit.", "Give the distance between two frames with --step-um.")
    return np.asarray(nearness(depth, top, scale) * np.float32(top * scale.step_um), np.float32)


def heights_px(depth: Plane, top: float, scale: Scale) -> Plane:
    """Height above the farthest frame in pixels of the picture, (h, w) float32."""
    if scale.known:
        assert scale.um_per_px is not None
        return np.asarray(heights_um(depth, top, scale) / np.float32(scale.um_per_px), np.float32)
    return np.asarray(nearness(depth, top, scale) * np.float32(scale.relief * max(depth.shape)), np.float32)


def normals(heights: Plane) -> npt.NDArray[np.float32]:
    """(h, w, 3) unit normals of a relief (h, w) in pixels: x right, y up, z towards the viewer."""
    down, right = (
        np.gradient(heights, axis=axis) if side > 1 else np.zeros_like(heights)
        for axis, side in enumerate(heights.shape)
    )
    found = np.stack([-right, down, np.ones_like(heights)], axis=-1)
    found /= np.linalg.norm(found, axis=-1, keepdims=True)
    return np.asarray(found, np.float32)


def as_colours(directions: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Unit vectors as a normal map (OpenGL's convention: green is up), (h, w, 3) uint16."""
    return np.asarray(np.rint((directions * 0.5 + 0.5) * 65535), np.uint16)
