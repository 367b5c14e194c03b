"""How good a picture of a case is: the figures, after the truth has been laid over it (`registered.py`) where
the camera moved. What not every frame covers does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
from measure import BenchError
from quality_cases import Ready
from registered import registered, resampled

from gpustack.metrics import Likeness, compare, depth_edges, textured
from gpustack.model.transform import Transform

Plane = npt.NDArray[np.float32]
Picture = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Row = dict[str, Any]

OFF_FRAMES = 1.5
"""Error of the depth, in frames, beyond which a pixel's depth is wrong."""
FARTHEST_PX = 0.2
"""Share of a picture's diagonal that a result may have moved; beyond it the registration has failed."""


@dataclass(frozen=True)
class Judge:
    """Judges the results of one case."""

    ready: Ready

    @cached_property
    def truth(self) -> Plane:
        """The sharp picture."""
        return self.ready.truth()

    @cached_property
    def depth(self) -> Plane | None:
        """The true depth."""
        return self.ready.depth()

    @cached_property
    def near(self) -> Mask | None:
        """Pixels near depth steps, None where the depth is not known."""
        return None if self.depth is None else depth_edges(self.depth)

    @cached_property
    def textured(self) -> Mask:
        """Pixels whose depth can be known."""
        return textured(self.truth, self.ready.case.noise)

    @cached_property
    def within(self) -> Mask:
        """Those of them whose surface itself has texture there."""
        return textured(self.truth, self.ready.case.noise, self.depth)

    @cached_property
    def covered(self) -> Mask:
        """Pixels that count."""
        return self.ready.covered()

    def figures(self, picture: Path, depth: Path | None = None) -> Row:
        """The figures of a result, by its files. Raises BenchError for one that cannot be judged."""
        found = read_picture(picture)
        surface = tifffile.imread(depth) if depth else None
        return (self._still if self.ready.case.camera == "still" else self._moving)(found, surface)

    def _still(self, found: Picture, surface: Plane | None) -> Row:
        """The figures where the camera holds still."""
        if found.shape != self.truth.shape:
            raise BenchError(f"it wrote {found.shape} from frames of {self.truth.shape}")
        row = _figures(compare(found, self.truth, self.near, self.covered))
        if surface is None or self.depth is None:
            return row
        return row | _surface(surface, self.depth, self.covered, self.textured, self.within)

    def _moving(self, found: Picture, surface: Plane | None) -> Row:
        """The figures where the camera moves: the truth and what is known of it are laid over the result."""
        placed, shape = registered(found, self.truth), found.shape[:2]
        truth = np.clip(resampled(self.truth, placed, shape), 0, 1)
        assert self.near is not None
        assert self.depth is not None
        covered, sure, within, near, depth = (
            _nearest(plane, placed, shape)
            for plane in (self.covered, self.textured, self.within, self.near, self.depth)
        )
        row = _figures(compare(found, truth, near, covered)) | _geometry(placed, found.shape, self.covered)
        return row if surface is None else row | _surface(surface, depth, covered, sure, within)

    def mark(self) -> Row | None:
        """The figures of choosing the best sample of any frame, a mark; None where the camera moves."""
        best = self.ready.best_pixel()
        return None if best is None else _figures(compare(best, self.truth, self.near))


def _surface(found: Plane, depth: Plane, covered: Mask, sure: Mask, within: Mask) -> Row:
    """How good a depth map is, in frames: all pixels that count, those with texture, and those whose surface
    itself has texture there."""
    error = np.abs(found - depth)
    return {
        "depth_mae_frames": _rounded(error[covered].mean(), 4),
        "depth_mae_textured": _rounded(error[covered & sure].mean(), 4),
        "depth_off_share": _rounded((error[covered & sure] > OFF_FRAMES).mean(), 5),
        "depth_mae_within": _rounded(error[covered & within].mean(), 4),
        "depth_off_within": _rounded((error[covered & within] > OFF_FRAMES).mean(), 5),
    }


def read_picture(path: Path) -> Picture:
    """A result's colours, (h, w, 3) uint8 or uint16; alpha is left out."""
    picture = tifffile.imread(path)
    if picture.ndim != 3 or picture.dtype.name not in ("uint8", "uint16"):
        raise BenchError(f"it wrote {picture.shape} of {picture.dtype}")
    return np.ascontiguousarray(picture[..., :3])


def _figures(found: Likeness) -> Row:
    """The figures as a result file has them, rounded."""
    digits = {"psnr_db": 3, "near_psnr_db": 3, "away_psnr_db": 3, "ssim": 6, "off_share": 6}
    values = found.as_dict()
    return {name: None if (v := values[name]) is None else _rounded(v, n) for name, n in digits.items()}


def _geometry(placed: Transform, shape: tuple[int, ...], covered: Mask) -> Row:
    """How the result lies, and how much of what all frames cover it still shows."""
    here = _nearest(covered, placed, shape[:2]).sum()
    if placed.travel(shape[1], shape[0]) > FARTHEST_PX * np.hypot(*covered.shape):
        raise BenchError("it cannot be registered to the truth: it would have moved too far")
    scale = float(np.sqrt(abs(np.linalg.det(placed.matrix[:2, :2]))))
    return {
        "size": [shape[1], shape[0]],
        "travel_px": _rounded(placed.travel(shape[1], shape[0]), 2),
        "gain": _rounded(placed.gain, 4),
        "shown": _rounded(here * scale**2 / covered.sum(), 4),
    }


def _nearest(plane: Picture, placed: Transform, shape: tuple[int, ...]) -> Picture:
    """A mask or depth (h, w) in the result's geometry, by the nearest pixel; 0 outside."""
    values = plane.astype(np.float32)
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    there = cv2.warpPerspective(values, placed.matrix, (shape[1], shape[0]), flags=flags)
    return np.asarray(there, np.float32).astype(plane.dtype)


def _rounded(value: Any, digits: int) -> float:
    return round(float(value), digits)
