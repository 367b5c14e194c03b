"""JPEG files for a device that decodes them: bytes that any decoder reads alike, and the refusals."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
import simplejpeg

from gpustack.errors import DecodeError
from gpustack.io.decode import Decoder, probe
from gpustack.model.frame import Frame
from gpustack.model.jpeg import Jpeg

RAMPS = np.stack([np.add.outer(np.arange(48), np.arange(64)) * k % 256 for k in (1, 2, 3)], -1).astype(
    np.uint8
)
Unpacked = tuple[Frame, Jpeg | None, npt.NDArray[Any]]
Unpack = Callable[..., Unpacked]


@pytest.fixture
def unpack(tmp_path: Path) -> Unpack:
    def unpack(data: bytes, later: bytes | None = None) -> Unpacked:
        """`data` as a file that is probed; `later` is what it holds when it is read."""
        path = tmp_path / "a.jpg"
        path.write_bytes(data)
        (frame,) = probe(path)
        path.write_bytes(data if later is None else later)
        out = np.zeros((frame.height, frame.width, frame.channels), np.uint8)
        found = Decoder(frame).unpack(frame, out)
        assert found is None or isinstance(found, Jpeg)
        return frame, found, out

    return unpack


def coded(pixels: Any = RAMPS, **options: Any) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(pixels, level=90, **options))


def written(*options: int) -> bytes:
    return bytes(cv2.imencode(".jpg", RAMPS, list(options))[1])


def with_segment(data: bytes, marker: int, body: bytes) -> bytes:
    return data[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + data[2:]


def components(data: bytes, numbers: bytes) -> bytes:
    """The file with other component numbers, in the frame header and in the scan's."""
    out = bytearray(data)
    header, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    for index, number in enumerate(numbers):
        out[header + 10 + 3 * index] = out[scan + 5 + 2 * index] = number
    return bytes(out)


PLAIN = {
    "4:4:4": coded(subsampling="444"),
    "4:2:2": coded(subsampling="422"),
    "4:2:0": coded(subsampling="420"),
    "gray": coded(np.ascontiguousarray(RAMPS[..., 0])),
    "progressive": written(cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarts": written(cv2.IMWRITE_JPEG_RST_INTERVAL, 1),
    "Adobe's YCbCr": with_segment(coded(), 0xEE, b"Adobe\0\x64\0\0\0\0\1"),
    "with metadata": with_segment(with_segment(coded(), 0xE1, b"Exif\0\0II"), 0xE2, b"ICC_PROFILE\0nonsense"),
    "more behind it": coded() + bytes(50),
}


@pytest.mark.parametrize("data", PLAIN.values(), ids=PLAIN)
def test_plain_files_are_left_to_the_device(unpack: Unpack, data: bytes) -> None:
    frame, found, out = unpack(data)
    assert isinstance(found, Jpeg)
    assert (found.name, found.shape) == ("a.jpg", (frame.height, frame.width, frame.channels))
    held = found.room(out)
    assert (held.ctypes.data, held.nbytes) == (out.ctypes.data, found.nbytes)
    space = "GRAY" if frame.channels == 1 else "RGB"
    pixels = simplejpeg.decode_jpeg(held.tobytes(), colorspace=space, strict=True)
    np.testing.assert_array_equal(pixels, Decoder(frame)(frame))


def test_metadata_stay_on_the_host(unpack: Unpack) -> None:
    _, found, out = unpack(PLAIN["with metadata"])
    assert found is not None
    held = found.room(out).tobytes()
    assert b"Exif" not in held
    assert b"ICC_PROFILE" not in held


OTHER = {
    "4:1:1": coded(subsampling="411"),
    "4:4:0": coded(subsampling="440"),
    "coded as RGB": coded(colorspace="RGB", outcolorspace="RGB"),
    "Adobe's RGB": with_segment(coded(), 0xEE, b"Adobe\0\x64\0\0\0\0\0"),
    "numbered R, G, B": components(coded(), b"RGB"),
    "numbered from 0": components(coded(), b"\0\1\2"),
    "more bytes than pixels": coded(np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)),
}


@pytest.mark.parametrize("data", OTHER.values(), ids=OTHER)
def test_what_decoders_may_take_otherwise_is_decoded_here(unpack: Unpack, data: bytes) -> None:
    frame, found, out = unpack(data)
    assert found is None
    assert out.any()
    np.testing.assert_array_equal(out, Decoder(frame)(frame))


def test_arithmetic_coding_is_decoded_here(unpack: Unpack) -> None:
    """libjpeg does that where it was built to; a device never."""
    data = coded().replace(b"\xff\xc0", b"\xff\xc9")  # no such data follow, which only a decoder finds out
    with pytest.raises(DecodeError, match="damaged"):
        unpack(data)


@pytest.mark.parametrize("name", ["4:2:0", "progressive", "gray"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_a_cut_file_is_refused_without_decoding(unpack: Unpack, name: str, share: float) -> None:
    data = PLAIN[name]
    with pytest.raises(DecodeError, match=r"a\.jpg: the file is damaged"):
        unpack(data, later=data[: 3 + int(share * (len(data) - 5))])


def test_a_file_that_changed_its_size_is_refused(unpack: Unpack) -> None:
    with pytest.raises(DecodeError, match=r"a\.jpg: "):
        unpack(PLAIN["4:2:0"], later=coded(RAMPS[:40]))


def test_a_file_that_became_another_kind_is_refused(unpack: Unpack) -> None:
    with pytest.raises(DecodeError, match=r"a\.jpg: "):
        unpack(PLAIN["4:2:0"], later=b"II*\0" + bytes(2000))
