"""Every default, once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Method(StrEnum):
    """How frames become one picture."""

    AUTO = "auto"
    PYRAMID = "pyramid"
    DEPTHMAP = "depthmap"
    AVERAGE = "average"


class Model(StrEnum):
    """What a frame may do against the reference, from nothing to a perspective; auto chooses a stack's."""

    NONE = "none"
    SHIFT = "shift"
    RIGID = "rigid"
    SIMILARITY = "similarity"
    AFFINE = "affine"
    HOMOGRAPHY = "homography"
    AUTO = "auto"


class Crop(StrEnum):
    """Which part of the reference's view is kept."""

    AUTO = "auto"
    NONE = "none"


class Interpolation(StrEnum):
    """How a frame's values between its pixels are made."""

    BICUBIC = "bicubic"
    LANCZOS = "lanczos"


class Brightness(StrEnum):
    """What is done about frames that are brighter or darker than the reference."""

    NONE = "none"
    GAIN = "gain"
    CHANNELS = "channels"


class BackendName(StrEnum):
    """Where the pixels are worked on."""

    AUTO = "auto"
    CUDA = "cuda"
    CPU = "cpu"


class DecoderName(StrEnum):
    """Where JPEG files are decoded; auto is the CPU, until the GPU's decoding has been measured to be as
    right and faster."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"


class BadFrame(StrEnum):
    """What is done about a frame that cannot be aligned, or is blurred by shake."""

    SKIP = "skip"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user may choose; the defaults of the command line and of the Python API alike.

    `reference` is first, middle, last or a frame index from 0. `flat` is the path of a flat field.
    `ram_bytes` and `threads` are None for a share of what the machine has.
    """

    method: Method = Method.AUTO
    align: Model = Model.SIMILARITY
    reference: str = "middle"
    crop: Crop = Crop.AUTO
    interpolation: Interpolation = Interpolation.BICUBIC
    brightness: Brightness = Brightness.GAIN
    flat: str | None = None
    on_bad_frame: BadFrame = BadFrame.SKIP
    backend: BackendName = BackendName.AUTO
    decoder: DecoderName = DecoderName.AUTO
    ram_bytes: int | None = None
    vram_bytes: int | None = None
    devices: tuple[int, ...] = (0,)
    threads: int | None = None
    depth: bool = False


RAM_SHARE = 0.6
"""Share of the free memory that a run may take when no budget is given: the rest is the page cache's and
the user's."""

VRAM_SHARE = 0.85
"""Share of a device's free memory that a run may take when no budget is given: drivers and displays keep
some for themselves, and pages are not handed out to the last byte."""

FOCUS_SIGMA_PX = 1.5
"""Blur of the focus measure. Below it the noise of single pixels chooses; above it the choice at a depth
edge spreads into the neighbour's texture (hairs lose 0.3 dB at 2.0 and 0.7 at 2.5, smooth scenes gain as
much: bench/results/choices.json)."""

MEAN_SIGMA_PX = 2.0
"""The same of the mean whose blur `auto` undoes: what it does at a depth edge is taken only where the pyramid
agrees."""

NOISE_LEVELS = 3.0
"""How many times the focus measure's noise is added to it before frames are compared: where nothing but
noise is seen, all frames then weigh about alike and their noise averages out. The largest of some dozen
noise energies is about three times their mean, so 3 keeps it from being taken for detail."""

SURVEY_SIDE = 2048
"""Longer side, in pixels, of the planes that frames are aligned on: a match is good to some hundredths of
their pixels."""

CROP_LEAST = 0.25
"""Smallest share of the reference that cropping may leave; below it the picture is not cropped."""

JPEG_QUALITY = 95
"""Quality of written JPEG files, with full colour resolution (4:4:4)."""
