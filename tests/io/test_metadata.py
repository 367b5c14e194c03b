"""Metadata of JPEG, PNG, TIFF and RAW files, sound and damaged."""

from __future__ import annotations

import os
import struct
import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from gpustack.io.exif import Exif, parse
from gpustack.io.metadata import Metadata, read_metadata
from gpustack.model.frame import Frame, Kind, PixelType
from tests.patience import processor_seconds

PROFILE: bytes = imagecodecs.cms_profile("srgb")
SUFFIX = {Kind.JPEG: "jpg", Kind.PNG: "png", Kind.TIFF: "tif", Kind.RAW: "dng", Kind.DEVELOPED: "dng"}


def camera() -> Image.Exif:
    exif = Image.Exif()
    exif[271], exif[274] = "Maker", 6
    exif[34665] = {33434: IFDRational(1, 125), 40961: 65535}
    return exif


def picture(kind: Kind) -> bytes:
    file = BytesIO()
    Image.new("RGB", (6, 4)).save(
        file, kind.value, icc_profile=PROFILE, exif=camera().tobytes(), dpi=(300, 300), compress_level=1
    )
    return file.getvalue()


def found(folder: Path, data: bytes, kind: Kind, page: int = 0) -> Metadata:
    path = folder / f"frame.{SUFFIX.get(kind, kind.value)}"
    path.write_bytes(data)
    return read_metadata(Frame(path, 6, 4, 3, PixelType.UINT8, kind, page=page, pages=page + 1))


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpeg(*segments: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(segments) + b"\xff\xda\0\2"


def profile_pieces(*numbers: int, of: int = 3) -> list[bytes]:
    third = len(PROFILE) // 3
    pieces = {1: PROFILE[:third], 2: PROFILE[third : 2 * third], 3: PROFILE[2 * third :]}
    return [segment(0xE2, b"ICC_PROFILE\0" + bytes([n, of]) + pieces[n]) for n in numbers]


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13)) + b"".join(chunks) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", [Kind.JPEG, Kind.PNG, Kind.TIFF])
def test_profile_exif_and_resolution_are_read(kind: Kind, tmp_path: Path) -> None:
    metadata = found(tmp_path, picture(kind), kind)
    assert metadata.icc == PROFILE
    assert metadata.resolution == pytest.approx((300, 300), abs=0.01)
    assert metadata.exif is not None
    assert {e.tag: e.data for e in metadata.exif.main}[271] == b"Maker\0"
    assert {e.tag: e.numbers for e in metadata.exif.photo}[33434] == (1, 125)


def test_a_raw_file_says_nothing_about_colour(tmp_path: Path) -> None:
    metadata = found(tmp_path, picture(Kind.TIFF), Kind.RAW)
    assert metadata.icc is None
    assert metadata.exif is not None
    assert [entry.tag for entry in metadata.exif.photo] == [33434]


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.ARRAY])
def test_a_file_without_metadata_and_a_file_that_is_gone(kind: Kind, tmp_path: Path) -> None:
    assert found(tmp_path, b"FUJIFILMCCD-RAW " + bytes(100), kind) == Metadata()
    assert read_metadata(Frame(tmp_path / "gone", 6, 4, 3, PixelType.UINT8, kind)) == Metadata()


def test_profile_segments_are_joined_by_number(tmp_path: Path) -> None:
    assert found(tmp_path, jpeg(*profile_pieces(2, 3, 1)), Kind.JPEG).icc == PROFILE


def test_a_profile_ends_where_its_header_says(tmp_path: Path) -> None:
    padded = segment(0xE2, b"ICC_PROFILE\0\1\1" + PROFILE + bytes(5))
    assert found(tmp_path, jpeg(padded), Kind.JPEG).icc == PROFILE


@pytest.mark.parametrize(
    "segments",
    [
        profile_pieces(1, 3),
        profile_pieces(1, 2, 3, of=4),
        [segment(0xE2, b"ICC_PROFILE\0\2\1" + PROFILE)],
        [segment(0xE2, b"ICC_PROFILE\0\1\1" + PROFILE[:-1])],
        [segment(0xE2, b"ICC_PROFILE\0\1\1" + PROFILE.replace(b"acsp", b"????"))],
    ],
    ids=["piece missing", "count wrong", "number wrong", "cut short", "no profile"],
)
def test_a_damaged_profile_is_none(segments: list[bytes], tmp_path: Path) -> None:
    assert found(tmp_path, jpeg(*segments), Kind.JPEG).icc is None


@pytest.mark.parametrize(
    ("unit", "density", "expected"), [(1, 240, 240.0), (2, 100, 254.0), (0, 1, None), (1, 0, None)]
)
def test_jfif_density(unit: int, density: int, expected: float | None, tmp_path: Path) -> None:
    app0 = b"JFIF\0" + struct.pack(">HBHHBB", 0x102, unit, density, density, 0, 0)
    data = jpeg(segment(0xE0, app0), segment(0xFE, b"comment"))
    assert found(tmp_path, data, Kind.JPEG).resolution == (expected and (expected, expected))


def test_jpeg_fill_bytes_are_passed_over(tmp_path: Path) -> None:
    exif = segment(0xE1, camera().tobytes())
    assert found(tmp_path, jpeg(b"\xff\xff\xff" + exif), Kind.JPEG).exif == parse(camera().tobytes())


def test_png_exif_may_follow_the_pixels(tmp_path: Path) -> None:
    block = camera().tobytes().removeprefix(b"Exif\0\0")
    data = png(chunk(b"IDAT", b"pixels"), chunk(b"eXIf", block))
    assert found(tmp_path, data, Kind.PNG).exif == parse(block)


def miscounted(sound: bytes) -> bytes:
    """A chunk whose checksum is another one, whatever it was."""
    return sound[:-1] + bytes([sound[-1] ^ 1])


@pytest.mark.parametrize(
    "bad",
    [
        miscounted(chunk(b"iCCP", b"x\0\0" + zlib.compress(PROFILE))),
        chunk(b"iCCP", b"x\0\0" + PROFILE),
        chunk(b"iCCP", b"x\0\1" + zlib.compress(PROFILE)),
        chunk(b"iCCP", b"x"),
    ],
    ids=["checksum", "not packed", "method", "empty"],
)
def test_a_damaged_png_chunk_does_not_count(bad: bytes, tmp_path: Path) -> None:
    physical = chunk(b"pHYs", struct.pack(">IIB", 10_000, 20_000, 1))
    again = chunk(b"pHYs", struct.pack(">IIB", 1, 1, 1))
    assert found(tmp_path, png(bad, physical, again), Kind.PNG) == Metadata(resolution=(254.0, 508.0))


def test_a_profile_that_inflates_without_end_is_cut(tmp_path: Path) -> None:
    data = png(chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(1 << 28))))
    tracemalloc.start()
    assert found(tmp_path, data, Kind.PNG).icc is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 << 20


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_tiff_pages_have_their_own_tags(order: str, big: bool, tmp_path: Path) -> None:
    file = BytesIO()
    with tifffile.TiffWriter(file, byteorder=order, bigtiff=big) as tiff:
        for centimetre in (100, 50):
            tiff.write(
                np.zeros((4, 6), np.uint16),
                resolution=(centimetre, centimetre),
                resolutionunit="CENTIMETER",
                iccprofile=PROFILE if centimetre == 100 else None,
                metadata=None,
            )
    pages = [found(tmp_path, file.getvalue(), Kind.TIFF, page) for page in range(3)]
    sizes = [page.resolution and page.resolution[0] for page in pages]
    assert sizes == pytest.approx([254, 127, 254])
    assert [page.icc for page in pages] == [PROFILE] * 3


@pytest.mark.parametrize("kind", [Kind.JPEG, Kind.PNG, Kind.TIFF])
def test_no_damage_raises(kind: Kind, tmp_path: Path) -> None:
    sound = picture(kind)

    @settings(max_examples=150)
    @given(st.data())
    def damaged(data: st.DataObject) -> None:
        broken = bytearray(sound)
        for _ in range(data.draw(st.integers(1, 8))):
            broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
        for read_as in (kind, Kind.RAW):
            cut = bytes(broken[: data.draw(st.integers(0, len(broken)))])
            with processor_seconds(2):
                found(tmp_path, cut, read_as)

    damaged()


@pytest.mark.parametrize("kind", [Kind.JPEG, Kind.PNG])
def test_a_file_of_markers_only_is_given_up(kind: Kind, tmp_path: Path) -> None:
    lead, unit = (b"\xff\xd8", b"\xff\xe0\0\2") if kind is Kind.JPEG else (png()[:8], chunk(b"tEXt", b""))
    late = segment(0xE1, camera().tobytes()) if kind is Kind.JPEG else png()[8:]
    assert found(tmp_path, lead + unit * 1_000_000 + late, kind) == Metadata()


@pytest.fixture(scope="session")
def data_folder() -> Path:
    folder = os.environ.get("GPUSTACK_DATA")
    if not folder:
        pytest.skip("GPUSTACK_DATA does not name the data folder")
    return Path(folder)


def test_hostile_files_never_raise(data_folder: Path) -> None:
    files = sorted(path for path in (data_folder / "hostile").iterdir() if path.is_file())
    assert len(files) > 50
    for path in files:
        for kind in SUFFIX:
            metadata = read_metadata(Frame(path, 1, 1, 3, PixelType.UINT8, kind, page=2, pages=3))
            assert metadata.icc is None or metadata.icc[36:40] == b"acsp"


@pytest.mark.parametrize(
    ("name", "profile", "camera"),
    [
        ("stacks/pcb/pcb_001.jpg", None, True),
        ("stacks/fly_head/hf001.jpg", None, True),
        ("stacks/mineral/001.jpg", "RGB ", True),
        ("stacks/amber_flies/flies_0000.jpg", "RGB ", False),
        ("hostile/icc__invalid-icc-single-chunk-bad-sequence-number.jpg", None, False),
        ("hostile/icc__hopper.iccprofile.tif", "RGB ", False),
        ("hostile/icc__red_gradient_10bit_aces.png", "RGB ", False),
    ],
)
def test_real_files_as_pillow_reads_them(
    name: str, profile: str | None, camera: bool, data_folder: Path
) -> None:
    path = data_folder / name
    kind = next(kind for kind, suffix in SUFFIX.items() if suffix == path.suffix[1:])
    metadata = read_metadata(Frame(path, 1, 1, 3, PixelType.UINT8, kind))
    with Image.open(path) as image:
        assert metadata.icc == (image.info.get("icc_profile") or None)
        make = image.getexif().get(271)
    assert (metadata.icc and metadata.icc[16:20].decode()) == profile
    ours = [e.data.rstrip(b"\0 ").decode() for e in (metadata.exif or Exif()).main if e.tag == 271]
    assert ours == ([make.rstrip()] if make else [])
    assert bool(make) == camera
