"""Files that a run has seen: the same content is recognised, any other is not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from gpustack.errors import InputError
from gpustack.io.witness import Witness
from gpustack.model.frame import Frame, Kind, PixelType


def frame(path: Path) -> Frame:
    return Frame(path, 4, 4, 1, PixelType.UINT8, Kind.TIFF)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "a.tif"
    file.write_bytes(b"one")
    return file


def read(frame: Frame) -> bytes:
    return frame.path.read_bytes()


def seen(path: Path) -> list[list[object] | None]:
    witness = Witness([path, path])
    assert witness.watching(read)(frame(path)) == b"one"
    return witness.as_list()


def test_a_file_that_was_copied_back_is_the_same(path: Path, tmp_path: Path) -> None:
    rows = seen(path)
    shutil.copyfile(path, tmp_path / "b")
    path.unlink()
    assert Witness([path]).recall(rows) == path
    shutil.copyfile(tmp_path / "b", path)
    assert Witness([path]).recall(rows) is None


def test_a_file_that_was_edited_is_another_whatever_its_times_say(path: Path) -> None:
    rows, before = seen(path), path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert Witness([path]).recall(rows) == path


def test_a_file_that_is_not_read_yet_may_change(path: Path) -> None:
    assert Witness([path]).as_list() == [None]
    path.write_bytes(b"two")
    assert Witness([path]).recall([None]) is None


def test_a_file_that_changes_between_two_readings_ends_the_run(path: Path) -> None:
    witness = Witness([path])
    watched = witness.watching(read)
    watched(frame(path))
    os.utime(path)
    watched(frame(path))  # touched, but the same
    path.write_bytes(b"two")
    with pytest.raises(InputError, match=r"a\.tif changed while it was stacked"):
        watched(frame(path))


def test_a_file_that_is_written_while_it_is_read_ends_the_run(path: Path) -> None:
    def slowly(frame: Frame) -> bytes:
        found = read(frame)
        path.write_bytes(b"longer")
        return found

    with pytest.raises(InputError, match="changed while it was stacked"):
        Witness([path]).watching(slowly)(frame(path))


def test_a_flat_field_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"flat\.tif cannot be read"):
        Witness([]).look_at(tmp_path / "flat.tif")
