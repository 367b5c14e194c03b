"""Frames in order, read ahead by threads, never more than the stated number at once."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from gpustack.engine import stream as streaming
from gpustack.engine.stream import Stream
from gpustack.errors import DecodeError, StackError
from gpustack.model.frame import Frame
from tests.engine.shots import headers
from tests.patience import LONG_S

FRAMES = headers(24).frames


class Picture:
    """Stands for decoded pixels, and can be counted while it lives."""

    def __init__(self, name: str) -> None:
        self.name = name


class Census:
    """Counts pictures that are alive, and the most that ever were."""

    def __init__(self) -> None:
        self.alive, self.most, self.read = 0, 0, 0
        self._changed = threading.Condition(threading.RLock())

    def __call__(self, frame: Frame) -> Picture:
        picture = Picture(frame.name)
        with self._changed:
            self.read += 1
            self.alive += 1
            self.most = max(self.most, self.alive)
            self._changed.notify_all()
        weakref.finalize(picture, self._gone)
        return picture

    def _gone(self) -> None:
        with self._changed:
            self.alive -= 1

    def until_read(self, count: int) -> None:
        """Wait until so many of FRAMES, or all, have been read."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.read >= min(count, len(FRAMES)), LONG_S)


def decoders() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


@pytest.mark.parametrize("readers", [1, 2, 5])
def test_the_order_of_the_frames_is_kept_whichever_is_read_first(readers: int) -> None:
    """Each third frame is read after the one that follows it, where another thread may read that."""
    done = [threading.Event() for _ in FRAMES]

    def read(frame: Frame) -> str:
        index = int(frame.name[5:-4])
        if readers > 1 and index % 3 == 0:
            assert done[index + 1].wait(LONG_S)
        done[index].set()
        return frame.name

    with Stream(FRAMES, read, slots=6, readers=readers).open() as frames:
        assert list(frames) == [(index, frame.name) for index, frame in enumerate(FRAMES)]


@pytest.mark.parametrize(("slots", "readers"), [(1, 1), (2, 2), (3, 2), (4, 4), (6, 3)])
def test_never_more_results_than_slots_are_alive(slots: int, readers: int) -> None:
    census = Census()
    with Stream(FRAMES, census, slots=slots, readers=readers).open() as frames:
        for index, picture in frames:
            census.until_read(index + slots)  # this one, and as many as there is room for beside it
            del picture
    assert census.read == len(FRAMES)
    assert census.most == slots
    gc.collect()
    assert census.alive == 0


def test_more_readers_than_slots_do_not_raise_the_limit() -> None:
    census = Census()
    with Stream(FRAMES, census, slots=2, readers=8).open() as frames:
        for index, picture in frames:
            census.until_read(index + 2)
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


def test_frames_that_wait_to_be_read_are_not_read_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    leaving = threading.Event()

    class Told(ThreadPoolExecutor):
        """Says when it is told to end, before it waits for what its threads have begun."""

        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(False, cancel_futures=cancel_futures)
            leaving.set()
            super().shutdown(wait)

    monkeypatch.setattr(streaming, "ThreadPoolExecutor", Told)

    def slowly(frame: Frame) -> str:
        read.append(frame.name)
        assert len(read) == 1 or leaving.wait(LONG_S)
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
        time.sleep(0.03)
        return frame.name

    stream = Stream(FRAMES[:5], read, slots=1, readers=1)
    with stream.open() as frames:
        list(frames)
    assert stream.times.reading >= 5 * 0.03
    assert stream.times.waiting >= 0.5 * stream.times.reading
    assert 0 < stream.waiting_share <= 1.0


def test_a_consumer_that_is_slower_than_the_readers_hardly_waits() -> None:
    census = Census()
    stream = Stream(FRAMES[:8], census, slots=3, readers=2)
    with stream.open() as frames:
        _, first = next(frames)
        census.until_read(2)
        waited, started = stream.times.waiting, time.perf_counter()
        del first
        for index, picture in frames:
            census.until_read(min(8, index + 2))  # the next one is there before it is asked for
            time.sleep(0.01)
            del picture
    assert stream.times.waiting - waited < 0.5 * (time.perf_counter() - started)
