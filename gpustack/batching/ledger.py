"""What has been done, one line of JSON for each attempt: a crash loses no more than the line being
written."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from gpustack.errors import WriteError

PATTERN = "gpustack-ledger*.jsonl"

UNFINISHED = "not finished."
"""The error of a line written before the work: what is found under its output's name later is the batch's
own."""


@dataclass(frozen=True, slots=True)
class Line:
    """One attempt at a stack.

    key: what it was made from (`gpustack.batching.work.key_of`); output: the file's name, with its size in
    bytes and time in nanoseconds when it was written; error: None where it is done; seconds: how long it
    took.
    """

    name: str
    key: str
    output: str
    size: int = 0
    mtime_ns: int = 0
    error: str | None = None
    seconds: float = 0.0

    def made(self, folder: Path) -> bool:
        """Whether the output is there, as it was written."""
        with suppress(OSError):
            found = (folder / self.output).stat()
            return self.error is None and (found.st_size, found.st_mtime_ns) == (self.size, self.mtime_ns)
        return False


class Ledger:
    """The ledgers of a folder: all are read, one is written. Shards of a batch write one each."""

    def __init__(self, folder: Path, shard: tuple[int, int] = (0, 1)) -> None:
        self._folder = folder
        suffix = "" if shard[1] == 1 else f"-{shard[0]}-of-{shard[1]}"
        self._path = folder / f"gpustack-ledger{suffix}.jsonl"
        self._last: dict[str, Line] = {}
        self._begun: set[str] = set()
        for path in sorted(folder.glob(PATTERN)):
            for line in _lines(path):
                self._note(line)

    def _note(self, line: Line) -> None:
        if line.error is None or line.name not in self._last:
            self._last[line.name] = line
        if line.error == UNFINISHED:
            self._begun.add(line.output)
        else:
            self._begun.discard(line.output)

    def begun(self, output: str) -> bool:
        """Whether a run was cut short while it made this output."""
        return output in self._begun

    def last(self, name: str) -> Line | None:
        """What was done last about a stack, success before failure."""
        return self._last.get(name)

    def add(self, line: Line) -> None:
        """Write a line, and see it onto the disk. Raises WriteError."""
        try:
            with self._path.open("ab") as file:
                file.write(_separator(file.tell(), self._path) + json.dumps(asdict(line)).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise WriteError(
                f"{self._path} cannot be written: {error.strerror}.", "Check the disk."
            ) from error
        self._note(line)


def _separator(end: int, path: Path) -> bytes:
    """A line break where a crash has left a line without one."""
    if end == 0:
        return b""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return b"" if file.read(1) == b"\n" else b"\n"


def _lines(path: Path) -> list[Line]:
    """The sound lines of a ledger: a crash may have cut one short, and later versions may write more."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    found = []
    for row in text.splitlines():
        with suppress(ValueError, TypeError):
            found.append(_line(json.loads(row)))
    return found


def _line(content: dict[str, Any]) -> Line:
    return Line(**{field.name: content[field.name] for field in fields(Line) if field.name in content})
