import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gpustack.errors import DecodeError, StackError
from gpustack.io.decode import Decoder, probe, working_colour
from gpustack.model.frame import Frame, Kind, PixelType
from gpustack.settings import Demosaic
from tests.io.dng import BLACK, CAMERA_FROM_XYZ, NEUTRAL, WHITE, monochrome, mosaic, write_dng

rawpy = pytest.importorskip("rawpy", reason="rawpy has no build for this platform")


def one(path: Path) -> Frame:
    (frame,) = probe(path)
    return frame


def middle(pixels: np.ndarray) -> np.ndarray:
    return pixels[8:-8, 8:-8].mean(axis=(0, 1))


@pytest.fixture
def dng(tmp_path):
    return lambda pixels, name="a.dng", **options: write_dng(tmp_path / name, pixels, **options)


def test_a_mosaic_becomes_linear_camera_rgb_with_the_balance_applied(dng):
    frame = one(dng(mosaic()))
    assert (frame.width, frame.height, frame.channels) == (64, 48, 3)
    assert (frame.kind, frame.pixel_type) == (Kind.RAW, PixelType.UINT16)
    pixels = Decoder(frame)(frame)
    assert pixels.flags.c_contiguous
    wanted = (2002 - BLACK) / (WHITE - BLACK) * 65535 / np.array(NEUTRAL)
    np.testing.assert_allclose(middle(pixels), wanted, rtol=2e-3)


def test_what_is_saturated_is_white(dng):
    frame = one(
        dng(np.where(np.arange(64) < 32, 2000, WHITE).astype(np.uint16) * np.ones((48, 1), np.uint16))
    )
    assert (Decoder(frame)(frame)[:, 40:] == 65535).all()


def test_a_frame_with_highlights_comes_out_as_bright_as_one_without(dng):
    plain, lit = mosaic(), mosaic()
    lit[:, 48:] = WHITE
    a, b = one(dng(plain, "a.dng")), one(dng(lit, "b.dng"))
    decode = Decoder(a)
    np.testing.assert_array_equal(decode(a)[:, :40], decode(b)[:, :40])


def test_balance_and_levels_are_those_of_the_reference(dng):
    a = one(dng(mosaic(), "a.dng"))
    b = one(dng(mosaic(), "b.dng", neutral=(0.9, 1, 0.3), black=(400,)))
    np.testing.assert_array_equal(Decoder(a)(b), Decoder(a)(a))
    assert not np.array_equal(Decoder(b)(b), Decoder(a)(a))


@pytest.mark.parametrize(("iso", "other"), [(100, 800), (0, 0)])
def test_levels_are_the_frames_own_at_another_or_unknown_iso_speed(dng, iso, other):
    a = one(dng(mosaic(), "a.dng", iso=iso))
    b = one(dng(mosaic(2100), "b.dng", iso=other, black=(BLACK + 100,)))
    np.testing.assert_allclose(middle(Decoder(a)(b)), middle(Decoder(a)(a)), rtol=0.01)


def test_black_levels_of_each_filter_colour_are_kept(dng):
    levels = np.array([[500, 540], [580, 620]])
    pixels = (levels[np.arange(48)[:, None] % 2, np.arange(64) % 2] + 1500).astype(np.uint16)
    pixels[::2, ::4] += 1
    frame = one(dng(pixels, black=tuple(levels.ravel()), neutral=(1, 1, 1)))
    got = middle(Decoder(frame)(frame))
    np.testing.assert_allclose(got, got[1], rtol=1e-3)
    np.testing.assert_allclose(got, 1500 / (WHITE - 500) * 65535, rtol=2e-3)


def test_a_balance_given_as_chromaticity_is_used(dng):
    """Rawpy issue 251: as shot is reported as (0, 1, 0); gray must be gray all the same."""
    seen = CAMERA_FROM_XYZ @ np.array([0.3457 / 0.3585, 1.0, (1 - 0.3457 - 0.3585) / 0.3585])
    levels = (BLACK + 6000 * seen / seen.max()).astype(np.uint16)
    pixels = np.full((48, 64), levels[1])
    pixels[::2, ::2], pixels[1::2, 1::2] = levels[0], levels[2]
    frame = one(dng(pixels, neutral=None, xy=(0.3457, 0.3585)))
    got = middle(Decoder(frame)(frame))
    np.testing.assert_allclose(got, got[1], rtol=0.02)


def test_linear_dng_is_read(dng):
    frame = one(dng(np.dstack([mosaic(1000), mosaic(2000), mosaic(3000)]), neutral=(1, 1, 1)))
    np.testing.assert_allclose(
        middle(Decoder(frame)(frame)), np.array([1002, 2002, 3002]) / WHITE * 65535, rtol=2e-3
    )


def test_a_sensor_without_filters_gives_three_equal_channels(tmp_path):
    frame = one(monochrome(tmp_path / "m.dng", mosaic()))
    pixels = Decoder(frame)(frame)
    assert pixels.shape == (48, 64, 3)
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, np.repeat(pixels[..., :1], 3, axis=2))


@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation_is_told_and_not_applied(dng, turn):
    upright = one(dng(mosaic(), "a.dng"))
    frame = one(dng(mosaic(), "b.dng", turn=turn))
    assert frame == replace(upright, path=frame.path, orientation=turn)
    np.testing.assert_array_equal(Decoder(frame)(frame), Decoder(upright)(upright))


@pytest.mark.parametrize(("scale", "size"), [((1, 2), (64, 96)), ((2, 1), (128, 48))])
def test_oblong_pixels_become_square(dng, scale, size):
    frame = one(dng(mosaic(), scale=scale))
    assert (frame.width, frame.height) == size
    assert Decoder(frame)(frame).shape == (size[1], size[0], 3)


def test_working_colour_does_what_libraw_does(dng):
    colours = mosaic()
    colours[::2, ::2] += 3000
    colours[1::2, 1::2] += 900
    frame = one(dng(colours))
    colour = working_colour(frame)
    with rawpy.imread(str(frame.path)) as raw:
        wanted = raw.postprocess(
            gamma=(1, 1),
            no_auto_bright=True,
            output_bps=16,
            adjust_maximum_thr=0,
            use_camera_wb=True,
            demosaic_algorithm=rawpy.DemosaicAlgorithm.PPG,
        )
    got = np.clip(Decoder(frame, demosaic=Demosaic.PPG)(frame) @ colour.matrix.T, 0, 65535)
    assert colour.matrix.dtype == np.float64
    np.testing.assert_allclose(got, wanted, atol=2)
    np.testing.assert_allclose(colour.matrix.sum(axis=1), 1, atol=1e-3)


@pytest.mark.parametrize(
    "odd", [{"model": "M2"}, {"pixels": mosaic(height=50)}, {"pixels": np.dstack([mosaic()] * 3)}]
)
def test_a_frame_of_another_camera_is_refused(dng, odd):
    a = one(dng(mosaic(), "a.dng"))
    b = one(dng(odd.pop("pixels", mosaic()), "b.dng", **odd))
    with pytest.raises(StackError, match=r"b\.dng was taken with another camera or picture size than a\.dng"):
        Decoder(a)(b)


def test_a_raw_frame_in_a_developed_stack_is_refused(dng):
    frame = one(dng(mosaic()))
    with pytest.raises(DecodeError, match="RAW file in a stack of developed ones"):
        Decoder(replace(frame, kind=Kind.PNG))(frame)


def test_files_without_image_data_are_refused(dng):
    frame = one(dng(np.full((48, 64), 700, np.uint16)))
    with pytest.raises(DecodeError, match="every pixel is the same"):
        Decoder(frame)(frame)


@pytest.mark.parametrize("lost", [40, 1000, 5000])
def test_a_cut_file_is_refused_without_a_word_from_libraw(dng, lost, capfd):
    path = dng(mosaic())
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(DecodeError, match="damaged"):
        probe(path)
    assert capfd.readouterr() == ("", "")


def test_a_header_that_claims_more_than_there_is_is_refused(dng):
    path = dng(mosaic())
    data = bytearray(path.read_bytes())
    for tag in (256, 257):
        at = data.index(struct.pack("<H", tag)) + 8
        struct.pack_into("<H", data, at, 9000)
    path.write_bytes(data)
    with pytest.raises(DecodeError, match="header of a picture, but no picture"):
        probe(path)


@pytest.mark.parametrize(
    "head",
    [
        b"FUJIFILMCCD-RAW ",
        b"FOVb\0\0",
        b"II\x1a\0\0\0HEAPCCDR",
        b"\0\0\0\x18ftypcrx ",
        b"IIU\0\x08\0\0\0",
        b"IIRO",
    ],
)
def test_headers_of_other_raw_formats_go_to_libraw(tmp_path, head):
    path = tmp_path / "x.jpg"
    path.write_bytes(head.ljust(4000, b"\0"))
    with pytest.raises(DecodeError, match="LibRaw"):
        probe(path)
