"""What a run takes, in bytes and seconds, worked out from sizes alone."""

from __future__ import annotations

from dataclasses import dataclass

from gpustack.engine.path import PASSES, footprint, passing
from gpustack.fuse.fold import Footprint
from gpustack.model.frame import Kind
from gpustack.model.stack import Stack
from gpustack.settings import SURVEY_SIDE, DecoderName, Interpolation, Method, Model, Settings

BASE_BYTES = 110 << 20
"""The interpreter with NumPy, OpenCV and the codecs loaded, and a stack of a few pixels (measured: 98 MB)."""

BAND_PLANES = 30
"""Float planes of band size that one thread has alive at most, halos included (pyramid, RGB)."""

BAND_HALO = 14
"""Rows around a band on one side; on the CPU, BAND_PLANES allows for the other."""

DEVICE_BAND_PLANES = 3
"""Float planes of band size on a GPU besides the image and its reduced copy: energy, luma, evidence,
half-size planes."""

DEVICE_RESERVE = 32 << 20
"""Small arrays of a GPU's pool: samples, sums, what a pool keeps of sizes not wanted any more."""

SURVEY_PLANES = 9
"""Float planes of survey size that one reader has alive at most: luma, band-pass, gradients, strength."""

LINK_REACH = 4
"""How many frames back a frame is matched, at most; so many wait as sights in the survey."""

LINKS_AHEAD = 2
"""How many frames may be read on while one is still matched."""

SIGHT_PLANES = 2
"""The same, of one frame that waits to be matched: its band-passed levels, and the samples of each."""

DECODE_FACTOR = {Kind.JPEG: 0.35, Kind.PNG: 1.0, Kind.TIFF: 1.1, Kind.RAW: 2.7, Kind.ARRAY: 0.0}
"""Bytes that decoding needs besides its result, as a share of it: the file, and the codec's own buffers."""

DECODE_SECONDS = {Kind.JPEG: 0.006, Kind.PNG: 0.030, Kind.TIFF: 0.030, Kind.RAW: 0.060, Kind.ARRAY: 0.0}
"""CPU seconds to decode a megapixel, on one core of a 2023 server."""

FLAT_SECONDS = 0.008
"""The same of dividing it by a flat field; for orientation."""

READ_SECONDS = 0.0005
"""The same of reading a JPEG file that a GPU decodes: about half a megabyte, from the page cache."""

DECODER_FRAMES = 2.5
"""What a GPU's decoder takes on the device besides its result, in decoded frames: coefficients of two bytes,
and planes; a guess until it is measured."""

DECODER_STAGING = 1.0
"""The same in page-locked host memory: the file's bits, or coefficients of progressive ones; a guess, too."""

PASS_SECONDS = {
    "survey": 0.060,
    "measure": 0.009,
    "average": 0.014,
    "pyramid": 0.018,
    "auto": 0.028,
    "blend": 0.006,
}
"""CPU seconds a megapixel and frame of each pass, without decoding, on the same core. For orientation, not
a promise."""

WARP_SECONDS = {Interpolation.BICUBIC: 0.017, Interpolation.LANCZOS: 0.115}
"""CPU seconds to resample a megapixel, in every pass but the survey."""

DEVICE_FRAMES = 2
"""Decoded frames on a GPU: one that is worked on and one that is coming."""

DEVICE_BASE_BYTES = 300 << 20
"""Host memory that the CUDA driver, its context and CuPy take; a guess until it is measured on a device."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a pass is laid out: rows of a band, and where state of the frames' size lies."""

    band_rows: int
    spill: bool = False


def device_bytes(stack: Stack, settings: Settings, layout: Layout) -> int:
    """Peak of one GPU's memory: frames, states and arrays of a band in a pass; the survey; the surface."""
    traits = settings.method, stack.channels, stack.pixel_type, settings.depth
    pixels = stack.width * stack.height
    rows = min(layout.band_rows + 2 * BAND_HALO, stack.height)
    band = rows * stack.width * 4 * (1.25 * stack.channels + DEVICE_BAND_PLANES)
    packed = rows * stack.width * stack.channels * stack.pixel_type.itemsize
    frames = DEVICE_FRAMES * stack.largest.nbytes
    decoder = DECODER_FRAMES * stack.largest.nbytes if device_decodes(stack, settings) else 0.0
    survey = _sight_bytes(stack, 1, 1) if settings.align is not Model.NONE else 0
    during, after = (_on_device(held(*traits), layout) for held in (passing, footprint))
    peaks = frames + pixels * during + band, frames + survey, pixels * after + packed
    return int(max(peaks) + decoder) + DEVICE_RESERVE  # a decoder keeps what it took


def _on_device(held: Footprint, layout: Layout) -> float:
    return held.near + (0.0 if layout.spill else held.afar)


def device_decodes(stack: Stack, settings: Settings) -> bool:
    """Whether a GPU decodes files of the stack; others may lie among them. A flat field wants pixels on the
    host."""
    wanted = settings.decoder is DecoderName.GPU and settings.flat is None
    return wanted and any(frame.kind is Kind.JPEG for frame in stack)


def staging_bytes(stack: Stack, settings: Settings) -> int:
    """Host memory that a GPU's decoder takes."""
    return int(DECODER_STAGING * stack.largest.nbytes) if device_decodes(stack, settings) else 0


def decoding_bytes(stack: Stack, readers: int) -> int:
    """What decoding needs besides its results; where a GPU decodes, files that it does not take still need
    as much."""
    return int(stack.largest.nbytes * DECODE_FACTOR[stack.kind]) * readers


def survey_bytes(stack: Stack, settings: Settings, readers: int, slots: int, on_device: bool) -> int:
    """Peak of the survey pass in host memory: each reader holds a frame and its planes, others wait as
    sights."""
    frame = stack.largest
    if on_device:
        return frame.nbytes * (slots + 1) + decoding_bytes(stack, readers) + staging_bytes(stack, settings)
    decoded = frame.nbytes * readers + decoding_bytes(stack, readers)
    return decoded if settings.align is Model.NONE else decoded + _sight_bytes(stack, readers, slots)


def _sight_bytes(stack: Stack, readers: int, slots: int) -> int:
    """What `readers` frames take while they are looked at, and the sights that wait to be matched."""
    plane = 4 * (stack.width // survey_factor(stack)) * (stack.height // survey_factor(stack))
    return plane * (SURVEY_PLANES * readers + SIGHT_PLANES * (slots + 1 + LINK_REACH + LINKS_AHEAD))


def survey_factor(stack: Stack) -> int:
    """By how many times the survey's planes are smaller than the frames."""
    return max(1, round(max(stack.width, stack.height) / SURVEY_SIDE))


def passes(settings: Settings, method: Method) -> tuple[str, ...]:
    """What each reading of the frames is for."""
    survey = ("survey",) if settings.align is not Model.NONE else ()
    return survey + PASSES[method]


def predict(stack: Stack, settings: Settings, method: Method, threads: int) -> float:
    """Seconds a run will take, roughly."""
    names = passes(settings, method)
    decoding = READ_SECONDS if device_decodes(stack, settings) else DECODE_SECONDS[stack.kind]
    decoding += 0.0 if settings.flat is None else FLAT_SECONDS
    work = sum(PASS_SECONDS[name] + decoding for name in names)
    if settings.align is not Model.NONE:
        work += WARP_SECONDS[settings.interpolation] * (len(names) - 1)
    return work * len(stack) * stack.largest.megapixels / threads
