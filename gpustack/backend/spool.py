"""Arrays that lie in a file until they are asked for: what is kept of every frame, however many there are.

The first two megabytes stay in memory, so that short stacks need no file. It has no name, as that of
paged.py: whatever ends the process, nothing of it stays. Where the disk gives no more room, what comes then
stays in memory: so little of each frame is no reason to end a run.
"""

from __future__ import annotations

import io
import math
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from gpustack.backend.paged import temporary_folder

IN_MEMORY_BYTES = 2 << 20
"""What of a spool is in memory at most: so little that a hundred frames take as much as a thousand."""

Host = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class _Kind:
    """What many arrays have in common."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """Where an array lies in its spool."""

    at: int
    kind: _Kind


class Spool:
    """Takes arrays, one after the other, and gives copies of them back in any order. For any thread."""

    def __init__(self) -> None:
        self._most: int | None = IN_MEMORY_BYTES  # None: that was reached
        self._files: list[tuple[int, BinaryIO]] = [(0, io.BytesIO())]  # each from where on
        self._end = 0
        self._kinds: dict[Any, _Kind] = {}
        self._lock = threading.Lock()

    @property
    def held_bytes(self) -> int:
        """What of it is in memory."""
        return sum(file.getbuffer().nbytes for _, file in self._files if isinstance(file, io.BytesIO))

    def put(self, array: Host) -> Stored:
        """Take an array."""
        array = np.ascontiguousarray(array)
        with self._lock:
            kind = _Kind(array.shape, array.dtype)
            stored = Stored(self._end, self._kinds.setdefault(kind, kind))
            if self._most is not None and self._end + array.nbytes > self._most:
                self._most = None
                self._to_disk()
            self._write(_bytes_of(array))
            self._end += array.nbytes
        return stored

    def get(self, stored: Stored, start: int = 0, stop: int | None = None) -> Host:
        """A copy of an array, or of some of its first axis."""
        shape, dtype = stored.kind.shape, stored.kind.dtype
        first, *more = shape or (1,)
        start, stop, _ = slice(start, stop).indices(first)
        each = math.prod(more) * dtype.itemsize
        out = np.empty((stop - start, *more), dtype)
        self._fill(stored.at + start * each, _bytes_of(out))
        return out if shape else out.reshape(())

    def _to_disk(self) -> None:
        """Go on in a file; where there can be none, in memory."""
        ((_, memory),) = self._files
        assert isinstance(memory, io.BytesIO)
        try:
            file = tempfile.TemporaryFile(dir=temporary_folder(), prefix="gpustack-", buffering=0)  # noqa: SIM115
        except OSError:
            self._stay()
            return
        try:
            _write(file, memory.getbuffer())
        except OSError:
            file.close()
            self._stay()
        else:
            self._files = [(0, file)]

    def _stay(self) -> None:
        """Keep all that comes in memory."""
        self._files.append((self._end, io.BytesIO()))

    def _write(self, content: memoryview) -> None:
        begins, file = self._files[-1]
        file.seek(self._end - begins)
        try:
            _write(file, content)
        except OSError:  # the disk is full
            self._stay()
            self._files[-1][1].write(content)

    def _fill(self, at: int, out: memoryview) -> None:
        with self._lock:
            begins, file = next(each for each in reversed(self._files) if each[0] <= at)
            file.seek(at - begins)
            done = 0
            while done < len(out):
                count = file.readinto(out[done:])  # type: ignore[attr-defined]
                assert count, "a spool holds what was put into it"
                done += count

    def __del__(self) -> None:
        for _, file in getattr(self, "_files", ()):
            with suppress(OSError, BufferError):
                file.close()


def _bytes_of(array: Host) -> memoryview:
    return array.data.cast("B") if array.size else memoryview(b"")


def _write(file: BinaryIO, content: memoryview) -> None:
    """All of it: files without a buffer may take less at a time. Raises OSError."""
    done = 0
    while done < len(content):
        done += file.write(content[done:])
