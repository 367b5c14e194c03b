"""`gpustack apply`: what a user types, and what comes of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.calling import assert_refused, call, pixels
from tests.retouch.results import Bench, brush, copied, polygon, stacked, write_frames


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("made")
    write_frames(home / "frames")
    path = stacked(home)
    Bench(path).draw(brush((60, 100), (300, 100)), polygon((90, 30), (280, 80), (200, 180), frame=0))
    return path


@pytest.fixture
def bench(made: Path, tmp_path: Path) -> Bench:
    return copied(made, tmp_path)


def noted(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.with_name(f"{path.name}.gpustack.json").read_text()))


def test_a_list_or_its_picture_may_be_named(bench: Bench, tmp_path: Path) -> None:
    for number, named in enumerate((bench.path, bench.edits)):
        out = tmp_path / f"{number}.tif"
        done = call("apply", named, "-o", out)
        assert done.exit_code == 0, done.stderr
        assert done.stderr == f"{out}: 360x240, 2 strokes from 2 frames\n"
        assert (pixels(out) != bench.pixels()).any()
    assert np.array_equal(pixels(tmp_path / "0.tif"), pixels(tmp_path / "1.tif"))
    assert noted(tmp_path / "0.tif")["edits"]["file"] == "sharp.tif.edits.json"


def test_json_layers_and_other_formats(bench: Bench, tmp_path: Path) -> None:
    done = call("apply", bench.path, "-o", tmp_path / "o.jpg", "--layers", tmp_path / "l.psd", "--json")
    assert json.loads(done.stdout) == {
        "outputs": [str(tmp_path / "o.jpg"), str(tmp_path / "l.psd")],
        "strokes": 2,
        "frames": ["f2.tif", "f0.tif"],
    }
    assert pixels(tmp_path / "o.jpg").shape == (240, 360, 3)
    assert (tmp_path / "l.psd").is_file()


def test_a_retouched_picture_is_retouched_again(bench: Bench, tmp_path: Path) -> None:
    assert call("apply", bench.path, "-o", tmp_path / "once.tif", "-q").exit_code == 0
    again = Bench(tmp_path / "once.tif")
    again.draw(brush((100, 200), frame=3))
    assert call("apply", again.path, "-o", tmp_path / "twice.tif", "-q").exit_code == 0
    assert (pixels(tmp_path / "twice.tif") != pixels(tmp_path / "once.tif")).any()
    assert np.array_equal(pixels(tmp_path / "twice.tif")[:150], pixels(tmp_path / "once.tif")[:150])


def test_replay_does_not_take_it_for_a_stack(bench: Bench, tmp_path: Path) -> None:
    assert call("apply", bench.path, "-o", tmp_path / "o.tif", "-q").exit_code == 0
    assert_refused(call("replay", tmp_path / "o.tif"), 3, "2 strokes of sharp.tif.edits.json", "apply")
    assert call("replay", bench.path).exit_code == 0
    assert call("inspect", "--recorded", tmp_path / "o.tif").exit_code == 0


def test_a_list_that_was_moved_takes_its_picture_by_name(bench: Bench, tmp_path: Path) -> None:
    away = tmp_path / "lists"
    away.mkdir()
    moved = shutil.move(bench.edits, away / "mine.json")
    assert_refused(call("apply", moved, "-o", tmp_path / "o.tif"), 3, "sharp.tif")
    done = call("apply", moved, "--picture", bench.path, "-o", tmp_path / "o.tif", "--no-sidecar", "-q")
    assert done.exit_code == 0, done.stderr
    assert not (tmp_path / "o.tif.gpustack.json").exists()


REFUSED = [
    (["-o", "o.tif"], lambda home: (home / "frames" / "f2.tif").unlink(), 3, "f2.tif is missing", "--frames"),
    (["-o", "o.tif"], lambda home: (home / "sharp.tif.edits.json").unlink(), 3, "cannot be read", "there"),
    (["-o", "o.tif"], lambda home: (home / "sharp.tif.gpustack.json").unlink(), 3, "no sharp.tif", "sidecar"),
    (["-o", "o.tif"], lambda home: (home / "o.tif").write_text("mine"), 1, "exists", "--overwrite"),
    (["-o", "o.dng"], None, 2, "o.dng", "End the name"),
    (["-o", "sharp.tif", "-y"], None, 2, "is read for this", "another name"),
    (["-o", "frames/f2.tif", "-y"], None, 2, "is read for this", "another name"),
    (["-o", "o.tif", "--layers", "o.tif"], None, 2, "Two outputs", "its own"),
    (["-o", "o.tif", "--layers", "o.jpg"], None, 2, "o.jpg", "End the name"),
    (["-o", "o.tif", "--ram", "100M"], None, 5, "MiB", "--ram"),
    (["-o", "no/o.tif"], None, 1, "does not exist", "Create it"),
]


@pytest.mark.parametrize(("words", "spoil", "code", "said", "remedy"), REFUSED)
def test_what_is_wrong_is_one_sentence(
    words: list[str],
    spoil: Any,
    code: int,
    said: str,
    remedy: str,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(bench.path.parent)
    if spoil is not None:
        spoil(bench.path.parent)
    before = {path: path.read_bytes() for path in bench.path.parent.rglob("*") if path.is_file()}
    assert_refused(call("apply", "sharp.tif", *words), code, said, remedy)
    assert {path: path.read_bytes() for path in bench.path.parent.rglob("*") if path.is_file()} == before


def test_a_later_version_is_told(bench: Bench, tmp_path: Path) -> None:
    content = json.loads(bench.edits.read_text()) | {"gpustack_edits": 2}
    bench.edits.write_text(json.dumps(content))
    assert_refused(call("apply", bench.path, "-o", tmp_path / "o.tif"), 3, "version 2", "newer")


def test_another_size_than_the_sidecar_tells(bench: Bench, tmp_path: Path) -> None:
    bench.put(bench.pixels()[:-2])
    assert_refused(call("apply", bench.path, "-o", tmp_path / "o.tif"), 3, "360 x 238", "360 x 240")
