"""Which files have settled, by a clock that is given in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpustack.errors import InputError
from gpustack.watching.arrivals import GONE_S, PATIENCE_S, SETTLE_S, Arrivals, is_picture


class Clock:
    """Seconds, as the test says."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def names(arrivals: Arrivals) -> list[str]:
    return [path.name for path in arrivals.look()]


def later(arrivals: Arrivals, clock: Clock, seconds: float) -> list[str]:
    clock.now += seconds
    return names(arrivals)


def test_a_file_has_settled_when_size_and_time_stay_the_same(tmp_path: Path, clock: Clock) -> None:
    arrivals, file = Arrivals(tmp_path, clock), tmp_path / "a.jpg"
    file.write_bytes(b"1")
    assert names(arrivals) == []
    file.write_bytes(b"12")
    assert later(arrivals, clock, SETTLE_S) == []  # the size has changed
    os.utime(file, ns=(5, 5))
    assert later(arrivals, clock, SETTLE_S) == []  # the time has changed
    assert later(arrivals, clock, SETTLE_S / 2) == []
    assert later(arrivals, clock, SETTLE_S / 2) == ["a.jpg"]
    assert names(arrivals) == ["a.jpg"]  # it waits to be taken
    arrivals.take(file)
    assert later(arrivals, clock, 60) == []


def test_an_empty_file_is_waited_for_and_then_named(tmp_path: Path, clock: Clock) -> None:
    arrivals = Arrivals(tmp_path, clock)
    (tmp_path / "a.jpg").touch()
    assert names(arrivals) == []
    assert later(arrivals, clock, SETTLE_S) == []
    assert arrivals.coming
    assert arrivals.given_up() == []
    assert later(arrivals, clock, PATIENCE_S) == []
    assert not arrivals.coming
    assert arrivals.given_up() == ["a.jpg: the file is empty."]
    assert arrivals.given_up() == []
    (tmp_path / "a.jpg").write_bytes(b"1")
    assert names(arrivals) == []
    assert later(arrivals, clock, SETTLE_S) == ["a.jpg"]


@pytest.mark.parametrize(
    "name",
    [
        ".a.jpg", "._a.jpg", "~a.jpg", "a.jpg~", "a.jpg.part", "a.part.jpg", "a.tmp", "a.TMP.JPG",
        ".a.jpg.Xk3f9Q", "a.jpg.crdownload", "a.filepart", "a.txt", "a", "a.xmp",
        "Thumbs.db", "a.tif.partial",
    ],
)  # fmt: skip
def test_names_that_are_ignored(name: str, tmp_path: Path, clock: Clock) -> None:
    arrivals = Arrivals(tmp_path, clock)
    (tmp_path / name).write_bytes(b"1")
    (tmp_path / "b.NEF").write_bytes(b"1")
    (tmp_path / "folder.jpg").mkdir()
    assert names(arrivals) == []
    assert later(arrivals, clock, SETTLE_S) == ["b.NEF"]
    assert not is_picture(name)


def test_a_file_that_takes_its_name_at_the_end(tmp_path: Path, clock: Clock) -> None:
    arrivals = Arrivals(tmp_path, clock)
    (tmp_path / "a.jpg.part").write_bytes(b"1")
    assert later(arrivals, clock, 60) == []
    (tmp_path / "a.jpg.part").rename(tmp_path / "a.jpg")
    assert names(arrivals) == []
    assert later(arrivals, clock, SETTLE_S) == ["a.jpg"]


def test_files_come_in_the_order_of_their_names(tmp_path: Path, clock: Clock) -> None:
    arrivals = Arrivals(tmp_path, clock)
    for name in ("f10.jpg", "f9.jpg", "f2.jpg"):
        (tmp_path / name).write_bytes(b"1")
    assert names(arrivals) == []
    (tmp_path / "f9.jpg").write_bytes(b"12")
    assert later(arrivals, clock, SETTLE_S) == ["f2.jpg"]  # f10 waits for f9
    assert later(arrivals, clock, SETTLE_S) == ["f2.jpg", "f9.jpg", "f10.jpg"]


def test_a_file_that_stands_still_holds_the_others_up_only_for_a_while(tmp_path: Path, clock: Clock) -> None:
    arrivals = Arrivals(tmp_path, clock)
    (tmp_path / "f1.jpg").touch()
    (tmp_path / "f2.jpg").write_bytes(b"1")
    assert names(arrivals) == []
    assert later(arrivals, clock, PATIENCE_S - 0.1) == []
    assert later(arrivals, clock, 0.1) == ["f2.jpg"]


def test_what_cannot_be_read_is_tried_again_ever_more_seldom(tmp_path: Path, clock: Clock) -> None:
    arrivals, file = Arrivals(tmp_path, clock), tmp_path / "a.jpg"
    file.write_bytes(b"1")
    names(arrivals)
    tries = []
    for _ in range(1000):
        clock.now += 0.5
        if names(arrivals):
            tries.append(clock.now)
            arrivals.refuse(file, "a.jpg: damaged.")
    assert 5 < len(tries) < 15
    assert arrivals.given_up() == ["a.jpg: damaged."]
    file.write_bytes(b"whole")
    assert names(arrivals) == []
    assert later(arrivals, clock, SETTLE_S) == ["a.jpg"]


def test_what_never_fits_holds_nothing_up(tmp_path: Path, clock: Clock) -> None:
    arrivals = Arrivals(tmp_path, clock)
    for name in ("f1.jpg", "f2.jpg"):
        (tmp_path / name).write_bytes(b"1")
    names(arrivals)
    assert later(arrivals, clock, SETTLE_S) == ["f1.jpg", "f2.jpg"]
    arrivals.refuse(tmp_path / "f1.jpg", "f1.jpg differs.", hopeful=False)
    assert later(arrivals, clock, 0.1) == ["f2.jpg"]
    assert arrivals.given_up() == ["f1.jpg differs."]


def test_idle_counts_from_the_last_event_once_a_frame_is_there(tmp_path: Path, clock: Clock) -> None:
    arrivals = Arrivals(tmp_path, clock)
    later(arrivals, clock, 60)
    assert arrivals.idle_s == 0
    (tmp_path / "a.jpg").write_bytes(b"1")
    names(arrivals)
    assert later(arrivals, clock, SETTLE_S) == ["a.jpg"]
    clock.now += 2
    arrivals.take(tmp_path / "a.jpg")
    clock.now += 7
    assert arrivals.idle_s == 7
    (tmp_path / "b.jpg").write_bytes(b"1")
    names(arrivals)
    assert arrivals.idle_s == 0
    assert arrivals.coming


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such files on this system")
def test_what_only_bears_the_name_of_a_picture(tmp_path: Path, clock: Clock) -> None:
    """A link in a circle, one that leads nowhere, a pipe, a device and a folder; none is waited for."""
    (tmp_path / "circle.jpg").symlink_to(tmp_path / "circle.jpg")
    (tmp_path / "nowhere.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "a.jpg").write_bytes(b"1")
    arrivals = Arrivals(tmp_path, clock)
    assert names(arrivals) == []
    assert later(arrivals, clock, SETTLE_S) == ["a.jpg"]


def test_names_that_do_not_fit_outputs_and_what_was_there_before(tmp_path: Path, clock: Clock) -> None:
    for name in ("a.NEF", "a.jpg", "old.nef", "out.tif"):
        (tmp_path / name).write_bytes(b"1")
    arrivals = Arrivals(tmp_path, clock, match="*.nef", ignored=[tmp_path / "out.tif"])
    assert names(arrivals) == []
    assert later(arrivals, clock, SETTLE_S) == ["a.NEF", "old.nef"]
    arrivals = Arrivals(tmp_path, clock)
    arrivals.skip_present()
    (tmp_path / "b.jpg").write_bytes(b"1")
    assert names(arrivals) == []
    assert later(arrivals, clock, SETTLE_S) == ["b.jpg"]
    arrivals = Arrivals(tmp_path, clock, ignored=[tmp_path / "out.tif", tmp_path.parent / "a.jpg"])
    names(arrivals)
    assert later(arrivals, clock, SETTLE_S) == ["a.jpg", "a.NEF", "b.jpg", "old.nef"]


def test_nothing_new_after_it_was_closed(tmp_path: Path, clock: Clock) -> None:
    arrivals = Arrivals(tmp_path, clock)
    (tmp_path / "a.jpg").write_bytes(b"1")
    names(arrivals)
    arrivals.close()
    (tmp_path / "a.jpg").write_bytes(b"12")
    (tmp_path / "b.jpg").write_bytes(b"1")
    assert names(arrivals) == []
    assert later(arrivals, clock, SETTLE_S) == ["a.jpg"]


def test_what_was_written_to_after_it_was_taken(tmp_path: Path, clock: Clock) -> None:
    arrivals = Arrivals(tmp_path, clock)
    files = [tmp_path / f"{number}.jpg" for number in range(3)]
    for file in files:
        file.write_bytes(b"1")
    names(arrivals)
    assert arrivals.unchanged(files[0])
    files[0].write_bytes(b"12")
    assert not arrivals.unchanged(files[0])
    files[0].write_bytes(b"1")
    names(arrivals)
    for file in files:
        arrivals.take(file)
    assert arrivals.changed() == []
    files[1].write_bytes(b"changed")
    files[2].unlink()
    assert arrivals.changed() == files[1:]


def test_a_folder_that_goes_and_comes_back(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "card"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"1")
    arrivals = Arrivals(folder, clock)
    names(arrivals)
    folder.rename(tmp_path / "away")
    assert later(arrivals, clock, GONE_S - 0.1) == ["a.jpg"]
    assert not arrivals.unchanged(folder / "a.jpg")  # so it is not offered
    (tmp_path / "away").rename(folder)
    assert names(arrivals) == ["a.jpg"]
    folder.rename(tmp_path / "away")
    assert later(arrivals, clock, GONE_S - 0.1)
    with pytest.raises(InputError, match=r"card has gone: No such file or directory\. Bring it back"):
        later(arrivals, clock, 0.2)
