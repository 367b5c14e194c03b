"""What a run gives: the picture with its depth, upright, and how both are saved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.engine.report import Report
from gpustack.engine.run import Outcome
from gpustack.errors import UsageError
from gpustack.finishing import Finishing
from gpustack.io.metadata import Metadata, described
from gpustack.io.planes import depth_description
from gpustack.io.write import oriented, write_picture, write_plane
from gpustack.model.place import Place
from gpustack.model.slab import Slab
from gpustack.model.transform import Transform
from gpustack.settings import JPEG_QUALITY
from gpustack.version import SOFTWARE

Pixels = npt.NDArray[Any]
Plane = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SlabPicture:
    """The picture of one slab, upright: image (h, w, c) as that of a `Result`.
    metadata: that of the reference frame, with the slab's frames as description."""

    slab: Slab
    image: Pixels
    metadata: Metadata

    def save(self, path: str | Path, *, overwrite: bool = False, quality: int = JPEG_QUALITY) -> None:
        """Write it as `Result.save` does."""
        write_picture(
            Path(path), self.image, self.metadata, overwrite=overwrite, software=SOFTWARE, quality=quality
        )


@dataclass(frozen=True, slots=True)
class Result:
    """A fused picture, upright.

    image: (h, w, c) in the frames' dtype; RAW frames give uint16 in sRGB, or with `Settings.linear` in linear
    camera RGB with the white balance applied, which is written as DNG only. depth: (h, w) float32 in frame
    units (0 is the first frame) and confidence: (h, w) float32 0..1, or None unless asked for. transforms:
    one a frame, reference pixels to frame pixels, of the frames as stored. report: what was done, how long
    it took, and one row a frame. metadata: colour profile, EXIF and resolution of the reference frame.
    winners: (h, w) uint16, the frame that each pixel mostly comes from.
    """

    image: Pixels
    depth: Plane | None
    confidence: Plane | None
    places: tuple[Place, ...]
    report: Report
    metadata: Metadata
    winners: npt.NDArray[np.uint16]

    @property
    def transforms(self) -> tuple[Transform, ...]:
        """One a frame, reference pixels to frame pixels, of the frames as stored."""
        return tuple(place.transform for place in self.places)

    def save(self, path: str | Path, *, overwrite: bool = False, quality: int = JPEG_QUALITY) -> None:
        """Write the picture as JPEG, PNG or TIFF, as the name ends; what is linear, as DNG. Raises
        UsageError, WriteError."""
        write_picture(
            Path(path), self.image, self.metadata, overwrite=overwrite, software=SOFTWARE, quality=quality
        )

    def save_depth(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the depth: float32 TIFF in frame units, or 16-bit PNG from first (0) to last frame
        (65535)."""
        top = float(max(1, len(self.report.frames) - 1))
        self._save(path, self.depth, top, depth_description(top, self.metadata.voxel), overwrite)

    def save_confidence(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the confidence: float32 TIFF 0..1, or 16-bit PNG."""
        self._save(path, self.confidence, 1.0, "confidence of the depth, 0 to 1", overwrite)

    def _save(
        self, path: str | Path, plane: Plane | None, top: float, description: str, overwrite: bool
    ) -> None:
        if plane is None:
            raise UsageError("This result has no depth.", "Stack with depth=True.")
        write_plane(
            Path(path), plane, top=top, overwrite=overwrite, software=SOFTWARE, description=description
        )


def result_of(finishing: Finishing, outcome: Outcome) -> Result:
    """Turn the pictures as the reference's EXIF says, develop RAW colours, and add its metadata."""
    fused, turn = outcome.fused, finishing.orientation
    image, metadata = finishing.upright(fused.picture), finishing.told(outcome.places)
    depth = confidence = None
    if fused.surface is not None:
        depth = np.ascontiguousarray(oriented(fused.surface.depth, turn))
        confidence = np.ascontiguousarray(oriented(fused.surface.confidence, turn))
    winners = np.ascontiguousarray(oriented(fused.winners, turn))
    return Result(image, depth, confidence, outcome.places, outcome.report, metadata, winners)


def slab_picture(finishing: Finishing, slab: Slab, picture: Pixels) -> SlabPicture:
    """The same with the picture of one slab."""
    return SlabPicture(slab, finishing.upright(picture), described(finishing.metadata, str(slab)))
