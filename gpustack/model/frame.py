"""A frame: one picture of a stack, as its header describes it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    """How the pixels of a frame are stored; DEVELOPED: in a RAW file of which another program makes TIFF."""

    JPEG = "jpeg"
    PNG = "png"
    TIFF = "tiff"
    RAW = "raw"
    DEVELOPED = "developed"
    HEIC = "heic"
    AVIF = "avif"
    JXL = "jxl"
    WEBP = "webp"
    EXR = "exr"
    VIDEO = "video"
    ARRAY = "array"

    @property
    def reductions(self) -> tuple[int, ...]:
        """How many times smaller such pictures can be had for less than whole ones, the smallest last."""
        return {"jpeg": (1, 2, 4, 8), "raw": (1, 2)}.get(self.value, (1,))

    def reduction(self, factor: int) -> int:
        """The largest of these that a whole factor is left of."""
        return max(by for by in self.reductions if factor % by == 0)


class PixelType(StrEnum):
    """The dtype of a frame's samples, named as NumPy names it."""

    UINT8 = "uint8"
    UINT16 = "uint16"
    FLOAT32 = "float32"

    @property
    def white(self) -> float:
        """The value that stands for 1.0 inside: 255, 65535, or 1 for float."""
        return {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}[self.value]

    @property
    def itemsize(self) -> int:
        """Bytes of one sample."""
        return {"uint8": 1, "uint16": 2, "float32": 4}[self.value]


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a stack; no pixels.

    `width` and `height` are in pixels as stored, before any EXIF rotation; `channels` is 1 (gray), 2 (gray
    and alpha), 3 (RGB) or 4 (RGB and alpha); `page` counts from 0 inside a multi-page file; `orientation`
    is the EXIF value 1 to 8; `progressive` ones come finer and finer, which needs all of them in memory while
    they are decoded. `decoding` is what decoding takes besides the pixels, as a share of their bytes, where
    the file tells more than its kind does; of RAW files, where they are not LibRaw's to develop. RAW frames
    are (h, w, 3) uint16, linear, after development. `profile` is the ICC profile of pixels that another
    program makes of a RAW file.
    """

    path: Path
    width: int
    height: int
    channels: int
    pixel_type: PixelType
    kind: Kind
    page: int = 0
    pages: int = 1
    orientation: int = 1
    profile: bytes | None = None
    progressive: bool = False
    decoding: float | None = None

    @property
    def name(self) -> str:
        """The file's name, with the page where the file holds several."""
        return f"{self.path.name}[{self.page}]" if self.pages > 1 else self.path.name

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels, as stored."""
        return self.width, self.height

    @property
    def nbytes(self) -> int:
        """Bytes of the decoded frame."""
        return self.width * self.height * self.channels * self.pixel_type.itemsize

    @property
    def megapixels(self) -> float:
        """Millions of pixels."""
        return self.width * self.height / 1e6
