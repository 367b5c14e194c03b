"""JPEG XL files: libjxl (imagecodecs) codes the pixels without loss, the rest is told around them.

imagecodecs hands neither a profile nor boxes to libjxl. So the colours are named in the header of the
codestream, in place of the sRGB that it is given, as chromaticities and a curve; most profiles of cameras,
screens and editors are no more than that. Frames begin at a byte of their own (ISO/IEC 18181-1, 6.2), so
nothing after the header changes. EXIF and XMP are boxes of the container (ISO/IEC 18181-2, 9).
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from math import log
from pathlib import Path
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
import numpy.typing as npt

from gpustack.errors import UsageError
from gpustack.io import cicp
from gpustack.io.boxes import file_boxes
from gpustack.io.cicp import XY
from gpustack.io.exif import Exif, rebuild
from gpustack.io.headers import with_resolution
from gpustack.io.icc import gamut_of
from gpustack.io.jxl import profile_of
from gpustack.io.jxl_header import COORDINATE, CUSTOM, GRAY, RGB, Choice, Coding, coding_span
from gpustack.io.metadata import Metadata
from gpustack.io.profiles import profile_name, same_colours
from gpustack.io.xmp import renewed as renewed_xmp

EFFORT = 1
"""Of libjxl: 2 takes five times as long and three times the memory for 4 % fewer bytes, of 16 bits."""

_STREAM = b"jxlc"
_HEAD = 256
"""Bytes that hold the header of any codestream that is made here."""

_RELATIVE, _D65 = 1, 1
_USUAL = cicp.GAMUTS[cicp.SRGB_PRIMARIES]
_NAMED = (cicp.SRGB_CURVE, cicp.LINEAR)
_GAMMA_UNIT = 10_000_000
_OFF_XY = 2e-4
"""Chromaticities so near are those of sRGB; profiles round theirs to about half of that."""


def encode_jxl(
    file: BinaryIO, pixels: npt.NDArray[Any], metadata: Metadata, software: str, coding: Coding
) -> None:
    """Write (h, w, c) uint8, uint16 or float32 pixels without loss; `coding` is that of the profile."""
    height, width, channels = pixels.shape
    made = imagecodecs.jpegxl_encode(
        np.ascontiguousarray(pixels[..., 0] if channels == 1 else pixels),
        lossless=True,
        effort=EFFORT,
        usecontainer=True,
        numthreads=1,
    )
    stream = next(box for box in file_boxes(BytesIO(made)) if box.kind == _STREAM)
    file.write(memoryview(made)[: made.index(_STREAM, stream.start - 16, stream.start) - 4])
    exif = metadata.exif or Exif()
    if metadata.resolution is not None:
        exif = with_resolution(exif, metadata.resolution)
    _write_box(file, b"Exif", bytes(4) + rebuild(exif, width, height, software))
    packet = renewed_xmp(metadata.xmp, software, metadata.history)
    if packet:
        _write_box(file, b"xml ", packet)
    file.write(bytes(4) + _STREAM)  # of no stated length: to the end of the file
    head, rest = _recoded(bytes(made[stream.start : stream.start + _HEAD]), coding)
    file.write(head)
    file.write(memoryview(made)[stream.start + rest : stream.stop])


def coding_for(path: Path, icc: bytes | None, *, gray: bool) -> Coding:
    """How JPEG XL names the colours of a profile; those of sRGB where there is none. Raises UsageError where
    it cannot, without an ICC profile, which libjxl is not given here."""
    if icc is None:
        return Coding(gray)
    gamut = gamut_of(icc)
    for coding in [] if gamut is None else _candidates(icc, gamut, gray=gray):
        if same_colours(icc, profile_of(coding), gray=gray):
            return coding
    raise UsageError(
        f"{path.name} cannot hold the colour profile {profile_name(icc)}, which is more than chromaticities "
        "and a curve.",
        "Write to .tif.",
    )


def _candidates(icc: bytes, gamut: cicp.Gamut, *, gray: bool) -> list[Coding]:
    """The ways to name a profile that it may be equal to: sRGB's curve, none, and a power."""
    named = [Coding(gray, gamut=gamut, transfer=transfer) for transfer in _NAMED]
    straight = cicp.made(gamut, 1.0, gray=gray)
    middle = np.full((1, 1, 1 if gray else 3), 0.5, np.float32)
    space = "gray" if gray else "rgb"
    given = middle[..., 0] if gray else middle
    try:
        light = imagecodecs.cms_transform(
            given, icc, straight, colorspace=space, outcolorspace=space, intent=1
        )
    except imagecodecs.CmsError:
        return []
    level = float(np.mean(light))
    gamma = log(level) / log(0.5) if 0 < level < 1 else 0.0
    powers = [Coding(gray, gamut=gamut, transfer=0, gamma=gamma)] if 0.1 < gamma < 10 else []
    return named + powers


def _write_box(file: BinaryIO, kind: bytes, body: bytes) -> None:
    file.write((len(body) + 8).to_bytes(4, "big") + kind + body)


def _recoded(head: bytes, coding: Coding) -> tuple[bytes, int]:
    """The header of a codestream with other colours, and how many bytes the one before takes."""
    span = coding_span(head, "a picture that is written")
    bits = int.from_bytes(head[2:], "little")
    made = _Bits()
    made.put(bits & ((1 << span.start) - 1), span.start)
    _put_coding(made, coding)
    made.put((bits >> span.stop) & ((1 << (span.end - span.stop)) - 1), span.end - span.stop)
    return head[:2] + made.whole, 2 + -(-span.end // 8)


@dataclass(slots=True)
class _Bits:
    """Puts numbers together, the lowest bit first."""

    value: int = 0
    count: int = 0

    def put(self, number: int, count: int) -> None:
        """So many bits more."""
        self.value |= number << self.count
        self.count += count

    def choose(self, number: int, *ways: Choice) -> None:
        """A number in the first of four ways that it can be coded in."""
        for way, (offset, count) in enumerate(ways):
            if offset <= number < offset + (1 << count):
                self.put(way, 2)
                self.put(number - offset, count)
                return
        raise ValueError(f"{number} cannot be coded")

    def enum(self, number: int) -> None:
        """A number out of a list."""
        self.choose(number, (0, 0), (1, 0), (2, 4), (18, 6))

    def chromaticity(self, xy: XY) -> None:
        """In millionths, the sign in the lowest bit."""
        for part in xy:
            value = round(part * 1e6)
            self.choose(2 * value if value >= 0 else -2 * value - 1, *COORDINATE)

    @property
    def whole(self) -> bytes:
        """Filled up to bytes."""
        return self.value.to_bytes(-(-self.count // 8), "little")


def _put_coding(bits: _Bits, coding: Coding) -> None:
    """The colours (ISO/IEC 18181-1, annex E.2)."""
    gamut = coding.gamut
    bits.put(0b00, 2)  # neither as usual nor by a profile
    bits.enum(GRAY if coding.gray else RGB)
    usual_white = _near(gamut.white, _USUAL.white)
    bits.enum(_D65 if usual_white else CUSTOM)
    if not usual_white:
        bits.chromaticity(gamut.white)
    corners = ((gamut.red, _USUAL.red), (gamut.green, _USUAL.green), (gamut.blue, _USUAL.blue))
    if not coding.gray:
        usual = all(_near(one, other) for one, other in corners)
        bits.enum(cicp.SRGB_PRIMARIES if usual else CUSTOM)
        for corner, _ in () if usual else corners:
            bits.chromaticity(corner)
    bits.put(coding.gamma is not None, 1)
    if coding.gamma is None:
        bits.enum(coding.transfer)
    else:
        bits.put(round(_GAMMA_UNIT / coding.gamma), 24)
    bits.enum(_RELATIVE)


def _near(one: XY, other: XY) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) < _OFF_XY
