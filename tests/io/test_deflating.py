"""How hard deflate tries: no harder than it pays, and not so little that files grow."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from gpustack.io.deflating import LARGER, LEVELS, THOROUGH, level_for
from gpustack.io.encode import TILE, encode_tiff
from gpustack.io.metadata import Metadata

SIDE = 2 * TILE + 40


def seen(dtype: str, noise: float, channels: int = 3) -> npt.NDArray[Any]:
    """Slopes and edges with noise, a share of white."""
    y, x, c = np.mgrid[:SIDE, :SIDE, :channels]
    picture = 0.4 + 0.2 * np.sin(x / 90 + c) + 0.1 * ((x // 48 + y // 48) % 2)
    picture = (picture + np.random.default_rng(2).normal(0, noise, picture.shape)).clip(0, 1)
    white = 1.0 if dtype == "float32" else np.iinfo(dtype).max
    return np.asarray(picture * white).astype(dtype)


PICTURES = {
    "16 bits with noise": seen("uint16", 0.004),
    "16 bits that hold 8": seen("uint8", 0.004).astype(np.uint16) * 257,
    "8 bits": seen("uint8", 0.004),
    "gray": seen("uint16", 0.001, 1),
    "floats": seen("float32", 0.01, 1),
    "flat": np.full((SIDE, SIDE, 3), 7, np.uint8),
}


def thoroughly(pixels: npt.NDArray[Any]) -> int:
    """Bytes of the same file, always packed by the usual level."""
    file = BytesIO()
    options: dict[str, Any] = {"compression": "adobe_deflate", "compressionargs": {"level": THOROUGH}}
    kind = "rgb" if pixels.shape[2] == 3 else "minisblack"
    planes = pixels if pixels.shape[2] == 3 else pixels[..., 0]
    tifffile.imwrite(file, planes, photometric=kind, predictor=True, tile=(TILE, TILE), **options)
    return len(file.getvalue())


@pytest.mark.parametrize("name", PICTURES)
def test_files_are_about_as_small_as_the_usual_level_makes_them(name: str) -> None:
    file, pixels = BytesIO(), PICTURES[name]
    encode_tiff(file, pixels, Metadata(), "gpustack")
    # A picture's pieces tell of the whole to a hundredth; headers and a flat tile are some hundred bytes.
    assert len(file.getvalue()) <= (LARGER + 0.01) * thoroughly(pixels) + 2048
    assert np.array_equal(tifffile.imread(BytesIO(file.getvalue())).reshape(pixels.shape), pixels)


def test_noise_of_16_bits_is_packed_by_the_quickest_level_which_packs_it_smaller() -> None:
    pixels = PICTURES["16 bits with noise"]
    assert level_for(pixels) == LEVELS[0]
    data = np.asarray(imagecodecs.delta_encode(pixels[:TILE, :TILE], axis=-2)).tobytes()
    quick, thorough = (len(imagecodecs.deflate_encode(data, level=level)) for level in (1, THOROUGH))
    assert quick < thorough


def test_what_repeats_itself_is_packed_more_thoroughly() -> None:
    assert level_for(PICTURES["8 bits"]) > LEVELS[0]
    assert level_for(PICTURES["16 bits that hold 8"]) > LEVELS[0]


@pytest.mark.parametrize("size", [(1, 1, 1), (3, 700, 4), (700, 3, 2)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_small_pictures_have_pieces_too(size: tuple[int, int, int], dtype: str) -> None:
    assert level_for(np.ones(size, dtype)) in (*LEVELS, THOROUGH)
