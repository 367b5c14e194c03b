"""`gpustack split`: the table, the manifest that batch takes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gpustack.io.manifest import read_manifest
from tests.cli.calling import assert_refused, call, pixels, shots

TAKEN, EXIF_IFD = 36867, 34665


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """Two stacks of three frames, a single picture, and a broken file."""
    folder = tmp_path / "card"
    folder.mkdir()
    scenes = [shots(1)[0], shots(1)[0][::-1], np.ascontiguousarray(shots(1)[0][:, ::-1])]
    seconds = [1, 2, 3, 20, 21, 22, 50]
    for number, (second, scene) in enumerate(zip(seconds, [0, 0, 0, 1, 1, 1, 2], strict=True)):
        image = Image.fromarray(scenes[scene])
        exif = image.getexif()
        exif.get_ifd(EXIF_IFD)[TAKEN] = f"2026:05:01 10:00:{second:02d}"
        image.save(folder / f"p{number}.jpg", exif=exif, quality=95)
    (folder / "p9.jpg").write_bytes(b"\xff\xd8\xff broken")
    return folder


def test_the_table_and_a_manifest_that_batch_takes(card: Path, tmp_path: Path) -> None:
    result = call("split", card, "-o", tmp_path / "stacks.toml")
    assert result.exit_code == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines()]
    assert [row[:4] for row in rows[1:4]] == [
        ["001", "3", "p0.jpg", "p2.jpg"],
        ["002", "3", "p3.jpg", "p5.jpg"],
        ["single", "1", "p6.jpg", "p6.jpg"],
    ]
    assert "p9.jpg" in result.stderr
    first, second = read_manifest(tmp_path / "stacks.toml")
    assert (first.name, second.name) == ("001_p0", "002_p3")
    assert [Path(frame).name for frame in second.frames] == ["p3.jpg", "p4.jpg", "p5.jpg"]
    made = call(
        "batch", tmp_path / "stacks.toml", "-o", tmp_path / "out", "--method", "average", "--backend", "cpu"
    )
    assert made.exit_code == 0, made.stdout
    assert pixels(tmp_path / "out" / "002_p3.tif").ndim == 3


def test_a_dry_run_writes_nothing(card: Path, tmp_path: Path) -> None:
    result = call("split", card, "-o", tmp_path / "stacks.toml", "--dry-run")
    assert result.exit_code == 0
    assert not (tmp_path / "stacks.toml").exists()


def test_one_json_object(card: Path) -> None:
    found = json.loads(call("split", card, "--json").stdout)
    assert [(len(group["frames"]), group["stack"]) for group in found["groups"]] == [
        (3, True),
        (3, True),
        (1, False),
    ]
    assert found["groups"][1]["begins"].startswith("after 17 s")
    assert len(found["left_out"]) == 1


def test_by_likeness_alone(card: Path) -> None:
    found = json.loads(call("split", card, "--json", "--pause", "1000").stdout)
    assert [len(group["frames"]) for group in found["groups"]] == [3, 3, 1]
    found = json.loads(call("split", card, "--json", "--pause", "1000", "--likeness", "-1").stdout)
    assert [len(group["frames"]) for group in found["groups"]] == [7]


def test_what_is_refused(card: Path, tmp_path: Path) -> None:
    assert_refused(call("split", card, "-o", tmp_path / "x.json"), 2, "format of x.json")
    assert_refused(call("split", card, "--pause", "0"), 2, "out of range")
    (tmp_path / "mine.toml").write_text("mine")
    assert_refused(call("split", card, "-o", tmp_path / "mine.toml"), 1, "exists already")
    assert call("split", card, "--least", "8").exit_code == 3
