"""Frames on the result's pixels, against the frames that the engine aligned itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gpustack import api
from gpustack.errors import GpustackError
from gpustack.io.sidecar import sidecar_of
from gpustack.io.write import oriented
from gpustack.model.frame import Frame
from gpustack.records.shown import open_shown
from gpustack.settings import Interpolation, Settings
from gpustack.viewing.desk import Desk
from gpustack.viewing.grid import Area
from gpustack.viewing.tiles import halved
from tests.viewing.stacks import Pixels, opened, stacked, write_stack


def whole(desk: Desk, level: int = 0) -> Area:
    return Area(level, 0, 0, *desk.pictures.grid.size(level))


def aligned(paths: list[Path], orientation: int, settings: Settings) -> list[Pixels]:
    """The frames as `--save-steps` has them, upright."""
    found: dict[str, Pixels] = {}

    def keep(frame: Frame, pixels: Pixels) -> None:
        found[frame.name] = oriented(pixels, orientation).copy()

    api.stack(paths, settings, keep_aligned=keep)
    return [found[path.name] for path in paths]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_frame_lies_where_the_engine_lays_it(tmp_path: Path, orientation: int) -> None:
    paths = write_stack(tmp_path, orientation)
    wanted = aligned(paths, orientation, Settings())
    with opened(stacked(tmp_path), ready=False) as desk:
        assert desk.pictures.shown.turn.orientation == orientation
        for index, frame in enumerate(wanted):
            look = desk.look(f"frame-{index}", whole(desk))
            assert look.valid is None
            # Positions are float32 of other numbers than the engine's: a rounding may go the other way.
            assert np.abs(look.pixels.astype(int) - frame).max() <= 1
            assert (look.pixels != frame).mean() < 0.01


def test_the_interpolation_is_that_of_the_run(tmp_path: Path) -> None:
    paths = write_stack(tmp_path)
    wanted = aligned(paths, 1, Settings(interpolation=Interpolation.LANCZOS))
    with opened(stacked(tmp_path, "--interpolation", "lanczos"), ready=False) as desk:
        look = desk.look("frame-2", whole(desk))
        assert np.abs(look.pixels.astype(int) - wanted[2]).max() <= 1


@pytest.mark.parametrize("told", [True, False])
def test_how_frames_are_turned_the_sidecar_tells_and_once_they_did(tmp_path: Path, told: bool) -> None:
    """Sidecars of earlier versions say nothing of it."""
    paths, result = write_stack(tmp_path, 7), stacked(tmp_path)
    sidecar = sidecar_of(result)
    content = json.loads(sidecar.read_text())
    assert [row["orientation"] for row in content["inputs"]] == [7] * 3
    if not told:
        for row in content["inputs"]:
            del row["orientation"]
        sidecar.write_text(json.dumps(content))
    there = open_shown(result)
    assert (there.turn.orientation, there.turn_known) == (7, True)
    for path in paths:
        path.unlink()
    gone = open_shown(result)
    assert gone.turn_known is told
    assert (gone.turn.orientation == 7) is told
    assert len(gone.warnings) - len(there.warnings) == (not told)
    assert gone.box == there.box or not told


@pytest.mark.parametrize("orientation", [1, 6, 7])
@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_coarse_tiles_are_the_fine_ones_made_smaller(tmp_path: Path, orientation: int, ending: str) -> None:
    write_stack(tmp_path, orientation, ending=ending)
    with opened(stacked(tmp_path), ready=False) as desk:
        fine = halved(desk.look("frame-0", whole(desk, 0)).pixels)
        coarse = desk.look("frame-0", whole(desk, 1))
        assert coarse.valid is None
        assert coarse.pixels.shape == fine.shape
        moved = [np.abs(np.roll(coarse.pixels, step, (0, 1)).astype(int) - fine).mean() for step in SHIFTS]
        assert moved[0] < 4
        assert moved[0] < 0.7 * min(moved[1:])


SHIFTS = [(0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)]


def test_what_a_frame_does_not_show_is_dark_and_told(tmp_path: Path) -> None:
    write_stack(tmp_path)
    with opened(stacked(tmp_path, "--crop", "none"), ready=False) as desk:
        look = desk.look("frame-2", whole(desk))
        assert look.valid is not None
        assert 0.9 < look.valid.mean() < 1
        assert (look.pixels[~look.valid] == 32).all()
        assert desk.look("frame-1", whole(desk)).valid is None


def test_an_area_is_that_part_of_the_whole(tmp_path: Path) -> None:
    write_stack(tmp_path, 8)
    with opened(stacked(tmp_path), ready=False) as desk:
        all_, part = desk.look("frame-0", whole(desk)), Area(0, 31, 17, 40, 50)
        seen = desk.look("frame-0", part).pixels
        assert np.abs(seen.astype(int) - all_.pixels[part.slices]).max() <= 1


def test_a_frame_that_has_gone_or_changed_is_told_and_the_others_are_shown(tmp_path: Path) -> None:
    paths = write_stack(tmp_path, count=4)
    result = stacked(tmp_path)
    paths[0].unlink()
    paths[3].write_bytes(paths[3].read_bytes() + b"\0")
    with opened(result, ready=False) as desk:
        for index, words in ((0, "f0.png is missing"), (3, "bytes and had")):
            assert words in str(desk.pictures.frames.problem(index))
            with pytest.raises(GpustackError, match=words):
                desk.look(f"frame-{index}", whole(desk))
        assert desk.pictures.frames.problem(1) is None
        assert desk.look("frame-2", whole(desk)).valid is None


def test_frames_are_found_in_another_folder(tmp_path: Path) -> None:
    write_stack(tmp_path)
    result = stacked(tmp_path)
    (tmp_path / "frames").rename(tmp_path / "moved")
    with opened(result, ready=False) as desk, pytest.raises(GpustackError, match="missing"):
        desk.look("frame-1", whole(desk))
    with opened(result, folder=tmp_path / "moved", ready=False) as desk:
        assert desk.look("frame-1", whole(desk)).valid is None


def test_the_frames_beside_are_decoded_ahead_for_coarse_levels(tmp_path: Path) -> None:
    write_stack(tmp_path, count=4)
    with opened(stacked(tmp_path), ready=False) as desk:
        store = desk.pictures.frames._store
        desk.look("frame-1", Area(1, 0, 0, 10, 10))
        desk.look("frame-1", Area(2, 0, 0, 10, 10))
        desk.pictures.frames._ahead.submit(int).result()  # it has done what it was asked for before
        assert all(store.kept((index, 2)) is not None for index in (0, 1, 2))
        assert store.kept((3, 2)) is store.kept((2, 1)) is None
