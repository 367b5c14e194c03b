"""A mosaic that a GPU develops equals, to the last bit, what LibRaw makes of its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpustack.backend.cpu import Cpu
from gpustack.backend.gpu.backend import Gpu
from gpustack.errors import BackendError
from gpustack.io import raw
from gpustack.io.decode import Decoder, probe
from gpustack.model.frame import Frame
from gpustack.model.mosaic import PATTERNS, Mosaic, room
from tests.conftest import BACKENDS
from tests.io.dng import BLACK, WHITE, Pixels, write_dng

pytest.importorskip("rawpy", reason="rawpy has no build for this platform")

LEVELS = (500, 540, 580, 620)


@pytest.fixture(scope="module", params=["cuda-on-cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def gpu(request: pytest.FixtureRequest) -> Gpu:
    backend = BACKENDS[request.param]()
    assert isinstance(backend, Gpu)
    return backend


def one(path: Path) -> Frame:
    (frame,) = probe(path)
    return frame


def check(gpu: Gpu, frame: Frame, reference: Frame | None = None) -> Mosaic:
    """Developed here and by LibRaw, it is the same."""
    decoder = Decoder(reference or frame)
    out = np.empty((frame.height, frame.width, 3), np.uint16)
    mosaic = decoder.unpack(frame, out)
    assert mosaic is not None
    found = gpu.download(gpu.develop(gpu.upload(room(out)), mosaic))
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, decoder(frame))
    return mosaic


def noise(height: int, width: int, top: int = WHITE + 400) -> Pixels:
    """Samples from far below black to above white."""
    return np.random.default_rng(height * width).integers(0, top, (height, width)).astype(np.uint16)


def steps(height: int, width: int) -> Pixels:
    """Few values in patches: edges in both directions, and places where all directions are alike."""
    patches = np.random.default_rng(1).integers(0, 5, (height // 3 + 1, width // 4 + 1))
    return (np.kron(patches, np.ones((3, 4)))[:height, :width] * 3000 + 200).astype(np.uint16)


def pepper(height: int, width: int) -> Pixels:
    """Two values by chance: many pixels change alike in all directions, but not to the same value."""
    return (np.random.default_rng(2).integers(0, 2, (height, width)) * 1500 + 600).astype(np.uint16)


def shades(height: int, width: int) -> Pixels:
    """A smooth slope with a little noise, as most of a photograph is."""
    y, x = np.mgrid[:height, :width]
    slope: Pixels = BLACK + 20 * y + 31 * x
    return (slope + noise(height, width, 40)).astype(np.uint16)


@pytest.mark.parametrize("colours", sorted(PATTERNS))
@pytest.mark.parametrize("size", [(22, 22), (33, 65), (64, 49), (97, 31)])
@pytest.mark.parametrize("draw", [noise, steps, pepper, shades])
def test_every_phase_and_size_equals_libraw(
    gpu: Gpu, tmp_path: Path, colours: tuple[int, ...], size: tuple[int, int], draw: Any
) -> None:
    found = check(gpu, one(write_dng(tmp_path / "a.dng", draw(*size), colours=colours)))
    assert found.colours == colours


@pytest.mark.parametrize("colours", sorted(PATTERNS))
@pytest.mark.parametrize("iso", [0, 100])
@pytest.mark.parametrize("corner", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_black_of_each_pixel_equals_libraw(
    gpu: Gpu, tmp_path: Path, colours: tuple[int, ...], iso: int, corner: tuple[int, int]
) -> None:
    path = write_dng(
        tmp_path / "a.dng", noise(40, 50), colours=colours, black=LEVELS, iso=iso, visible=(*corner, 40, 50)
    )
    assert sorted(check(gpu, one(path)).black) == sorted(LEVELS)


@pytest.mark.parametrize("iso", [0, 100])
def test_levels_of_a_frame_of_the_stack_equal_libraw(gpu: Gpu, tmp_path: Path, iso: int) -> None:
    a = one(write_dng(tmp_path / "a.dng", noise(40, 50), neutral=(0.9, 1, 0.3), black=(400,)))
    b = one(write_dng(tmp_path / "b.dng", noise(40, 50), black=LEVELS, white=15000, iso=iso))
    check(gpu, b, a)


@pytest.mark.parametrize("white", [700, 4095, 65535])
@pytest.mark.parametrize("number", range(6))
def test_every_sample_is_scaled_as_by_libraw(gpu: Gpu, tmp_path: Path, white: int, number: int) -> None:
    """Each sample there is, at each of the four pixels: the product in float32 decides where it is cut."""
    neutral = np.random.default_rng(number).uniform(0.2, 2, 3).tolist()
    samples = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)
    ramp = np.kron(samples, np.ones((2, 2), np.uint16))
    frame = one(write_dng(tmp_path / "a.dng", ramp, neutral=neutral, white=white, black=(100,)))
    check(gpu, frame)


@pytest.mark.parametrize("balance", [(2.0, 1.0, 1.5, 1.1), (2.0, 1.2, 1.5, 1.0), (2.0, 1.0, 1.5, 0.0)])
def test_a_balance_of_the_second_green_equals_libraw(
    gpu: Gpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, balance: tuple[float, ...]
) -> None:
    monkeypatch.setattr(raw, "_balance", lambda *_: balance)
    found = check(gpu, one(write_dng(tmp_path / "a.dng", noise(40, 50), colours=(1, 2, 0, 1))))
    assert (found.gain[0] == found.gain[3]) == (balance[3] == 0)


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
def test_files_of_cameras_equal_libraw(gpu: Gpu, data: Path, name: str) -> None:
    check(gpu, one(data / "raw" / name))


def test_the_cpu_backend_leaves_it_to_libraw() -> None:
    backend = Cpu(1)
    assert not backend.develops
    mosaic = Mosaic((0, 1, 1, 2), (0, 0, 0, 0), (1.0, 1.0, 1.0, 1.0))
    with pytest.raises(BackendError, match="does not develop"):
        backend.develop(np.zeros((4, 4, 1), np.uint16), mosaic)
