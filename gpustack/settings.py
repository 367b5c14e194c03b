"""Every default, once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gpustack.errors import UsageError


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


class Prefer(StrEnum):
    """Which frames are taken where a pixel sees two things equally sharp, a hair and what lies behind it:
    near are the first ones of the stack, far the last."""

    NONE = "none"
    NEAR = "near"
    FAR = "far"


class WhiteBalance(StrEnum):
    """Where the white balance of RAW frames is taken from: what the camera chose for the reference, what is
    white in daylight, or the colours of the reference, from which it is estimated."""

    CAMERA = "camera"
    DAYLIGHT = "daylight"
    AUTO_FIRST = "auto-first"


class Demosaic(StrEnum):
    """How the colours between the filters of a Bayer sensor are found: by ratio correction, by Malvar, He and
    Cutler's fixed filters, or, on the CPU, by LibRaw's PPG or AHD."""

    RCD = "rcd"
    MALVAR = "malvar"
    PPG = "ppg"
    AHD = "ahd"


class BatchEngine(StrEnum):
    """Who makes the stacks of a batch."""

    LOCAL = "local"
    DASK = "dask"


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


class Deghost(StrEnum):
    """Whether things that moved are shown once; auto: where frames are looked at for their alignment
    anyway."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class End(StrEnum):
    """An end of the stack."""

    FIRST = "first"
    LAST = "last"


class Export(StrEnum):
    """What a depth map can be written as."""

    DEPTH = "depth"
    HEIGHT = "height"
    NORMALS = "normals"
    MESH = "mesh"
    ANAGLYPH = "anaglyph"
    STEREO = "stereo"
    ROCKING = "rocking"


class BadFrame(StrEnum):
    """What is done about a frame that cannot be aligned, or is blurred by shake."""

    SKIP = "skip"
    FAIL = "fail"


FOCUS_SIGMA_PX = 1.5
"""Blur of the focus measure. Below it the noise of single pixels chooses; above it the choice at a depth
edge spreads into the neighbour's texture (hairs lose 0.3 dB at 2.0 and 0.7 at 2.5, smooth scenes gain as
much: bench/results/choices.json)."""

NOISE_LEVELS = 3.0
"""How many times the focus measure's noise is added to it before frames are compared: where nothing but
noise is seen, all frames then weigh about alike and their noise averages out. The largest of some dozen
noise energies is about three times their mean, so 3 keeps it from being taken for detail."""

DEMOSAIC = Demosaic.RCD
"""It comes closer to the truth than AHD, and by more than Malvar's filters, which are the fastest
(docs/decisions/0022)."""

RADIUS_RANGE = 0.5, 16.0
"""Below half a pixel the blur is none; 16 pixels are more than ten times the default."""

SMOOTHING_RANGE = 0.0, 100.0
"""A hundred noise levels are as much as texture of ten times the noise's contrast has: all but strong edges
are averaged."""


GAIN_RANGE = 0.01, 100.0
"""Of a colour's part in a white balance; the largest of real ones, under candles, are about five."""

EXPOSURE_RANGE = -10.0, 10.0
"""In EV: ten are a factor of a thousand, beyond which 16 bits are black or white."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user may choose; the defaults of the command line and of the Python API alike.

    `radius` is the blur of the focus measure in pixels, `smoothing` how many noise levels are added to it
    before frames are compared. `prefer` says what is taken where two things are equally sharp. `slab` is the
    size and the overlap, in frames, of sub-stacks that are fused first. `reference` is first, middle, last or
    a frame index from 0. `flat` is the path of a flat field. `wb`, a word or what red, green and blue are
    multiplied with, `exposure`, in EV, and `demosaic` are for RAW frames; `raw_developer` is the command of a
    program that makes TIFF files of them instead, with {input} and {output} in it. `linear` leaves their
    picture in linear camera RGB, for a DNG file. `layers` plans for a pass that writes layers.
    `convert_profile` brings frames of another colour profile to the reference's. `ram_bytes` and `threads`
    are None for a share of what the machine has. Raises UsageError for what is out of its range or does not
    go together.
    """

    method: Method = Method.AUTO
    align: Model = Model.SIMILARITY
    reference: str = "middle"
    crop: Crop = Crop.AUTO
    interpolation: Interpolation = Interpolation.BICUBIC
    brightness: Brightness = Brightness.GAIN
    flat: str | None = None
    on_bad_frame: BadFrame = BadFrame.SKIP
    deghost: Deghost = Deghost.AUTO
    backend: BackendName = BackendName.AUTO
    decoder: DecoderName = DecoderName.AUTO
    ram_bytes: int | None = None
    vram_bytes: int | None = None
    devices: tuple[int, ...] = (0,)
    threads: int | None = None
    depth: bool = False
    strip_gps: bool = False
    radius: float = FOCUS_SIGMA_PX
    smoothing: float = NOISE_LEVELS
    slab: tuple[int, int] | None = None
    prefer: Prefer = Prefer.NONE
    wb: WhiteBalance | tuple[float, float, float] = WhiteBalance.CAMERA
    exposure: float = 0.0
    demosaic: Demosaic = DEMOSAIC
    raw_developer: str | None = None
    linear: bool = False
    layers: bool = False
    convert_profile: bool = False

    def __post_init__(self) -> None:
        _check("--exposure", self.exposure, EXPOSURE_RANGE, "EV")
        if self.raw_developer is not None:
            self._check_developer()
        for gain in self.wb if isinstance(self.wb, tuple) else ():
            _check("--wb", gain, GAIN_RANGE, "for each colour")
        _check("--radius", self.radius, RADIUS_RANGE, "pixels")
        _check("--smoothing", self.smoothing, SMOOTHING_RANGE, "noise levels")
        if self.slab is not None:
            _check_slab(self.slab, self.method)
            if self.deghost is Deghost.ON:
                raise UsageError(
                    "--deghost on does not go with --slab: a slab may have no frame of what is kept.",
                    "Leave one of them out.",
                )
        if self.slab is not None or self.prefer is not Prefer.NONE:
            _check_one_device("--slab" if self.slab else f"--prefer {self.prefer.value}", self.devices)

    def _check_developer(self) -> None:
        """Raise for what the other program decides."""
        asked = {
            "A DNG file": self.linear,
            "--wb": self.wb is not WhiteBalance.CAMERA,
            "--exposure": self.exposure != 0,
            "--demosaic": self.demosaic is not DEMOSAIC,
        }
        for what in (what for what, wanted in asked.items() if wanted):
            raise UsageError(
                f"{what} does not go with --raw-developer, whose program develops the frames.",
                "Write to .tif."
                if self.linear
                else "Leave one of them out; the program has options of its own.",
            )

    @property
    def removes_ghosts(self) -> bool:
        """Whether frames are looked at for things that moved."""
        if self.deghost is Deghost.AUTO:
            return self.align is not Model.NONE and self.slab is None
        return self.deghost is Deghost.ON

    @property
    def looks(self) -> bool:
        """Whether all frames are looked at before they are fused."""
        return self.align is not Model.NONE or self.removes_ghosts

    @property
    def lifts_veils(self) -> bool:
        """Whether the blur of burnt-out lamps over frames is looked for."""
        return self.method is Method.AUTO and self.slab is None


def _check(option: str, value: float, allowed: tuple[float, float], unit: str) -> None:
    low, high = allowed
    if not low <= value <= high:  # not a number is refused, too
        raise UsageError(f"{option} {value:g} is out of range.", f"Choose {low:g} to {high:g} {unit}.")


def _check_slab(slab: tuple[int, int], method: Method) -> None:
    size, overlap = slab
    if size < 2 or not 0 <= overlap < size:
        raise UsageError(
            f"--slab {size},{overlap} is no size and overlap.",
            "A slab has 2 frames or more, and shares fewer than it has with the next.",
        )
    if method is Method.DEPTHMAP:
        raise UsageError(
            "--slab does not go with --method depthmap, which looks at all frames twice.",
            "Take auto, pyramid or average.",
        )


def _check_one_device(option: str, devices: tuple[int, ...]) -> None:
    if len(devices) > 1:  # frames must come in stack order, to one state
        raise UsageError(
            f"{option} works on one GPU, and {len(devices)} are named.", "Name one with --devices."
        )


RAM_SHARE = 0.6
"""Share of the free memory that a run may take when no budget is given: the rest is the page cache's and
the user's."""

VRAM_SHARE = 0.85
"""Share of a device's free memory that a run may take when no budget is given: drivers and displays keep
some for themselves, and pages are not handed out to the last byte."""

MEAN_SIGMA_PX = 2.0
"""The same of the mean whose blur `auto` undoes: what it does at a depth edge is taken only where the pyramid
agrees. `--radius` changes it in this ratio to FOCUS_SIGMA_PX, so that a picture of twice the size gives the
same with twice the radius."""

SURVEY_SIDE = 2048
"""Longer side, in pixels, of the planes that frames are aligned on: a match is good to some hundredths of
their pixels."""

WHOLE_SIDE = 1536
"""Frames whose longer side is longer are aligned at half their size at most: blur hardly leaves anything as
fine as a pixel in both of two frames. Smaller ones have no pixels to spare."""

GLANCE_SIDE = 512
"""Longer side, in cells, of what is kept of every frame to tell what moved: things about a cell wide are
seen, and a stack of 1000 frames keeps less than 200 MB."""

CROP_LEAST = 0.25
"""Smallest share of the reference that cropping may leave; below it the picture is not cropped."""

LAYER_MARGIN_PX = 64
"""Pixels of its frame that a layer has around its mask: room to paint the mask larger with a brush."""

JPEG_QUALITY = 95
"""Quality of written JPEG files, with full colour resolution (4:4:4)."""

RELIEF = 0.25
"""Height of a relief whose scale is not known, as a share of its longer side: deep enough to be seen."""

PARALLAX = 0.02
"""How far nearest and farthest parts move against each other between two eyes, as a share of the picture's
width: a thirtieth is what eyes bear before a screen, by the rule of stereo photographers."""

MESH_TRIANGLES = 500_000
"""Triangles of a mesh, at most: what viewers on the web still turn smoothly."""

ANIMATION_PX = 800
"""Longer side of an animation, at most: two dozen views of it stay a few megabytes."""

CLUSTER_PATIENCE_S = 30.0
"""How long a batch waits for a worker to join a cluster that has none fit for the work."""

SCRATCH_SHARE = 0.5
"""Share of the free disk, where temporary files lie, that frames fetched from object storage may take."""
