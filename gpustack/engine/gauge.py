"""Stop watches on the engine's own work: decoding, resampling, passes over frames, and copying memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median

import numpy as np

from gpustack.backend.choose import Choice
from gpustack.engine.feed import Pixels, Read
from gpustack.engine.planned import Plan
from gpustack.model.frame import Frame, PixelType
from gpustack.model.rect import Rows
from gpustack.model.transform import Transform

LEAST, MOST, LONG_SECONDS = 3, 7, 1.0
"""How often something is timed at least and at most; between the two until it has taken so long."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So much a second, in the unit of its table: median, least and most of the repeats."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, amount: float, seconds: Sequence[float]) -> Rate:
        """`amount` was done in each of these times."""
        middle, longest, shortest = median(seconds), max(seconds), min(seconds)
        return cls(*(round(amount / max(1e-9, each), 2) for each in (middle, longest, shortest)))


class Watch:
    """A progress that notes the seconds from frame to frame of each pass."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self._stage, self._last = "", 0.0

    def begin(self, stage: str, frames: int, megapixels: float) -> None:
        """A pass begins."""
        del frames, megapixels
        self._stage, self._last = stage, time.perf_counter()
        self.seconds[stage] = []

    def advance(self, waiting_share: float) -> None:
        """One more frame."""
        del waiting_share
        now = time.perf_counter()
        self.seconds[self._stage].append(now - self._last)
        self._last = now

    def warn(self, sentence: str) -> None:
        """Nothing: what is measured need not become a picture."""

    def per_frame(self) -> list[float]:
        """Seconds of a frame in all passes together, without the first, which meets memory never used."""
        return [sum(frame) for frame in zip(*self.seconds.values(), strict=True)][1:]


def timed(work: Callable[[], object]) -> list[float]:
    """Seconds of each call of `work`, after one that does not count."""
    work()
    taken: list[float] = []
    while len(taken) < LEAST or (len(taken) < MOST and sum(taken) < LONG_SECONDS):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return taken


def copying(threads: int, nbytes: int) -> list[float]:
    """Seconds to copy `nbytes` from memory to memory, each thread its share."""
    source, target = np.ones(nbytes, np.uint8), np.zeros(nbytes, np.uint8)
    pairs = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    with ThreadPoolExecutor(threads) as pool:
        return timed(lambda: list(pool.map(lambda pair: np.copyto(*pair), pairs)))


def decoding(read: Read, frames: Sequence[Frame], threads: int) -> list[float]:
    """Seconds until each of `threads` threads has decoded one of the frames, from the page cache."""
    some = [frames[number % len(frames)] for number in range(threads)]

    def decode(frame: Frame) -> None:
        read(frame, None)

    with ThreadPoolExecutor(threads) as pool:
        return timed(lambda: list(pool.map(decode, some)))


def loading(choice: Choice, plan: Plan, pixels: Pixels, place: Transform) -> list[float]:
    """Seconds to bring a frame (h, w, c) onto a canvas of its size, band by band as a plan says."""
    (backend, *others) = choice.open(
        plan.threads, plan.device_budget_bytes, spill=plan.spill, loops=plan.loops
    )
    for other in others:
        other.close()
    kind, width = PixelType(pixels.dtype.name), pixels.shape[1]
    try:
        frame = backend.upload(pixels)

        def band(rows: Rows) -> None:
            backend.load(frame, place, kind, width, rows)

        def load() -> None:
            backend.each(band, plan.bands)
            backend.settle()

        return timed(load)
    finally:
        backend.close()
