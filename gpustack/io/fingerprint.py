"""What identifies a file: its size and the SHA-256 of its bytes, as `sha256sum` prints it.

A run hashes its inputs in one thread beside the others, each file right after it has been read for its
pixels: then its bytes lie in the page cache, and a slow disk is not asked twice.
"""

from __future__ import annotations

import hashlib
import stat
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from gpustack.errors import InputError

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The size of a file in bytes, and the SHA-256 of what is in it, 64 hexadecimal digits."""

    size: int
    sha256: str


def fingerprint(path: Path) -> Fingerprint:
    """Read a file and tell what identifies it. Raises InputError for what is no regular file or cannot be
    read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe would wait for ever
            raise InputError(f"{path} is no regular file.", "Name the file itself.")
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Look whether it is there.") from error
    return Fingerprint(size, digest.hexdigest())


class Fingerprints:
    """Takes the fingerprints of files beside other work; a context that ends with its thread."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "fingerprint")
        self._coming: dict[Path, Future[Fingerprint]] = {}

    def __enter__(self) -> Fingerprints:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def want(self, path: Path) -> None:
        """Take that of a file, once; from any thread, without waiting."""
        if path not in self._coming:  # two at once would do no harm but work
            self._coming[path] = self._pool.submit(fingerprint, path)

    def of(self, path: Path) -> Fingerprint:
        """That of a file, when it is there. Raises as `fingerprint`."""
        self.want(path)
        return self._coming[path].result()
