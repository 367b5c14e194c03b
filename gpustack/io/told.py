"""What one file says of its picture, as its reader finds it, before it becomes `Metadata`."""

from __future__ import annotations

from dataclasses import dataclass

from gpustack.io.exif import Exif


@dataclass(frozen=True, slots=True)
class Voxel:
    """What a pixel and a step between two frames measure, in micrometres; None where it is not told."""

    pixel_um: float | None = None
    step_um: float | None = None

    def every(self, frames: int) -> Voxel:
        """The same where only every so many-th frame is taken."""
        return Voxel(self.pixel_um, None if self.step_um is None else frames * self.step_um)

    def __bool__(self) -> bool:
        return self.pixel_um is not None or self.step_um is not None


@dataclass(frozen=True, slots=True)
class Told:
    """Colour profile (ICC bytes), EXIF, an XMP packet, resolution (x, y) in pixels per inch, and the measures
    of a microscope's stack; None where there is none."""

    icc: bytes | None = None
    exif: Exif | None = None
    xmp: bytes | None = None
    resolution: tuple[float, float] | None = None
    voxel: Voxel | None = None
