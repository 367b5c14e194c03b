import struct

import cv2
import imagecodecs
import numpy as np
import pytest

from gpustack.errors import DecodeError
from gpustack.io.decode import Decoder, probe
from gpustack.model.frame import Kind, PixelType

GRADIENT = np.stack([np.add.outer(np.arange(48), np.arange(64)) * k % 256 for k in (1, 2, 3)], -1).astype(
    np.uint8
)


def encoded(pixels=GRADIENT, **options) -> bytes:
    return imagecodecs.jpeg8_encode(pixels, level=95, **options)


def progressive() -> bytes:
    return cv2.imencode(".jpg", GRADIENT, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()


def with_segment(data: bytes, marker: int, body: bytes) -> bytes:
    return data[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + data[2:]


@pytest.fixture
def read(tmp_path):
    def read(data: bytes):
        path = tmp_path / "picture.bin"
        path.write_bytes(data)
        (frame,) = probe(path)
        return frame, Decoder(frame)(frame)

    return read


@pytest.mark.parametrize("subsampling", ["444", "422", "420"])
def test_colour_is_what_libjpeg_makes_of_it(read, subsampling):
    data = encoded(subsampling=subsampling)
    frame, pixels = read(data)
    assert (frame.width, frame.height, frame.channels, frame.kind) == (64, 48, 3, Kind.JPEG)
    assert frame.pixel_type is PixelType.UINT8
    np.testing.assert_array_equal(pixels, imagecodecs.jpeg8_decode(data))
    assert pixels.flags.c_contiguous


def test_gray_stays_one_channel(read):
    frame, pixels = read(encoded(np.ascontiguousarray(GRADIENT[..., 0])))
    assert frame.channels == 1
    assert pixels.shape == (48, 64, 1)
    assert abs(pixels[..., 0].astype(int) - GRADIENT[..., 0]).mean() < 3


def test_progressive_is_read(read):
    frame, pixels = read(progressive())
    np.testing.assert_array_equal(pixels, imagecodecs.jpeg8_decode(progressive()))
    assert frame.progressive
    assert not read(encoded())[0].progressive


def test_rgb_coded_without_ycbcr_is_read(read):
    data = encoded(colorspace="RGB", outcolorspace="RGB")
    assert abs(read(data)[1].astype(int) - GRADIENT).max() < 12


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_is_told_and_not_applied(read, order):
    block = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HIHHHIHHI", 42, 8, 1, 274, 3, 1, 6, 0, 0)
    frame, pixels = read(with_segment(encoded(), 0xE1, b"Exif\0\0" + block))
    assert frame.orientation == 6
    np.testing.assert_array_equal(pixels, imagecodecs.jpeg8_decode(encoded()))


@pytest.mark.parametrize("block", [b"", b"II", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"])
def test_broken_exif_means_upright(read, block):
    assert read(with_segment(encoded(), 0xE1, b"Exif\0\0" + block))[0].orientation == 1


def test_broken_metadata_do_not_cost_the_picture(read):
    data = with_segment(encoded(), 0xE2, b"ICC_PROFILE\0\x07\x01nonsense")
    np.testing.assert_array_equal(read(data)[1], imagecodecs.jpeg8_decode(encoded()))


def test_what_follows_the_picture_is_ignored(read):
    np.testing.assert_array_equal(
        read(encoded() + b"\0" * 99 + encoded())[1], imagecodecs.jpeg8_decode(encoded())
    )


def test_fill_bytes_between_segments_are_skipped(read):
    data = encoded()
    np.testing.assert_array_equal(read(data[:2] + b"\xff" * 7 + data[2:])[1], imagecodecs.jpeg8_decode(data))


@pytest.mark.parametrize("make", [encoded, progressive])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.5, 0.8, 0.99, 1.0])
def test_a_cut_file_is_refused(read, make, share):
    data = make()
    with pytest.raises(DecodeError, match="damaged"):
        read(data[: 3 + int(share * (len(data) - 5))])


@pytest.mark.parametrize("share", [0.4, 0.6, 0.8, 0.95])
def test_a_cut_file_with_an_end_mark_is_refused(read, share):
    data = encoded()
    with pytest.raises(DecodeError, match="damaged"):
        read(data[: int(len(data) * share)] + b"\xff\xd9")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (encoded(np.dstack([GRADIENT, GRADIENT[..., :1]]), colorspace="CMYK", outcolorspace="CMYK"), "CMYK"),
        (encoded(GRADIENT.astype(np.uint16) * 16, bitspersample=12), "12 bits a channel"),
        (encoded(GRADIENT, lossless=True), "lossless"),
        (b"\xff\xd8" + b"\xff" * 200_000, "header has no end"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "ends inside its header"),
        (b"\xff\xd8\xff\xda\0\x02\xff\xd9", "0 frame headers"),
    ],
    ids=["cmyk", "12 bit", "lossless", "only fill bytes", "header only", "no frame header"],
)
def test_what_is_not_handled_has_a_sentence_of_its_own(read, data, says):
    with pytest.raises(DecodeError, match=says) as caught:
        read(data)
    assert caught.value.remedy


def test_a_claimed_size_without_pixels_is_refused_at_the_header(read):
    data = bytearray(encoded())
    at = data.index(b"\xff\xc0") + 5
    for size, says in (((0, 64), "without a pixel"), ((48, 65_501), "more than is read")):
        data[at : at + 4] = struct.pack(">HH", *size)
        with pytest.raises(DecodeError, match=says):
            read(bytes(data))
