"""`--resume`: killed at any moment, on a full disk, with frames gone or changed, the result is that of an
undisturbed run, bit for bit."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gpustack.io.journal import Journal
from gpustack.scenes import Shoot, render
from tests.cli.calling import assert_refused, call, write_tiffs
from tests.cli.forks import KILLED, Ended, Forks, forking

SEED = int(os.environ.get("SEED", "20"))
KILLS = 5
FRAMES = 6


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with forking() as open_forks:
        yield open_forks


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of frames: a few lamps, out of focus before dark ground, hand-held."""
    folder = tmp_path_factory.mktemp("shot")
    rendered = render(
        "lights",
        Shoot(frames=FRAMES, width=160, height=120, max_blur_px=5.0, drift_px=2.0, jitter_px=0.4, noise=1.0),
    )
    write_tiffs(folder, [rendered.frame(index) for index in range(FRAMES)])
    return folder


@dataclass(frozen=True)
class Case:
    """Options of a run, and the names of what it writes."""

    options: tuple[str, ...]
    outputs: tuple[str, ...] = ("o.tif",)


SLABS = tuple(f"o_slab_00{number}.tif" for number in (1, 2, 3))
CASES = {
    "auto": Case(
        ("--depth", "d.tif", "--confidence", "c.tif", "--save-transforms", "t.json", "--layers", "l.psd"),
        ("o.tif", "d.tif", "c.tif", "t.json", "l.psd"),
    ),
    "depthmap": Case(("--method", "depthmap", "--crop", "none", "--depth", "d.png"), ("o.tif", "d.png")),
    "slabs": Case(("--method", "pyramid", "--slab", "3,1"), ("o.tif", *SLABS)),
    "at rest": Case(("--method", "average", "--align", "none", "--deghost", "on", "--prefer", "near")),
}
every_case = pytest.mark.parametrize("name", CASES)


def stacked(forks: Forks, shot: Path, folder: Path, name: str, *more: str, **how: object) -> Ended:
    """A run of a case with its outputs in a folder; a checkpoint after every frame."""
    folder.mkdir(exist_ok=True)
    options = [str(folder / word) if word in CASES[name].outputs else word for word in CASES[name].options]
    common = ("stack", shot, "-o", folder / "o.tif", "--threads", "2", "--no-sidecar")
    return forks.run(*common, *options, *more, **{"keeping": 0.0} | how)


def interrupted(forks: Forks, shot: Path, folder: Path, name: str = "auto", after: int = 3) -> Path:
    """The checkpoint of a run that was killed when so many frames had been folded in."""
    ended = stacked(forks, shot, folder, name, "--resume", after=after, kill=True)
    assert ended.code == KILLED, ended.said
    assert contents(folder) == {"o.tif.checkpoint": b"folder"}
    return folder / "o.tif.checkpoint"


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder but sidecars, which tell of other seconds; a folder in it as one, too."""
    found = {path.name: path.read_bytes() if path.is_file() else b"folder" for path in folder.iterdir()}
    return {name: data for name, data in found.items() if not name.endswith(".gpustack.json")}


@pytest.fixture(scope="module")
def undisturbed(forks: Forks, shot: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What each case writes without checkpoints."""
    folders = {}
    for name in CASES:
        folders[name] = tmp_path_factory.mktemp("undisturbed")
        ended = stacked(forks, shot, folders[name], name)
        assert ended.code == 0, ended.said
        assert sorted(contents(folders[name])) == sorted(CASES[name].outputs)
    return folders


@every_case
def test_killed_at_random_moments(
    forks: Forks, shot: Path, undisturbed: dict[str, Path], tmp_path: Path, name: str
) -> None:
    chance = random.Random(f"{SEED} {name}")
    whole = stacked(forks, shot, tmp_path / "counted", name, "--resume", looking=0.0)
    assert whole.code == 0, whole.said
    assert contents(tmp_path / "counted") == contents(undisturbed[name])
    folder, kills = tmp_path / "killed", 0
    while kills < KILLS:
        moment: dict[str, float] = {"event": chance.randint(1, whole.events)}
        if chance.random() < 0.5:
            moment = {"seconds": chance.uniform(0, whole.seconds)}
        ended = stacked(forks, shot, folder, name, "--resume", looking=0.0, **moment)
        print(f"SEED={SEED} {name}: {moment} of {whole.events}: {ended.code} {ended.said}")  # noqa: T201
        assert "No more checkpoints" not in ended.said
        kills += ended.code == KILLED
        if ended.code != KILLED:
            finished(ended, folder, undisturbed[name])
            shutil.rmtree(folder)
    finished(stacked(forks, shot, folder, name, "--resume"), folder, undisturbed[name])


def finished(ended: Ended, folder: Path, undisturbed: Path) -> None:
    """A run has ended well, or the one before was killed when it had nothing more to do; nothing but the
    results is there."""
    assert ended.code == 0 or "exists already" in ended.said, ended.said
    assert contents(folder) == contents(undisturbed)


@pytest.mark.parametrize("after", [3, FRAMES + 2])
def test_it_goes_on_and_says_so(
    forks: Forks, shot: Path, undisturbed: dict[str, Path], tmp_path: Path, after: int
) -> None:
    interrupted(forks, shot, tmp_path / "o", after=after)
    ended = stacked(forks, shot, tmp_path / "o", "auto", "--resume", "--json")
    report = json.loads(ended.said[ended.said.index("{") :])
    passes = [f"auto: {min(after, FRAMES)} of 6 frames", "behind: 2 of 6 frames"]
    assert report["checkpoint"]["resumed"] == ["survey", *passes[: 1 + after // FRAMES]]
    assert report["checkpoint"]["written"] == 2 * FRAMES - after
    assert f"going on from {tmp_path / 'o' / 'o.tif.checkpoint'}" in ended.said
    assert contents(tmp_path / "o") == contents(undisturbed["auto"])


def test_a_full_disk_is_warned_of_once_and_the_run_goes_on(
    forks: Forks, shot: Path, undisturbed: dict[str, Path], tmp_path: Path
) -> None:
    ended = stacked(forks, shot, tmp_path / "o", "auto", "--resume", full=3)
    assert ended.code == 0
    assert ended.said.count("No more checkpoints are kept") == 1
    assert ended.said.count("No space left on device") == 1
    assert contents(tmp_path / "o") == contents(undisturbed["auto"])


def test_what_was_kept_before_the_disk_was_full_is_gone_on_from(
    forks: Forks, shot: Path, undisturbed: dict[str, Path], tmp_path: Path
) -> None:
    ended = stacked(forks, shot, tmp_path / "o", "depthmap", "--resume", full=4, after=8, kill=True)
    assert ended.code == KILLED
    ended = stacked(forks, shot, tmp_path / "o", "depthmap", "--resume", "--json")
    report = json.loads(ended.said[ended.said.index("{") :])
    assert report["checkpoint"]["resumed"] == ["survey", "measure: 2 of 6 frames"]
    assert contents(tmp_path / "o") == contents(undisturbed["depthmap"])


def test_on_a_small_disk(forks: Forks, shot: Path, undisturbed: dict[str, Path], tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    try:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(900_000))
        ended = stacked(forks, shot, disk, "auto", "--resume")
        assert ended.code == 1, ended.said  # not even the results have room
        assert ended.said.count("No more checkpoints are kept") == 1
        assert f"The disk at {disk} is full" in ended.said
        ballast.unlink()
        ended = stacked(forks, shot, disk, "auto", "--resume")
        assert ended.code == 0, ended.said
        assert contents(disk) == contents(undisturbed["auto"])
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_frame_that_vanishes_is_named_and_the_run_goes_on_when_it_is_back(
    forks: Forks, shot: Path, undisturbed: dict[str, Path], tmp_path: Path
) -> None:
    frames = shutil.copytree(shot, tmp_path / "frames")
    gone = str(frames / "f5.tif"), str(tmp_path / "f5.tif")
    rare = {"keeping": 1e9, "after": 1, "rename": gone}  # only what is kept when the frame is missed
    ended = stacked(forks, frames, tmp_path / "o", "auto", "--resume", "--threads", "1", **rare)
    assert ended.code == 3
    assert "f5.tif: the file cannot be read: No such file or directory." in ended.said
    assert "is kept in" in ended.said
    ended = stacked(forks, frames, tmp_path / "o", "auto", "--resume")
    assert ended.code == 3
    assert "it was made of other frames (f5.tif is missing)" in ended.said
    shutil.copyfile(gone[1], gone[0])  # its times are others now
    ended = stacked(forks, frames, tmp_path / "o", "auto", "--resume", "--json")
    assert '"auto: 5 of 6 frames"' in ended.said
    assert contents(tmp_path / "o") == contents(undisturbed["auto"])


def test_a_frame_that_changed_is_never_gone_on_with(forks: Forks, shot: Path, tmp_path: Path) -> None:
    frames = shutil.copytree(shot, tmp_path / "frames")
    interrupted(forks, frames, tmp_path / "o")
    path = frames / "f1.tif"
    before, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as if it had not been touched
    ended = stacked(forks, frames, tmp_path / "o", "auto", "--resume")
    assert ended.code == 3
    assert "cannot be continued: f1.tif has changed or is gone." in ended.said
    ended = stacked(forks, frames, tmp_path / "o", "auto", "--resume", "--overwrite")
    assert ended.code == 0
    assert "the run starts anew: f1.tif has changed" in ended.said
    assert stacked(forks, frames, tmp_path / "anew", "auto").code == 0
    assert contents(tmp_path / "o") == contents(tmp_path / "anew")


def test_other_settings_are_named(forks: Forks, shot: Path, tmp_path: Path) -> None:
    folder = interrupted(forks, shot, tmp_path / "o", "depthmap")
    kept = contents(folder)
    result = call("stack", shot, "-o", tmp_path / "o/o.tif", "--method", "pyramid", "--resume", "-q")
    assert_refused(result, 3, "method depthmap, not pyramid", "crop none, not auto", "--overwrite")
    assert contents(folder) == kept


def test_without_resume_it_is_mentioned_and_left_alone(forks: Forks, shot: Path, tmp_path: Path) -> None:
    folder = interrupted(forks, shot, tmp_path / "o")
    kept = contents(folder)
    ended = stacked(forks, shot, tmp_path / "o", "auto")
    assert ended.code == 0
    assert f"{folder} is what an interrupted run left; --resume goes on from there" in ended.said
    assert contents(folder) == kept


def test_what_a_kill_has_left_is_cleared_away(
    forks: Forks, shot: Path, undisturbed: dict[str, Path], tmp_path: Path
) -> None:
    folder = interrupted(forks, shot, tmp_path / "o")
    journal = json.loads((folder / "journal.json").read_text())
    number = max(part["number"] for part in journal["parts"].values()) + 1
    (folder / f"auto-0-{number}.part.npz").write_bytes(b"half of a")  # killed before the journal named it
    (folder / ".journal.json.partial-1").write_bytes(b"{")
    (folder / "again-o.tif").write_bytes(b"II")
    (tmp_path / "o" / f".o.tif.partial-{journal['pid']}").write_bytes(b"II")
    ended = stacked(forks, shot, tmp_path / "o", "auto", "--resume")
    assert ended.code == 0, ended.said
    assert "No more checkpoints" not in ended.said
    assert contents(tmp_path / "o") == contents(undisturbed["auto"])


def test_damaged_parts_are_made_again(
    forks: Forks, shot: Path, undisturbed: dict[str, Path], tmp_path: Path
) -> None:
    folder = interrupted(forks, shot, tmp_path / "o")
    for path in folder.glob("*.part.npz"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    ended = stacked(forks, shot, tmp_path / "o", "auto", "--resume")
    assert ended.code == 0, ended.said
    assert "of the survey is damaged, so that is done again" in ended.said
    assert "The frames of pass auto are folded again" in ended.said
    assert contents(tmp_path / "o") == contents(undisturbed["auto"])


def test_a_damaged_journal_is_refused(forks: Forks, shot: Path, tmp_path: Path) -> None:
    folder = interrupted(forks, shot, tmp_path / "o")
    (folder / "journal.json").write_bytes(b'{"format": 1, "parts": [')
    result = call("stack", shot, "-o", tmp_path / "o/o.tif", "--resume")
    assert_refused(result, 3, "journal.json cannot be read", "Delete that folder")


def test_slabs_that_are_gone_are_made_again(
    forks: Forks, shot: Path, undisturbed: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "o"
    ended = stacked(forks, shot, folder, "slabs", "--resume", after=4, kill=True)
    assert ended.code == KILLED
    (folder / SLABS[0]).unlink()
    ended = stacked(forks, shot, folder, "slabs", "--resume")
    assert ended.code == 0, ended.said
    assert "pictures of slabs have gone" in ended.said
    assert contents(folder) == contents(undisturbed["slabs"])


@pytest.mark.parametrize("name", ["o.tif", "l.psd"])
def test_a_file_of_the_user_that_bears_the_name_by_now_is_kept(
    forks: Forks, shot: Path, undisturbed: dict[str, Path], tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "o"
    interrupted(forks, shot, folder)
    (folder / name).write_bytes(b"mine")
    ended = stacked(forks, shot, folder, "auto", "--resume")
    assert (ended.code, f"{name} exists already" in ended.said) == (1, True)
    assert (folder / name).read_bytes() == b"mine"
    (folder / name).write_bytes((undisturbed["auto"] / name).read_bytes())
    ended = stacked(forks, shot, folder, "auto", "--resume")
    assert ended.code == 0, ended.said
    assert contents(folder) == contents(undisturbed["auto"])


def test_one_run_at_a_time(shot: Path, tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    journal = Journal(tmp_path / "o.tif.checkpoint")
    result = call("stack", shot, "-o", tmp_path / "o.tif", "--resume")
    assert_refused(result, 3, "Another run is at work on")
    journal.remove()
    assert contents(tmp_path) == {}


def test_a_folder_that_may_not_be_written(
    forks: Forks, shot: Path, undisturbed: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "o"
    folder.mkdir(mode=0o555)
    ended = stacked(forks, shot, folder, "auto", "--resume", plain=True)
    assert (ended.code, f"Files may not be written in {folder}" in ended.said) == (1, True)
    folder.chmod(0o755)
    locked = {"after": 3, "chmod": [str(folder), 0o555], "plain": True}
    ended = stacked(forks, shot, folder, "auto", "--resume", **locked)
    assert (ended.code, f"Files may not be written in {folder}" in ended.said) == (1, True)
    assert "is kept in" in ended.said
    folder.chmod(0o755)
    ended = stacked(forks, shot, folder, "auto", "--resume", plain=True)
    assert ended.code == 0, ended.said
    assert contents(folder) == contents(undisturbed["auto"])


def test_steps_are_not_gone_on_with(shot: Path, tmp_path: Path) -> None:
    result = call("stack", shot, "-o", tmp_path / "o.tif", "--resume", "--save-steps", tmp_path / "s")
    assert_refused(result, 2, "--save-steps does not go with --resume")
    assert contents(tmp_path) == {}
