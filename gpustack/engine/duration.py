"""What a run takes in seconds, roughly, worked out from sizes alone."""

from __future__ import annotations

from gpustack.engine.price import device_decodes, passes, slabs, survey_factor
from gpustack.model.frame import Kind
from gpustack.model.stack import Stack
from gpustack.settings import Demosaic, Interpolation, Method, Model, Settings

DECODE_SECONDS = {
    Kind.JPEG: 0.006,
    Kind.PNG: 0.030,
    Kind.TIFF: 0.030,
    Kind.RAW: 0.015,
    Kind.HEIC: 0.080,
    Kind.AVIF: 0.050,
    Kind.JXL: 0.030,
    Kind.WEBP: 0.015,
    Kind.EXR: 0.035,
    Kind.VIDEO: 0.016,
    Kind.DEVELOPED: 0.030,
    Kind.ARRAY: 0.0,
}
"""CPU seconds to decode a megapixel, on one core of a 2023 server; of RAW files to unpack it."""

DEVELOP_SECONDS = {
    Demosaic.RCD: 0.050,
    Demosaic.MALVAR: 0.006,
    Demosaic.PPG: 0.035,
    Demosaic.AHD: 0.070,
}
"""The same of developing RAW frames; the survey takes them at half size, without."""

OTHERS_SECONDS = 0.2
"""The same of another program that develops RAW frames, once each; a guess, as they differ."""

FLAT_SECONDS = 0.008
"""The same of dividing it by a flat field; for orientation."""

CONVERT_SECONDS = 0.200
"""The same of converting it to another colour profile; each frame may have one."""

READ_SECONDS = 0.0005
"""The same of reading a JPEG file that a GPU decodes: about half a megabyte, from the page cache."""

PASS_SECONDS = {
    "measure": 0.014,
    "average": 0.014,
    "pyramid": 0.024,
    "auto": 0.040,
    "behind": 0.010,
    "blend": 0.006,
    "layers": 0.060,
}
"""CPU seconds a megapixel and frame of each pass, without decoding, on the same core. For orientation, not
a promise."""

LOOK_SECONDS = 0.010
"""The same of a look at all bands for the coarser levels alone."""

SURVEY_SECONDS = 0.030
"""CPU seconds of the survey a frame, without decoding, and those of a megapixel of the plane that it looks
at."""

SURVEY_PLANE_SECONDS = 0.025

WARP_SECONDS = {Interpolation.BICUBIC: 0.017, Interpolation.LANCZOS: 0.115}
"""CPU seconds to resample a megapixel, in every pass but the survey."""

GLANCE_SECONDS = 0.030
"""CPU seconds a frame of all that, besides decoding."""


def _decode_seconds(stack: Stack, settings: Settings) -> float:
    """CPU seconds of a megapixel, in any pass."""
    decoding = READ_SECONDS if device_decodes(stack, settings) else DECODE_SECONDS[stack.kind]
    decoding += 0.0 if settings.flat is None else FLAT_SECONDS
    return decoding + (CONVERT_SECONDS if settings.convert_profile else 0.0)


def decode_seconds(stack: Stack, settings: Settings) -> float:
    """CPU seconds of a megapixel until it can be folded in."""
    developing = DEVELOP_SECONDS[settings.demosaic] if stack.kind is Kind.RAW else 0.0
    return _decode_seconds(stack, settings) + developing


def predict(stack: Stack, settings: Settings, method: Method, threads: int) -> float:
    """Seconds a run will take, roughly."""
    names = passes(settings, method)
    decoding = _decode_seconds(stack, settings)
    renders = [name for name in names if name in PASS_SECONDS]
    looking = GLANCE_SECONDS * len(stack) / threads if settings.removes_ghosts else 0.0
    folded = sum(len(slab.frames) for slab in slabs(stack, settings)) / len(stack) or 1.0
    work = folded * sum(PASS_SECONDS[name] for name in renders) + decoding * len(names)
    if stack.kind is Kind.RAW:
        work += DEVELOP_SECONDS[settings.demosaic] * len(renders)
    elif stack.kind is Kind.DEVELOPED:
        work += OTHERS_SECONDS
    if settings.align is Model.NONE:
        return looking + work * len(stack) * stack.largest.megapixels / threads
    work += (
        folded * WARP_SECONDS[settings.interpolation] * len(renders)
        + SURVEY_PLANE_SECONDS / survey_factor(stack) ** 2
    )
    return looking + (work * stack.largest.megapixels + SURVEY_SECONDS) * len(stack) / threads
