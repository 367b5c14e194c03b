"""The small copy inside large TIFF files: what it shows, and that nobody else comes by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from gpustack.io import encode, overview
from gpustack.io.decode import Decoder, probe
from gpustack.io.metadata import Metadata
from gpustack.io.overview import overview_of, steps_of
from gpustack.io.write import write_picture

HEIGHT, WIDTH = 301, 523


@pytest.fixture(autouse=True)
def _small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "FROM_PIXELS", 10_000)
    monkeypatch.setattr(overview, "LONGEST", 140)


def picture(channels: int = 3, dtype: str = "uint8") -> np.ndarray[Any, Any]:
    grains = np.random.default_rng(1).random((HEIGHT // 64 + 2, WIDTH // 64 + 2, channels))
    smooth = cv2.resize(grains, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).reshape(HEIGHT, WIDTH, -1)
    return (smooth.clip(0, 1) * {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]).astype(dtype)


def written(path: Path, pixels: np.ndarray[Any, Any]) -> Path:
    write_picture(path, pixels, Metadata(), overwrite=True, software="test", quality=98)
    return path


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("big", [False, True])
def test_a_large_file_holds_its_overview(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int, dtype: str, big: bool
) -> None:
    if big:
        monkeypatch.setattr(encode, "BIGTIFF_BYTES", 0)
    pixels = picture(channels, dtype)
    path = written(tmp_path / "a.tif", pixels)
    with tifffile.TiffFile(path) as tif:
        assert tif.is_bigtiff == big
        assert len(tif.pages) == 1
    (frame,) = probe(path)
    decoder = Decoder(frame)
    assert np.array_equal(decoder(frame), pixels)
    found = decoder.sketch(frame)
    assert found is not None
    steps, small = found
    assert (steps, small.shape) == (2, (76, 131, 3 if channels > 2 else 1))
    wanted = pixels[..., : small.shape[2]].astype(float) * (1 if dtype == "uint8" else 1 / 257)
    means = wanted[:300, :520].reshape(75, 4, 130, 4, -1).mean((1, 3))
    assert np.abs(small[:75, :130] - means).mean() < 2


def test_other_readers_see_the_picture_alone(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", picture())
    with Image.open(path) as read:
        assert getattr(read, "n_frames", 1) == 1
        assert np.array_equal(np.asarray(read), picture())
    assert np.array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1], picture())
    assert np.array_equal(tifffile.imread(path), picture())


def test_jpeg_files_are_decoded_smaller(tmp_path: Path) -> None:
    (frame,) = probe(written(tmp_path / "a.jpg", picture()))
    found = Decoder(frame).sketch(frame)
    assert found is not None
    assert (found[0], found[1].shape) == (2, (76, 131, 3))
    means = picture()[:300, :520].reshape(75, 4, 130, 4, -1).mean((1, 3))
    assert np.abs(found[1][:75, :130] - means).mean() < 2


@pytest.mark.parametrize("name", ["a.png", "float.tif"])
def test_others_have_none(tmp_path: Path, name: str) -> None:
    (frame,) = probe(written(tmp_path / name, picture(dtype="uint8" if name == "a.png" else "float32")))
    assert Decoder(frame).sketch(frame) is None


def test_small_files_have_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "FROM_PIXELS", HEIGHT * WIDTH + 1)
    assert overview_of(picture()) is None
    with tifffile.TiffFile(written(tmp_path / "a.tif", picture())) as tif:
        assert not tif.pages[0].subifds


def test_one_that_is_damaged_or_of_another_size_is_passed_over(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", picture())
    (frame,) = probe(path)
    with tifffile.TiffFile(path) as tif:
        start, count = tif.pages[0].pages[0].dataoffsets[0], tif.pages[0].pages[0].databytecounts[0]
    data = bytearray(path.read_bytes())
    data[start + count // 2 : start + count] = bytes(count - count // 2)
    path.write_bytes(data)
    assert Decoder(frame).sketch(frame) is None
    assert np.array_equal(Decoder(frame)(frame), picture())
    written(path, picture()[:290])
    assert Decoder(frame).sketch(frame) is None


def test_sizes_halve_until_they_are_no_longer_than_that() -> None:
    assert steps_of(140, 140) == 0
    assert steps_of(141, 141) == 1
    assert steps_of(561, 20) == 3
    assert steps_of(99, 99) == 0
