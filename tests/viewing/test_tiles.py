"""Pyramids: what is put in comes out, at every size."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gpustack.errors import InputError
from gpustack.viewing.grid import Area, Grid
from gpustack.viewing.tiles import STEP, NotYetError, Pyramid, encoded, halved

HEIGHT, WIDTH = 2 * STEP + 37, 1111


def picture() -> np.ndarray:
    noise = np.random.default_rng(3).integers(0, 256, (HEIGHT // 8 + 1, WIDTH // 8 + 1, 3))
    return np.kron(noise, np.ones((8, 8, 1)))[:HEIGHT, :WIDTH].astype(np.uint8)


def filled(folder: Path, rows: int = HEIGHT) -> tuple[Pyramid, np.ndarray]:
    source, pyramid = picture(), Pyramid(folder, "p", Grid(WIDTH, HEIGHT), 3)
    for top in range(0, rows, STEP):
        pyramid.put(top, source[top : top + STEP])
    return pyramid, source


def whole(grid: Grid, level: int) -> Area:
    return Area(level, 0, 0, *grid.size(level))


def test_every_level_is_the_mean_of_the_one_before(tmp_path: Path) -> None:
    pyramid, source = filled(tmp_path)
    assert pyramid.done
    assert np.array_equal(pyramid.read(whole(pyramid.grid, 0)), source)
    for level in range(1, pyramid.grid.levels):
        finer = pyramid.read(whole(pyramid.grid, level - 1)).astype(int)
        edge = [(0, side % 2) for side in finer.shape[:2]]
        finer = np.pad(finer, [*edge, (0, 0)], mode="edge")
        means = finer.reshape(finer.shape[0] // 2, 2, finer.shape[1] // 2, 2, 3).mean((1, 3))
        assert np.abs(pyramid.read(whole(pyramid.grid, level)) - means).max() <= 0.5


def test_rows_that_are_not_there_yet_are_waited_for(tmp_path: Path) -> None:
    pyramid, source = filled(tmp_path, rows=STEP)
    upper, lower = Area(0, 0, 0, 512, 512), Area(0, 0, STEP, 512, 512)
    assert np.array_equal(pyramid.read(upper, wait_s=0.0), source[:512, :512])
    with pytest.raises(NotYetError):
        pyramid.read(lower, wait_s=0.01)
    pyramid.put(STEP, source[STEP : 2 * STEP])
    assert np.array_equal(pyramid.read(lower, wait_s=0.0), source[STEP : STEP + 512, :512])


def test_a_sketch_is_seen_until_the_pixels_come(tmp_path: Path) -> None:
    source, pyramid = picture(), Pyramid(tmp_path, "p", Grid(WIDTH, HEIGHT), 3)
    sketch = np.full((*pyramid.grid.size(2)[::-1], 3), 200, np.uint8)
    pyramid.sketch(2, sketch)
    assert np.array_equal(pyramid.read(whole(pyramid.grid, 2), wait_s=0.0), sketch)
    with pytest.raises(NotYetError):
        pyramid.read(whole(pyramid.grid, 1), wait_s=0.0)
    for top in range(0, HEIGHT, STEP):
        pyramid.put(top, source[top : top + STEP])
    assert np.array_equal(pyramid.read(whole(pyramid.grid, 2)), halved(halved(source)))


def test_what_could_not_be_read_is_told_to_who_waits(tmp_path: Path) -> None:
    pyramid, source = filled(tmp_path, rows=STEP)
    pyramid.fail(InputError("It is damaged.", "Copy it again."))
    with pytest.raises(InputError, match="damaged"):
        pyramid.read(Area(0, 0, STEP, 10, 10))
    assert np.array_equal(pyramid.read(Area(0, 0, 0, 10, 10)), source[:10, :10])


@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_are_jpeg_files_near_their_pixels(channels: int) -> None:
    pixels = np.ascontiguousarray(picture()[:300, :200, :channels])
    read = np.atleast_3d(np.asarray(Image.open(io.BytesIO(encoded(pixels)))))
    assert read.shape == pixels.shape
    assert np.abs(read.astype(int) - pixels).mean() < 6
