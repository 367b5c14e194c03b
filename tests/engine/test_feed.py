"""Frames on their way to a backend: slots are given out and come back, whatever happens to a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpustack.backend.cpu import Cpu
from gpustack.engine.feed import Feed, Source, filled
from gpustack.errors import DecodeError
from gpustack.model.frame import Frame
from tests.engine.shots import Shelf, patchwork


class Slotted(Cpu):
    """A CPU that gives out slots, takes orders from one thread, and notes what comes back."""

    def __init__(self) -> None:
        super().__init__(1)
        self.out: list[int] = []
        self.settled = 0
        self.reserved: tuple[int, int] = (0, 0)

    @property
    def concurrent(self) -> bool:
        return False

    def reserve(self, count: int, nbytes: int, /) -> None:
        self.reserved = (count, nbytes)

    def slot(self, shape: tuple[int, ...], dtype: str, /) -> Any:
        slot = np.empty(shape, dtype)
        self.out.append(slot.ctypes.data)
        return slot

    def drop(self, slot: Any, /) -> None:
        self.out.remove(slot.ctypes.data)

    def upload(self, host: Any, /) -> Any:
        self.out.remove(host.ctypes.data)
        return host.copy()

    def settle(self) -> None:
        self.settled += 1


def test_frames_are_decoded_into_slots_and_come_in_order() -> None:
    pictures, backend = patchwork(6), Slotted()
    shelf = Shelf(pictures)
    feed = Feed(backend, shelf.stack.frames, Source(shelf.read), slots=2, readers=2)
    with feed.open(lambda frame, array: (frame.name, array)) as found:
        seen = [(index, name, array) for index, (name, array) in found]
    assert [index for index, _, _ in seen] == list(range(6))
    for index, name, array in seen:
        assert name == shelf.stack.frames[index].name
        np.testing.assert_array_equal(array, pictures[index])
    assert backend.reserved == (2, pictures[0].nbytes)
    assert backend.out == []
    assert backend.settled == 1


@pytest.mark.parametrize("error", [DecodeError("b.jpg", "it is damaged."), RuntimeError("odd")])
def test_the_slot_of_a_frame_that_cannot_be_read_comes_back(error: Exception) -> None:
    backend, shelf = Slotted(), Shelf(patchwork(3))

    def read(frame: Frame, out: Any) -> Any:
        if frame is shelf.stack.frames[1]:
            raise error
        return filled(shelf.read(frame), out)

    feed = Feed(backend, shelf.stack.frames, Source(read), slots=1, readers=1)
    with pytest.raises(DecodeError), feed.open(lambda _, array: array) as found:
        list(found)
    assert backend.out == []
    assert backend.settled == 0


def test_who_listens_is_told_of_every_frame_that_was_read() -> None:
    shelf = Shelf(patchwork(2))
    heard: list[Frame] = []
    source = Source(shelf.read, lambda *_: None, lambda frame, _: shelf.read(frame))
    telling = source.telling(heard.append)
    first, second = shelf.stack
    assert np.array_equal(telling.read(first, None), shelf.read(first))
    assert telling.unpack is not None
    assert telling.shrink is not None
    telling.unpack(second, np.empty(1))
    telling.shrink(first, 2)
    assert heard == [first, second, first]
    assert Source(shelf.read).telling(heard.append).unpack is None
