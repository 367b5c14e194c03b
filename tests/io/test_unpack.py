from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gpustack.errors import DecodeError, GpustackError
from gpustack.io import bayer
from gpustack.io.decode import Decoder, probe
from gpustack.io.raw_directory import black_repeats, calibrates_samples, drops_zeros
from gpustack.model.frame import Frame
from gpustack.model.mosaic import PATTERNS, Mosaic, room
from gpustack.settings import Demosaic
from tests.io.dng import BLACK, NEUTRAL, WHITE, Pixels, monochrome, mosaic, write_dng

rawpy = pytest.importorskip("rawpy", reason="rawpy has no build for this platform")

Dng = Callable[..., Frame]
LEVELS = (500, 540, 580, 620)
QUAD = (0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 2, 2, 1, 1, 2, 2)


@pytest.fixture
def dng(tmp_path: Path) -> Dng:
    def write(pixels: Pixels, name: str = "a.dng", **options: Any) -> Frame:
        return one(write_dng(tmp_path / name, pixels, **options))

    return write


def one(path: Path) -> Frame:
    (frame,) = probe(path)
    return frame


def unpacked(frame: Frame, reference: Frame | None = None) -> tuple[Mosaic | None, Any]:
    out = np.zeros((frame.height, frame.width, frame.channels), frame.pixel_type.value)
    return Decoder(reference or frame).unpack(frame, out), out


def test_the_samples_of_a_mosaic_are_left_as_they_are(dng: Dng) -> None:
    frame = dng(mosaic())
    found, out = unpacked(frame)
    assert isinstance(found, Mosaic)
    np.testing.assert_array_equal(room(out)[..., 0], mosaic())
    with rawpy.imread(str(frame.path)) as raw:
        np.testing.assert_array_equal(room(out)[..., 0], raw.raw_image_visible)


@pytest.mark.parametrize("colours", sorted(PATTERNS))
@pytest.mark.parametrize("corner", [(0, 0), (2, 4), (1, 0), (0, 1), (3, 3)])
def test_colours_begin_at_the_first_visible_pixel(
    dng: Dng, colours: tuple[int, ...], corner: tuple[int, int]
) -> None:
    samples = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)
    frame = dng(samples, colours=colours, visible=(*corner, 48, 64))
    found, out = unpacked(frame)
    assert found is not None
    first = int(room(out)[0, 0, 0])  # LibRaw may leave one row more out than the file says
    top, left = first // 64, first % 64
    np.testing.assert_array_equal(room(out)[..., 0], samples[top:, left:])
    with rawpy.imread(str(frame.path)) as raw:
        assert (raw.sizes.top_margin, raw.sizes.left_margin) == (top, left)
        sites = raw.raw_colors_visible[:2, :2].ravel()
    assert found.colours == tuple(np.where(sites == 3, 1, sites).tolist())


def sensor(
    path: Path, *, top: int = 1, rows: int = 4, names: bytes = b"RGBG", balance: Any = (2.0, 1.0, 4.0, 0.0)
) -> Mosaic | None:
    """How a mosaic of 4x6 pixels is developed, if LibRaw reports this of it: no DNG file makes it do so."""
    pattern = np.array([[0, 1], [3, 2]])
    raw: Any = SimpleNamespace(
        raw_pattern=pattern,
        color_desc=names,
        sizes=SimpleNamespace(top_margin=top, left_margin=0, pixel_aspect=1, iheight=rows, iwidth=6),
        raw_image_visible=np.ones((4, 6), np.uint16),
        raw_color=lambda y, x: pattern[y % 2, x % 2],
    )
    path.write_bytes(bytes(100))
    return bayer.bayer(raw, path, balance, bayer.Levels((10, 20, 30, 40), 65535), Demosaic.RCD)


def test_the_pattern_begins_below_the_margin(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    assert sensor(path) == Mosaic((1, 2, 0, 1), (40, 30, 10, 20), (1.0, 4.0, 2.0, 1.0), Demosaic.RCD)
    assert sensor(path, top=2) == Mosaic((0, 1, 1, 2), (10, 20, 40, 30), (2.0, 1.0, 1.0, 4.0), Demosaic.RCD)


@pytest.mark.parametrize(
    "odd",
    [
        {"rows": 5},
        {"names": b"GMCY"},
        {"balance": (2.0, 1.0, np.inf, 1.0)},
        {"balance": (2.0, 1.0, 0.0, 1.0)},
        {"balance": (2.0, 1.0, 1.0, -1.0)},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_left_to_libraw(tmp_path: Path, odd: dict[str, Any]) -> None:
    assert sensor(tmp_path / "a.raw", **odd) is None


def test_a_gain_brings_white_to_the_top_and_heeds_the_balance(dng: Dng) -> None:
    found, _ = unpacked(dng(mosaic(), black=LEVELS))
    assert found is not None
    assert found.black == LEVELS
    weights = 1 / np.array([NEUTRAL[0], NEUTRAL[1], NEUTRAL[1], NEUTRAL[2]])
    np.testing.assert_allclose(found.gain, weights * 65535 / (WHITE - min(LEVELS)), rtol=1e-6)
    assert found.gain == tuple(np.array(found.gain, np.float32).tolist())


def test_balance_and_levels_are_those_of_the_reference(dng: Dng) -> None:
    a, b = dng(mosaic(), "a.dng"), dng(mosaic(), "b.dng", neutral=(0.9, 1, 0.3), black=(400,))
    assert unpacked(b, a)[0] == unpacked(a)[0]
    assert unpacked(b)[0] != unpacked(a)[0]


@pytest.mark.parametrize(("iso", "other"), [(100, 800), (0, 0)])
def test_levels_are_the_frames_own_at_another_or_unknown_iso_speed(dng: Dng, iso: int, other: int) -> None:
    a = dng(mosaic(), "a.dng", iso=iso)
    b = dng(mosaic(), "b.dng", iso=other, black=(BLACK + 100,), white=WHITE - 1000)
    found, first = unpacked(b, a)[0], unpacked(a)[0]
    assert found is not None
    assert first is not None
    assert found.black == (BLACK + 100,) * 4
    scale = (WHITE - BLACK) / (WHITE - BLACK - 1100)
    np.testing.assert_allclose(found.gain, np.array(first.gain) * scale, rtol=1e-6)


ODD: dict[str, dict[str, Any]] = {
    "four pixels of a colour together": {"colours": QUAD},
    "two blue pixels": {"colours": (0, 1, 2, 2)},
    "oblong pixels": {"scale": (1, 2)},
    "pixels so little oblong that the size stays": {"scale": (1.007, 1)},
    "black of 4x4 pixels": {"black": tuple(range(500, 516)), "iso": 0},
    "white below black": {"white": 300},
    "white one above black": {"white": BLACK + 1},
    "linear": {"pixels": np.dstack([mosaic(1000), mosaic(2000), mosaic(3000)])},
}


@pytest.mark.parametrize("options", ODD.values(), ids=list(ODD))
def test_what_does_not_fit_is_developed_by_libraw(dng: Dng, options: dict[str, Any]) -> None:
    given = {"pixels": mosaic(), **options}
    frame = dng(given.pop("pixels"), **given)
    found, out = unpacked(frame)
    assert found is None
    # The plan reckons with LibRaw, but for levels that no picture has: unpacking alone tells them.
    assert frame.decoding is None or options in (ODD["white one above black"], ODD["white below black"])
    np.testing.assert_array_equal(out, Decoder(frame)(frame))


def test_black_of_4x4_pixels_does_not_matter_where_the_reference_has_other(dng: Dng) -> None:
    assert unpacked(dng(mosaic(), black=tuple(range(500, 516))))[0] is not None


def test_a_sensor_without_filters_is_developed_by_libraw(tmp_path: Path) -> None:
    frame = one(monochrome(tmp_path / "m.dng", mosaic()))
    found, out = unpacked(frame)
    assert found is None
    assert frame.decoding is None
    np.testing.assert_array_equal(out, Decoder(frame)(frame))


@pytest.mark.parametrize("dead", [False, True])
def test_dead_pixels_are_left_to_libraw(dng: Dng, monkeypatch: pytest.MonkeyPatch, dead: bool) -> None:
    samples = mosaic()
    samples[7, 9] = 0 if dead else 1
    frame = dng(samples)
    assert unpacked(frame)[0] is not None
    monkeypatch.setattr(bayer, "drops_zeros", lambda file: drops_zeros(io.BytesIO(b"IIU\0" + file.read(4))))
    assert (unpacked(frame)[0] is None) == dead


def test_makers_corrections_are_left_to_libraw(dng: Dng, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = dng(mosaic())
    assert frame.decoding is not None
    monkeypatch.setattr(bayer, "calibrates_samples", lambda _: True)
    assert unpacked(frame)[0] is None
    assert one(frame.path).decoding is None


def test_files_are_told_apart_by_their_first_bytes(dng: Dng) -> None:
    with dng(mosaic(), black=LEVELS).path.open("rb") as file:
        assert not calibrates_samples(file)
        assert not drops_zeros(file)
        assert black_repeats(file) == (2, 2)
    for mark in (b"IIII", b"MMMM"):
        assert calibrates_samples(io.BytesIO(b"II*\0\x08\0\0\0" + mark + bytes(20)))
    panasonic = io.BytesIO(b"IIU\0\x08\0\0\0" + bytes(20))
    assert drops_zeros(panasonic)
    assert black_repeats(panasonic) == (1, 1)


def refusals(dng: Dng) -> list[tuple[Frame, Frame]]:
    plain, flat = dng(mosaic()), dng(np.full((48, 64), 700, np.uint16), "flat.dng")
    cut = dng(mosaic(), "cut.dng")
    cut.path.write_bytes(cut.path.read_bytes()[:-1000])
    return [(dng(mosaic(), "other.dng", model="M2"), plain), (flat, plain), (cut, plain)]


def test_what_decoding_refuses_unpacking_refuses(dng: Dng) -> None:
    for frame, reference in refusals(dng):
        with pytest.raises(GpustackError) as wanted:
            Decoder(reference)(frame)
        with pytest.raises(type(wanted.value)) as found:
            unpacked(frame, reference)
        assert str(found.value) == str(wanted.value)


@pytest.mark.parametrize("options", [{}, {"colours": QUAD}])
def test_another_size_than_the_headers_is_refused(dng: Dng, options: dict[str, Any]) -> None:
    frame = dng(mosaic(), **options)
    with pytest.raises(DecodeError, match="are not what its header said"):
        unpacked(replace(frame, height=50), frame)


def test_developed_files_are_decoded(tmp_path: Path) -> None:
    import cv2

    picture = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    found, out = unpacked(one(tmp_path / "a.png"))
    assert found is None
    np.testing.assert_array_equal(out[..., ::-1], picture)


def test_only_bayers_pattern_makes_a_mosaic() -> None:
    with pytest.raises(ValueError, match="not Bayer's pattern"):
        Mosaic((0, 1, 2, 1), (0, 0, 0, 0), (1.0, 1.0, 1.0, 1.0), Demosaic.RCD)


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("CRW_0117.CRW", True),
        ("DC0012L.KDC", True),
        ("RAW_NIKON_D1.NEF", True),
        ("colorchart.dng", True),
        ("canon_eos_6d.dng", False),
    ],
)
def test_files_of_cameras_are_unpacked(data: Path, name: str, fits: bool) -> None:
    frame = one(data / "raw" / "real" / name)
    found, out = unpacked(frame)
    assert (found is not None) == fits
    with rawpy.imread(str(frame.path)) as raw:
        if fits:
            np.testing.assert_array_equal(room(out)[..., 0], raw.raw_image_visible)
