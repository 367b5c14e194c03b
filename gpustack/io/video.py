"""Videos as stacks: each frame of a file is a picture, read by FFmpeg (PyAV, the extra `video`).

Samples are turned from YCbCr into RGB with the matrix and the range that the file states; where it states
none, with the matrix that players take: BT.601 up to standard definition, BT.709 beyond.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.errors import DecodeError
from gpustack.io import cicp
from gpustack.io.clip import Clip, contents, opened
from gpustack.io.guard import EXPORT_AGAIN, check_size
from gpustack.io.told import Told
from gpustack.io.video_told import exif_of
from gpustack.model.frame import Frame, Kind, PixelType

# First bytes: (offset, mark). MP4 and QuickTime (also without a type of file), Matroska and WebM, AVI, MPEG
# transport and programme streams, Windows Media, Flash.
MARKS = (
    (4, b"ftyp"),
    (4, b"moov"),
    (4, b"mdat"),
    (4, b"wide"),
    (0, b"\x1aE\xdf\xa3"),
    (8, b"AVI "),
    (0, b"\0\0\1\xba"),
    (0, b"0&\xb2u"),
    (0, b"FLV\1"),
)
_SYNC = 0x47
_PACKETS = ((0, 188), (4, 192))
"""Where the packets of a transport stream start, and how long they are, without and with time codes."""

_UNSPECIFIED, _BT709, _BT601, _FULL_RANGE = 2, 1, 5, 2
_RGB_MATRIX = 0
_STANDARD_WIDTH, _STANDARD_HEIGHT = 1024, 576
_TURNS = {0: 1, 90: 8, 180: 3, -180: 3, -90: 6}


def is_video(head: bytes) -> bool:
    """Whether a file that starts so is taken for a video; pictures in boxes were looked for before."""
    if any(head.startswith(mark, at) for at, mark in MARKS):
        return True
    return any(len(head) > at + size and head[at] == head[at + size] == _SYNC for at, size in _PACKETS)


def probe(path: Path) -> tuple[Frame, ...]:
    """Describe the frames of a video, in the order in which they are shown; only the first is decoded.

    Raises: DecodeError for damaged files, sizes beyond the bounds, interlaced video, pixels that are not
    square, and where PyAV is not installed.
    """
    container, stream = opened(path, path.name)
    with container:
        coding = stream.codec_context
        check_size(path.name, coding.width, coding.height)
        count = contents(container, stream, path.name).count
        container.seek(stream.start_time or 0, stream=stream)
        first = next(container.decode(stream), None)
        if first is None:
            raise DecodeError(path.name, "no frame of it can be decoded.", EXPORT_AGAIN)
        _refuse(first, stream, path.name)
        turn = _TURNS.get(first.rotation, 1)
    one = Frame(
        path,
        first.width,
        first.height,
        1 if _is_gray(first) else 3,
        PixelType.UINT16 if _bits(first) > 8 else PixelType.UINT8,
        Kind.VIDEO,
        pages=count,
        orientation=turn,
    )
    return tuple(replace(one, page=index) for index in range(count))


def decode(frame: Frame, clip: Clip) -> npt.NDArray[Any]:
    """The pixels of a frame, (h, w, 1 or 3) uint8 or uint16, not rotated; transparency is left out.

    Raises: DecodeError for a frame that is damaged.
    """
    picture = clip.frame(frame.page)
    deep = frame.pixel_type is PixelType.UINT16
    name = ("gray16le" if deep else "gray") if frame.channels == 1 else ("rgb48le" if deep else "rgb24")
    pixels = _in_colours(picture, name).to_ndarray()
    return np.asarray(pixels).reshape(picture.height, picture.width, -1)


def told(frame: Frame) -> Told:
    """When, where and with what the video was taken, and a profile of the colours that it states."""
    container, stream = opened(frame.path, frame.name)
    with container:
        first = next(container.decode(stream), None)
        exif = exif_of({**container.metadata, **stream.metadata})
        if first is None:
            return Told(exif=exif)
        named = first.color_primaries, first.color_trc
        if named == (_UNSPECIFIED, _UNSPECIFIED):
            return Told(exif=exif)
        return Told(cicp.profile(*named, gray=frame.channels == 1), exif)


def _refuse(picture: Any, stream: Any, name: str) -> None:
    """Raise for frames that are no pictures of square pixels."""
    if picture.interlaced_frame:
        raise DecodeError(
            name, "it is interlaced.", "Deinterlace it first, for instance with ffmpeg -vf bwdif."
        )
    aspect = stream.sample_aspect_ratio
    if aspect and abs(float(aspect) - 1) > 0.01:
        raise DecodeError(
            name,
            f"its pixels are not square, but {aspect.numerator}:{aspect.denominator}.",
            "Scale it first, for instance with ffmpeg -vf scale=iw*sar:ih,setsar=1.",
        )


def _in_colours(picture: Any, name: str) -> Any:
    """The frame in RGB or gray of full range.

    Without these flags FFmpeg takes coarse coefficients, and the colours of every second pixel for both.
    """
    from av.video.reformatter import Interpolation

    flags = (
        Interpolation.BICUBIC
        | Interpolation.ACCURATE_RND
        | Interpolation.FULL_CHR_H_INT
        | Interpolation.FULL_CHR_H_INP
    )
    return picture.reformat(
        format=name,
        src_colorspace=_matrix(picture),
        src_color_range=picture.color_range or None,
        dst_color_range=_FULL_RANGE,
        interpolation=flags,
        threads=1,
    )


def _matrix(picture: Any) -> int:
    if picture.colorspace not in (_UNSPECIFIED, _RGB_MATRIX):
        return int(picture.colorspace)
    standard = picture.width <= _STANDARD_WIDTH and picture.height <= _STANDARD_HEIGHT
    return _BT601 if standard else _BT709


def _is_gray(picture: Any) -> bool:
    return len(picture.format.components) < 3 and not picture.format.has_palette


def _bits(picture: Any) -> int:
    return max(int(component.bits) for component in picture.format.components)
