"""`--save-transforms`, `--transforms` and `--save-steps`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpustack.settings import Method
from tests.cli.calling import HEIGHT, WIDTH, assert_refused, call, pixels, shots, write_tiffs


@pytest.fixture
def moving(tmp_path: Path) -> list[Path]:
    """Three frames that drift."""
    folder = tmp_path / "moving"
    folder.mkdir()
    return write_tiffs(folder, shots(step=2.0))


@pytest.fixture
def saved(moving: list[Path], tmp_path: Path) -> Path:
    """The alignment of the drifting frames, and `first.tif`, the picture made with it."""
    path = tmp_path / "t.json"
    result = call("stack", *moving, "-o", tmp_path / "first.tif", "--save-transforms", path)
    assert result.exit_code == 0
    return path


def test_what_is_saved_is_what_was_found(moving: list[Path], saved: Path) -> None:
    content = json.loads(saved.read_bytes())
    assert (content["reference"], content["width"], content["height"]) == (1, WIDTH, HEIGHT)
    assert [row["file"] for row in content["frames"]] == [path.name for path in moving]
    assert content["frames"][1]["matrix"] == np.eye(3).tolist()
    assert content["frames"][2]["matrix"][0][2] == pytest.approx(2.0, abs=0.6)


def test_saved_transforms_reproduce_the_picture_without_a_survey(
    moving: list[Path], saved: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again.tif"
    result = call("stack", *moving, "-o", again, "--transforms", saved, "--json")
    assert result.exit_code == 0, result.stderr
    assert pixels(again).tobytes() == pixels(tmp_path / "first.tif").tobytes()
    used = [row["matrix"] for row in json.loads(result.stdout)["frames"]]
    assert used == [row["matrix"] for row in json.loads(saved.read_bytes())["frames"]]


@pytest.mark.parametrize("how", ["gain", "channels", "none"])
def test_tones_go_through_the_file(moving: list[Path], tmp_path: Path, how: str) -> None:
    tinted = [np.rint(pixels(path) * [0.9, 1.0, 0.8]).astype(np.uint8) for path in moving[2:]]
    (other,) = write_tiffs(tmp_path, tinted, "tinted{}.tif")
    frames, path = [*moving[:2], other], tmp_path / "toned.json"
    first, again = tmp_path / "first.tif", tmp_path / "again.tif"
    result = call("stack", *frames, "-o", first, "--save-transforms", path, "--brightness", how)
    assert result.exit_code == 0, result.stderr
    rows = json.loads(path.read_bytes())["frames"]
    if how == "channels":
        assert rows[1]["gain"] == [1.0] * 3
        assert rows[2]["gain"] == pytest.approx([1 / 0.9, 1.0, 1 / 0.8], rel=0.03)
        assert np.shape(rows[2]["offset"]) == (3,)
    else:
        assert {type(row[key]) for row in rows for key in ("gain", "offset")} == {float}
    assert (rows[2]["gain"] == 1.0) == (how == "none")
    assert call("stack", *frames, "-o", again, "--transforms", path).exit_code == 0
    assert pixels(again).tobytes() == pixels(first).tobytes()


def test_brightness_none_leaves_the_tones_of_a_file_aside(moving: list[Path], tmp_path: Path) -> None:
    places = {name: tmp_path / f"{name}.json" for name in ("gain", "none")}
    dark = write_tiffs(tmp_path, [np.rint(pixels(moving[0]) * 0.8).astype(np.uint8)], "dark{}.tif")
    frames = [*dark, *moving[1:]]
    for name, path in places.items():
        assert call("align", *frames, "--save-transforms", path, "--brightness", name).exit_code == 0
    report = call("stack", *frames, "-o", tmp_path / "o.tif", "--transforms", places["gain"], "--json")
    assert json.loads(report.stdout)["frames"][0]["gain"] > 1.1
    arguments = ["--transforms", places["gain"], "--json", "--overwrite", "--brightness", "none"]
    report = call("stack", *frames, "-o", tmp_path / "o.tif", *arguments)
    assert {row["gain"] for row in json.loads(report.stdout)["frames"]} == {1.0}
    assert {row["gain"] for row in json.loads(places["none"].read_bytes())["frames"]} == {1.0}


def test_a_file_without_offsets_is_read(moving: list[Path], saved: Path, tmp_path: Path) -> None:
    content = json.loads(saved.read_bytes())
    for row in content["frames"]:
        del row["offset"]
    saved.write_text(json.dumps(content))
    again = tmp_path / "again.tif"
    assert call("stack", *moving, "-o", again, "--transforms", saved).exit_code == 0
    assert pixels(again).tobytes() == pixels(tmp_path / "first.tif").tobytes()


def test_saved_transforms_move_other_frames_alike(saved: Path, tmp_path: Path) -> None:
    other = write_tiffs(tmp_path, [255 - shot for shot in shots(step=2.0)], "o{}.tif")
    result = call("stack", *other, "-o", tmp_path / "other.tif", "--transforms", saved, "--method", "pyramid")
    assert result.exit_code == 0
    first, inverted = pixels(tmp_path / "first.tif"), pixels(tmp_path / "other.tif")
    assert first.shape == inverted.shape
    assert np.abs(255.0 - inverted - first).mean() < 5


def assert_unusable(moving: list[Path], path: Path, *said: str) -> None:
    output = path.with_name("refused.tif")
    assert_refused(call("stack", *moving, "-o", output, "--transforms", path), 3, path.name, *said)
    assert not output.exists()


def test_transforms_of_another_stack_are_refused(moving: list[Path], saved: Path, tmp_path: Path) -> None:
    assert_unusable(moving[:2], saved, "of 3 frames", "has 2")
    small = write_tiffs(tmp_path, [shot[:-2] for shot in shots()], "s{}.tif")
    assert_unusable(small, saved, f"{WIDTH}x{HEIGHT}", f"{WIDTH}x{HEIGHT - 2}")


def change(content: Any, *keys: str | int, value: Any) -> None:
    for key in keys[:-1]:
        content = content[key]
    content[keys[-1]] = value


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("frames", 1, "matrix"), [[1, 0, 0], [0, 1, 0]]),
        (("frames", 1, "matrix"), [[0, 0, 0]] * 3),
        (("frames", 1, "matrix"), "identity"),
        (("frames", 1, "matrix", 0, 2), float("nan")),
        (("frames", 1, "gain"), 0.0),
        (("frames", 1, "gain"), "bright"),
        (("frames", 1, "gain"), None),
        (("frames", 1, "gain"), [1.0, 1.0]),
        (("frames", 1, "gain"), [1.0, 1.0, 0.0]),
        (("frames", 1, "offset"), [0.0, 0.0, 2.0]),
        (("frames", 1, "offset"), "dark"),
        (("frames", 1), 7),
        (("frames",), None),
        (("width",), "wide"),
    ],
)
def test_transforms_out_of_range_are_refused(
    moving: list[Path], saved: Path, keys: tuple[str | int, ...], value: Any
) -> None:
    content = json.loads(saved.read_bytes())
    change(content, *keys, value=value)
    saved.write_text(json.dumps(content))
    assert_unusable(moving, saved, "--save-transforms")


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8\xff\xe0", b"{", b"[]", b"7", b"null", b'{"frames": []}', b"[" * 100_000]
)
def test_a_file_that_holds_no_transforms_is_refused(
    moving: list[Path], tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "garbage.json"
    path.write_bytes(content)
    assert_unusable(moving, path)


def test_a_transforms_file_that_is_not_there(moving: list[Path], tmp_path: Path) -> None:
    assert_unusable(moving, tmp_path / "nowhere.json", "No such file")
    assert_unusable(moving, tmp_path, "directory")


@pytest.mark.parametrize("method", list(Method))
def test_steps_hold_aligned_frames_winners_and_alignment(
    moving: list[Path], tmp_path: Path, method: Method
) -> None:
    steps = tmp_path / "steps"
    out = tmp_path / "o.tif"
    arguments = ["stack", *moving, "-o", out, "--method", method.value, "--save-steps", steps]
    assert call(*arguments).exit_code == 0
    files = sorted(str(path.relative_to(steps)) for path in steps.rglob("*") if path.is_file())
    aligned = [f"aligned/{number:04d}_f{number}.tif" for number in range(3)]
    planes = ["confidence.tif", "depth.tif"] if method is Method.DEPTHMAP else []
    assert files == sorted([*aligned, *planes, "transforms.json", "winners.tif"])
    size = pixels(out).shape
    assert {pixels(steps / name).shape for name in aligned} == {size}
    winners = pixels(steps / "winners.tif")[..., 0]
    assert winners.shape == size[:2]
    assert set(np.unique(winners)) <= {0.0, 1.0, 2.0}
    assert (np.median(winners[:, [15, -15]], axis=0) == [0, 2]).all()


def test_aligned_frames_lie_upon_each_other(moving: list[Path], tmp_path: Path) -> None:
    arguments = ["-o", tmp_path / "o.tif", "--save-steps", tmp_path / "steps"]
    assert call("stack", *moving, *arguments, "--depth", tmp_path / "d.tif").exit_code == 0
    first, _, last = (pixels(path).astype(float) for path in sorted((tmp_path / "steps/aligned").iterdir()))
    before = np.abs(pixels(moving[0]).astype(float) - pixels(moving[2])).mean()
    assert np.abs(first - last).mean() < 0.9 * before
    assert (tmp_path / "steps/depth.tif").exists()
