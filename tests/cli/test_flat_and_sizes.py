"""`--flat` and frames of different pixel size on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.calling import HEIGHT, WIDTH, assert_refused, call, pixels, shots, write_tiffs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three frames, darker to the right."""
    folder = tmp_path / "frames"
    folder.mkdir()
    write_tiffs(folder, [np.rint(shot * slope()).astype(np.uint8) for shot in shots()])
    return folder


def slope() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.linspace(1.0, 0.5, WIDTH)[None, :, None]


@pytest.fixture
def flat(folder: Path) -> Path:
    """The even surface, among the frames."""
    even = np.rint(np.full((HEIGHT, WIDTH, 3), 240) * slope()).astype(np.uint8)
    return write_tiffs(folder, [even], "a_flat{}.tif")[0]


def test_a_flat_among_the_frames_evens_the_picture(folder: Path, flat: Path, tmp_path: Path) -> None:
    out, plain = tmp_path / "out.tif", tmp_path / "plain.tif"
    result = call("stack", folder, "-o", out, "--flat", flat, "--align", "none", "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert len(told["frames"]) == 3
    assert told["settings"]["flat"] == str(flat)
    even = tmp_path / "even"
    even.mkdir()
    assert call("stack", *write_tiffs(even, shots()), "-o", plain, "--align", "none").exit_code == 0
    away = np.abs(pixels(out).astype(int) - pixels(plain))
    assert away.mean() < 2.0


def test_align_takes_a_flat(folder: Path, flat: Path) -> None:
    result = call("align", folder, "--flat", flat, "--json")
    assert result.exit_code == 0, result.stderr
    assert len(json.loads(result.stdout)["frames"]) == 3


def test_a_flat_that_is_none(folder: Path, tmp_path: Path) -> None:
    dark = write_tiffs(tmp_path, [np.zeros((HEIGHT, WIDTH, 3), np.uint8)], "dark{}.tif")[0]
    out = tmp_path / "out.tif"
    assert_refused(call("stack", folder, "-o", out, "--flat", dark), 3, dark.name, "too dark")
    assert_refused(call("stack", folder, "-o", out, "--flat", tmp_path / "gone.tif"), 3, "gone.tif")
    assert not out.exists()


def test_sizes_may_differ_where_frames_are_aligned(tmp_path: Path) -> None:
    frames = shots(count=4, step=1.0)
    frames[3] = frames[3][:-4, :-6]
    paths, out, saved = write_tiffs(tmp_path, frames), tmp_path / "out.tif", tmp_path / "t.json"
    for more in ((), ("--dry-run",)):
        refused = call("stack", *paths, "-o", out, "--align", "none", *more)
        assert_refused(refused, 3, f"{WIDTH}x{HEIGHT}", f"{WIDTH - 6}x{HEIGHT - 4}", "Align")
    assert call("stack", *paths, "-o", out, "--save-transforms", saved).exit_code == 0
    rows = json.loads(saved.read_bytes())["frames"]
    assert [(row["width"], row["height"]) for row in rows[2:]] == [(WIDTH, HEIGHT), (WIDTH - 6, HEIGHT - 4)]
    again = tmp_path / "again.tif"
    assert call("stack", *paths, "-o", again, "--transforms", saved).exit_code == 0
    assert pixels(again).tobytes() == pixels(out).tobytes()
    swapped = [*paths[:2], paths[3], paths[2]]
    assert_refused(
        call("stack", *swapped, "-o", out, "-y", "--transforms", saved), 3, "t.json", paths[3].name
    )
