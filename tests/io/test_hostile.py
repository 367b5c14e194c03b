"""Odd and damaged files, RAW files, real stacks: for every file a right picture, or one sentence.

The pictures in the tables were looked at; sizes and means are those of what is to be seen.
"""

import os
from pathlib import Path

import pytest

from gpustack.errors import GpustackError
from gpustack.io.decode import Decoder, probe
from gpustack.io.discover import discover
from gpustack.model.frame import Frame, Kind
from gpustack.model.stack import Stack
from tests.patience import processor_seconds

DATA = Path(os.environ.get("GPUSTACK_DATA", "nowhere"))
pytestmark = pytest.mark.skipif(
    "GPUSTACK_DATA" not in os.environ, reason="the data folder is not named by GPUSTACK_DATA"
)

# Name: (height, width, channels, mean of the samples, EXIF orientation).
PICTURES = {
    "icc__cmm-exception-adobe-rgb.jpg": (76, 626, 3, 182.31, 1),
    "icc__hopper.iccprofile.tif": (128, 128, 3, 88.39, 1),
    "icc__invalid-icc-single-chunk-bad-sequence-number.jpg": (2126, 1772, 3, 74.39, 1),
    "icc__red_gradient_10bit_aces.png": (16, 256, 3, 672.65, 1),
    "jpeg_corrupt__image01713.jpg": (500, 49, 3, 39.00, 1),
    "jpeg_exif_rotated__hopper_orientation_6.jpg": (128, 128, 3, 88.36, 6),
    "jpeg_exif_rotated__landscape_8.jpg": (600, 450, 3, 79.51, 8),
    "jpeg_variant__1x1_420.jpg": (1, 1, 3, 84.67, 1),
    "jpeg_variant__sample-xyb.jpg": (442, 290, 3, 108.80, 1),
    "jpeg_variant__testorig_transpose_440_q90_ari_rst1.jpg": (227, 149, 3, 106.40, 1),
    "made__jpeg_named_as.tif": (128, 128, 3, 88.36, 6),
    "png_16bit__16-bit-grey-alpha.png": (96, 109, 2, 958.01, 1),
    "png_16bit__basn0g16.png": (32, 32, 1, 36969.79, 1),
    "png_16bit__tbgn2c16.png": (32, 32, 4, 41967.63, 1),
    "png_alpha__basn3p08.png": (32, 32, 3, 127.35, 1),
    "png_alpha__with-alpha.png": (192, 256, 4, 113.25, 1),
    "tiff_16bit__16bit.MM.cropped.tif": (64, 64, 1, 384.11, 1),
    "tiff_16bit__tiff_16bit_RGB.tiff": (40, 100, 3, 7995.49, 1),
    "tiff_16bit__tiff_tiled_planar_16bit_RGBa.tiff": (40, 100, 4, 23835.80, 1),
    "tiff_bigtiff__BigTIFFLong.tif": (64, 64, 3, 66.73, 1),
    "tiff_float__predictor-3-rgb-f32.tif": (200, 200, 3, 0.45, 1),
    "tiff_planar_tiled__planar-rgb-u8.tif": (499, 374, 3, 70.60, 1),
    "tiff_planar_tiled__tiff_tiled_planar_lzw.tiff": (374, 278, 3, 161.78, 1),
}
# Name: what the sentence says.
REFUSED = {
    "jpeg_corrupt__101376530-fde56180-38b0-11eb-938d-734119a5b5ba.jpg": "not a picture of a kind",
    "jpeg_corrupt__FuzzTimeout.jpg": "belong to no segment",
    "jpeg_corrupt__broken-sos-before-sof.jpg": "belong to no segment",
    "jpeg_corrupt__hopper_bad_exif.jpg": "1214 extraneous bytes",
    "jpeg_corrupt__poc1min.jpg": "12 bits a channel",
    "jpeg_corrupt__truncated.jpg": "ends before its picture does",
    "jpeg_variant__pil_sample_cmyk.jpg": "CMYK",
    "made__empty.dng": "is empty",
    "made__text_named.jpg": "not a picture of a kind",
    "png_corrupt__65536-uint32-limit.png": "claims 65536 x 65536 pixels",
    "png_corrupt__invalid_gray_alpha_sbit.png": "ends before its picture does",
    "png_corrupt__truncated_image.png": "ends before its picture does",
    "raw_header_only__CanonRaw.cr2": "not known to LibRaw",
    "raw_header_only__DNG.dng": "header of a picture, but no picture",
    "raw_header_only__Nikon.nef": "header of a picture, but no picture",
    "raw_header_only__Sigma.x3f": "no complete picture",
    "raw_truncated__Canon-R6-pruned.CR3": "no complete picture",
    "raw_truncated__Issue_419.rw2": "not known to LibRaw",
    "raw_truncated__fixture.cr3": "no complete picture",
    "raw_truncated__issue_841_poc.crw": "no complete picture",
    "raw_unsupported__nikon_z_9_high_efficiency_compressed_dx_cropped_max_overexposed.dng": "not known",
    "tiff_corrupt__TODO_hpredict_cmyk.tiff": "CMYK",
    "tiff_corrupt__crash-2020-10-test.tif": "YCbCr",
    "tiff_corrupt__crash-86214e58da443d2b80820cff9677a38a33dcbbca.tif": "ends before its picture does",
    "tiff_corrupt__inf_loop-id-000028_src-000508_op-havoc_rep-4.tif": "ends before its picture does",
    "tiff_corrupt__oom_crash-id-000021_sig-06_src-000004_op-havoc_rep-4.tif": "without a pixel",
    "tiff_exif_rotated__g4_orientation_6.tif": "one bit a pixel",
    "tiff_float__gradient-1c-64b-float.tiff": "64-bit floating-point",
    "tiff_multipage_z__multi-channel-z-series.ome.tif": "signed 8-bit",
    "tiff_odd__12bit.cropped.rgb.tiff": "12 bits a channel",
    "tiff_odd__hopper.Lab.tif": "Lab",
    "tiff_odd__int16_zstd.tif": "signed 16-bit",
    "tiff_odd__multipage.tiff": "palette",
    "tiff_odd__tiff_strip_cmyk_16l_jpeg.tif": "CMYK",
}
RAW_FILES = {
    "real/CRW_0117.CRW": (1720, 2312, 8106.18),
    "real/DC0012L.KDC": (512, 768, 12360.00),
    "real/RAW_NIKON_D1.NEF": (1324, 2012, 7484.34),
    "real/canon_eos_6d.dng": (816, 1224, 1999.51),
    "real/colorchart.dng": (1156, 1734, 4132.82),
    "synthetic_dng_stack_bayer/frame_00.dng": (768, 1024, 8398.71),
}
# LibRaw prints a line of its own where a format that is no TIFF ends early; it offers no way to stop that.
LIBRAW_SPEAKS = {"raw_truncated__issue_841_poc.crw"}
# What lies in the folders of the stacks and is not a frame.
NO_FRAMES = ("expected.jpg", "idxImage.png", "_depthmap.png")
STACKS = {
    "algae_20MP": (5, Kind.JPEG, 5440, 3648, 3),
    "amber_flies": (9, Kind.JPEG, 1280, 825, 3),
    "book_text": (4, Kind.JPEG, 333, 500, 3),
    "bottle_moving_people": (25, Kind.JPEG, 860, 679, 3),
    "damselfly": (3, Kind.JPEG, 600, 399, 3),
    "fly_head": (36, Kind.JPEG, 325, 217, 3),
    "fruit_rgba_pair": (2, Kind.PNG, 800, 640, 4),
    "keyboard_aligned": (32, Kind.JPEG, 640, 360, 3),
    "lytro_lf_009": (12, Kind.JPEG, 1080, 1080, 3),
    "lytro_lf_046": (12, Kind.JPEG, 1080, 1080, 3),
    "mineral": (6, Kind.JPEG, 1944, 1296, 3),
    "pcb": (7, Kind.JPEG, 2048, 1536, 3),
    "ring": (6, Kind.JPEG, 1521, 1141, 3),
    "small_world": (41, Kind.JPEG, 858, 570, 3),
    "sponge_video": (52, Kind.JPEG, 640, 480, 3),
    "vignetted": (4, Kind.JPEG, 2000, 1333, 3),
    "wall_panels": (10, Kind.JPEG, 1296, 864, 3),
}


def read(path: Path):
    frame: Frame = probe(path)[0]
    return frame, Decoder(frame)(frame)


def test_the_tables_name_every_file():
    assert {*PICTURES, *REFUSED} == {path.name for path in (DATA / "hostile").iterdir()}
    assert set(STACKS) == {path.name for path in (DATA / "stacks").iterdir()}


@pytest.mark.parametrize("name", PICTURES)
def test_a_sound_picture_is_read(name, capfd):
    frame, pixels = read(DATA / "hostile" / name)
    height, width, channels, mean, turn = PICTURES[name]
    assert pixels.shape == (height, width, channels)
    assert pixels.dtype == frame.pixel_type.value
    assert pixels.mean() == pytest.approx(mean, rel=2e-3, abs=0.01)
    assert frame.orientation == turn
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", REFUSED)
def test_any_other_file_is_refused_in_one_sentence(name, capfd):
    with processor_seconds(5), pytest.raises(GpustackError) as caught:
        read(DATA / "hostile" / name)
    assert REFUSED[name] in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.message.endswith(".")
    assert caught.value.remedy.endswith(".")
    if name not in LIBRAW_SPEAKS:
        assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", RAW_FILES)
def test_raw_files_are_developed(name, capfd):
    height, width, mean = RAW_FILES[name]
    frame, pixels = read(DATA / "raw" / name)
    assert frame.kind is Kind.RAW
    assert pixels.shape == (height, width, 3)
    assert pixels.dtype == "uint16"
    assert pixels.mean() == pytest.approx(mean, rel=1e-3)
    assert capfd.readouterr() == ("", "")


def test_a_raw_stack_is_read_frame_by_frame():
    found = discover([DATA / "raw" / "synthetic_dng_stack_bayer"])
    stack = Stack(tuple(frame for path in found.paths for frame in probe(path)))
    decode = Decoder(stack.frames[0])
    means = [decode(frame).mean() for frame in stack]
    assert len(means) == 6
    assert max(means) < 1.03 * min(means)


@pytest.mark.slow
@pytest.mark.parametrize("name", STACKS)
def test_stacks_are_found_and_read(name):
    found = discover([DATA / "stacks" / name])
    frames = [f for p in found.paths if not p.name.endswith(NO_FRAMES) for f in probe(p)]
    count, kind, width, height, channels = STACKS[name]
    stack = Stack(tuple(frames))
    assert (len(stack), stack.kind) == (count, kind)
    assert (stack.width, stack.height, stack.channels) == (width, height, channels)
    decode = Decoder(stack.frames[0])
    for frame in stack:
        assert decode(frame).std() > 10
