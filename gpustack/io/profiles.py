"""Colour profiles of a stack: whether all frames mean the same colours, and conversion where they do not.

A fused pixel is made of several frames, so equal values must be equal colours. Profiles are compared by what
they do, not by their bytes: there are dozens of sRGB. Conversion is that of Little CMS (through imagecodecs),
colorimetric and with black point compensation, as Photoshop's default. Its optimisation is switched off: it
goes by tables of 8 bits or a coarse grid, and is up to a tenth of white away in dark colours of 16 bits;
without it 8 and 16 bits are within half a level of floating point, for twice the time. Pillow's ImageCms has
8 bits only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt

from gpustack.errors import DecodeError, StackError
from gpustack.io.colour import srgb_profile
from gpustack.io.icc import fitting_profile
from gpustack.io.metadata import read_metadata
from gpustack.model.frame import Frame, Kind
from gpustack.model.stack import Stack

Pixels = npt.NDArray[Any]

SAME = 1 / 255
"""Profiles whose colours differ by less than a level of 8 bits are one: sRGB of cameras, editors and Little
CMS differ by up to 0.5, sRGB and Display P3 by a hundred."""

ROWS = 64
"""Rows that are converted at a time, so that copies stay small."""

_RELATIVE = 1
_NO_OPTIMISING, _BLACK_POINT, _NO_NEGATIVES = 0x100, 0x2000, 0x8000
_FLAGS = _NO_OPTIMISING | _BLACK_POINT | _NO_NEGATIVES
_GRID, _STEPS, _DARKEST = 9, 256, 1 / 32
_NAME_TAG = b"desc"


class Profiles:
    """The profiles of a stack's frames against that of its reference; frames without one are taken for sRGB.

    May be used by several threads at once.
    """

    def __init__(self, stack: Stack, reference: int) -> None:
        """Looks into every file; RAW frames and arrays have none."""
        self._reference, self._channels = stack.frames[reference], stack.channels
        self._own = self._profile(self._reference)
        files = {} if stack.kind in (Kind.RAW, Kind.ARRAY) else {_key(frame): frame for frame in stack}
        found = {key: self._profile(frame) for key, frame in files.items()}
        gray = self._gray
        self._odd = {key: icc for key, icc in found.items() if not same_colours(icc, self._own, gray=gray)}
        self._first = next((frame for frame in stack if _key(frame) in self._odd), None)

    def __bool__(self) -> bool:
        """Whether there is anything to convert."""
        return bool(self._odd)

    def refuse(self) -> None:
        """Raise StackError where frames mean other colours than the reference."""
        if self._first is None:
            return
        others = f" ({len(self._odd)} frames differ)" if len(self._odd) > 1 else ""
        raise StackError(
            f"{self._first.name} {_told(self._odd[_key(self._first)])}, and the reference "
            f"{self._reference.name} {_told(self._own)}, so equal values are other colours{others}.",
            "Convert them with --convert-profile, or export all frames with one profile.",
        )

    def convert(self, frame: Frame, pixels: Pixels, out: Pixels | None) -> Pixels:
        """A frame's pixels (h, w, c), as decoded, in the reference's profile, in `out` if given, which may be
        these. Alpha stays.

        Raises DecodeError where a profile is damaged, or is not one that can be converted from or to.
        """
        if _key(frame) not in self._odd:
            return pixels if out is None or out is pixels else _copied(pixels, out)
        source = _whole(self._odd[_key(frame)], self._gray)
        target = _whole(self._own, self._gray)
        out = np.empty_like(pixels) if out is None else out
        colours = 1 if self._gray else 3
        for first in range(0, len(pixels), ROWS):
            part = np.ascontiguousarray(pixels[first : first + ROWS, :, :colours])
            out[first : first + ROWS, :, colours:] = pixels[first : first + ROWS, :, colours:]
            try:
                out[first : first + ROWS, :, :colours] = _converted(part, source, target)
            except imagecodecs.CmsError as error:
                raise DecodeError(
                    frame.name,
                    f"its colours cannot be converted: Little CMS does not take its profile, "
                    f"{profile_name(source)}, or the reference's, {profile_name(target)}.",
                    "Assign another profile to it, or leave it out.",
                ) from error
        return out

    @property
    def _gray(self) -> bool:
        return self._channels < 3

    def _profile(self, frame: Frame) -> bytes | None:
        return fitting_profile(read_metadata(frame).icc, self._channels)


def as_srgb(pixels: Pixels, icc: bytes | None) -> Pixels:
    """Colours (h, w, 1 or 3) of any dtype as sRGB, or gray with its curve, the same dtype; as they are where
    there is no profile, or none that can be converted from."""
    gray = pixels.shape[2] == 1
    own = fitting_profile(icc, pixels.shape[2])
    if own is None or same_colours(own, None, gray=gray):
        return pixels
    out = np.empty_like(pixels)
    try:
        for first in range(0, len(pixels), ROWS):
            part = np.ascontiguousarray(pixels[first : first + ROWS])
            out[first : first + ROWS] = _converted(part, own, _whole(None, gray))
    except imagecodecs.CmsError:
        return pixels
    return out


def profile_name(icc: bytes) -> str:
    """What a profile calls itself, in its first language (ICC.1, 9.2.41: a multilingual text; in version 2
    plain)."""
    count = int.from_bytes(icc[128:132], "big")
    for at in range(132, min(132 + 12 * count, len(icc) - 11), 12):
        tag, start, size = struct.unpack_from(">4sII", icc, at)
        if tag == _NAME_TAG:
            return _text(icc[start : start + size]) or "a profile without a name"
    return "a profile without a name"


def _text(body: bytes) -> str:
    if body[:4] == b"desc":
        return body[12 : 12 + int.from_bytes(body[8:12], "big")].split(b"\0")[0].decode("ascii", "replace")
    if body[:4] == b"mluc" and len(body) >= 28:
        size, start = struct.unpack_from(">II", body, 20)
        return body[start : start + size].decode("utf-16-be", "replace").rstrip("\0")
    return ""


def for_screen(values: Pixels, icc: bytes) -> npt.NDArray[np.uint8]:
    """Colours (h, w, 1 or 3) of a profile in sRGB of 8 bits. Whole numbers are rounded to 8 bits first, which
    Little CMS then converts in one step, without a grid; light, as floats are, is converted as it is. Raises
    CmsError."""
    gray = values.shape[2] == 1
    space, float_flags = "gray" if gray else "rgb", _FLAGS if values.dtype.kind == "f" else _BLACK_POINT
    changed = imagecodecs.cms_transform(
        values[..., 0] if gray else values,
        icc,
        _whole(None, gray),
        colorspace=space,
        outcolorspace=space,
        outdtype=np.uint8,
        intent=_RELATIVE,
        flags=float_flags,
    )
    return np.asarray(changed, np.uint8).reshape(values.shape)


def _told(icc: bytes | None) -> str:
    if icc is None:
        return "has no colour profile, which is taken for sRGB"
    return f"has the colour profile {profile_name(icc)}"


def _key(frame: Frame) -> tuple[Path, int]:
    """What has a profile of its own: a file, or a page; not each frame of a video."""
    return frame.path, 0 if frame.kind is Kind.VIDEO else frame.page


def _copied(pixels: Pixels, out: Pixels) -> Pixels:
    np.copyto(out, pixels)
    return out


@lru_cache(maxsize=64)
def same_colours(one: bytes | None, other: bytes | None, *, gray: bool) -> bool:
    """Whether two profiles, None for that of sRGB, make the same colours of the same values."""
    if one == other:
        return True
    values = _ramp() if gray else _grid()
    try:
        changed = _converted(values, _whole(one, gray), _whole(other, gray))
    except imagecodecs.CmsError:
        return False
    return bool(np.abs(changed - values).max() < SAME)


def _converted(values: Pixels, source: bytes, target: bytes) -> Pixels:
    """Colours (h, w, 1 or 3) of any dtype in another profile, the same dtype."""
    space = "gray" if values.shape[2] == 1 else "rgb"
    given = values[..., 0] if space == "gray" else values
    changed = imagecodecs.cms_transform(
        given, source, target, colorspace=space, outcolorspace=space, intent=_RELATIVE, flags=_FLAGS
    )
    return np.asarray(changed).reshape(values.shape)


def _whole(icc: bytes | None, gray: bool) -> bytes:
    """The profile; that of sRGB where there is none."""
    return icc or (_srgb_gray() if gray else srgb_profile())


@cache
def _srgb_gray() -> bytes:
    """Gray with the transfer curve of sRGB."""
    x = np.linspace(0, 1, 4096)
    curve = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    return bytes(imagecodecs.cms_profile("gray", transferfunction=curve.astype(np.float32)))


def _grid() -> npt.NDArray[np.float32]:
    """Colours all over RGB, but for the darkest: where curves are powers they rise without end, so that the
    last digit of a chromaticity is a level there."""
    steps = np.linspace(_DARKEST, 1, _GRID, dtype=np.float32)
    return _listed(np.meshgrid(steps, steps, steps))


def _ramp() -> npt.NDArray[np.float32]:
    return _listed([np.linspace(0, 1, _STEPS, dtype=np.float32)])


def _listed(planes: Iterable[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Planes as one row of pixels."""
    return np.ascontiguousarray(np.stack([plane.ravel() for plane in planes], -1)[None])
