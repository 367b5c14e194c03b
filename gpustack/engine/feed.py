"""Frames on their way from files to a backend: decoded by other threads, straight into its slots."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.engine.stream import Stream, StreamTimes
from gpustack.model.frame import Frame, Kind
from gpustack.model.jpeg import Jpeg
from gpustack.model.mosaic import Mosaic, room

P = TypeVar("P")
Pixels = npt.NDArray[Any]

Read = Callable[[Frame, Pixels | None], Pixels]
"""Decodes a frame, (h, w, c) of its dtype: into the given array, or into a new one where that is None."""

Unpack = Callable[[Frame, Pixels], Mosaic | Jpeg | None]
"""Decodes a frame into the given array, (h, w, c) of its dtype, and returns None; or leaves its mosaic, or
the bytes of its JPEG file, in the `room` of that array, and returns how to make the frame of them."""


Shrink = Callable[[Frame, int], Pixels]
"""Decodes a frame at one of its kind's reductions, (h // by, w // by, c) of its dtype, for its luma or its
colours, as it was made for."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame on the host: pixels (h, w, c); or samples (h, w, 1), or bytes (n,), and how the frame is made
    of them."""

    data: Pixels
    how: Mosaic | Jpeg | None = None

    def sent(self, backend: Backend[Any]) -> Any:
        """The frame (h, w, c) on a backend; for the thread that gives it its orders."""
        if isinstance(self.how, Jpeg):
            return backend.decode(self.data, self.how)
        array = backend.upload(self.data)
        return array if self.how is None else backend.develop(array, self.how)


@dataclass(frozen=True, slots=True)
class Source:
    """What reads the frames of a stack; `unpack`, where there is one, for backends that do the rest,
    `shrink` for who looks at the luma of small pictures only."""

    read: Read
    unpack: Unpack | None = None
    shrink: Shrink | None = None

    def decoded(self, frame: Frame, backend: Backend[Any], slot: Pixels | None) -> Decoded:
        """A frame as a backend takes it, in the slot if given; in any thread."""
        if self.unpack is None or not self._leaves(backend, frame.kind):
            return Decoded(self.read(frame, slot))
        shape = (frame.height, frame.width, frame.channels)
        out = np.empty(shape, frame.pixel_type.value) if slot is None else slot
        how = self.unpack(frame, out)
        if isinstance(how, Jpeg):
            return Decoded(how.room(out), how)
        return Decoded(out if how is None else room(out), how)

    def telling(self, heard: Callable[[Frame], None]) -> Source:
        """The same, but `heard` is told of every frame that was read, in the thread that read it."""

        def after(work: Callable[[Frame, Any], P]) -> Callable[[Frame, Any], P]:
            def told(frame: Frame, how: Any) -> P:
                made = work(frame, how)
                heard(frame)
                return made

            return told

        unpack, shrink = self.unpack, self.shrink
        return Source(
            after(self.read),
            None if unpack is None else after(unpack),
            None if shrink is None else after(shrink),
        )

    def reduction(self, frame: Frame, backend: Backend[Any], factor: int) -> int:
        """By how many times `shrink` is to shrink a frame that is looked at shrunk by a factor; 0 where it
        spares nothing, and the frame is decoded as always."""
        if self.shrink is None or (self._leaves(backend, frame.kind) and not backend.concurrent):
            return 0  # a device makes and shrinks the frame faster than its reader
        by = frame.kind.reduction(factor)
        return by if by > 1 or frame.kind is Kind.JPEG else 0

    def _leaves(self, backend: Backend[Any], kind: Kind) -> bool:
        """Whether it is left to a backend to make the frames of such files."""
        return self.unpack is not None and (kind is Kind.RAW or (kind is Kind.JPEG and backend.decodes))


class Feed:
    """The frames of one pass over one backend, in order, each looked at once it is decoded."""

    def __init__(
        self,
        backend: Backend[Any],
        frames: Sequence[Frame],
        source: Source,
        *,
        slots: int,
        readers: int,
        reduction: Callable[[Frame], int] = lambda _: 0,
    ) -> None:
        """`reduction` tells of each frame by how many times `source.shrink` shrinks it; 0: it is whole."""
        self._backend, self._frames, self._source = backend, frames, source
        self._reduction = reduction
        self._slots, self._readers = slots, readers
        self._stream: Stream[Any] | None = None

    @property
    def times(self) -> StreamTimes:
        """Seconds spent reading, and waiting for it."""
        return StreamTimes() if self._stream is None else self._stream.times

    @property
    def waiting_share(self) -> float:
        """Share 0..1 of the time so far that was spent waiting for a frame to be read."""
        return 0.0 if self._stream is None else self._stream.waiting_share

    @contextmanager
    def open(
        self, look: Callable[[Frame, Any], P]
    ) -> Generator[Generator[tuple[int, P], None, None], None, None]:
        """Iterate over (index, what `look` makes of the uploaded frame).

        `look` runs in the reading threads where the backend takes orders from several, else in the caller's.
        """
        ahead = self._backend.concurrent
        read = (lambda frame: look(frame, self._sent(self._decoded(frame)))) if ahead else self._decoded
        self._backend.reserve(self._slots, max(frame.nbytes for frame in self._frames))
        self._stream = Stream(self._frames, read, slots=self._slots, readers=self._readers)
        with self._stream.open() as results:
            yield results if ahead else self._looked_at(results, look)
        self._backend.settle()

    def _looked_at(
        self, results: Generator[tuple[int, Any], None, None], look: Callable[[Frame, Any], P]
    ) -> Generator[tuple[int, P], None, None]:
        for index, decoded in results:
            yield index, look(self._frames[index], self._sent(decoded))
            self._backend.rest()

    def _sent(self, decoded: Decoded) -> Any:
        return decoded.sent(self._backend)

    def _decoded(self, frame: Frame) -> Decoded:
        """A frame in one of the backend's slots, or anywhere where it has none."""
        by = self._reduction(frame)
        if by and self._source.shrink is not None:
            return self._shrunk(self._source.shrink(frame, by))
        slot = self._backend.slot((frame.height, frame.width, frame.channels), frame.pixel_type.value)
        try:
            return self._source.decoded(frame, self._backend, slot)
        except BaseException:
            if slot is not None:
                self._backend.drop(slot)
            raise

    def _shrunk(self, pixels: Pixels) -> Decoded:
        """A small frame; what is decoded of a partial block at its edge is cut off on the way."""
        slot = self._backend.slot(pixels.shape, pixels.dtype.name)
        return Decoded(np.ascontiguousarray(pixels) if slot is None else filled(pixels, slot))


def filled(pixels: Pixels, out: Pixels | None) -> Pixels:
    """What `Read` gives of pixels that lie elsewhere: they, or a copy in `out`."""
    if out is None:
        return pixels
    np.copyto(out, pixels)
    return out
