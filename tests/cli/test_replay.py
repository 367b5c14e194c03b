"""`gpustack replay`, and the sidecars of `gpustack stack` that it reads."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from tests.cli.calling import assert_refused, call, pixels, shots, write_tagged, write_tiffs
from tests.reporting.pages import parsed


def sidecar(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.with_name(f"{path.name}.gpustack.json").read_text()))


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a result, its sidecar and its frames, made once."""
    home = tmp_path_factory.mktemp("once")
    for name in ("frames", "out"):
        (home / name).mkdir()
    frames, words = write_tiffs(home / "frames", shots()), ["--method", "average", "-q"]
    depth = ["--depth", home / "out" / "d.tif"]
    assert call("stack", *frames, "-o", home / "out" / "sharp.tif", *depth, *words).exit_code == 0
    return home


@pytest.fixture
def sharp(once: Path, tmp_path: Path) -> Path:
    """A copy of that result, in a folder beside that of its frames."""
    shutil.copytree(once, tmp_path, dirs_exist_ok=True)
    return tmp_path / "out" / "sharp.tif"


@pytest.fixture
def frames(tmp_path: Path) -> list[Path]:
    """Three small frames, those of `sharp` where that is asked for first."""
    folder = tmp_path / "frames"
    folder.mkdir(exist_ok=True)
    return write_tiffs(folder, shots())


def test_the_sidecar_tells_how_it_was_made(sharp: Path, frames: list[Path]) -> None:
    told = sidecar(sharp)
    assert [row["file"] for row in told["inputs"]] == [f"../frames/{path.name}" for path in frames]
    for row, path in zip(told["inputs"], frames, strict=True):
        assert row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert row["bytes"] == path.stat().st_size
    picture = told["outputs"]["picture"]
    stored = pixels(sharp)
    assert picture["sha256"] == hashlib.sha256(stored.tobytes()).hexdigest()
    assert (picture["file"], picture["shape"], picture["dtype"]) == ("sharp.tif", [*stored.shape], "uint8")
    assert set(told["outputs"]) == {"picture", "depth"}
    assert told["settings"]["method"] == "average"
    assert told["program"]["numpy"] == np.__version__
    assert [row["file"] for row in told["report"]["frames"]] == [path.name for path in frames]


def test_a_report_of_what_was_made_again(once: Path, tmp_path: Path) -> None:
    """Of a run that made no depth: the page shows it, and the picture is the same."""
    frames = sorted((once / "frames").iterdir())
    out, page = tmp_path / "sharp.tif", tmp_path / "again.html"
    assert call("stack", *frames, "-o", out, "--method", "average", "-q").exit_code == 0
    done = call("replay", out, "--report", page)
    assert (done.exit_code, done.stdout) == (0, "picture (sharp.tif): the same pixels, bit for bit\n")
    found = parsed(page.read_text("utf-8"))
    assert "sharp.tif" in found.one("head").one("title").text
    assert "gpustack replay sharp.tif.gpustack.json" in found.text
    assert "The depth was not made." not in found.one("section", aria_labelledby="maps").text
    assert_refused(call("replay", out, "--report", page), 1, "again.html", "--overwrite")
    assert_refused(call("replay", out, "--report", tmp_path / "again.pdf"), 2, "again.pdf")
    assert call("replay", out, "-y", "-o", tmp_path / "new.tif", "--report", page).exit_code == 0
    assert "new.tif" in parsed(page.read_text("utf-8")).one("head").one("title").text


def test_without_a_sidecar(frames: list[Path], tmp_path: Path) -> None:
    assert call("stack", *frames, "-o", tmp_path / "o.png", "--no-sidecar").exit_code == 0
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["o.png"]


def test_a_sidecar_that_exists_is_not_replaced_unasked(frames: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "o.png.gpustack.json"
    other.write_text("mine")
    assert_refused(call("stack", *frames, "-o", tmp_path / "o.png"), 1, "o.png.gpustack.json", "--overwrite")
    assert other.read_text() == "mine"
    assert not (tmp_path / "o.png").exists()
    assert call("stack", *frames, "-o", tmp_path / "o.png", "-y").exit_code == 0
    assert sidecar(tmp_path / "o.png")["gpustack_sidecar"] == 1


def test_the_same_pixels_again(sharp: Path) -> None:
    for named in (sharp, sharp.with_name("sharp.tif.gpustack.json")):
        done = call("replay", named)
        assert done.exit_code == 0, done.output
        assert done.stdout.splitlines() == [
            "picture (sharp.tif): the same pixels, bit for bit",
            "depth (d.tif): the same pixels, bit for bit",
        ]


def test_other_threads_and_memory_change_nothing(sharp: Path) -> None:
    done = call("replay", sharp, "--threads", 1, "--ram", "2G", "--json")
    assert json.loads(done.stdout) == {"same": ["picture", "depth"], "other": {}, "changes": []}


@pytest.mark.parametrize(
    "words",
    [
        ["--align", "none"],
        ["--slab", "2,1"],
        ["--crop", "none", "--smoothing", "0"],
        ["--layers", "layers.psd"],
        ["--transforms"],
    ],
)
def test_every_way_of_stacking(words: list[str], tmp_path: Path) -> None:
    frames = write_tiffs(tmp_path, shots(3, 1.5))
    if words[0] == "--layers":
        words = ["--layers", str(tmp_path / words[1])]
    if words == ["--transforms"]:
        assert call("align", *frames, "--save-transforms", tmp_path / "t.json", "-q").exit_code == 0
        words = ["--transforms", str(tmp_path / "t.json")]
    assert call("stack", *frames, "-o", tmp_path / "o.tif", *words, "-q").exit_code == 0
    done = call("replay", tmp_path / "o.tif")
    assert done.exit_code == 0, done.output
    assert done.stdout == "picture (o.tif): the same pixels, bit for bit\n"


def test_a_flat_field_is_an_input(tmp_path: Path) -> None:
    frames = write_tiffs(tmp_path, shots())
    (flat,) = write_tiffs(tmp_path, [np.full_like(shots()[0], 200)], "flat{}.tif")
    assert call("stack", *frames, "-o", tmp_path / "o.tif", "--flat", flat, "-q").exit_code == 0
    assert call("replay", tmp_path / "o.tif").exit_code == 0
    write_tiffs(tmp_path, [np.full_like(shots()[0], 201)], "flat{}.tif")
    assert_refused(call("replay", tmp_path / "o.tif"), 3, "flat0.tif", "content")


def test_upright_pictures(tmp_path: Path) -> None:
    frames = [
        write_tagged(tmp_path / f"{index}.jpg", frame, orientation=6) for index, frame in enumerate(shots())
    ]
    assert call("stack", *frames, "-o", tmp_path / "o.png", "-q").exit_code == 0
    assert call("replay", tmp_path / "o.png").exit_code == 0


def test_inputs_that_moved(sharp: Path, frames: list[Path], tmp_path: Path) -> None:
    frames[0].parent.rename(tmp_path / "elsewhere")
    assert_refused(call("replay", sharp), 3, "f0.tif is missing", "--frames")
    done = call("replay", sharp, "--frames", tmp_path / "elsewhere")
    assert done.exit_code == 0, done.output


def test_a_project_that_moved_as_a_whole(sharp: Path, frames: list[Path], tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    for folder in (sharp.parent, frames[0].parent):
        shutil.move(folder, tmp_path / "archive")
    assert call("replay", tmp_path / "archive" / "out" / "sharp.tif").exit_code == 0


def test_names_that_occur_twice(tmp_path: Path) -> None:
    paths = []
    for index, frame in enumerate(shots()):
        folder = tmp_path / f"card{index}"
        folder.mkdir()
        paths += write_tiffs(folder, [frame])
    assert call("stack", *paths, "-o", tmp_path / "o.tif", "-q").exit_code == 0
    (tmp_path / "backup").mkdir()
    for path in paths:
        shutil.move(path.parent, tmp_path / "backup")
    assert call("replay", tmp_path / "o.tif", "--frames", tmp_path / "backup").exit_code == 0


def test_changed_inputs_are_named_and_only_taken_when_asked(sharp: Path, frames: list[Path]) -> None:
    changed = shots()[1]
    changed[10:20, 60:80] ^= 32
    write_tiffs(frames[0].parent, [changed], "f1.tif")
    assert_refused(call("replay", sharp), 3, "f1.tif", "--anyway")
    done = call("replay", sharp, "--anyway")
    assert done.exit_code == 1
    assert "of its pixels differ, by" in done.stdout
    assert "changed: " in done.stdout
    assert "f1.tif" in done.stdout


def test_what_differs_is_told(sharp: Path) -> None:
    told = sidecar(sharp)
    told["program"]["numpy"] = "1.0"
    told["settings"]["radius"] = 3.0
    told["report"]["backend"] = "cuda"
    sharp.with_name("sharp.tif.gpustack.json").write_text(json.dumps(told))
    done = call("replay", sharp, "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert set(found["other"]) == {"picture", "depth"}
    assert f"numpy was 1.0 and is {np.__version__}" in found["changes"]
    assert "the backend was cuda and is cpu" in found["changes"]


def test_by_how_much_is_told_as_far_as_it_can_be(sharp: Path) -> None:
    told = sidecar(sharp)
    stored = pixels(sharp)
    told["outputs"]["picture"]["sha256"] = "0" * 64
    sharp.with_name("sharp.tif.gpustack.json").write_text(json.dumps(told))
    stored[3, 5, 1] ^= 4
    write_tiffs(sharp.parent, [stored], "sharp.tif")
    share = f"{1 / (stored.shape[0] * stored.shape[1]):.3%}"
    sentence = f"picture (sharp.tif): {share} of its pixels differ, by 4 of 255 at most"
    assert sentence in call("replay", sharp).stdout
    sharp.write_bytes(b"")
    assert "by how much cannot be told" in call("replay", sharp).stdout


def test_the_picture_can_be_written(sharp: Path, frames: list[Path], tmp_path: Path) -> None:
    again = tmp_path / "again.png"
    assert call("replay", sharp, "-o", again, "-q").exit_code == 0
    assert np.array_equal(pixels(again), pixels(sharp))
    assert call("replay", again).exit_code == 0
    assert_refused(call("replay", sharp, "-o", again), 1, "again.png exists already")
    before = frames[0].read_bytes()
    assert_refused(call("replay", sharp, "-o", frames[0], "-y"), 2, "one of the frames")
    assert frames[0].read_bytes() == before


HOSTILE: list[Callable[[dict[str, Any]], Any]] = [
    lambda told: told["inputs"][0].update(file="../" * 40 + "etc/hostname"),
    lambda told: told["inputs"][0].update(file="/dev/zero"),
    lambda told: told["inputs"][0].update(file="/proc/self/mem", bytes=0),
    lambda told: told["inputs"][0].update(file="."),
    lambda told: (
        told["settings"].update(flat="/dev/zero")
        or told.update(flat=told["inputs"][0] | {"file": "/dev/tty"})
    ),
]


@pytest.mark.parametrize("change", HOSTILE)
def test_hostile_names_lead_to_a_sentence(change: Callable[[dict[str, Any]], Any], sharp: Path) -> None:
    told = sidecar(sharp)
    change(told)
    sharp.with_name("sharp.tif.gpustack.json").write_text(json.dumps(told))
    before = sorted(sharp.parent.parent.rglob("*"))
    assert_refused(call("replay", sharp), 3)
    assert sorted(sharp.parent.parent.rglob("*")) == before


def test_a_picture_without_a_sidecar(frames: list[Path]) -> None:
    assert_refused(call("replay", frames[0]), 3, "f0.tif.gpustack.json", "cannot be read")


def test_some_frames_of_a_file_are_found_again(tmp_path: Path) -> None:
    """Every other page, as of a video; and by its own frames where they are asked for one by one."""
    pages = np.stack([*shots(5)])
    tifffile.imwrite(tmp_path / "pages.tif", pages, photometric="rgb")
    words = ["--every", "2", "--align", "none", "-q"]
    assert call("stack", tmp_path / "pages.tif", "-o", tmp_path / "o.tif", *words).exit_code == 0
    assert [row["page"] for row in sidecar(tmp_path / "o.tif")["inputs"]] == [0, 2, 4]
    done = call("replay", tmp_path / "o.tif")
    assert done.stdout.splitlines() == ["picture (o.tif): the same pixels, bit for bit"]
    tifffile.imwrite(tmp_path / "pages.tif", pages[:3], photometric="rgb")
    assert_refused(call("replay", tmp_path / "o.tif", "--anyway"), 3, "2 of the 3 frames that were stacked")


def test_a_command_in_a_sidecar_is_never_run_unasked(sharp: Path, tmp_path: Path) -> None:
    told = sidecar(sharp)
    told["settings"]["raw_developer"] = f"touch {tmp_path}/ran {{input}} {{output}}"
    sharp.with_name("sharp.tif.gpustack.json").write_text(json.dumps(told))
    for command in ("replay", "inspect"):
        assert_refused(call(command, sharp), 2, "what a file says is not run", "touch", "--raw-developer.")
    assert not (tmp_path / "ran").exists()
