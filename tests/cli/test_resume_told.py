"""`--resume` and the files that tell of a run, which are others each time: its sidecar and its report."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpustack.io.sidecar import read_sidecar
from tests.cli.calling import shots, write_tiffs
from tests.cli.forks import KILLED, Ended, Forks, forking
from tests.reporting.pages import parsed

SEED = int(os.environ.get("SEED", "8"))
KILLS = 4
TOLD = ("o.tif.gpustack.json", "r.html")
every_told = pytest.mark.parametrize("name", TOLD)


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with forking() as open_forks:
        yield open_forks


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shot")
    write_tiffs(folder, shots(4))
    return folder


def stacked(forks: Forks, shot: Path, folder: Path, *more: str, **how: object) -> Ended:
    folder.mkdir(exist_ok=True)
    words = ("stack", shot, "-o", folder / "o.tif", "--report", folder / "r.html", "--threads", "1")
    settings = ("--method", "average", "--align", "none", "--backend", "cpu")
    return forks.run(*words, *settings, "--resume", *more, **{"keeping": 0.0} | how)


def whole(ended: Ended, folder: Path) -> None:
    """A run has ended well, or the one before was killed when it had nothing more to do; all of its files are
    there and nothing else."""
    assert ended.code == 0 or "o.tif exists already" in ended.said, ended.said
    assert {path.name for path in folder.iterdir()} == {"o.tif", *TOLD}
    assert parsed((folder / "r.html").read_text("utf-8")).one("h1").text == "o.tif"
    assert read_sidecar(folder / TOLD[0]).outputs["picture"].file == "o.tif"


def test_killed_while_the_results_are_written(forks: Forks, shot: Path, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    counted = stacked(forks, shot, tmp_path / "counted")
    whole(counted, tmp_path / "counted")
    last, kills = 40, 0  # from there on results are written
    for number, event in enumerate(chance.sample(range(counted.events - last, counted.events - 3), KILLS)):
        folder = tmp_path / str(number)
        ended = stacked(forks, shot, folder, event=event)
        there = sorted(path.name for path in folder.iterdir())
        print(f"SEED={SEED}: {event} of {counted.events}: {ended.code} {there}")  # noqa: T201
        kills += ended.code == KILLED
        for more in ({"event": chance.randint(1, counted.events)}, {}):
            if ended.code == KILLED:
                ended = stacked(forks, shot, folder, **more)
        whole(ended, folder)
    assert kills > 0


@every_told
def test_a_file_of_the_user_is_refused_before_the_work(
    forks: Forks, shot: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "o"
    assert stacked(forks, shot, folder, after=2, kill=True).code == KILLED
    (folder / name).write_text("mine")
    ended = stacked(forks, shot, folder)
    assert (ended.code, f"{name} exists already" in ended.said) == (1, True)
    assert (folder / name).read_text() == "mine"
    assert not (folder / "o.tif").exists()
    (folder / name).unlink()
    whole(stacked(forks, shot, folder), folder)


@every_told
def test_a_file_of_the_user_that_comes_during_the_work_is_kept(
    forks: Forks, shot: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "o"
    assert stacked(forks, shot, folder, after=1, kill=True).code == KILLED
    (tmp_path / "mine").write_text("mine")
    ended = stacked(forks, shot, folder, after=1, rename=[str(tmp_path / "mine"), str(folder / name)])
    assert (ended.code, f"{name} exists already" in ended.said) == (1, True)
    assert (folder / name).read_text() == "mine"
    assert (folder / "o.tif.checkpoint").is_dir()
    (folder / name).unlink()
    whole(stacked(forks, shot, folder), folder)


@every_told
def test_what_the_user_has_changed_since_is_kept(forks: Forks, shot: Path, tmp_path: Path, name: str) -> None:
    """The interrupted run has written it, and it is another file by now."""
    counted = stacked(forks, shot, tmp_path / "counted")
    folder = tmp_path / "o"
    ended = stacked(forks, shot, folder, event=counted.events - 8)
    assert ended.code == KILLED
    assert (folder / name).exists(), sorted(path.name for path in folder.iterdir())
    with (folder / name).open("a") as file:
        file.write(" ")
    changed = (folder / name).read_text("utf-8")
    ended = stacked(forks, shot, folder)
    assert (ended.code, f"{name} exists already" in ended.said) == (1, True)
    assert (folder / name).read_text("utf-8") == changed
    whole(stacked(forks, shot, folder, "--overwrite"), folder)
