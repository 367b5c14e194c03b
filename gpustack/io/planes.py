"""What a depth map says of itself, in its ImageDescription: written by `stack --depth`, read by `depth`."""

from __future__ import annotations

import re

from gpustack.io.told import Voxel

_TEXT = re.compile(r"depth in frames, 0 to (\S+?)(?:; (\S+) um a frame)?(?:; (\S+) um a pixel)?")


def depth_description(top: float, voxel: Voxel | None = None) -> str:
    """The largest depth, and what a frame and a pixel measure where that is known."""
    step, pixel = (None, None) if voxel is None else (voxel.step_um, voxel.pixel_um)
    return (
        f"depth in frames, 0 to {top:g}"
        + ("" if step is None else f"; {step:.6g} um a frame")
        + ("" if pixel is None else f"; {pixel:.6g} um a pixel")
    )


def read_depth_description(text: str | None) -> tuple[float | None, Voxel]:
    """The same, read; None and an empty `Voxel` where a file does not say."""
    found = _TEXT.fullmatch(text or "")
    if found is None:
        return None, Voxel()
    top, step, pixel = (None if part is None else float(part) for part in found.groups())
    return top, Voxel(pixel, step)
