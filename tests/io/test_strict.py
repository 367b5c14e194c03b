"""Values of a JSON file are what they must be, or named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpustack.errors import InputError
from gpustack.io.strict import Document, Malformed, Node, read_document

GOOD: list[tuple[Callable[[Node], Any], Any, Any]] = [
    (Node.text, "a", "a"),
    (lambda node: node.whole(0, 3), 3, 3),
    (Node.number, 2, 2.0),
    (Node.flag, False, False),
    (lambda node: [one.value for one in node.rows(2)], [1, 2], [1, 2]),
    (lambda node: node["a"].value, {"a": 1}, 1),
]
BAD: list[tuple[Callable[[Node], Any], Any]] = [
    (Node.text, 1),
    (Node.text, "a\0"),
    (lambda node: node.text(2), "abc"),
    (lambda node: node.whole(0, 3), 4),
    (lambda node: node.whole(0, 3), True),
    (lambda node: node.whole(0, 3), 1.0),
    (Node.number, "1"),
    (Node.number, 1e300),
    (Node.number, float("nan")),
    (Node.flag, 0),
    (lambda node: list(node.rows(1)), [1, 2]),
    (lambda node: list(node.rows(1)), "ab"),
    (lambda node: node["b"], {"a": 1}),
    (Node.fields, []),
]


@pytest.mark.parametrize(("ask", "value", "wanted"), GOOD)
def test_good_values(ask: Callable[[Node], Any], value: Any, wanted: Any) -> None:
    assert ask(Node(value)) == wanted


@pytest.mark.parametrize(("ask", "value"), BAD)
def test_bad_values_are_named(ask: Callable[[Node], Any], value: Any) -> None:
    with pytest.raises(Malformed, match=r"^here "):
        ask(Node(value, "here"))


def test_places_are_told() -> None:
    rows = list(Node({"a": [{"b": 1}]})["a"].rows(5))
    with pytest.raises(Malformed, match=r"^a\[0\]\.b is no text"):
        rows[0]["b"].text()


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.json cannot be read"):
        read_document(tmp_path / "gone.json", Document("a list", "list", 1, 100, "Write one."), Node.fields)
