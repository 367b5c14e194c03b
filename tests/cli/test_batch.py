"""`gpustack batch`: all stacks made, one that is poisoned apart, a rerun that does what is missing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gpustack.io.manifest import Entry, write_manifest
from tests.cli.calling import assert_refused, call, pixels, shots, surroundings, write_tiffs
from tests.patience import LONG_S, until
from tests.reporting.pages import parsed

NAMES = ["a", "b", "c"]


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Three stacks of two frames, b poisoned, beside a folder that holds no picture."""
    for number, name in enumerate(NAMES):
        (tmp_path / "in" / name).mkdir(parents=True)
        write_tiffs(tmp_path / "in" / name, [frame[: 60 + 4 * number, :80] for frame in shots(2)])
    (tmp_path / "in" / "b" / "f1.tif").write_bytes(b"poison")
    (tmp_path / "in" / "empty").mkdir()
    return tmp_path


def run(folder: Path, *more: object) -> tuple[int, dict[str, str], str]:
    """Exit code, what became of each stack, and what stands on stderr."""
    given = (folder / "in", "-o", folder / "out", "--method", "average", "--backend", "cpu", *more)
    result = call("batch", *given, "--json")
    found = json.loads(result.stdout) if result.stdout else {"stacks": []}
    return result.exit_code, {row["name"]: row["end"] for row in found["stacks"]}, result.stderr


def heal(folder: Path) -> None:
    write_tiffs(folder / "in" / "b", [frame[:64, :80] for frame in shots(2)])


def test_a_poisoned_stack_stops_no_other_and_a_rerun_does_what_is_missing(folders: Path) -> None:
    code, ends, told = run(folders, "--jobs", "2")
    assert code == 4
    assert ends == {"a": "made", "b": "failed", "c": "made"}
    assert "1 of 3 stacks failed: b." in told
    before = {path: path.read_bytes() for path in (folders / "out").glob("*.tif")}
    assert sorted(path.name for path in before) == ["a.tif", "c.tif"]
    heal(folders)
    code, ends, told = run(folders)
    assert (code, told) == (0, "")
    assert ends == {"a": "up to date", "b": "made", "c": "up to date"}
    assert all(path.read_bytes() == data for path, data in before.items())
    assert set(run(folders)[1].values()) == {"up to date"}


def test_each_result_has_a_sidecar_that_can_be_replayed(folders: Path) -> None:
    heal(folders)
    assert run(folders)[0] == 0
    made = sorted((folders / "out").glob("*.gpustack.json"))
    assert [path.name for path in made] == [f"{name}.tif.gpustack.json" for name in NAMES]
    assert call("replay", made[1]).stdout == "picture (b.tif): the same pixels, bit for bit\n"
    (folders / "out" / "b.tif").unlink()
    assert run(folders)[1] == {"a": "up to date", "b": "made", "c": "up to date"}  # over its own sidecar


def test_each_result_has_a_report_where_that_is_wanted(folders: Path) -> None:
    heal(folders)
    assert set(run(folders, "--report")[1].values()) == {"made"}
    before = {path: path.read_bytes() for path in (folders / "out").glob("*.tif")}
    reports = sorted((folders / "out").glob("*.html"))
    assert [path.name for path in reports] == [f"{name}.tif.report.html" for name in NAMES]
    assert "a.tif" in parsed(reports[0].read_text("utf-8")).one("head").one("title").text
    reports[1].unlink()
    assert set(run(folders)[1].values()) == {"up to date"}
    assert run(folders, "--report")[1] == {"a": "up to date", "b": "made", "c": "up to date"}
    assert all(path.read_bytes() == data for path, data in before.items())


def test_what_changed_is_made_again(folders: Path) -> None:
    heal(folders)
    run(folders)
    frame = folders / "in" / "a" / "f0.tif"
    os.utime(frame, ns=(1, 1))
    (folders / "out" / "c.tif").unlink()
    assert run(folders)[1] == {"a": "made", "b": "up to date", "c": "made"}
    assert set(run(folders, "--method", "pyramid")[1].values()) == {"made"}


def test_no_file_of_the_user_is_overwritten(folders: Path) -> None:
    heal(folders)
    (folders / "out").mkdir()
    (folders / "out" / "a.tif").write_bytes(b"mine")
    code, ends, _ = run(folders)
    assert (code, ends["a"]) == (4, "failed")
    assert (folders / "out" / "a.tif").read_bytes() == b"mine"
    run(folders, "--overwrite")
    assert (folders / "out" / "a.tif").read_bytes() != b"mine"
    (folders / "out" / "c.tif").write_bytes(b"retouched")
    assert run(folders)[1]["c"] == "failed"
    assert (folders / "out" / "c.tif").read_bytes() == b"retouched"


def test_shards_make_the_same_files_as_one(folders: Path) -> None:
    heal(folders)
    run(folders)
    whole = {path.name: pixels(path) for path in (folders / "out").glob("*.tif")}
    ends: dict[str, str] = {}
    for index in range(3):
        done = call("batch", folders / "in", "-o", folders / "shards", "--method", "average", "--shard",
                    f"{index}/3", "--backend", "cpu", "--json")  # fmt: skip
        ends |= {row["name"]: row["end"] for row in json.loads(done.stdout)["stacks"]}
    assert ends == dict.fromkeys(NAMES, "made")
    for name, picture in whole.items():
        np.testing.assert_array_equal(pixels(folders / "shards" / name), picture)


def test_a_manifest_with_settings_of_its_own(folders: Path) -> None:
    heal(folders)
    entries = [Entry("one", ("in/a",), {"method": "average"}), Entry("two", ("in/b/f0.tif", "in/none.tif"))]
    write_manifest(folders / "stacks.toml", entries, overwrite=False)
    result = call(
        "batch", folders / "stacks.toml", "-o", folders / "out", "--ending", ".png", "--backend", "cpu"
    )
    assert result.exit_code == 4
    assert "one.png: made" in result.stdout
    assert "two.png: failed" in result.stdout
    assert "no such file" in result.stdout
    assert pixels(folders / "out" / "one.png").shape == (60, 80, 3)


def test_a_dry_run_makes_nothing(folders: Path) -> None:
    result = call("batch", folders / "in", "-o", folders / "out", "--dry-run")
    assert result.stdout.splitlines()[0] == "a.tif: 2 frames, f0.tif to f1.tif"
    assert len(result.stdout.splitlines()) == 3
    assert not (folders / "out").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals are of other kinds there")
@pytest.mark.parametrize("number", ["SIGINT", "SIGKILL"])
def test_an_interrupted_batch_goes_on_where_it_was(folders: Path, number: str) -> None:
    heal(folders)
    words = [
        "batch",
        str(folders / "in"),
        "-o",
        str(folders / "out"),
        "--method",
        "average",
        "--backend",
        "cpu",
        "--jobs",  # b and c are still to be made when a is there
        "1",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "gpustack", *words],
        env=surroundings(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    until(lambda: (folders / "out" / "a.tif").exists() or process.poll() is not None)
    process.send_signal(signal.Signals[number])
    _, told = process.communicate(timeout=LONG_S)
    made = [path.name for path in (folders / "out").glob("*.tif")]
    too_late = (0, -signal.SIGINT) if len(made) == 3 else ()  # this process slept until that one was done
    assert process.returncode in (130, -signal.SIGKILL, *too_late), told
    code, ends, told = run(folders)
    assert code == 0, (told, (folders / "out" / "gpustack-ledger.jsonl").read_text())
    assert set(ends.values()) <= {"made", "up to date"}
    assert sorted(path.name for path in (folders / "out").glob("*.tif")) == ["a.tif", "b.tif", "c.tif"]
    until(lambda: not list((folders / "out").glob(".*")))  # what a killed batch has begun ends by itself


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--shard", "3/3"], "no share"),
        (["--shard", "x"], "no share"),
        (["--ending", ".psd"], "format"),
        (["--jobs", "0"], "one job"),
    ],
)
def test_wrong_usage(folders: Path, options: list[str], said: str) -> None:
    assert_refused(call("batch", folders / "in", "-o", folders / "out", *options), 2, said)


def test_a_folder_without_stacks(tmp_path: Path) -> None:
    assert_refused(call("batch", tmp_path, "-o", tmp_path / "out"), 3, "No folder in")


def test_stacks_keep_checkpoints_where_that_is_wanted(folders: Path) -> None:
    code, ends, _ = run(folders, "--resume")
    assert (code, ends["a"], ends["b"]) == (4, "made", "failed")
    stale = folders / "out" / "b.tif.checkpoint"
    stale.mkdir()
    (stale / "journal.json").write_text('{"format": 0, "parts": {}}')
    heal(folders)
    assert run(folders, "--resume")[:2] == (0, {"a": "up to date", "b": "made", "c": "up to date"})
    assert not stale.exists()
