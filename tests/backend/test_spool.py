"""Arrays in a spool: they come back as they were, from the disk, too, and a full disk loses none."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gpustack.backend import spool as spooling
from gpustack.backend.spool import IN_MEMORY_BYTES, Spool

SIDE = 512
kinds = st.sampled_from(["uint8", "float16", "float32", "float64", "bool", "int16"])


@given(
    content=st.lists(
        kinds.flatmap(lambda kind: arrays.arrays(kind, arrays.array_shapes(min_side=0, max_dims=3)))
    ),
    limit=st.sampled_from([0, 100, 1 << 20]),
)
def test_what_is_put_comes_back(content: list[Any], limit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spooling, "IN_MEMORY_BYTES", limit)
        spool = Spool()
        stored = [spool.put(array) for array in content]
        assert spool.held_bytes <= limit
        for at, array in reversed(list(zip(stored, content, strict=True))):
            found = spool.get(at)
            assert found.dtype == array.dtype
            np.testing.assert_array_equal(found, array)
            for part in (slice(1, 3), slice(0, None), slice(2, 2)):
                np.testing.assert_array_equal(spool.get(at, part.start, part.stop), array[part])


def test_a_copy_is_given() -> None:
    spool = Spool()
    stored = spool.put(np.arange(5))
    spool.get(stored)[:] = 0
    np.testing.assert_array_equal(spool.get(stored), np.arange(5))


def test_memory_does_not_grow() -> None:
    spool, held = Spool(), []
    stored = []
    for number in range(64):
        stored.append(spool.put(np.full((SIDE, SIDE), number, np.uint8)))
        held.append(spool.held_bytes)
    assert max(held) <= IN_MEMORY_BYTES
    assert held[0] == SIDE * SIDE
    assert held[-1] == 0
    assert all((spool.get(one) == number).all() for number, one in enumerate(stored))


def test_the_file_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    spool = Spool()
    spool.put(np.zeros(IN_MEMORY_BYTES + 1, np.uint8))
    assert spool.held_bytes == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("room", [0, 1, 5 * SIDE * SIDE + 7])
def test_a_disk_that_is_full_costs_memory_and_no_value(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "IN_MEMORY_BYTES", 2 * SIDE * SIDE)
    original = tempfile.TemporaryFile

    class Small:
        """A file on a disk with little room, which takes what it can of a piece."""

        def __init__(self, **more: Any) -> None:
            self._file = original(**more)
            self.readinto, self.seek, self.close = self._file.readinto, self._file.seek, self._file.close

        def write(self, content: memoryview) -> int:
            left = max(0, room - self._file.tell())
            if content and not left:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self._file.write(content[:left])

    monkeypatch.setattr(tempfile, "TemporaryFile", Small)
    spool = Spool()
    stored = [spool.put(np.full((SIDE, SIDE), number, np.uint8)) for number in range(9)]
    on_disk = room // SIDE**2 if room >= 3 * SIDE**2 else 0
    assert spool.held_bytes == (9 - on_disk) * SIDE**2
    assert all((spool.get(one) == number).all() for number, one in enumerate(stored))


def test_a_folder_that_gives_no_file_costs_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "IN_MEMORY_BYTES", 10)
    monkeypatch.setattr(spooling, "temporary_folder", lambda: Path("/nowhere"))
    spool = Spool()
    stored = [spool.put(np.full(8, number, np.uint8)) for number in range(4)]
    assert [int(spool.get(one)[7]) for one in stored] == [0, 1, 2, 3]


def test_threads_may_share_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "IN_MEMORY_BYTES", 1000)
    spool, wrong = Spool(), []

    def work(number: int) -> None:
        own = [spool.put(np.full(50, number, np.int16)) for _ in range(40)]
        wrong.extend(one for one in own if (spool.get(one) != number).any())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
