"""JPEG files: the header by a walk over the segments, the pixels by libjpeg-turbo, which refuses damage.

Source: ITU-T T.81, annex B. Measured at 12 MP on one core: simplejpeg 283 MP/s, imagecodecs 277, OpenCV
189; only simplejpeg can be told to fail where libjpeg merely warns and fills the missing part with gray.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import simplejpeg

from gpustack.errors import DecodeError
from gpustack.io.exif import orientation
from gpustack.io.guard import EXPORT_AGAIN, JPEG_SCAN, MOST_SCANS, check_size, check_squeezed, damaged
from gpustack.model.frame import Frame, Kind, PixelType
from gpustack.model.jpeg import Jpeg

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_SOS, _DHT, _JPG, _DAC, _APP0, _APP1, _APP14, _COM = 0xDA, 0xC4, 0xC8, 0xCC, 0xE0, 0xE1, 0xEE, 0xFE
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {_DHT, _JPG, _DAC}
# Baseline, extended and progressive, each with Huffman or arithmetic coding.
_HANDLED_HEADERS = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
_SEQUENTIAL, _PROGRESSIVE = frozenset({0xC0, 0xC1}), 0xC2  # with Huffman coding
_PROGRESSIVES = frozenset({_PROGRESSIVE, 0xCA})
_PLAIN_SAMPLING = frozenset({b"\x11", b"\x11\x11\x11", b"\x21\x11\x11", b"\x22\x11\x11"})
"""Sampling factors of gray pictures, and of 4:4:4, 4:2:2 and 4:2:0."""
_EXIF_MARK = b"Exif\0\0"
_MOST_STEPS = 65_536
"""Segments and fill bytes of the longest header that is walked; a file of nothing else would take minutes."""


@dataclass(frozen=True, slots=True)
class _Segment:
    """A header segment: `start` is the offset of its 0xFF, `stop` the offset behind it, in bytes."""

    marker: int
    start: int
    stop: int


def probe(path: Path) -> tuple[Frame, ...]:
    """Describe a JPEG file; only its header is read.

    Raises: DecodeError for a damaged header, CMYK, 12-bit and lossless coding, and sizes beyond the bounds.
    """
    with path.open("rb") as file:
        segments = tuple(_header(file, path.name))
        width, height, channels = _dimensions(file, segments, path.name)
        turn = _orientation(file, segments)
    staged = any(segment.marker in _PROGRESSIVES for segment in segments)
    frame = Frame(
        path, width, height, channels, PixelType.UINT8, Kind.JPEG, orientation=turn, progressive=staged
    )
    return (frame,)


def decode(frame: Frame, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
    """The pixels, (h, w, 1 or 3) uint8, not rotated; in `out` if given.

    Raises: DecodeError where the data end before the picture does, or where libjpeg finds anything amiss.
    """
    return _pixels(frame, _essence(*_complete(frame)), out)


def reduced(frame: Frame, by: int, *, colours: bool) -> npt.NDArray[Any]:
    """The picture at 1 / `by` of its size, (h // by, w // by, c) uint8: of its colours, or of its luma alone.

    `by` is 1, 2, 4 or 8: libjpeg makes so much less of every block of the DCT. Of 12 megapixels, on one core,
    that takes 21 ms at half the size in luma, 25 in colours, and 35 for the whole picture. A pixel stands
    for by x by of the picture's; a rest at the right and lower edge is left out. Raises: as `decode` does.
    """
    height, width = frame.height // by, frame.width // by
    least = {"min_height": -(-frame.height // by), "min_width": -(-frame.width // by)} if by > 1 else {}
    return _pixels(frame, _essence(*_complete(frame)), None, colours=colours, **least)[:height, :width]


def unpack(frame: Frame, out: npt.NDArray[Any]) -> Jpeg | npt.NDArray[Any]:
    """Leave the bytes of a file that any JPEG decoder reads alike in the room of `out`, and tell what they
    become; else return what `decode` gives.

    Raises: DecodeError for damage that shows without decoding: in the header, or a missing end.
    """
    data, segments = _complete(frame)
    essence = _essence(data, segments)
    found = Jpeg(frame.name, frame.height, frame.width, frame.channels, len(essence))
    same = _dimensions(BytesIO(data), segments, frame.name) == (frame.width, frame.height, frame.channels)
    if not same or len(essence) > out.nbytes or not _plain(data, segments):
        return _pixels(frame, essence, out)
    found.room(out)[:] = np.frombuffer(essence, np.uint8)
    return found


def _complete(frame: Frame) -> tuple[bytes, tuple[_Segment, ...]]:
    """A whole file, and the segments of its header. Raises: DecodeError where its end is missing."""
    data = frame.path.read_bytes()
    segments = tuple(_header(BytesIO(data), frame.name))
    scan = segments[-1].stop
    if data.rfind(_EOI, scan) < 0:  # from behind: it is found at once, and all other threads wait meanwhile
        raise damaged(frame.name, "it ends before its picture does")
    check_squeezed(frame.name, frame.height * frame.width * frame.channels, len(data) - scan)
    if not _in_one_scan(data, segments) and data.count(JPEG_SCAN, scan) > MOST_SCANS:
        raise damaged(frame.name, f"it tells its picture in more than {MOST_SCANS} scans")
    return data, segments


def _pixels(
    frame: Frame, essence: bytes, out: npt.NDArray[Any] | None, *, colours: bool = True, **least: int
) -> npt.NDArray[Any]:
    try:
        pixels = simplejpeg.decode_jpeg(
            essence,
            colorspace="RGB" if colours and frame.channels > 1 else "GRAY",
            strict=True,
            buffer=out,
            **least,
        )
    except ValueError as error:
        if "subsampling" in str(error):
            raise DecodeError(frame.name, "its colour subsampling is not handled.", EXPORT_AGAIN) from error
        raise damaged(frame.name, str(error).rstrip(".")) from error
    return pixels  # type: ignore[no-any-return]


def _header(file: BinaryIO, name: str) -> Iterator[_Segment]:
    """The segments up to the start of the first scan, that one included."""
    at = len(_SOI)
    for _ in range(_MOST_STEPS):
        file.seek(at)
        head = file.read(4)
        if len(head) < 4:
            raise damaged(name, "it ends inside its header")
        marker = head[1]
        if head[0] != 0xFF or marker in (0x00, 0xD8, 0xD9):
            raise damaged(name, "its header holds bytes that belong to no segment")
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        length = 0 if 0xD0 <= marker <= 0xD7 or marker == 0x01 else int.from_bytes(head[2:], "big")
        yield _Segment(marker, at, at + 2 + length)
        if marker == _SOS:
            return
        at += 2 + length
    raise damaged(name, "its header has no end")


def _dimensions(file: BinaryIO, segments: tuple[_Segment, ...], name: str) -> tuple[int, int, int]:
    """Width and height in pixels, and the number of channels, from the frame header."""
    found = [segment for segment in segments if segment.marker in _FRAME_HEADERS]
    if len(found) != 1:
        raise damaged(name, f"it has {len(found)} frame headers where there must be one")
    body = _body(file, found[0])
    if len(body) < 6:
        raise damaged(name, "its frame header is cut short")
    precision, components = body[0], body[5]
    _refuse_coding(name, found[0].marker, precision, components)
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    check_size(name, width, height)
    return width, height, components


def _refuse_coding(name: str, marker: int, precision: int, components: int) -> None:
    """Raise for the ways of coding that are not handled."""
    if marker not in _HANDLED_HEADERS:
        raise DecodeError(name, "it uses lossless or hierarchical JPEG coding.", EXPORT_AGAIN)
    if precision != 8:
        raise DecodeError(name, f"it is a JPEG with {precision} bits a channel.", EXPORT_AGAIN)
    if components == 4:
        raise DecodeError(name, "it is a CMYK picture.", "Convert it to RGB, or leave it out.")
    if components not in (1, 3):
        raise DecodeError(name, f"it has {components} colour components.", EXPORT_AGAIN)


def _orientation(file: BinaryIO, segments: tuple[_Segment, ...]) -> int:
    """The EXIF orientation, 1 where there is none."""
    for segment in segments:
        if segment.marker == _APP1:
            body = _body(file, segment)
            if body.startswith(_EXIF_MARK):
                return orientation(body[len(_EXIF_MARK) :])
    return 1


def _body(file: BinaryIO, segment: _Segment) -> bytes:
    file.seek(segment.start + 4)
    return file.read(max(0, segment.stop - segment.start - 4))


def _essence(data: bytes, segments: tuple[_Segment, ...]) -> bytes:
    """The file without metadata: a broken ICC or EXIF segment is no reason to refuse sound pixels.

    APP0 (JFIF) and APP14 (Adobe) stay, because libjpeg takes the colour space from them.
    """
    with memoryview(data) as view:  # no second copy of the scans
        kept = (
            view[s.start : s.stop]
            for s in segments
            if s.marker != _COM and (s.marker in (_APP0, _APP14) or not _APP0 <= s.marker <= 0xEF)
        )
        return b"".join((_SOI, *kept, view[segments[-1].stop :]))


def _plain(data: bytes, segments: tuple[_Segment, ...]) -> bool:
    """Whether no decoder can take the file for anything else: Huffman coding, gray or YCbCr with usual
    subsampling, and all components in one scan unless it is progressive."""
    header = next(segment for segment in segments if segment.marker in _FRAME_HEADERS)
    parts = _components(data, header)
    coded = header.marker == _PROGRESSIVE or _in_one_scan(data, segments)
    return coded and parts[1::3] in _PLAIN_SAMPLING and (len(parts) == 3 or _is_ycbcr(data, segments, parts))


def _in_one_scan(data: bytes, segments: tuple[_Segment, ...]) -> bool:
    """Whether libjpeg reads no scan after the first: that one is not progressive and holds all components."""
    headers = [segment for segment in segments if segment.marker in _FRAME_HEADERS]
    whole = [header for header in headers if header.marker in _SEQUENTIAL]
    scan = segments[-1].start
    return len(headers) == len(whole) == 1 and data[scan + 4] * 3 == len(_components(data, whole[0]))


def _components(data: bytes, header: _Segment) -> bytes:
    """Three bytes a component: number, sampling, table."""
    return data[header.start + 10 : header.stop]


def _is_ycbcr(data: bytes, segments: tuple[_Segment, ...], parts: bytes) -> bool:
    """Whether everything that tells the colours of three components says YCbCr."""
    adobe = [data[s.start + 4 : s.stop] for s in segments if s.marker == _APP14]
    transforms = {body[11] for body in adobe if body.startswith(b"Adobe") and len(body) > 11}
    return transforms <= {1} and parts[::3] == b"\1\2\3"
