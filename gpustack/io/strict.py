"""Reading JSON that somebody else may have written: every value is asked for with its type and its range."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gpustack.errors import InputError

T = TypeVar("T")

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


@dataclass(frozen=True, slots=True)
class Document:
    """A kind of JSON file of ours: its name with an article, as `a sidecar`; the field that holds its
    version, and the latest that is known; the bytes that are read of one; and what the user could do."""

    name: str
    field: str
    version: int
    most_bytes: int
    remedy: str


def read_document(path: Path, kind: Document, parse: Callable[[Node], T]) -> T:
    """Read one by `parse`, which raises Malformed. Raises InputError for what is none, is damaged, or of a
    later version."""
    content, name = _read(path, kind), kind.name.partition(" ")[2]
    try:
        version = content[kind.field].whole(1, 1 << 30)
    except Malformed as error:
        raise InputError(f"{path.name} is no {name} of gpustack.", kind.remedy) from error
    if version > kind.version:
        raise InputError(
            f"{path.name} has version {version} of the {name}, and up to {kind.version} is known.",
            "Install a newer gpustack-focus.",
        )
    try:
        return parse(content)
    except Malformed as error:
        raise InputError(f"{path.name} is damaged: {error}.", "Copy it again from its source.") from error


def _read(path: Path, kind: Document) -> Node:
    what = f"{kind.name} of gpustack"
    try:
        with path.open("rb") as file:
            content = file.read(kind.most_bytes + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Look whether it is there.") from error
    if len(content) > kind.most_bytes:
        raise InputError(f"{path.name} is too large for {what}.", kind.remedy)
    try:
        return parsed(content)
    except Malformed as error:
        raise InputError(f"{path.name} is not {what}: it is no JSON.", kind.remedy) from error


def parsed(content: bytes) -> Node:
    """The value that JSON stands for. Raises Malformed for what is none."""
    try:
        return Node(json.loads(content, parse_constant=_no_number))
    except (ValueError, RecursionError) as error:
        raise Malformed("it is no JSON") from error


def _no_number(name: str) -> float:
    """JSON has neither infinity nor NaN, but Python reads both."""
    raise ValueError(f"{name} is no number")
