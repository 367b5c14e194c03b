"""All that is kept of a frame's light is made of one going through it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from gpustack.align.brightness import SIDE, factor_of
from gpustack.backend.cpu import Cpu
from gpustack.engine.lights import lit
from gpustack.ghosts.glance import cell_side
from gpustack.model.frame import Frame, Kind, PixelType

CPU = Cpu(1)


def frame(width: int, height: int) -> Frame:
    return Frame(Path("frame.png"), width, height, 3, PixelType.UINT8, Kind.PNG)


def pixels(width: int, height: int) -> npt.NDArray[Any]:
    return np.random.default_rng(3).integers(0, 240, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("size", [(96, 64), (512, 384), (816, 612), (1300, 40)])
def test_blocks_of_light_are_means_over_the_frame(size: tuple[int, int]) -> None:
    seen, values = frame(*size), pixels(*size)
    light = lit(CPU, values, seen, 1).light(colours=True)
    rows, columns = light.values.shape[1:]
    assert light.factor % cell_side(size) == 0
    assert light.factor >= factor_of(size)
    assert max(rows, columns) <= SIDE
    direct = CPU.light(values, PixelType.UINT8, light.factor, False)
    np.testing.assert_allclose(light.values, direct[:, :rows, :columns], rtol=2e-3)  # kept in half precision


def test_a_burnt_pixel_makes_its_block_unknown_and_no_other() -> None:
    values = pixels(816, 612)
    values[300, 400] = 255
    light = lit(CPU, values, frame(816, 612), 1).light()
    assert np.argwhere(np.isinf(light.values[0])).tolist() == [[300 // light.factor, 400 // light.factor]]


def test_cells_of_a_smaller_decoding_are_as_large_in_the_frame() -> None:
    seen = frame(1632, 1224)
    cells = lit(CPU, pixels(816, 612), seen, 2)
    assert cells.glance().factor == 2 * cell_side((816, 612))
    assert cells.glance().size == cells.light().size == (1632, 1224)
