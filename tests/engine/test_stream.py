"""Frames in order, read ahead by threads, never more than the stated number at once."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest

from gpustack.engine.stream import Stream
from gpustack.errors import DecodeError, StackError
from gpustack.model.frame import Frame
from tests.engine.shots import headers

FRAMES = headers(24).frames


class Picture:
    """Stands for decoded pixels, and can be counted while it lives."""

    def __init__(self, name: str) -> None:
        self.name = name


class Census:
    """Counts pictures that are alive, and the most that ever were."""

    def __init__(self) -> None:
        self.alive, self.most, self.read = 0, 0, 0
        self._lock = threading.Lock()

    def __call__(self, frame: Frame) -> Picture:
        picture = Picture(frame.name)
        with self._lock:
            self.read += 1
            self.alive += 1
            self.most = max(self.most, self.alive)
        weakref.finalize(picture, self._gone)
        return picture

    def _gone(self) -> None:
        with self._lock:
            self.alive -= 1


def decoders() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


@pytest.mark.parametrize("readers", [1, 2, 5])
def test_the_order_of_the_frames_is_kept_whichever_is_read_first(readers: int) -> None:
    def read(frame: Frame) -> str:
        time.sleep(0.004 if int(frame.name[5:-4]) % 3 == 0 else 0)
        return frame.name

    with Stream(FRAMES, read, slots=6, readers=readers).open() as frames:
        assert list(frames) == [(index, frame.name) for index, frame in enumerate(FRAMES)]


@pytest.mark.parametrize(("slots", "readers"), [(1, 1), (2, 2), (3, 2), (4, 4), (6, 3)])
def test_never_more_results_than_slots_are_alive(slots: int, readers: int) -> None:
    census = Census()
    with Stream(FRAMES, census, slots=slots, readers=readers).open() as frames:
        for _, picture in frames:
            time.sleep(0.003)  # slower than the readers, so that they run into the limit
            del picture
    assert census.read == len(FRAMES)
    assert census.most == slots
    gc.collect()
    assert census.alive == 0


def test_more_readers_than_slots_do_not_raise_the_limit() -> None:
    census = Census()
    with Stream(FRAMES, census, slots=2, readers=8).open() as frames:
        for _, picture in frames:
            time.sleep(0.002)
            del picture
    assert census.most == 2


def test_an_error_comes_where_its_frame_would_have_come() -> None:
    def read(frame: Frame) -> str:
        if frame.name == "frame5.jpg":
            raise StackError(f"{frame.name} is of another camera.", "Leave it out.")
        return frame.name

    seen = []
    with (
        pytest.raises(StackError, match=r"frame5\.jpg is of another camera"),
        Stream(FRAMES, read, slots=4, readers=3).open() as frames,
    ):
        seen.extend(index for index, _ in frames)
    assert seen == [0, 1, 2, 3, 4]
    assert decoders() == []


@pytest.mark.parametrize(
    ("error", "said"),
    [(ValueError("odd marker"), r"ValueError: odd marker"), (MemoryError(), "not enough memory")],
)
def test_an_unforeseen_error_becomes_one_that_names_the_frame(error: Exception, said: str) -> None:
    def read(frame: Frame) -> str:
        if frame.name == "frame2.jpg":
            raise error
        return frame.name

    with (
        Stream(FRAMES, read, slots=3, readers=2).open() as frames,
        pytest.raises(DecodeError, match=rf"^frame2\.jpg: .*{said}") as caught,
    ):
        list(frames)
    assert caught.value.name == "frame2.jpg"
    assert caught.value.remedy
    assert caught.value.__cause__ is error


def test_leaving_early_stops_the_readers() -> None:
    census = Census()
    with Stream(FRAMES, census, slots=3, readers=2).open() as frames:
        next(frames)
    assert decoders() == []
    assert census.read <= 4


def test_frames_that_wait_to_be_read_are_not_read_any_more() -> None:
    read: list[str] = []

    def slowly(frame: Frame) -> str:
        read.append(frame.name)
        time.sleep(0.02)
        return frame.name

    with Stream(FRAMES, slowly, slots=6, readers=1).open() as frames:
        next(frames)
    assert len(read) <= 2  # the one handed out, and the one that was being read


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_whatever_stops_the_consumer_stops_the_readers(stop: type[BaseException]) -> None:
    census = Census()
    with (  # noqa: PT012 - the error is raised by the consumer
        pytest.raises(stop),
        Stream(FRAMES, census, slots=3, readers=2).open() as frames,
    ):
        for index, _ in frames:
            if index == 4:
                raise stop
    assert decoders() == []
    assert census.read < len(FRAMES)


def test_the_times_tell_who_waited() -> None:
    def read(frame: Frame) -> str:
        time.sleep(0.01)
        return frame.name

    stream = Stream(FRAMES[:6], read, slots=2, readers=1)
    with stream.open() as frames:
        list(frames)
    assert stream.times.reading >= 6 * 0.01
    assert stream.times.waiting >= 0.8 * 6 * 0.01
    assert 0.5 < stream.waiting_share <= 1.0


def test_a_consumer_that_is_slower_than_the_readers_hardly_waits() -> None:
    stream = Stream(FRAMES[:8], lambda frame: frame.name, slots=3, readers=2)
    with stream.open() as frames:
        for _ in frames:
            time.sleep(0.01)
    assert stream.waiting_share < 0.5
