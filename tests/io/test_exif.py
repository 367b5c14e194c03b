"""EXIF blocks, against Pillow and tifffile as independent writers and readers."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from gpustack.io.exif import BLOCK_LIMIT, Exif, append, orientation, parse, rebuild
from gpustack.io.ifd import Entry
from tests.patience import processor_seconds

MAKE, DESCRIPTION, ORIENTATION, SOFTWARE = 271, 270, 274, 305
EXPOSURE, MAKER_NOTE, CFA_PATTERN, LENS = 33434, 37500, 41730, 42036
EXIF_IFD, GPS_IFD, INTEROP, PADDING = 34665, 34853, 40965, 59932


def block(order: str = "<", turned: int = 6) -> bytes:
    """A camera-like block with maker note, interoperability and GPS directories, written by Pillow."""
    exif = Image.Exif()
    exif.endian = order
    exif[MAKE], exif[DESCRIPTION], exif[ORIENTATION], exif[SOFTWARE] = "Maker", "A fly", turned, "old"
    exif[256], exif[257], exif[282], exif[296] = 4000, 3000, 300.0, 2
    exif[EXIF_IFD] = {
        EXPOSURE: IFDRational(1, 125),
        MAKER_NOTE: b"offsets inside",
        LENS: "65mm macro",
        CFA_PATTERN: b"\0\2\0\2\0\1\1\2",
        40962: 4000,
        INTEROP: {1: "R98"},
        PADDING: b"\x1c\xea" + bytes(2000),
    }
    exif[GPS_IFD] = {1: "N", 2: (47.0, 30.0, 1.5)}
    return exif.tobytes()


def seen(data: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load(data)
    return exif


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("mark", [b"", b"Exif\0\0"])
def test_orientation_is_read(order: str, turned: int, mark: bytes) -> None:
    data = block(order, turned)
    assert data.startswith(b"Exif\0\0" + (b"II" if order == "<" else b"MM"))
    assert orientation(mark + data.removeprefix(b"Exif\0\0")) == turned


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Exif\0\0",
        b"II*\0",
        b"II*\0\x08\0\0\0",
        block()[:20],
        block(turned=9),
        block(turned=0),
        bytes(99),
    ],
)
def test_orientation_of_anything_broken_is_1(data: bytes) -> None:
    assert orientation(data) == 1


def test_both_byte_orders_say_the_same() -> None:
    little, big = parse(block("<")), parse(block(">"))
    assert (big.main, big.gps) == (little.main, little.gps)
    assert set(little.photo) - set(big.photo) == {Entry(CFA_PATTERN, 7, b"\0\2\0\2\0\1\1\2")}
    assert set(big.photo) < set(little.photo)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_rebuilt_block_describes_the_new_picture(order: str) -> None:
    exif = seen(rebuild(parse(block(order)), 640, 480, "gpustack 1"))
    assert (exif[MAKE], exif[DESCRIPTION], exif[SOFTWARE]) == ("Maker", "A fly", "gpustack 1")
    assert exif[ORIENTATION] == 1
    assert float(exif[282]) == 300
    assert not {256, 257} & set(exif)
    photo = exif.get_ifd(EXIF_IFD)
    assert float(photo[EXPOSURE]) == 0.008
    assert photo[LENS] == "65mm macro"
    assert (photo[40962], photo[40963]) == (640, 480)
    assert not {MAKER_NOTE, INTEROP, PADDING} & set(photo)
    gps = exif.get_ifd(GPS_IFD)
    assert gps[1] == "N"
    assert tuple(map(float, gps[2])) == (47.0, 30.0, 1.5)


def test_the_thumbnail_stays_behind() -> None:
    data = bytearray(block().removeprefix(b"Exif\0\0"))
    count = struct.unpack_from("<H", data, 8)[0]
    struct.pack_into("<I", data, 10 + 12 * count, 8)  # IFD1 is IFD0 again: a chain without an end
    rebuilt = rebuild(parse(bytes(data)), 4, 3, "x")
    count = struct.unpack_from("<H", rebuilt, 8)[0]
    assert struct.unpack_from("<I", rebuilt, 10 + 12 * count) == (0,)


def test_rebuilding_twice_changes_nothing() -> None:
    once = rebuild(parse(block()), 640, 480, "gpustack")
    assert rebuild(parse(once), 640, 480, "gpustack") == once


def test_a_block_without_anything_still_names_size_and_software() -> None:
    exif = seen(rebuild(Exif(), 7, 5, "gpustack ü"))
    assert exif[SOFTWARE] == "gpustack ?"
    assert exif.get_ifd(EXIF_IFD)[36864] == b"0232"
    assert exif.get_ifd(EXIF_IFD)[40962] == 7


def test_the_longest_values_give_way_to_the_segment_limit() -> None:
    long = (Entry(DESCRIPTION, 2, b"a" * 50_000), Entry(MAKE, 2, b"Maker\0"))
    exif = Exif(main=long, photo=(Entry(37510, 7, b"b" * 20_000),))
    data = rebuild(exif, 4, 3, "x")
    assert len(data) <= BLOCK_LIMIT
    kept = seen(data)
    assert kept[MAKE] == "Maker"
    assert DESCRIPTION not in kept
    assert kept.get_ifd(EXIF_IFD)[37510] == b"b" * 20_000


@pytest.mark.parametrize(
    "text", ["<?xml version='1.0'?><OME/>", "ImageJ=1.53\nimages=3", '{"shape": [2, 3]}']
)
def test_a_description_of_pages_is_not_one_of_the_picture(text: str) -> None:
    exif = Image.Exif()
    exif[DESCRIPTION], exif[MAKE] = text, "Maker"
    assert [entry.tag for entry in parse(exif.tobytes()).main] == [MAKE]


@pytest.mark.parametrize("big", [False, True])
def test_appended_directories_leave_the_pixels_alone(big: bool) -> None:
    pixels = np.arange(40 * 30 * 3, dtype=np.uint16).reshape(40, 30, 3)
    file = BytesIO()
    with tifffile.TiffWriter(file, bigtiff=big, byteorder="<") as tiff:
        tiff.write(pixels, photometric="rgb", tile=(16, 16), software="own", metadata=None)
    append(file, parse(block()))
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        assert tiff.is_bigtiff == big
        assert len(tiff.pages) == 1
        tags = tiff.pages[0].tags
        np.testing.assert_array_equal(tiff.asarray(), pixels)
        assert tags["Software"].value == "own"
        assert tags["Make"].value == "Maker"
        assert tags["ExifTag"].value["ExposureTime"] == (1, 125)
        assert tags["GPSTag"].value["GPSLatitudeRef"] == "N"
        assert list(tags.keys()) == sorted(tags.keys())


@settings(max_examples=400)
@given(st.data())
def test_no_damage_raises(data: st.DataObject) -> None:
    broken = bytearray(block(data.draw(st.sampled_from("<>"))).removeprefix(b"Exif\0\0"))
    for _ in range(data.draw(st.integers(1, 8))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(broken[: data.draw(st.integers(0, len(broken)))])
    with processor_seconds(2):
        assert 1 <= orientation(cut) <= 8
        assert rebuild(parse(cut), 4, 3, "x").startswith(b"II*\0")


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_no_bytes_raise_or_grow(data: bytes) -> None:
    with processor_seconds(2):
        once = rebuild(parse(b"II*\0\x08\0\0\0" + data), 4, 3, "x")
        assert rebuild(parse(once), 4, 3, "x") == once
