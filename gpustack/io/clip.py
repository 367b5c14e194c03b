"""A video file whose frames are read forwards, whoever asks for them: no frame is decoded twice in a pass.

Frames are counted in the order in which they are shown. Reading threads ask for them nearly in that order;
whoever has the turn decodes on to its own frame, and puts those aside that others wait for. Only a frame
that lies behind, or far ahead, costs a jump to the key frame before it. What is held does not grow with
the length of the video, but for two numbers a frame.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.errors import DecodeError
from gpustack.io.extras import library
from gpustack.io.guard import EXPORT_AGAIN, damaged

DECODER_THREADS = 4
"""Threads of a codec: each holds a frame more, and the reading threads turn frames into RGB meanwhile."""

ASIDE = 4
"""Frames that stay at hand although nobody waits for them yet, for a thread that was overtaken."""

JUMP = 8
"""Frames that a jump must spare at least: seeking and filling a codec's pipeline cost about as many."""

Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Contents:
    """When frames are shown, in units of the stream and in order; which of these times have key frames, and
    when those are decoded: some containers are searched by the one time, some by the other.

    `times` is None where the container does not say, and `count` frames can be read from the start only.
    """

    count: int
    times: Times | None
    keys: Times
    decoded: Times

    def key(self, index: int) -> tuple[int, tuple[int, ...]]:
        """The last key frame that is shown no later than a frame: its index, and the times to search for."""
        if self.times is None:
            return 0, ()
        at = max(int(np.searchsorted(self.keys, self.times[index], "right")) - 1, 0)
        return int(np.searchsorted(self.times, self.keys[at])), (int(self.keys[at]), int(self.decoded[at]))

    def index(self, time: int | None, following: int) -> int:
        """The index of a decoded frame that is shown at a time; `following` where times are not told."""
        if self.times is None or time is None:
            return following
        return int(np.searchsorted(self.times, time))


class Clip:
    """The frames of a video file; may be used by several threads at once."""

    def __init__(self, path: Path, name: str) -> None:
        """Raises: DecodeError where PyAV is not installed, and for a file without a video in it."""
        self._path, self.name = path, name
        self._turn, self._lists = threading.Lock(), threading.Lock()
        self._wanted: list[int] = []
        self._aside: dict[int, Any] = {}
        self._container, self._stream = opened(path, name)
        self._contents = contents(self._container, self._stream, name)
        self._coming: Iterator[tuple[int, Any]] | None = None
        self._next = 0

    def frame(self, index: int) -> Any:
        """The decoded frame (`av.VideoFrame`) of an index.

        Raises: DecodeError where the video does not hold it any more, or damaged.
        """
        with self._lists:
            self._wanted.append(index)
        try:
            with self._turn:
                found = self._aside[index] if index in self._aside else self._read(index)
        finally:
            with self._lists:
                self._wanted.remove(index)
        if found.is_corrupt:
            raise damaged(f"{self.name}[{index}]", "the frame was not decoded whole")
        return found

    def _read(self, index: int) -> Any:
        """Decode on to a frame, from the start or from a key frame where that spares enough."""
        key, times = self._contents.key(index)
        behind = self._coming is None or index < self._next
        if not behind and key <= self._next + JUMP:
            found = self._read_on(index)
            if found is not None:
                return found
        for time in times if key else ():
            self._container.seek(time, stream=self._stream)
            found = self._read_from(key, index)
            if found is not None:
                return found
        self._container, self._stream = opened(self._path, self.name)
        found = self._read_from(0, index)
        if found is None:
            self._coming = None
            raise damaged(f"{self.name}[{index}]", "the frame is missing")
        return found

    def _read_from(self, first: int, index: int) -> Any | None:
        """Decode up to a frame after a jump; `first` is the frame jumped to."""
        self._aside.clear()
        self._coming = self._decoded(first)
        return self._read_on(index)

    def _read_on(self, index: int) -> Any | None:
        """Decode up to a frame; None where it does not come."""
        assert self._coming is not None
        for number, picture in self._coming:
            self._next = number + 1
            self._put_aside(number, picture)
            if number >= index:
                return picture if number == index else None
        return None

    def _decoded(self, following: int) -> Iterator[tuple[int, Any]]:
        for picture in self._container.decode(self._stream):
            number = self._contents.index(picture.pts, following)
            following = number + 1
            yield number, picture

    def _put_aside(self, index: int, picture: Any) -> None:
        """Keep a frame, and give up the oldest that nobody waits for."""
        self._aside[index] = picture
        with self._lists:
            idle = [number for number in self._aside if number not in self._wanted]
        for number in idle[: max(0, len(idle) - ASIDE)]:
            del self._aside[number]


def opened(path: Path, name: str) -> tuple[Any, Any]:
    """A file, opened, and the stream of its video. Raises: DecodeError as `Clip` does."""
    av = library("av", "video", name, "Videos")
    container = av.open(str(path))
    stream = container.streams.best("video")
    if stream is None:
        raise DecodeError(name, "there is no video in it.", "Leave it out.")
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = DECODER_THREADS
    return container, stream


def contents(container: Any, stream: Any, name: str) -> Contents:
    """Walk over the packets of a file without decoding them.

    Raises: DecodeError where fewer are there than its header promises, and where there are none.
    """
    packets = [
        (packet.pts, packet.dts, packet.is_keyframe, packet.is_discard)
        for packet in container.demux(stream)
        if packet.size > 0
    ]
    if stream.frames > len(packets):
        raise damaged(name, f"it ends after {len(packets)} of {stream.frames} frames")
    shown = [(time, start, key) for time, start, key, hidden in packets if not hidden]
    if not shown:
        raise DecodeError(name, "there is no frame in its video.", EXPORT_AGAIN)
    told = all(time is not None and start is not None for time, start, _ in shown)
    times = np.unique([time for time, _, _ in shown]).astype(np.int64) if told else None
    keys = np.array(sorted((time, start) for time, start, key in shown if key and told), np.int64)
    if times is None or len(times) < len(shown) or not len(keys):
        # Two frames at one time cannot be told apart.
        return Contents(len(shown), None, *np.empty((2, 0), np.int64))
    return Contents(len(shown), times, *keys.T)
