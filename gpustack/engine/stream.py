"""Frames in stack order, decoded ahead by other threads, never more than a stated number of them at once."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from gpustack.errors import DecodeError, GpustackError
from gpustack.model.frame import Frame

P = TypeVar("P")


@dataclass(slots=True)
class StreamTimes:
    """Seconds spent by the reading threads, all together, and by whoever waited for them."""

    reading: float = 0.0
    waiting: float = 0.0


class Stream(Generic[P]):
    """Iterates over (index, what `read` gives of that frame), in order.

    At most `slots` results exist at a time, the one handed out included, so memory does not grow with the
    number of frames. An error of a reading thread is raised where its frame would have come, and names it.
    """

    def __init__(
        self, frames: Sequence[Frame], read: Callable[[Frame], P], *, slots: int, readers: int
    ) -> None:
        self._frames = frames
        self._read = read
        self._slots = max(1, slots)
        self._readers = max(1, min(readers, slots))
        self._lock = threading.Lock()
        self._opened = time.perf_counter()
        self.times = StreamTimes()

    @property
    def waiting_share(self) -> float:
        """Share 0..1 of the time since opening that was spent waiting for a frame to be read."""
        return min(1.0, self.times.waiting / max(1e-9, time.perf_counter() - self._opened))

    @contextmanager
    def open(self) -> Generator[Generator[tuple[int, P], None, None], None, None]:
        """The iterator; leaving the context stops the readers, whatever happened inside."""
        self._opened = time.perf_counter()
        pool = ThreadPoolExecutor(self._readers, "decode")
        try:
            yield self._results(pool)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _results(self, pool: ThreadPoolExecutor) -> Generator[tuple[int, P], None, None]:
        ahead: deque[Future[P]] = deque()
        coming = iter(self._frames)
        for index in range(len(self._frames)):
            while len(ahead) < self._slots and (frame := next(coming, None)) is not None:
                ahead.append(pool.submit(self._timed, frame))
            started = time.perf_counter()
            # One slot is handed out below, so the window is refilled only after its user asks for the next.
            result = ahead.popleft().result()
            self.times.waiting += time.perf_counter() - started
            yield index, result
            del result

    def _timed(self, frame: Frame) -> P:
        started = time.perf_counter()
        try:
            return self._read(frame)
        except (GpustackError, KeyboardInterrupt):
            raise
        except MemoryError as error:
            raise DecodeError(
                frame.name, "there is not enough memory to decode it.", "Close other programs."
            ) from error
        except Exception as error:
            problem = f"it cannot be read ({type(error).__name__}: {error})."
            raise DecodeError(
                frame.name, problem, "Open it in an image viewer to see whether it is damaged."
            ) from error
        finally:
            with self._lock:
                self.times.reading += time.perf_counter() - started
