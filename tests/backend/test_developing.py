"""Mosaics from files, developed by both backends: alike to the last bit, with levels and colours as LibRaw
has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from gpustack.backend.cpu import Cpu
from gpustack.backend.gpu.backend import Gpu
from gpustack.io import raw
from gpustack.io.decode import Decoder, probe
from gpustack.metrics import psnr
from gpustack.model.frame import Frame
from gpustack.model.mosaic import PATTERNS, Mosaic, room
from gpustack.settings import Demosaic
from tests.conftest import BACKENDS
from tests.io.dng import WHITE, Pixels, write_dng

pytest.importorskip("rawpy", reason="rawpy has no build for this platform")

Picture = npt.NDArray[Any]
LEVELS = (500, 540, 580, 620)
OWN = (Demosaic.MALVAR, Demosaic.RCD)


@pytest.fixture(scope="module", params=["cuda-on-cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def gpu(request: pytest.FixtureRequest) -> Gpu:
    backend = BACKENDS[request.param]()
    assert isinstance(backend, Gpu)
    return backend


def one(path: Path) -> Frame:
    (frame,) = probe(path)
    return frame


def unpacked(frame: Frame, reference: Frame, way: Demosaic) -> tuple[Picture, Mosaic]:
    out = np.empty((frame.height, frame.width, 3), np.uint16)
    mosaic = Decoder(reference, demosaic=way).unpack(frame, out)
    assert isinstance(mosaic, Mosaic)
    return room(out), mosaic


def measured(picture: Picture, mosaic: Mosaic) -> Picture:
    """Of each pixel the colour that its filter let through."""
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    colours = np.array(mosaic.colours)[y % 2 * 2 + x % 2]
    return np.take_along_axis(picture, colours[..., None], axis=2)[..., 0].astype(int)


def check_levels(frame: Frame, reference: Frame | None = None) -> Mosaic:
    """Measured colours are LibRaw's, but for rounding: it cuts off."""
    decoder = Decoder(reference or frame, demosaic=Demosaic.RCD)
    _, mosaic = unpacked(frame, reference or frame, Demosaic.RCD)
    found = measured(decoder(frame), mosaic)
    wanted = measured(Decoder(reference or frame, demosaic=Demosaic.PPG)(frame), mosaic)
    assert set(np.unique(found - wanted)) <= {0, 1}
    return mosaic


def noise(height: int, width: int, top: int = WHITE + 400) -> Pixels:
    """Samples from far below black to above white."""
    return np.random.default_rng(height * width).integers(0, top, (height, width)).astype(np.uint16)


def steps(height: int, width: int) -> Pixels:
    """Few values in patches: edges in both directions, and places where all directions are alike."""
    patches = np.random.default_rng(1).integers(0, 5, (height // 3 + 1, width // 4 + 1))
    return (np.kron(patches, np.ones((3, 4)))[:height, :width] * 3000 + 200).astype(np.uint16)


@pytest.mark.parametrize("way", OWN)
@pytest.mark.parametrize("colours", sorted(PATTERNS))
@pytest.mark.parametrize("size", [(22, 22), (33, 65), (97, 31)])
@pytest.mark.parametrize("draw", [noise, steps])
def test_both_backends_make_the_same_of_a_file(
    gpu: Gpu, tmp_path: Path, colours: tuple[int, ...], size: tuple[int, int], draw: Any, way: Demosaic
) -> None:
    frame = one(write_dng(tmp_path / "a.dng", draw(*size), colours=colours))
    samples, mosaic = unpacked(frame, frame, way)
    assert (mosaic.colours, mosaic.demosaic) == (colours, way)
    found = gpu.download(gpu.develop(gpu.upload(samples), mosaic))
    np.testing.assert_array_equal(found, Cpu(1).develop(samples, mosaic))
    np.testing.assert_array_equal(found, Decoder(frame, demosaic=way)(frame))


@pytest.mark.parametrize("colours", sorted(PATTERNS))
@pytest.mark.parametrize("iso", [0, 100])
@pytest.mark.parametrize("corner", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_black_of_each_pixel_equals_libraw(
    tmp_path: Path, colours: tuple[int, ...], iso: int, corner: tuple[int, int]
) -> None:
    path = write_dng(
        tmp_path / "a.dng", noise(40, 50), colours=colours, black=LEVELS, iso=iso, visible=(*corner, 40, 50)
    )
    assert sorted(check_levels(one(path)).black) == sorted(LEVELS)


@pytest.mark.parametrize("iso", [0, 100])
def test_levels_of_a_frame_of_the_stack_equal_libraw(tmp_path: Path, iso: int) -> None:
    a = one(write_dng(tmp_path / "a.dng", noise(40, 50), neutral=(0.9, 1, 0.3), black=(400,)))
    b = one(write_dng(tmp_path / "b.dng", noise(40, 50), black=LEVELS, white=15000, iso=iso))
    check_levels(b, a)


@pytest.mark.parametrize("white", [700, 4095, 65535])
@pytest.mark.parametrize("number", range(3))
def test_every_sample_is_scaled_as_by_libraw(tmp_path: Path, white: int, number: int) -> None:
    """Each sample there is, at each of the four pixels."""
    neutral = np.random.default_rng(number).uniform(0.2, 2, 3).tolist()
    samples = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)
    ramp = np.kron(samples, np.ones((2, 2), np.uint16))
    check_levels(one(write_dng(tmp_path / "a.dng", ramp, neutral=neutral, white=white, black=(100,))))


@pytest.mark.parametrize("balance", [(2.0, 1.0, 1.5, 1.1), (2.0, 1.2, 1.5, 1.0), (2.0, 1.0, 1.5, 0.0)])
def test_a_balance_of_the_second_green_equals_libraw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, balance: tuple[float, ...]
) -> None:
    monkeypatch.setattr(raw, "balance_of", lambda *_: balance)
    found = check_levels(one(write_dng(tmp_path / "a.dng", noise(40, 50), colours=(1, 2, 0, 1))))
    assert (found.gain[0] == found.gain[3]) == (balance[3] == 0)


@pytest.mark.parametrize("way", OWN)
@pytest.mark.parametrize(
    "name",
    [
        "real/CRW_0117.CRW",
        "real/DC0012L.KDC",
        "real/RAW_NIKON_D1.NEF",
        "real/colorchart.dng",
        "synthetic_dng_stack_bayer/frame_02.dng",
    ],
)
def test_files_of_cameras_come_out_nearly_as_libraw_develops_them(
    data: Path, name: str, way: Demosaic
) -> None:
    """AHD is another method, by other people: it agrees but for the finest detail, and so do levels."""
    frame = one(data / "raw" / name)
    found = Decoder(frame, demosaic=way)(frame) / 65535
    wanted = Decoder(frame, demosaic=Demosaic.AHD)(frame) / 65535
    np.testing.assert_allclose(found.mean(axis=(0, 1)), wanted.mean(axis=(0, 1)), rtol=0.002)
    assert psnr(found**0.45, wanted**0.45) > 30
