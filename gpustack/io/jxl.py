"""JPEG XL pictures: the header is read in `jxl_header`, libjxl (imagecodecs) decodes.

Samples of up to 8 bits become 8, of up to 16 bits 16, and floating point 32 bits.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
import numpy.typing as npt

from gpustack.errors import DecodeError
from gpustack.io import cicp
from gpustack.io.boxes import Box, file_boxes
from gpustack.io.exif import Exif, parse
from gpustack.io.guard import EXPORT_AGAIN, check_size, damaged
from gpustack.io.jxl_header import Coding, Header, deepened, read_header
from gpustack.io.samples import STRIP_ROWS, unassociated, widened
from gpustack.io.told import Told
from gpustack.model.frame import Frame, Kind, PixelType

CODESTREAM_MARK, CONTAINER_MARK = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
_HEADER_LIMIT = 4096
_PART_LIMIT = 8 << 20
_STREAMS = (b"jxlc", b"jxlp")


def probe(path: Path) -> tuple[Frame, ...]:
    """Describe a JPEG XL file; no pixel data are read.

    Raises: DecodeError for damaged files, animations, sizes beyond the bounds, more channels than colours and
    transparency, and colours that only a profile inside the coded data tells, which libjxl keeps to itself.
    """
    header = _header(path)
    check_size(path.name, header.width, header.height)
    if header.others or header.alphas > 1:
        raise DecodeError(path.name, "it has channels beside colour and transparency.", EXPORT_AGAIN)
    if header.coding.icc and not header.lossy:
        raise DecodeError(path.name, "its colour profile cannot be read.", EXPORT_AGAIN)
    if not header.floating and header.bits > 16:
        raise DecodeError(path.name, f"it has {header.bits} bits a channel.", EXPORT_AGAIN)
    channels = (1 if header.coding.gray else 3) + header.alphas
    kind = PixelType.FLOAT32 if header.floating else PixelType.UINT8 if header.bits <= 8 else PixelType.UINT16
    turn = header.orientation
    return (Frame(path, header.width, header.height, channels, kind, Kind.JXL, orientation=turn),)


def decode(frame: Frame) -> npt.NDArray[Any]:
    """The pixels, (h, w, c) uint8, uint16 or float32, not rotated. Raises: DecodeError for damaged data."""
    header, data = _header(frame.path), frame.path.read_bytes()
    as_light = header.coding.icc and not header.floating
    if as_light:
        data, header = _deepened(frame.path, data, header)
    pixels = imagecodecs.jpegxl_decode(data, keeporientation=True, numthreads=1)
    pixels = np.asarray(pixels).reshape(frame.height, frame.width, -1)
    if frame.pixel_type is PixelType.FLOAT32:
        pixels = pixels.astype(np.float32, copy=False)
    elif pixels.dtype == np.uint16:
        pixels = widened(pixels, header.bits)
    pixels = unassociated(np.array(pixels)) if header.premultiplied else pixels
    return _coded(pixels, frame) if as_light else pixels


def _deepened(path: Path, data: bytes, header: Header) -> tuple[bytes, Header]:
    """The file with more bits a sample in its header, of which lossy data know nothing: light needs more than
    values do that are coded."""
    with path.open("rb") as file:
        plain = data[:2] == CODESTREAM_MARK
        box = None if plain else next(box for box in file_boxes(file) if box.kind in _STREAMS)
    start = 0 if box is None else box.start + (4 if box.kind == b"jxlp" else 0)
    head, bits = deepened(data[start : start + _HEADER_LIMIT], path.name)
    return data[:start] + head + data[start + len(head) :], replace(header, bits=bits)


def _coded(light: npt.NDArray[np.uint16], frame: Frame) -> npt.NDArray[Any]:
    """Light of 16 bits as values of sRGB, of the frame's type; alpha is no light."""
    levels = np.arange(65536) / 65535
    curve = np.where(levels <= 0.0031308, levels * 12.92, 1.055 * levels ** (1 / 2.4) - 0.055)
    kind = np.dtype(frame.pixel_type.value)
    values, alphas = (np.rint(each * frame.pixel_type.white).astype(kind) for each in (curve, levels))
    out = np.empty(light.shape, kind)
    colours = 1 if frame.channels < 3 else 3
    for first in range(0, len(light), STRIP_ROWS):
        part = light[first : first + STRIP_ROWS]
        out[first : first + STRIP_ROWS, :, :colours] = values[part[..., :colours]]
        out[first : first + STRIP_ROWS, :, colours:] = alphas[part[..., colours:]]
    return out


def told(frame: Frame) -> Told:
    """EXIF and XMP from the boxes around the codestream, and the profile of the colours that it names."""
    with frame.path.open("rb") as file:
        parts = {kind: body for box in file_boxes(file) for kind, body in _part(file, box)}
    block = parts.get(b"Exif", b"")
    exif = parse(block[4 + int.from_bytes(block[:4], "big") :]) if len(block) > 4 else Exif()
    header = _header(frame.path)
    if header.coding.icc:  # libjxl makes linear sRGB of XYB where it has no way to apply a profile
        curve = cicp.LINEAR if header.floating else cicp.SRGB_CURVE
        icc = cicp.profile(cicp.SRGB_PRIMARIES, curve, gray=header.coding.gray)
    else:
        icc = profile_of(header.coding)
    return Told(icc, exif or None, parts.get(b"xml "))


def profile_of(coding: Coding) -> bytes | None:
    """The profile of colours that are told by numbers."""
    if coding.gamma is not None:
        return cicp.made(coding.gamut, coding.gamma, gray=coding.gray)
    return cicp.coded(coding.gamut, coding.transfer, gray=coding.gray)


def _part(file: BinaryIO, box: Box) -> list[tuple[bytes, bytes]]:
    """A box of metadata, if it is one; those that are packed by Brotli are unpacked."""
    if box.kind in (b"Exif", b"xml "):
        return [(box.kind, box.read(file, _PART_LIMIT))]
    if box.kind != b"brob":
        return []
    body = box.read(file, _PART_LIMIT)
    try:
        unpacked = imagecodecs.brotli_decode(body[4:], out=_PART_LIMIT)
    except imagecodecs.BrotliError:
        return []
    return [(body[:4], bytes(unpacked))]


def _header(path: Path) -> Header:
    """The header of the codestream. Raises: DecodeError where the file is cut."""
    with path.open("rb") as file:
        if file.read(2) == CODESTREAM_MARK:
            file.seek(0)
            return read_header(file.read(_HEADER_LIMIT), path.name)
        streams = [box for box in file_boxes(file) if box.kind in _STREAMS]
        if not streams or streams[-1].stop > file.seek(0, 2):
            raise damaged(path.name, "it ends before its picture does")
        # Pieces of a codestream are numbered in four bytes.
        pieces = (box.read(file, _HEADER_LIMIT)[4 if box.kind == b"jxlp" else 0 :] for box in streams[:8])
        return read_header(b"".join(pieces)[:_HEADER_LIMIT], path.name)
