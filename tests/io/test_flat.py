"""Flat fields: what is divided out, what is kept out, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

import gpustack
from gpustack.errors import DecodeError, InputError
from gpustack.io.decode import Decoder, probe
from gpustack.io.flat import Flat
from gpustack.model.frame import Frame, Kind, PixelType
from gpustack.model.stack import Stack
from gpustack.scenes.comparison import truth_psnr
from gpustack.settings import BackendName, Settings
from tests.engine.shots import frames_of, macro
from tests.io.dng import BLACK, write_dng

Pixels = npt.NDArray[Any]
WIDTH, HEIGHT = 240, 160


def falloff(width: int = WIDTH, height: int = HEIGHT, corner: float = 0.5) -> Pixels:
    """(h, w, 1): 1 in the middle, `corner` in the corners."""
    y, x = np.mgrid[:height, :width]
    radius = ((x - (width - 1) / 2) / width) ** 2 + ((y - (height - 1) / 2) / height) ** 2
    return np.asarray(1 - (1 - corner) * (2 * radius) ** 1.2)[..., None]


def header(
    kind: PixelType, channels: int = 3, width: int = WIDTH, height: int = HEIGHT, stored: Kind = Kind.ARRAY
) -> Frame:
    return Frame(Path("frame"), width, height, channels, kind, stored)


def flat_of(path: Path, picture: Pixels, frame: Frame) -> Flat:
    tifffile.imwrite(path, picture, photometric="rgb" if picture.ndim == 3 else "minisblack")
    return Flat(path, Stack((frame,)), None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "flat.tif"


@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), (600, 400), (120, 80)])
def test_the_falloff_is_divided_out(path: Path, size: tuple[int, int]) -> None:
    frame = header(PixelType.FLOAT32)
    flat = flat_of(path, np.repeat(falloff(*size) * 0.8, 3, 2).astype(np.float32), frame)
    found = flat.divide(frame, (0.4 * np.repeat(falloff(), 3, 2)).astype(np.float32), None)
    assert np.abs(found / 0.4 - 1).max() < (0.01 if size[0] >= WIDTH else 0.02)  # the rim of a small one
    assert np.abs(found[20:-20, 20:-20] / 0.4 - 1).max() < 0.004


def test_whole_numbers_are_rounded_once_and_end_at_white(path: Path) -> None:
    frame = header(PixelType.UINT8)
    flat = flat_of(path, np.rint(np.repeat(falloff(), 3, 2) * 60000).astype(np.uint16), frame)
    bright, exact = np.full((HEIGHT, WIDTH, 3), 200, np.uint8), header(PixelType.FLOAT32)
    found = flat.divide(frame, bright, None)
    gain = flat.divide(exact, bright.astype(np.float32), None)
    np.testing.assert_array_equal(found, np.rint(np.minimum(gain, 255)).astype(np.uint8))
    assert found[0, 0, 0] == 255
    assert gain.max() > 300  # floats are not cut
    assert bright.min() == bright.max() == 200


def test_alpha_stays_and_the_result_lies_where_it_is_wanted(path: Path) -> None:
    frame = header(PixelType.UINT8, 4)
    flat = flat_of(path, np.rint(np.repeat(falloff(), 3, 2) * 250).astype(np.uint8), frame)
    pixels = np.full((HEIGHT, WIDTH, 4), 100, np.uint8)
    assert flat.divide(frame, pixels, pixels) is pixels
    assert (pixels[..., 3] == 100).all()
    assert pixels[0, 0, 0] > 150


@pytest.mark.parametrize("channels", [1, 3])
def test_dust_noise_and_the_colour_of_the_light_stay_out(path: Path, channels: int) -> None:
    frame = header(PixelType.FLOAT32, channels, 1200, 800)
    rng = np.random.default_rng(0)
    picture = falloff(1200, 800) * np.array([0.8, 0.6, 0.5])[:channels] + rng.normal(
        0, 0.02, (800, 1200, channels)
    )
    picture[300:304, 500:504] *= 0.6
    flat = flat_of(path, picture.squeeze().astype(np.float32), frame)
    found = flat.divide(frame, np.repeat(falloff(1200, 800), channels, 2).astype(np.float32), None)
    assert np.abs(found[40:-40, 40:-40] - 1).max() < 0.006
    assert np.abs(np.diff(found.mean(axis=(0, 1)))).sum() < 0.003


def refused(path: Path, picture: Pixels, frame: Frame, *said: str) -> None:
    with pytest.raises(InputError) as caught:
        flat_of(path, picture, frame)
    assert all(word in caught.value.message for word in ("flat.tif", *said))
    assert caught.value.remedy
    assert caught.value.exit_code == 3


def test_what_is_no_flat_is_refused(path: Path) -> None:
    frame = header(PixelType.UINT8)
    gray = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    refused(path, np.zeros_like(gray), frame, "too dark")
    half = gray.copy()
    half[:, WIDTH // 2 :] = 0
    refused(path, half, frame, "too dark")
    refused(path, gray[..., 0], frame, "1 colour channels", "3")
    refused(path, gray[:, :160], frame, "160x160", "240x160")
    path.write_bytes(b"no picture")
    with pytest.raises(DecodeError, match=r"flat\.tif"):
        Flat(path, Stack((frame,)), None)
    with pytest.raises(DecodeError, match=r"gone\.tif"):
        Flat(path.with_name("gone.tif"), Stack((frame,)), None)


def test_raw_frames_take_a_raw_flat(tmp_path: Path) -> None:
    fall = falloff()[..., 0]
    shot, even = (
        write_dng(tmp_path / name, np.rint(BLACK + level * fall).astype(np.uint16))
        for name, level in (("shot.dng", 3000), ("even.dng", 6000))
    )
    (frame,) = probe(shot)
    stack, decoder = Stack((frame,)), Decoder(frame)
    pixels = decoder(frame)
    found = Flat(even, stack, decoder).divide(frame, pixels, None)
    middle = pixels[HEIGHT // 2, WIDTH // 2].astype(float)
    assert np.abs(found[8:-8, 8:-8] / middle - 1).max() < 0.01
    tifffile.imwrite(tmp_path / "flat.tif", np.full((HEIGHT, WIDTH, 3), 128, np.uint8))
    with pytest.raises(DecodeError, match="RAW"):
        Flat(tmp_path / "flat.tif", stack, decoder)


def test_a_stack_comes_out_as_if_the_lens_were_even(path: Path) -> None:
    scene = macro(breathing=0.1, frames=6, flicker=0.0)
    clean, fall = frames_of(scene), falloff(corner=0.4)
    dark = [np.rint(frame * fall).astype(np.uint8) for frame in clean]
    tifffile.imwrite(path, np.rint(np.repeat(fall, 3, 2) * 220).astype(np.uint8))
    before = [frame.copy() for frame in dark]

    def stacked(frames: list[Pixels], flat: str | None) -> tuple[float, float]:
        settings = Settings(threads=2, backend=BackendName.CPU, flat=flat)
        result = gpustack.stack(frames, settings)
        gains = [abs(transform.gain - 1) for transform in result.transforms]
        return truth_psnr(scene, result.image, result.report.box), max(gains)

    wanted, uneven, found = stacked(clean, None), stacked(dark, None), stacked(dark, str(path))
    assert found[0] > wanted[0] - 0.3
    assert found[0] > uneven[0] + 5
    assert found[1] < uneven[1]
    np.testing.assert_array_equal(before, dark)
