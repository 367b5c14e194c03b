"""Levels and tiles of a picture."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gpustack.model.transform import Transform
from gpustack.viewing.grid import TILE, Grid

sides = st.integers(1, 70_000)


@given(sides, sides)
def test_tiles_cover_each_level_once(width: int, height: int) -> None:
    grid = Grid(width, height)
    for level in range(max(0, grid.levels - 3), grid.levels):
        wide, high = grid.size(level)
        columns, rows = -(-wide // TILE), -(-high // TILE)
        tiles = [grid.tile(level, column, row) for column in range(columns) for row in range(rows)]
        assert sum(tile.width * tile.height for tile in tiles if tile is not None) == wide * high
        assert grid.tile(level, columns, 0) is grid.tile(level, 0, rows) is None


@given(sides, sides)
def test_the_last_level_is_one_tile_and_no_other_is(width: int, height: int) -> None:
    grid = Grid(width, height)
    assert max(grid.size(grid.levels - 1)) <= TILE
    assert grid.levels == 1 or max(grid.size(grid.levels - 2)) > TILE
    assert grid.tile(grid.levels, 0, 0) is grid.tile(-1, 0, 0) is grid.tile(0, -1, 0) is None


def test_pixels_of_an_area_lie_in_the_middle_of_what_they_stand_for() -> None:
    area = Grid(3000, 2000).tile(2, 1, 0)
    assert area is not None
    found = Transform(area.to_full).apply([[0, 0], [1, 0]])
    assert np.allclose(found, [[4 * 512 + 1.5, 1.5], [4 * 513 + 1.5, 1.5]])
