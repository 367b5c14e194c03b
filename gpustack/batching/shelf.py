"""Where the results of a batch lie, and its ledger beside them: a folder, or object storage."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gpustack.errors import WriteError
from gpustack.io import storage

PATTERN = "gpustack-ledger*.jsonl"


@dataclass(frozen=True, slots=True)
class Mark:
    """By what a file is known again: bytes, time in nanoseconds, and a tag, where its place gives these."""

    size: int
    mtime_ns: int = 0
    tag: str = ""


class Shelf(Protocol):
    """Where results lie."""

    def address(self, output: str) -> str:
        """The full name of a result, which holds on other machines as far as they share the place."""

    def mark(self, output: str) -> Mark | None:
        """By what a result is known again; None where there is none. Raises WriteError."""

    def rows(self) -> Iterator[str]:
        """What was noted: lines of JSON, perhaps cut short, in the order of their writing for each stack."""

    def note(self, name: str, row: str) -> None:
        """Note a line about the stack `name`, so that it outlives a crash. Raises WriteError."""


class Bucket:
    """A folder on object storage. As nothing can be appended to there, the ledger is a small file for each
    stack: what was noted last, after the last success."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._notes = storage.joined(url, "gpustack-ledger")
        self._made: dict[str, str] = {}

    def address(self, output: str) -> str:
        """See `Shelf`."""
        return storage.joined(self._url, output)

    def mark(self, output: str) -> Mark | None:
        """See `Shelf`."""
        found = storage.mark(self.address(output))
        return None if found is None else Mark(found.size, tag=found.tag)

    def rows(self) -> Iterator[str]:
        """See `Shelf`."""
        for content in storage.contents(self._notes):
            for row in content.decode(errors="replace").splitlines():
                self._keep(row)
                yield row

    def note(self, name: str, row: str) -> None:
        """See `Shelf`."""
        rows = [self._made[name]] if name in self._made else []
        storage.put_bytes("\n".join([*rows, row, ""]).encode(), storage.joined(self._notes, f"{name}.jsonl"))
        self._keep(row)

    def _keep(self, row: str) -> None:
        """Remember the row of a success."""
        with suppress(ValueError, TypeError, KeyError, RecursionError):
            content = json.loads(row)
            if content["error"] is None:
                self._made[content["name"]] = row


class Folder:
    """A folder of results; the ledger is one file for each shard of a batch. All are read, one is written."""

    def __init__(self, folder: Path, shard: tuple[int, int] = (0, 1)) -> None:
        """Make the folder where it is not there. Raises WriteError."""
        suffix = "" if shard[1] == 1 else f"-{shard[0]}-of-{shard[1]}"
        self._folder = folder.absolute()
        self._ledger = self._folder / f"gpustack-ledger{suffix}.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(
                f"The folder {folder} cannot be made: {error.strerror}.", "Choose another one."
            ) from error

    def address(self, output: str) -> str:
        """See `Shelf`."""
        return str(self._folder / output)

    def mark(self, output: str) -> Mark | None:
        """See `Shelf`."""
        with suppress(OSError):
            found = (self._folder / output).stat()
            return Mark(found.st_size, found.st_mtime_ns)
        return None

    def rows(self) -> Iterator[str]:
        """See `Shelf`."""
        for path in sorted(self._folder.glob(PATTERN)):
            with suppress(OSError):
                yield from path.read_text(encoding="utf-8", errors="replace").splitlines()

    def note(self, name: str, row: str) -> None:
        """See `Shelf`."""
        del name
        try:
            with self._ledger.open("ab") as file:
                file.write(self._separator(file.tell()) + row.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise WriteError(
                f"{self._ledger} cannot be written: {error.strerror}.", "Check the disk."
            ) from error

    def _separator(self, end: int) -> bytes:
        """A line break where a crash has left a line without one."""
        if end == 0:
            return b""
        with self._ledger.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return b"" if file.read(1) == b"\n" else b"\n"
