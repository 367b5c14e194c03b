"""The focus measure in cells: the same on every backend, and of each frame by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend import filters
from gpustack.backend.protocol import Backend
from gpustack.fuse.cells import FocusCells
from gpustack.model.canvas import Canvas
from gpustack.model.frame import PixelType
from gpustack.model.rect import cut
from gpustack.model.transform import Transform
from gpustack.settings import FOCUS_SIGMA_PX

HEIGHT, WIDTH, CELLS = 64, 96, 12


def canvas(rows: int, *, covered: bool = True) -> Canvas:
    return Canvas(0, 0, WIDTH, HEIGHT, 3, PixelType.UINT8, cut(HEIGHT, rows), covered)


def picture(index: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(index).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def cells_of(
    backend: Backend[Any], onto: Canvas, place: Transform | None = None
) -> dict[int, tuple[npt.NDArray[Any], npt.NDArray[np.float32]]]:
    """What two frames give."""
    found = {}

    def heard(index: int, pixels: npt.NDArray[Any], cells: npt.NDArray[np.float32]) -> None:
        found[index] = (pixels.copy(), cells)

    fold = FocusCells(CELLS, heard)
    state = fold.start(backend, onto)
    for index in range(2):
        frame = backend.upload(picture(index))
        there = onto.place(place or Transform.identity())
        fold.add(
            backend,
            state,
            index,
            lambda rows, frame=frame, there=there: backend.load(frame, there, onto.pixel_type, WIDTH, rows),
        )
    return found


def test_cells_are_means_of_the_measure(backend: Backend[Any]) -> None:
    for rows in (HEIGHT, 24):
        for index, (pixels, cells) in cells_of(backend, canvas(rows)).items():
            assert np.array_equal(pixels, picture(index))
            light = np.moveaxis(picture(index).astype(np.float32) / 255, -1, 0)
            luma = filters.luma(np.ascontiguousarray(light))
            energy = filters.sharpness(luma, FOCUS_SIGMA_PX, slice(0, HEIGHT))
            wanted = energy.reshape(8, 8, 12, 8).mean(axis=(1, 3))
            np.testing.assert_allclose(cells, wanted, rtol=2e-4)


def test_what_a_frame_does_not_cover_has_less_than_nothing(backend: Backend[Any]) -> None:
    moved = Transform(np.array([[1.0, 0, 40], [0, 1, 0], [0, 0, 1]]))
    for _, cells in cells_of(backend, canvas(24, covered=False), moved).values():
        assert (cells[:, 7:] < 0).all()
        assert (cells[:, :7] > 0).all()
