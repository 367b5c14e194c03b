"""Which files a run has seen, and whether they are still the same.

A file's digest is taken when it is first decoded: it is in the page cache then, and the disk is asked once.
Later its size and times tell whether it can have changed (the time of its last change of status cannot be set
back, on systems that have one); only where they differ is it read again. So a frame that was copied back from
another card is recognised, and one that was edited with its time restored is not taken for the old one.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from gpustack.errors import InputError
from gpustack.model.frame import Frame

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a file's entry says of it: bytes, and the times of the last change of content and of status, in
    nanoseconds (on Windows the second is when it was made)."""

    size: int
    mtime_ns: int
    ctime_ns: int

    @staticmethod
    def of(path: Path) -> Stamp:
        """Raises OSError."""
        found = path.stat()
        return Stamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it was decoded: its stamp, and the SHA-256 of its content, in hexadecimal digits."""

    stamp: Stamp
    digest: str

    def holds(self, path: Path) -> bool:
        """Whether a file has this content. Raises OSError."""
        now = Stamp.of(path)
        return now == self.stamp or (now.size == self.stamp.size and _digest(path) == self.digest)


class Witness:
    """Notes the files of a stack as they are decoded; for several threads."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(dict.fromkeys(paths))
        self._seen: dict[Path, Seen] = {}
        self._lock = threading.Lock()

    def watching(self, read: Callable[..., T]) -> Callable[..., T]:
        """A reader of frames that notes their files. It raises InputError for one that has changed since it
        was read first."""

        def watched(frame: Frame, *more: Any) -> T:
            before = _stamp(frame.path)
            found = read(frame, *more)
            if before is not None:
                self._note(frame.path, before)
            return found

        return watched

    def look_at(self, path: Path) -> None:
        """Note a file that is no frame. Raises InputError where it cannot be read."""
        before = _stamp(path)
        if before is None:
            raise InputError(f"{path.name} cannot be read.", "Look whether it is there.")
        self._note(path, before)

    def _note(self, path: Path, before: Stamp) -> None:
        with self._lock:
            known = self._seen.get(path)
        if known is not None and known.stamp == before:
            return
        try:
            digest = _digest(path)
            same = Stamp.of(path) == before and (known is None or known.digest == digest)
        except OSError as error:
            raise InputError(f"{path.name} has gone: {error.strerror}.", "Put it back.") from error
        if not same:
            raise InputError(f"{path.name} changed while it was stacked.", "Let it be written first.")
        with self._lock:
            self._seen[path] = Seen(before, digest)

    def as_list(self) -> list[list[Any] | None]:
        """One row a path, None for what was not seen yet: size, both times, digest."""
        with self._lock:
            rows = [self._seen.get(path) for path in self.paths]
        return [
            None if row is None else [row.stamp.size, row.stamp.mtime_ns, row.stamp.ctime_ns, row.digest]
            for row in rows
        ]

    def recall(self, rows: Sequence[Sequence[Any] | None]) -> Path | None:
        """Take over what a run before has seen; the first file that is not as it was, or not there."""
        for path, row in zip(self.paths, rows, strict=True):
            if row is None:
                continue
            seen = Seen(Stamp(*row[:3]), row[3])
            try:
                if not seen.holds(path):
                    return path
                self._seen[path] = Seen(Stamp.of(path), seen.digest)
            except OSError:
                return path
        return None


def _stamp(path: Path) -> Stamp | None:
    """None where there is no such file: who reads it says so."""
    try:
        return Stamp.of(path)
    except OSError:
        return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
