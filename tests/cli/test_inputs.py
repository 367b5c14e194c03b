"""What may stand for frames on the command line, what is left out, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.cli.calling import HEIGHT, WIDTH, assert_refused, call, pixels, shots, write_tagged, write_tiffs


def names(*arguments: object, stdin: str | None = None) -> list[str]:
    """The frames that a call takes, in stack order."""
    result = call("stack", *arguments, "--json", stdin=stdin)
    assert result.exit_code == 0, result.stderr
    return [row["file"] for row in json.loads(result.stdout)["frames"]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of frames whose names sort differently by letters than by numbers."""
    folder = tmp_path / "shots"
    folder.mkdir()
    for path, number in zip(write_tiffs(folder, shots(), "x{}.tif"), (2, 10, 1), strict=True):
        path.rename(folder / f"shot{number}.tif")
    return folder


IN_ORDER = ["shot1.tif", "shot2.tif", "shot10.tif"]


def test_a_folder_comes_in_natural_order(folder: Path, tmp_path: Path) -> None:
    assert names(folder, "-o", tmp_path / "o.png") == IN_ORDER


def test_files_come_in_the_order_given(folder: Path, tmp_path: Path) -> None:
    given = [folder / name for name in ("shot10.tif", "shot1.tif", "shot2.tif")]
    assert names(*given, "-o", tmp_path / "o.png") == [path.name for path in given]


def test_a_glob_in_quotes_is_expanded(folder: Path, tmp_path: Path) -> None:
    assert names(f"{folder}/shot1*.tif", "-o", tmp_path / "o.png") == ["shot1.tif", "shot10.tif"]


def test_a_list_file_is_relative_to_itself(folder: Path, tmp_path: Path) -> None:
    (folder / "list.txt").write_text("# chosen\nshot10.tif\n\nshot2.tif\n")
    assert names(f"@{folder}/list.txt", "-o", tmp_path / "o.png") == ["shot10.tif", "shot2.tif"]


def test_a_list_on_standard_input(folder: Path, tmp_path: Path) -> None:
    listed = f"{folder / 'shot2.tif'}\n{folder / 'shot1.tif'}\n"
    assert names("-", "-o", tmp_path / "o.png", stdin=listed) == ["shot2.tif", "shot1.tif"]


def test_a_multi_page_tiff_is_a_stack(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    tifffile.imwrite(path, np.stack(shots()), photometric="rgb")
    assert names(path, "-o", tmp_path / "o.tif") == ["pages.tif[0]", "pages.tif[1]", "pages.tif[2]"]
    assert pixels(tmp_path / "o.tif").shape[2] == 3


def test_what_a_folder_holds_besides_pictures_is_left_out_and_named(folder: Path, tmp_path: Path) -> None:
    (folder / "._shot1.tif").write_bytes(b"\0\5\x16\7")
    (folder / ".cache.tif").write_bytes(b"")
    (folder / "notes.md").write_text("f/2.8")
    (folder / "old").mkdir()
    result = call("stack", folder, "-o", tmp_path / "o.png", "--json")
    assert [row["file"] for row in json.loads(result.stdout)["frames"]] == IN_ORDER
    assert sorted(result.stderr.splitlines()) == [
        "left out ._shot1.tif: a macOS companion file",
        "left out .cache.tif: a hidden file",
        "left out notes.md: not a picture by its ending (.md)",
    ]


def test_results_that_lie_among_the_frames_are_left_out(folder: Path) -> None:
    outputs = ["-o", folder / "out.tif", "--depth", folder / "depth.tif"]
    first = pixels_after(folder, outputs)
    assert pixels_after(folder, [*outputs, "--overwrite"]) == first


def pixels_after(folder: Path, arguments: list[object]) -> bytes:
    result = call("stack", folder, *arguments, "--json")
    assert [row["file"] for row in json.loads(result.stdout)["frames"]] == IN_ORDER
    assert ("the output file itself" in result.stderr) == ("--overwrite" in arguments)
    return pixels(folder / "out.tif").tobytes()


def test_a_result_alone_is_no_stack(folder: Path) -> None:
    out = folder / "shot1.tif"
    result = call("stack", out, "-o", out, "--overwrite")
    assert result.exit_code == 3
    assert "There is no frame to stack." in result.stderr


def test_one_frame_is_a_stack(frames: list[Path], tmp_path: Path) -> None:
    assert call("stack", frames[0], "-o", tmp_path / "o.tif").exit_code == 0
    np.testing.assert_array_equal(pixels(tmp_path / "o.tif"), tifffile.imread(frames[0]))


@pytest.mark.parametrize("what", ["nowhere.tif", "nowhere", "no*.tif", "@nowhere.txt"])
def test_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(call("stack", what, "-o", "o.png"), 3, what.removeprefix("@"))
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_and_an_empty_list(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert_refused(call("stack", tmp_path / "empty", "-o", tmp_path / "o.png"), 3, "No picture")
    assert_refused(call("stack", "-", "-o", tmp_path / "o.png", stdin=""), 3)
    assert call("stack", "-o", tmp_path / "o.png").exit_code == 2


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (np.zeros((HEIGHT, WIDTH, 3), np.uint16), "uint16"),
        (np.zeros((HEIGHT, WIDTH, 3), np.float32), "float32"),
        (np.zeros((HEIGHT, WIDTH), np.uint8), "number of channels: 1"),
    ],
)
def test_frames_that_do_not_belong_together(
    frames: list[Path], tmp_path: Path, odd: np.ndarray, said: str
) -> None:
    write_tiffs(frames[1].parent, [odd], frames[1].name)
    name = frames[1].name
    assert_refused(call("stack", *frames, "-o", tmp_path / "o.tif"), 3, name, said)
    assert_refused(call("plan", *frames), 3, name, said)
    assert not (tmp_path / "o.tif").exists()


def test_a_damaged_frame_is_named(frames: list[Path], tmp_path: Path) -> None:
    jpegs = [write_tagged(tmp_path / f"j{n}.jpg", shot) for n, shot in enumerate(shots())]
    jpegs[2].write_bytes(jpegs[2].read_bytes()[:-2000])
    assert_refused(call("stack", *jpegs, "-o", tmp_path / "o.tif"), 3, "j2.jpg")
    frames[0].write_text("Dear diary")
    assert_refused(call("stack", *frames, "-o", tmp_path / "o.tif"), 3, "f0.tif", "not a picture")
    assert not (tmp_path / "o.tif").exists()


def test_the_content_decides_and_not_the_name(frames: list[Path], tmp_path: Path) -> None:
    for path in frames:
        shutil.move(path, path.with_suffix(".jpg"))
    assert names(frames[0].parent, "-o", tmp_path / "o.png") == ["f0.jpg", "f1.jpg", "f2.jpg"]


def turned(shot: np.ndarray) -> np.ndarray:
    """As the camera stores it when held so that EXIF says orientation 6: turned a quarter to the left."""
    return np.ascontiguousarray(np.rot90(shot))


def test_frames_of_a_turned_camera_come_out_upright_once(tmp_path: Path) -> None:
    upright = write_tiffs(tmp_path, shots(), "u{}.tif")
    stored = [
        write_tagged(tmp_path / f"t{n}.tif", turned(shot), orientation=6) for n, shot in enumerate(shots())
    ]
    more = ["--align", "none", "--method", "pyramid"]
    for name, paths in (("plain", upright), ("turned", stored)):
        planes = ["--depth", tmp_path / f"{name}_depth.tif", "--confidence", tmp_path / f"{name}_c.tif"]
        outputs = ["-o", tmp_path / f"{name}.tif", *planes]
        assert call("stack", *paths, *outputs, *more).exit_code == 0
    for result in ("", "_depth", "_c"):
        plain, turned_back = (pixels(tmp_path / f"{name}{result}.tif") for name in ("plain", "turned"))
        assert turned_back.shape == plain.shape
        error = np.abs(turned_back.astype(float) - plain)
        assert np.quantile(error, 0.95) <= 0.05 * plain.max()
    again = call("stack", tmp_path / "turned.tif", "-o", tmp_path / "twice.tif")
    assert again.exit_code == 0
    np.testing.assert_array_equal(pixels(tmp_path / "twice.tif"), pixels(tmp_path / "turned.tif"))
