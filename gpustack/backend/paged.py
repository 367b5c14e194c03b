"""Arrays that lie in a file, for state that memory does not hold.

The file is mapped, so everything works on such arrays as on any other. What of them is in memory counts as
this process's; when that is more than is allowed, all of it is given back to the system, which keeps the
values in its cache of the disk or on the disk, and brings back what is touched again.

The file has no name: whatever ends the process, nothing of it stays. Its room on the disk is taken before it
is mapped, because a disk that is full when a mapped page is written ends a process without a word.
"""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import sys
import tempfile
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.memory import mapped_bytes
from gpustack.errors import BackendError

CAN_PAGE = sys.platform == "linux" and hasattr(mmap, "MADV_DONTNEED")
"""Whether pages can be given back, and what is held be told, on this system."""

SEGMENT_BYTES = 64 << 20
"""Room is taken on the disk in pieces of this size, or of the size of a larger array."""

LEAST_BYTES = 64 << 10
"""Smaller arrays are not worth a place in the file."""

_ALIGNMENT = 4096

DISK_SHARE = 0.9
"""Share of the free disk that may be taken."""


def temporary_folder() -> Path:
    """Where large files may lie for a while: TMPDIR, or /var/tmp, as /tmp lies in memory on many systems."""
    usual = Path(tempfile.gettempdir())
    if any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")):
        return usual
    large = Path("/var/tmp")
    return large if os.access(large, os.W_OK | os.X_OK) else usual


def disk_room(folder: Path) -> int:
    """Bytes that may be taken of the disk of a folder."""
    return int(shutil.disk_usage(folder).free * DISK_SHARE)


class Paged:
    """Room for arrays in nameless files in a folder; `resident_bytes` of it may be in memory at a time, and
    what is touched until `tidy` is called. For any thread."""

    def __init__(self, folder: Path, resident_bytes: int) -> None:
        self._folder, self._resident = folder, resident_bytes
        self._segments: list[weakref.ref[mmap.mmap]] = []
        self._open: mmap.mmap | None = None
        self._used = 0
        self._lock = threading.Lock()
        self._before = mapped_bytes()  # libraries are mapped files, too

    def full(self, shape: tuple[int, ...], value: float, dtype: str) -> npt.NDArray[Any]:
        """A new filled array. Raises BackendError where the disk is full."""
        array = self.room(shape, dtype)
        if value != 0:  # a new file holds noughts
            array.fill(value)
        self.tidy()
        return array

    def room(self, shape: tuple[int, ...], dtype: str) -> npt.NDArray[Any]:
        """A new array of noughts. Raises BackendError where the disk is full."""
        kind = np.dtype(dtype)
        nbytes = int(np.prod(shape)) * kind.itemsize
        with self._lock:
            segment, offset = self._place(-(-nbytes // _ALIGNMENT) * _ALIGNMENT)
        return np.frombuffer(segment, kind, nbytes // kind.itemsize, offset).reshape(shape)

    def tidy(self) -> None:
        """Give memory back if more is held than may be."""
        if mapped_bytes() - self._before > self._resident:
            self.release()

    def release(self) -> None:
        """Give all memory back; the values stay."""
        with self._lock:
            held = [segment for segment in (ref() for ref in self._segments) if segment is not None]
        for segment in held:
            segment.madvise(mmap.MADV_DONTNEED)

    def _place(self, nbytes: int) -> tuple[mmap.mmap, int]:
        """A segment with so much room left, and where in it that begins."""
        if self._open is None or self._used + nbytes > len(self._open):
            self._open, self._used = self._segment(max(nbytes, SEGMENT_BYTES)), 0
            # A segment goes, and its room on the disk, with the last of its arrays.
            self._segments = [ref for ref in self._segments if ref() is not None]
            self._segments.append(weakref.ref(self._open))
        offset, self._used = self._used, self._used + nbytes
        return self._open, offset

    def _segment(self, nbytes: int) -> mmap.mmap:
        try:
            with tempfile.TemporaryFile(dir=self._folder, prefix="gpustack-") as file:
                os.posix_fallocate(file.fileno(), 0, nbytes)
                return mmap.mmap(file.fileno(), nbytes)
        except OSError as error:
            why = (
                "is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else f"gives none ({error.strerror})"
            )
            raise BackendError(
                f"More room is needed for what memory does not hold, and the disk of {self._folder} {why}.",
                "Free some, set TMPDIR to a folder on another disk, or allow more memory with --ram.",
            ) from error
