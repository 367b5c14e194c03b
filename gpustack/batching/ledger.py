"""What has been done, one line of JSON for each attempt: a crash loses no more than the line being
written."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from gpustack.batching.shelf import Mark, Shelf

UNFINISHED = "not finished."
"""The error of a line written before the work: what is found under its output's name later is the batch's
own."""


@dataclass(frozen=True, slots=True)
class Line:
    """One attempt at a stack.

    key: what it was made from (`gpustack.batching.work.key_of`); output: the file's name, with its size in
    bytes, and time in nanoseconds or its tag, when it was written; error: None where it is done; seconds: how
    long it took.
    """

    name: str
    key: str
    output: str
    size: int = 0
    mtime_ns: int = 0
    error: str | None = None
    seconds: float = 0.0
    tag: str = ""

    def marked(self, mark: Mark) -> Line:
        """The line of an attempt whose result has that mark."""
        return replace(self, size=mark.size, mtime_ns=mark.mtime_ns, tag=mark.tag)

    def made(self, shelf: Shelf) -> bool:
        """Whether the output is there, as it was written."""
        return self.error is None and shelf.mark(self.output) == Mark(self.size, self.mtime_ns, self.tag)


class Ledger:
    """What is noted on a shelf."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._last: dict[str, Line] = {}
        self._begun: set[str] = set()
        for row in shelf.rows():
            with suppress(ValueError, TypeError, RecursionError):
                self._count(_line(json.loads(row)))

    def _count(self, line: Line) -> None:
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
        self._shelf.note(line.name, json.dumps(asdict(line)))
        self._count(line)


def _line(content: dict[str, Any]) -> Line:
    """A line; later versions may write more. Raises TypeError for what is none."""
    found = {field.name: content[field.name] for field in fields(Line) if field.name in content}
    if not all(isinstance(found.get(name, ""), str) for name in ("name", "key", "output", "tag")):
        raise TypeError
    return Line(**found)
