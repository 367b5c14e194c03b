"""Files appear whole or not at all, whatever happens on the way."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from gpustack.errors import WriteError
from gpustack.io.atomic import replacing


def write(path: Path, data: bytes, *, overwrite: bool = False) -> None:
    with replacing(path, overwrite=overwrite) as file:
        file.write(data)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def no_links(_self: Path, _target: Path) -> None:
    raise OSError(errno.EPERM, "this disk has no links")


@pytest.fixture(params=["links", "no links"])
def disk(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.param == "no links":
        monkeypatch.setattr(Path, "hardlink_to", no_links)
    return tmp_path


def test_a_new_file(disk: Path) -> None:
    write(disk / "a.tif", b"new")
    assert (disk / "a.tif").read_bytes() == b"new"
    assert names(disk) == ["a.tif"]


def test_the_name_is_taken_at_the_end_only(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.tif", overwrite=False) as file:
        file.write(b"new")
        assert names(tmp_path) == [f".a.tif.partial-{os.getpid()}"]
    assert names(tmp_path) == ["a.tif"]


def test_an_old_file_is_replaced_when_asked(disk: Path) -> None:
    (disk / "a.tif").write_bytes(b"old")
    write(disk / "a.tif", b"new", overwrite=True)
    assert (disk / "a.tif").read_bytes() == b"new"
    assert names(disk) == ["a.tif"]


def test_a_file_that_turns_up_meanwhile_is_kept(disk: Path) -> None:
    path = disk / "a.tif"

    def race() -> None:
        with replacing(path, overwrite=False) as file:
            file.write(b"new")
            path.write_bytes(b"of somebody else")

    with pytest.raises(WriteError, match=r"a\.tif exists already\. Add --overwrite"):
        race()
    assert path.read_bytes() == b"of somebody else"
    assert names(disk) == ["a.tif"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError, MemoryError])
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_broken_off_write_leaves_nothing(
    error: type[BaseException], old: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "a.tif"
    if old is not None:
        path.write_bytes(old)

    def broken_off() -> None:
        with replacing(path, overwrite=True) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        broken_off()
    assert names(tmp_path) == ([] if old is None else ["a.tif"])
    assert old is None or path.read_bytes() == old


def test_a_rename_that_fails_frees_the_claimed_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_self: Path, _target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.tif", b"new")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, r"The disk at / is full, so a\.tif cannot be written\. Free some space"),
        (errno.EDQUOT, r"The disk at / is full, so a\.tif cannot be written\. Free some space"),
        (errno.EFBIG, "grows larger than its disk allows"),
        (errno.EACCES, "Files may not be written in"),
        (errno.EROFS, "Files may not be written in"),
        (errno.EIO, r"cannot be written: .*\. Choose another folder"),
    ],
)
def test_what_the_system_refuses_is_one_sentence(
    number: int, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    def only_root(self: Path) -> bool:
        return self == Path(self.anchor)

    monkeypatch.setattr(os, "fsync", refuse)
    monkeypatch.setattr(Path, "is_mount", only_root)
    with pytest.raises(WriteError, match=sentence):
        write(tmp_path / "a.tif", b"new")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("none/a.tif", "The folder .*none does not exist"), ("a" * 300 + ".tif", "cannot be written")],
)
def test_a_name_that_cannot_be(name: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=sentence):
        write(tmp_path / name, b"new")


def test_what_a_killed_run_left_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"kept")
    (tmp_path / f".a.tif.partial-{os.getpid()}").symlink_to(elsewhere)
    synced: list[Any] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    write(tmp_path / "a.tif", b"new")
    assert elsewhere.read_bytes() == b"kept"
    assert (tmp_path / "a.tif").read_bytes() == b"new"
    assert len(synced) == 1
