"""The cells in which a frame is left out, as a mask of the canvas."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gpustack.ghosts.mask import LeftOut
from gpustack.model.canvas import Canvas
from gpustack.model.frame import PixelType
from gpustack.model.rect import Rows, cut

CELLS = np.zeros((12, 16), bool)
CELLS[4:7, 5:9] = True
FOUR = LeftOut(CELLS, 4)


def canvas(left: int = 0, top: int = 0, width: int = 62, height: int = 46) -> Canvas:
    return Canvas(left, top, width, height, 3, PixelType.UINT8, cut(height, 10))


def whole(of: Canvas) -> npt.NDArray[np.uint8]:
    bands = [FOUR.taken(of, rows) for rows in of.bands]
    full = [np.full((len(rows), of.width), 255, np.uint8) for rows in of.bands]
    return np.concatenate([plain if band is None else band for band, plain in zip(bands, full, strict=True)])


def test_it_is_left_out_in_its_cells_and_takes_part_elsewhere() -> None:
    mask = whole(canvas())
    assert set(np.unique(mask)) == {0, 255}
    assert (mask[17:27, 21:35] == 0).all()
    assert (mask[:15] == 255).all()
    assert (mask[:, 38:] == 255).all()
    assert abs(int((mask == 0).sum()) - 3 * 4 * 16) < 20


def test_rows_without_any_have_no_mask() -> None:
    assert FOUR.taken(canvas(), Rows(0, 10)) is None
    assert FOUR.taken(canvas(), Rows(20, 30)) is not None


def test_bands_change_nothing() -> None:
    at_once = FOUR.taken(canvas(), Rows(0, 46))
    np.testing.assert_array_equal(whole(canvas()), at_once)


def test_a_canvas_that_begins_elsewhere_sees_the_same() -> None:
    inner = canvas(7, 9, 40, 30)
    np.testing.assert_array_equal(FOUR.taken(inner, Rows(0, 30)), whole(canvas())[9:39, 7:47])
