"""Reading JSON that somebody else may have written: every value is asked for with its type and its range."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpustack.errors import InputError

LONGEST_TEXT = 4096
"""Characters of a text, at most: as many as a path may have on Linux."""


class Malformed(ValueError):
    """A value that is not as it must be; the text says where, and what is wrong."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a JSON file, and where it lies in it."""

    value: Any
    where: str = "it"

    def __getitem__(self, name: str) -> Node:
        """A field of an object. Raises Malformed where it is missing."""
        fields = self.fields()
        if name not in fields:
            raise Malformed(f"{self.where} has no '{name}'")
        return Node(fields[name], name if self.where == "it" else f"{self.where}.{name}")

    def __contains__(self, name: str) -> bool:
        return isinstance(self.value, dict) and self.value.get(name) is not None

    def fields(self) -> Mapping[str, Any]:
        """The fields of an object."""
        if not isinstance(self.value, dict):
            raise Malformed(f"{self.where} is no object")
        return self.value

    def rows(self, most: int) -> Iterator[Node]:
        """The elements of a list of at most so many."""
        if not isinstance(self.value, list) or len(self.value) > most:
            raise Malformed(f"{self.where} is no list of up to {most:,}")
        return (Node(value, f"{self.where}[{index}]") for index, value in enumerate(self.value))

    def text(self, most: int = LONGEST_TEXT) -> str:
        """A text without control characters."""
        value = self.value
        if not isinstance(value, str) or len(value) > most or any(ord(letter) < 32 for letter in value):
            raise Malformed(f"{self.where} is no text of up to {most} letters")
        return value

    def whole(self, low: int, high: int) -> int:
        """A whole number within a range."""
        if type(self.value) is not int or not low <= self.value <= high:
            raise Malformed(f"{self.where} is no whole number from {low} to {high}")
        return self.value

    def number(self, low: float = -1e12, high: float = 1e12) -> float:
        """A finite number within a range."""
        if type(self.value) not in (int, float) or not low <= self.value <= high:
            raise Malformed(f"{self.where} is no number from {low:g} to {high:g}")
        return float(self.value)

    def flag(self) -> bool:
        """True or false."""
        if not isinstance(self.value, bool):
            raise Malformed(f"{self.where} is neither true nor false")
        return self.value


def read_json(path: Path, most_bytes: int, what: str, remedy: str) -> Node:
    """The content of a JSON file. Raises InputError for one that is too large, cannot be read or is none;
    `what` it should be, and what the user could do."""
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Look whether it is there.") from error
    if len(content) > most_bytes:
        raise InputError(f"{path.name} is too large for {what}.", remedy)
    try:
        return parsed(content)
    except Malformed as error:
        raise InputError(f"{path.name} is not {what}: it is no JSON.", remedy) from error


def parsed(content: bytes) -> Node:
    """The value that JSON stands for. Raises Malformed for what is none."""
    try:
        return Node(json.loads(content, parse_constant=_no_number))
    except (ValueError, RecursionError) as error:
        raise Malformed("it is no JSON") from error


def _no_number(name: str) -> float:
    """JSON has neither infinity nor NaN, but Python reads both."""
    raise ValueError(f"{name} is no number")
