"""Arrays that lie in a file: they keep their values, memory is given back, and nothing stays on the disk."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpustack.backend import paged
from gpustack.backend.cpu import Cpu
from gpustack.backend.paged import CAN_PAGE, LEAST_BYTES, SEGMENT_BYTES, Paged, temporary_folder
from gpustack.errors import BackendError

pytestmark = pytest.mark.skipif(not CAN_PAGE, reason="mapped memory cannot be given back on this system")
SIDE = 1024
PLANE = SIDE * SIDE * 4


def mapped(folder: Path) -> int:
    """Bytes in memory of the files of a folder that are mapped, as the system tells."""
    total, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, value, *_ = line.split(maxsplit=1)
        if not name.endswith(":"):
            ours = str(folder) in line
        elif ours and name == "Rss:":
            total += int(value.split()[0]) * 1024
    return total


def test_what_is_let_go_of_comes_back(tmp_path: Path) -> None:
    store = Paged(tmp_path, 0)
    planes = [store.full((SIDE, SIDE), value, "float32") for value in (0.0, -1.0, 7.0)]
    planes[0][3] = 5
    store.release()
    assert [float(plane[3, 3]) for plane in planes] == [5.0, -1.0, 7.0]
    assert [float(plane[4, 4]) for plane in planes] == [0.0, -1.0, 7.0]


def test_no_more_is_in_memory_than_may_be(tmp_path: Path) -> None:
    store = Paged(tmp_path, 2 * PLANE)
    planes = [store.full((SIDE, SIDE), number + 1.0, "float32") for number in range(12)]
    assert mapped(tmp_path) < 4 * PLANE
    assert all((plane == number + 1.0).all() for number, plane in enumerate(planes))
    assert mapped(tmp_path) > 6 * PLANE
    store.tidy()
    assert mapped(tmp_path) < PLANE


def test_a_backend_lets_go_between_pieces_of_work(tmp_path: Path) -> None:
    backend = Cpu(2, Paged(tmp_path, 2 * PLANE))
    planes = [backend.full((SIDE, SIDE), 0.0, "float32") for _ in range(16)]
    most = []

    def work(plane: Any) -> None:
        plane += 3
        most.append(mapped(tmp_path))

    backend.each(work, planes)
    assert max(most) < 6 * PLANE
    assert all((plane == 3).all() for plane in planes)
    backend.close()


def test_small_arrays_lie_in_memory(tmp_path: Path) -> None:
    backend = Cpu(1, Paged(tmp_path, 0))
    small, large = (backend.full((count,), 1.0, "uint8") for count in (LEAST_BYTES - 1, LEAST_BYTES))
    assert small.base is None
    assert large.base is not None
    assert backend.room((3, 4), "float32").shape == (3, 4)


def test_the_folder_is_empty_meanwhile_and_the_disk_is_given_back(tmp_path: Path) -> None:
    def taken() -> int:
        """Bytes on the disk of files of the folder that are open, by name or not."""
        total = 0
        for link in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                if str(tmp_path) in str(link.readlink()):
                    total += link.stat().st_blocks * 512
        return total

    store = Paged(tmp_path, 0)
    planes = [store.full((SIDE, SIDE), 1.0, "float32") for _ in range(3 * SEGMENT_BYTES // PLANE)]
    assert list(tmp_path.iterdir()) == []
    assert taken() >= 3 * SEGMENT_BYTES
    del planes
    assert taken() <= SEGMENT_BYTES  # the one that is being filled


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_is_full_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int
) -> None:
    def fail(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(paged.os, "posix_fallocate", fail)
    with pytest.raises(BackendError, match=str(tmp_path)) as told:
        Paged(tmp_path, 0).full((SIDE, SIDE), 0.0, "float32")
    assert "TMPDIR" in str(told.value)
    assert ("is full" in str(told.value)) is (number != errno.EIO)


def test_the_folder_is_that_of_tmpdir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(paged.tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert temporary_folder() == tmp_path
    monkeypatch.setattr(paged.tempfile, "tempdir", None)
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(name, raising=False)
    assert temporary_folder() == Path("/var/tmp")


def test_arrays_of_any_type_do_not_overlap(tmp_path: Path) -> None:
    store = Paged(tmp_path, 0)
    arrays = [store.room((5, 7, count), kind) for count in (1, 3) for kind in ("uint8", "bool", "float32")]
    for number, array in enumerate(arrays):
        array[...] = number % 2
    store.release()
    assert all((array == number % 2).all() for number, array in enumerate(arrays))
    assert np.shares_memory(*arrays[:2]) is False
