"""What holds of a backend as a whole: threads, errors, arrays in and out, and memory."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from gpustack.backend.cpu import Cpu
from gpustack.backend.memory import free_bytes, peak_bytes
from gpustack.backend.protocol import Backend
from gpustack.errors import BackendError
from tests.backend.parts import level
from tests.patience import LONG_S


def test_each_runs_every_item_before_it_returns(backend: Backend[Any]) -> None:
    done: list[int] = []
    backend.each(done.append, range(50))
    assert sorted(done) == list(range(50))


def test_an_error_inside_each_surfaces(backend: Backend[Any]) -> None:
    def fail(number: int) -> None:
        if number == 3:
            raise BackendError("The device was lost.", "Start again.")

    with pytest.raises(BackendError, match="lost"):
        backend.each(fail, range(8))


def test_each_uses_several_threads_where_there_are_some() -> None:
    meeting = threading.Barrier(2, timeout=LONG_S)
    Cpu(2).each(lambda _: meeting.wait(), range(2))
    assert meeting.broken is False


def test_threads_have_working_planes_of_their_own() -> None:
    """Colour pictures of several sizes at once: a plane shared by threads would be overwritten."""
    generator = np.random.default_rng(0)
    pictures = [generator.random((3, 40 + 7 * n, 50), np.float32) for n in range(4)] * 8
    alone, crowd = Cpu(1), Cpu(4)
    found: dict[int, Any] = {}

    def work(number: int) -> None:
        found[number] = level(crowd, pictures[number], 1.5)

    crowd.each(work, range(len(pictures)))
    for number, picture in enumerate(pictures):
        for got, wanted in zip(found[number], level(alone, picture, 1.5), strict=True):
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_arrays_go_in_and_come_out_unchanged(backend: Backend[Any], dtype: str) -> None:
    frame = (np.random.default_rng(2).random((4, 5, 3)) * 200).astype(dtype)
    back = backend.download(backend.upload(frame))
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, frame)


def test_rows_are_a_view_and_copy_and_fill_write(backend: Backend[Any]) -> None:
    image = backend.full((2, 6, 3), 1.0, "float32")
    backend.fill(backend.rows(image, slice(2, 4)), 5.0)
    source = backend.full((2, 1, 3), 7.0, "float32")
    backend.copy(source, backend.rows(image, slice(5, 6)))
    assert backend.download(image)[1, :, 0].tolist() == [1, 1, 5, 5, 1, 7]
    plane = backend.rows(backend.full((3, 3), 2, "uint16"), slice(1, 3))
    assert backend.download(plane).shape == (2, 3)


@pytest.mark.parametrize("shape", [(5, 4), (3, 5, 4)])
def test_stacked_rows_are_the_whole_again(backend: Backend[Any], shape: tuple[int, ...]) -> None:
    whole = np.random.default_rng(3).random(shape, np.float32)
    held = backend.upload(whole)
    parts = [backend.rows(held, rows) for rows in (slice(0, 2), slice(2, 3), slice(3, 5))]
    np.testing.assert_array_equal(backend.download(backend.stack_rows(parts)), whole)


def test_a_backend_says_what_it_is(backend: Backend[Any]) -> None:
    info = backend.info
    assert info.name in ("cpu", "cuda")
    assert info.device
    assert info.free_bytes > 1 << 20
    assert info.threads >= 1


@pytest.mark.parametrize("shape", [(4, 5), (2, 4, 5)])
def test_a_lent_array_is_the_backends_and_reads_as_it_was(
    backend: Backend[Any], shape: tuple[int, ...]
) -> None:
    host = np.random.default_rng(9).random(shape, np.float32)
    lent = backend.lend(host)
    assert backend.owns(lent)
    assert not backend.owns("energy")
    np.testing.assert_array_equal(backend.download(lent), host)
    wanted = backend.download(backend.reduce(backend.upload(host)))
    np.testing.assert_array_equal(backend.download(backend.reduce(lent)), wanted)


def test_memory_is_told_in_bytes() -> None:
    """A process with NumPy loaded has used some tens of megabytes, and no machine is without memory."""
    assert free_bytes() > 1 << 20
    assert peak_bytes() == 0 or peak_bytes() > 20 << 20
