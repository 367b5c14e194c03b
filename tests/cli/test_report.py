"""`--report`: checked before the run, true to the JSON report, whole or not there at all."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from gpustack.watching import arrivals, following
from tests.cli.calling import assert_refused, call, pixels, shots, write_tiffs
from tests.io.dng import mosaic, write_dng
from tests.reporting.pages import parsed, rows

MINUS = "\N{MINUS SIGN}"


@pytest.fixture
def moving(tmp_path: Path) -> list[Path]:
    """Five frames that drift, one of them of something else."""
    folder = tmp_path / "moving"
    folder.mkdir()
    frames = shots(5, step=2.0)
    frames[3] = np.random.default_rng(0).integers(0, 255, frames[3].shape).astype(np.uint8)
    return write_tiffs(folder, frames)


def test_the_page_says_what_the_json_report_says(moving: list[Path], tmp_path: Path) -> None:
    out, page = tmp_path / "o.tif", tmp_path / "o.html"
    done = call("stack", *moving, "-o", out, "--report", page, "--json", "--radius", "2")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["outputs"] == [str(out), str(page)]
    found = parsed(page.read_text("utf-8"))
    for row, frame in zip(
        rows(found.one("section", aria_labelledby="frames").one("table")), told["frames"], strict=True
    ):
        assert row[1] == frame["file"]
        if not frame["used"]:
            assert row[2] == "left out: could not be aligned"
            continue
        middle = np.array([71.5, 47.5, 1.0])
        seen = np.array(frame["matrix"]) @ middle
        numbers = [float(cell.replace(MINUS, "-")) for cell in row[2:9]]
        assert numbers[0] == pytest.approx(100 * frame["share"], abs=0.006)
        assert numbers[1:3] == pytest.approx((seen - middle)[:2], abs=0.006)
        assert numbers[5] == pytest.approx(frame["gain"], abs=0.0006)
        assert numbers[6] == pytest.approx(frame["residual_px"], abs=0.006)
    (warning,) = told["warnings"]
    assert warning in found.one("section", aria_labelledby="warnings").text
    stages = {row[0]: row[1] for row in rows(found.one("section", aria_labelledby="time").one("table"))}
    assert set(stages) == set(told["seconds"])
    for stage, text in stages.items():
        assert float(text.removesuffix(" s")) == pytest.approx(told["seconds"][stage], abs=0.006)
    assert "from 4 of 5 frames by method auto" in found.one("header").text
    settings = rows(found.one("section", aria_labelledby="settings").one("table"))
    assert settings[:2] == [["depth", "on", "off"], ["radius", "2.0", "1.5"]]


def test_the_command_of_the_page_makes_the_same_picture(
    moving: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    call("stack", moving[0].parent, "-o", home / "o.tif", "--report", home / "o.html", "--crop", "none")
    page = parsed((home / "o.html").read_text("utf-8"))
    commands = [node.text for node in page.one("section", aria_labelledby="again").all("code")]
    assert commands[0] == "gpustack replay o.tif.gpustack.json"
    monkeypatch.chdir(home)
    replayed = call(*shlex.split(commands[0])[1:], "--json")
    assert json.loads(replayed.stdout)["same"] == ["picture"]
    monkeypatch.chdir(moving[0].parent)
    assert call(*shlex.split(commands[1])[1:]).exit_code == 0
    np.testing.assert_array_equal(pixels(moving[0].parent / "o.tif"), pixels(home / "o.tif"))
    gaps = page.one("section", aria_labelledby="gaps").one("code").text
    monkeypatch.chdir(home)
    assert call(*shlex.split(gaps)[1:], "--quiet").exit_code == 0
    assert (home / "map.png").stat().st_size


def test_a_report_without_a_sidecar(frames: list[Path], tmp_path: Path) -> None:
    page = tmp_path / "o.html"
    done = call(
        "stack", *frames, "-o", tmp_path / "o.png", "--report", page, "--no-sidecar", "--align", "none"
    )
    assert done.exit_code == 0
    commands = [node.text for node in parsed(page.read_text("utf-8")).all("code")]
    assert not [command for command in commands if "replay" in command]
    assert not (tmp_path / "o.png.gpustack.json").exists()


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [("o.pdf", 2, ".html"), ("taken.html", 1, "exists already"), ("none/o.html", 1, "does not exist")],
)
def test_what_cannot_be_written_is_refused_before_the_work(
    frames: list[Path], tmp_path: Path, name: str, code: int, said: str
) -> None:
    (tmp_path / "taken.html").write_text("mine")
    result = call("stack", *frames, "-o", tmp_path / "o.png", "--report", tmp_path / name)
    assert_refused(result, code, said)
    assert not (tmp_path / "o.png").exists()
    assert (tmp_path / "taken.html").read_text() == "mine"


def test_a_name_for_two_outputs_is_refused(frames: list[Path], tmp_path: Path) -> None:
    same = tmp_path / "o.html"
    assert_refused(call("stack", *frames, "-o", same, "--report", same), 2, "format")


def test_overwrite_replaces_it(frames: list[Path], tmp_path: Path) -> None:
    page = tmp_path / "o.html"
    page.write_text("old")
    done = call(
        "stack", *frames, "-o", tmp_path / "o.png", "--report", page, "--overwrite", "--align", "none"
    )
    assert done.exit_code == 0, done.stderr
    assert parsed(page.read_text("utf-8")).one("h1").text == "o.png"


def test_names_of_files_are_text(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    names = ["<script>alert(1)<!--.tif", "a'b\"c & d.tif", "\u202efit.tif"]
    for path, name in zip(write_tiffs(folder, shots()), names, strict=True):
        shutil.move(path, folder / name)
    page = tmp_path / "o.html"
    done = call("stack", folder, "-o", tmp_path / "o.png", "--report", page, "--align", "none")
    assert done.exit_code == 0, done.stderr
    found = parsed(page.read_text("utf-8"))
    assert not found.all("script")
    shown = [row[1] for row in rows(found.one("section", aria_labelledby="frames").one("table"))]
    assert sorted(shown) == sorted(names)
    assert str(tmp_path) not in page.read_text("utf-8")


def test_what_was_watched_has_a_report_too(
    frames: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "SETTLE_S", arrivals.SETTLE_S / 5)
    monkeypatch.setattr(following, "POLL_S", following.POLL_S / 5)
    page = tmp_path / "o.html"
    words = ("watch", frames[0].parent, "-o", tmp_path / "o.png", "--report", page, "--until-idle", "300ms")
    done = call(*words, "--align", "none", "--backend", "cpu", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["outputs"] == [str(tmp_path / "o.png"), str(page)]
    assert "from 3 frames" in parsed(page.read_text("utf-8")).one("header").text
    assert_refused(call(*words, "--no-sidecar"), 1, "exists already")


def test_a_linear_dng_is_shown_as_it_is_to_be_seen(tmp_path: Path) -> None:
    pytest.importorskip("rawpy", reason="rawpy has no build for this platform")
    (tmp_path / "in").mkdir()
    texture = np.random.default_rng(1).integers(0, 3000, (2, 48, 64)).astype(np.uint16)
    for number, noise in enumerate(texture):
        write_dng(tmp_path / "in" / f"{number}.dng", mosaic() + noise)
    shown = []
    for ending in ("dng", "tif"):
        out, page = tmp_path / f"o.{ending}", tmp_path / f"{ending}.html"
        words = (
            "stack",
            tmp_path / "in",
            "-o",
            out,
            "--report",
            page,
            "--align",
            "none",
            "--exposure",
            "0.5",
        )
        done = call(*words)
        assert done.exit_code == 0, done.stderr
        pictures = parsed(page.read_text("utf-8")).all("img")
        shown.append(str(pictures[0].attributes["src"]))
    assert shown[0] == shown[1]
