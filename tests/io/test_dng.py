"""Linear DNG files against LibRaw: what it makes of them is what it makes of the frames."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

import gpustack
from gpustack import Crop, Deghost, Method, Model, Settings
from gpustack.errors import UsageError
from gpustack.io import sensor
from gpustack.io.decode import Decoder, probe
from gpustack.io.metadata import Metadata, read_metadata
from gpustack.io.write import write_picture
from gpustack.settings import Demosaic, WhiteBalance
from tests.io.dng import BLACK, CAMERA_FROM_XYZ, NEUTRAL, write_dng
from tests.io.test_exiftool import tags

rawpy = pytest.importorskip("rawpy", reason="rawpy has no build for this platform")

Picture = npt.NDArray[Any]
# LibRaw judges here, and finds the colours between the filters alike.
PPG = Demosaic.PPG
LINEAR = Settings(linear=True, method=Method.AVERAGE, align=Model.NONE, threads=1, demosaic=PPG)
SRGB_TO_XYZ = sensor._XYZ_FROM_SRGB


def scene(width: int = 300, height: int = 270) -> Picture:
    """A mosaic of smooth, differing colours, that fills no tile evenly."""
    x, y = np.meshgrid(np.linspace(0, 6, width), np.linspace(0, 5, height))
    light = np.stack([4000 + 2500 * np.sin(x + phase) * np.cos(y - phase) for phase in (0, 1, 2)])
    light *= np.array(NEUTRAL)[:, None, None]
    mosaic = light[1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = light[0, ::2, ::2], light[2, 1::2, 1::2]
    return (BLACK + mosaic).astype(np.uint16)


@pytest.fixture
def frame(tmp_path: Path) -> Path:
    return write_dng(tmp_path / "frame.dng", scene())


def developed(path: Path, **options: Any) -> Picture:
    """As LibRaw shows a file, linear."""
    wishes: dict[str, Any] = {
        "gamma": (1, 1),
        "no_auto_bright": True,
        "output_bps": 16,
        "adjust_maximum_thr": 0,
        "use_camera_wb": True,
        "demosaic_algorithm": rawpy.DemosaicAlgorithm.PPG,
    }
    with rawpy.imread(os.fspath(path)) as raw:
        return np.asarray(raw.postprocess(**wishes | options), np.float64)


def stacked(paths: list[Path], output: Path, settings: Settings = LINEAR) -> gpustack.Result:
    result = gpustack.stack(paths, settings)
    result.save(output)
    return result


def main_tags(path: Path) -> dict[str, Any]:
    with tifffile.TiffFile(path) as file:
        return {tag.name: tag.value for tag in file.pages.first.tags}


def fractions(value: tuple[int, ...]) -> Picture:
    return np.array(value[::2]) / np.array(value[1::2])


@pytest.mark.parametrize("known", [True, False], ids=["matrix copied", "matrix derived"])
def test_colours_are_those_of_the_frame(
    known: bool, frame: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not known:
        monkeypatch.setattr(sensor, "calibration", lambda _: ())
    stacked([frame], tmp_path / "out.dng")
    wanted, found = developed(frame), developed(tmp_path / "out.dng")
    assert wanted.min() > 1000
    np.testing.assert_allclose(found, wanted, rtol=0.005)
    assert abs(found.mean((0, 1)) / wanted.mean((0, 1)) - 1).max() < 0.0005


def test_a_derived_matrix_is_that_of_the_file(frame: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensor, "calibration", lambda _: ())
    made = {entry.tag: entry.data for entry in sensor.sensor(probe(frame)[0]).tags}
    matrix = fractions(tuple(np.frombuffer(made[50721], "<i4"))).reshape(3, 3)
    np.testing.assert_allclose(matrix / matrix[1, 1], CAMERA_FROM_XYZ / CAMERA_FROM_XYZ[1, 1], atol=1e-3)
    assert made[50708] == b"Maker M1\0"


def test_a_camera_of_unknown_colours_is_shown_as_it_is(frame: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensor, "calibration", lambda _: ())
    monkeypatch.setattr(sensor, "_matrices", lambda _: (np.zeros((3, 3)), np.zeros((3, 3)), np.ones(3)))
    found = sensor.sensor(probe(frame)[0])
    made = {entry.tag: entry.data for entry in found.tags}
    matrix = fractions(tuple(np.frombuffer(made[50721], "<i4"))).reshape(3, 3)
    np.testing.assert_allclose(np.diag(found.gains) @ matrix @ SRGB_TO_XYZ, np.eye(3), atol=1e-5)
    np.testing.assert_array_equal(found.matrix, np.eye(3))


def test_the_sensors_own_values_are_written(frame: Path, tmp_path: Path) -> None:
    stacked([frame], tmp_path / "out.dng")
    (back,) = probe(tmp_path / "out.dng")
    with rawpy.imread(os.fspath(back.path)) as raw:
        values, balance = raw.raw_image[..., :3].astype(float), raw.camera_whitebalance[:3]
    (source,) = probe(frame)
    working = Decoder(source, demosaic=PPG)(source)
    np.testing.assert_array_equal(values, np.rint(working * np.float32(NEUTRAL)))
    np.testing.assert_allclose(balance, 1 / np.array(NEUTRAL), rtol=1e-5)
    # A step of the sensor's values is up to two of the working ones, and LibRaw does not round.
    np.testing.assert_allclose(Decoder(back)(back).astype(int), working, atol=3)


def test_burnt_out_places_are_white(tmp_path: Path) -> None:
    burnt = scene()
    burnt[100:160, 100:160] = 16383
    stacked([write_dng(tmp_path / "a.dng", burnt)], tmp_path / "out.dng")
    np.testing.assert_allclose(developed(tmp_path / "out.dng")[110:150, 110:150], 65535, atol=3)


def test_tiles_are_coded_as_rawspeed_reads_them(frame: Path, tmp_path: Path) -> None:
    """Lossless JPEG that predicts by the sample to the left; darktable refuses all other ways."""
    stacked([frame], tmp_path / "out.dng")
    with tifffile.TiffFile(tmp_path / "out.dng") as tiff:
        page = tiff.pages[0].pages[0]
        assert isinstance(page, tifffile.TiffPage)
        starts, sizes = page.dataoffsets, page.databytecounts
    data = (tmp_path / "out.dng").read_bytes()
    for start, size in zip(starts, sizes, strict=True):
        tile = data[start : start + size]
        scan = tile.index(b"\xff\xda")
        channels = tile[scan + 4]
        assert (tile[tile.index(b"\xff\xc3") + 4], channels) == (16, 3)
        assert tile[scan + 5 + 2 * channels] == 1


@pytest.mark.parametrize("turn", [1, 3, 6, 8])
def test_the_picture_is_upright(turn: int, tmp_path: Path) -> None:
    source = write_dng(tmp_path / "a.dng", scene(), turn=turn)
    result = stacked([source], tmp_path / "out.dng")
    wanted, found = developed(source), developed(tmp_path / "out.dng")
    assert found.shape == wanted.shape == result.image.shape
    np.testing.assert_allclose(found, wanted, rtol=0.005)
    assert main_tags(tmp_path / "out.dng")["Orientation"] == 1


@pytest.mark.parametrize(
    ("wish", "balance"),
    [(WhiteBalance.DAYLIGHT, None), ((2.0, 1.0, 1.5), (2.0, 1.0, 1.5)), ((2.0, 4.0, 3.0), (0.5, 1.0, 0.75))],
)
def test_white_balance(wish: Any, balance: tuple[float, ...] | None, frame: Path, tmp_path: Path) -> None:
    settings = Settings(linear=True, align=Model.NONE, wb=wish, demosaic=PPG)
    stacked([frame], tmp_path / "out.dng", settings)
    with rawpy.imread(os.fspath(frame)) as raw:
        gains = np.array(balance or raw.daylight_whitebalance[:3])
    neutral = fractions(main_tags(tmp_path / "out.dng")["AsShotNeutral"])
    np.testing.assert_allclose(neutral, gains.min() / gains, rtol=1e-5)
    options = {"use_camera_wb": False, "user_wb": [*gains, gains[1]]}
    wanted = developed(frame, **options)
    np.testing.assert_allclose(developed(tmp_path / "out.dng"), wanted, rtol=0.005, atol=4)
    shown = gpustack.stack([frame], Settings(align=Model.NONE, wb=wish, demosaic=PPG)).image
    np.testing.assert_allclose(linear(shown), wanted, rtol=0.005, atol=4)


def linear(shown: Picture) -> Picture:
    """SRGB of 16 bits as linear light, 0 to 65535."""
    coded = shown / 65535
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4) * 65535


def test_exposure(frame: Path, tmp_path: Path) -> None:
    plain = linear(gpustack.stack([frame], Settings(align=Model.NONE)).image)
    lifted = linear(gpustack.stack([frame], Settings(align=Model.NONE, exposure=0.5)).image)
    fits = plain * 2**0.5 < 65000
    assert fits.mean() > 0.5
    np.testing.assert_allclose(lifted[fits], plain[fits] * 2**0.5, rtol=0.003)
    stacked([frame], tmp_path / "out.dng", Settings(linear=True, align=Model.NONE, exposure=-0.5))
    tag = main_tags(tmp_path / "out.dng")["BaselineExposure"]
    assert tag[0] / tag[1] == -0.5
    assert developed(tmp_path / "out.dng").mean() == pytest.approx(developed(frame).mean(), rel=0.001)
    # A stack of its own result keeps what was said.
    stacked([tmp_path / "out.dng"], tmp_path / "again.dng", Settings(linear=True, exposure=0.25))
    tag = main_tags(tmp_path / "again.dng")["BaselineExposure"]
    assert tag[0] / tag[1] == -0.25


def test_what_goes_along(frame: Path, tmp_path: Path) -> None:
    result = stacked([frame], tmp_path / "out.dng")
    (back,) = probe(tmp_path / "out.dng")
    found = main_tags(back.path)
    assert (found["Make"], found["Model"], found["UniqueCameraModel"]) == ("Maker", "M1", "M1")
    assert found["ExifTag"]["ISOSpeedRatings"] == 100
    packet = read_metadata(back).xmp
    assert packet is not None
    assert result.metadata.history is not None
    assert result.metadata.history.encode() in packet
    with rawpy.imread(os.fspath(back.path)) as raw:
        thumb = raw.extract_thumb()
    assert thumb.format is rawpy.ThumbFormat.JPEG


def test_exiftool_finds_nothing_wrong(frame: Path, tmp_path: Path) -> None:
    stacked([frame], tmp_path / "out.dng")
    found = tags(tmp_path / "out.dng")
    assert found["SubIFD:PhotometricInterpretation"] == "Linear Raw"
    assert found["SubIFD:BitsPerSample"] == "16 16 16"
    assert found["IFD0:Compression"] == "JPEG"
    assert tags(tmp_path / "out.dng", "-validate")["ExifTool:Validate"] == "OK"


def test_linear_and_developed_pixels_are_not_confused(frame: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.tif cannot tell the colours of linear camera RGB"):
        gpustack.stack([frame], LINEAR).save(tmp_path / "a.tif")
    with pytest.raises(UsageError, match=r"a\.dng would need linear pixels, and these are developed"):
        gpustack.stack([frame]).save(tmp_path / "a.dng")
    with pytest.raises(UsageError, match="A DNG file takes RAW frames, and these are developed"):
        gpustack.stack([np.zeros((9, 9, 3), np.uint8)], LINEAR)
    write_picture(tmp_path / "a.png", np.zeros((9, 9, 3), np.uint8), Metadata(), overwrite=False, software="")
    for settings, said in (
        (LINEAR, "A DNG file"),
        (Settings(wb=WhiteBalance.DAYLIGHT), "--wb"),
        (Settings(wb=(1, 1, 1)), "--wb"),
        (Settings(exposure=1), "--exposure"),
        (Settings(demosaic=Demosaic.MALVAR), "--demosaic"),
    ):
        with pytest.raises(UsageError, match=f"{said} takes RAW frames, and these are developed"):
            gpustack.stack([tmp_path / "a.png"], settings)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "frame.dng"]


@pytest.mark.parametrize(
    "settings", [{"exposure": 11.0}, {"wb": (0.0, 1.0, 1.0)}, {"wb": (1, 1, float("nan"))}]
)
def test_settings_out_of_range(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="is out of range"):
        Settings(**settings)


@pytest.fixture(scope="module")
def data() -> Path:
    folder = os.environ.get("GPUSTACK_DATA")
    if not folder:
        pytest.skip("GPUSTACK_DATA does not name the data folder")
    return Path(folder) / "raw"


@pytest.mark.parametrize("name", ["RAW_NIKON_D1.NEF", "canon_eos_6d.dng", "colorchart.dng"])
def test_files_of_cameras(name: str, data: Path, tmp_path: Path) -> None:
    stacked([data / "real" / name], tmp_path / "out.dng")
    wanted, found = developed(data / "real" / name), developed(tmp_path / "out.dng")
    fits = (wanted.min(axis=2) > 655) & (wanted.max(axis=2) < 60000)
    assert np.quantile(abs(found / np.maximum(wanted, 1) - 1)[fits], 0.999) < 0.005
    np.testing.assert_allclose(found[fits].mean(0), wanted[fits].mean(0), rtol=0.0005)


def test_a_stack_has_the_colours_of_its_frames(data: Path, tmp_path: Path) -> None:
    frames = sorted((data / "synthetic_dng_stack_bayer").glob("*.dng"))
    result = stacked(frames, tmp_path / "out.dng", Settings(linear=True, crop=Crop.NONE, deghost=Deghost.OFF))
    reference = (len(frames) - 1) // 2
    shown = developed(tmp_path / "out.dng")
    wanted, found = blocks(developed(frames[reference])), blocks(shown)
    sharp = blocks(np.float64(result.winners == reference)[..., None])[..., 0] > 0.5
    assert sharp.sum() > 50
    np.testing.assert_allclose(found[sharp].mean(0), wanted[sharp].mean(0), rtol=0.005)
    assert result.metadata.sensor is not None
    fused = np.clip(result.image @ result.metadata.sensor.matrix.T, 0, 65535)
    np.testing.assert_allclose(shown, fused, atol=4)


def blocks(picture: Picture, side: int = 16) -> Picture:
    """Means of squares."""
    high, wide = (length // side for length in picture.shape[:2])
    cut = picture[: high * side, : wide * side].reshape(high, side, wide, side, -1)
    return np.asarray(cut.mean(axis=(1, 3)))
