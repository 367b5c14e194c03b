"""Reading a page as a strict parser does, and results to make pages of."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from gpustack.engine.report import FrameReport, Report
from gpustack.io.metadata import Metadata
from gpustack.model.frame import Frame, Kind, PixelType
from gpustack.model.place import Place
from gpustack.model.stack import Stack
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform
from gpustack.result import Result

VOID = {"meta", "img", "br", "col", "link"}


@dataclass(eq=False)
class Node:
    """An element: its name, attributes, and what it holds."""

    name: str
    attributes: dict[str, str | None]
    inside: list[Node | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text in it."""
        return "".join(part if isinstance(part, str) else part.text for part in self.inside)

    def all(self, name: str, **attributes: str) -> list[Node]:
        """The elements of a name in it, which have these attributes."""
        found = []
        for part in self.inside:
            if isinstance(part, Node):
                wanted = {key.replace("_", "-").rstrip("-"): value for key, value in attributes.items()}
                if part.name == name and wanted.items() <= part.attributes.items():
                    found.append(part)
                found += part.all(name, **attributes)
        return found

    def one(self, name: str, **attributes: str) -> Node:
        (only,) = self.all(name, **attributes)
        return only


class _Strict(HTMLParser):
    """Fails where an element is closed that is not open, or left open."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> has an attribute twice"
        node = Node(tag, dict(attrs))
        self.open[-1].inside.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.open[-1].inside.append(data)


def parsed(content: str) -> Node:
    """The page, every element of which is closed where it must be, and every name given once."""
    assert content.startswith("<!DOCTYPE html>\n")
    reader = _Strict()
    reader.feed(content)
    reader.close()
    assert reader.open == [reader.root], "an element is left open"
    (page,) = (part for part in reader.root.inside if isinstance(part, Node))
    names = [node.attributes["id"] for node in everything(page) if "id" in node.attributes]
    assert len(set(names)) == len(names)
    return page


def everything(node: Node) -> list[Node]:
    """An element and all in it."""
    return [node, *(each for part in node.inside if isinstance(part, Node) for each in everything(part))]


def rows(table: Node) -> list[list[str]]:
    """The cells of a table's body."""
    (body,) = table.all("tbody")
    return [[cell.text for cell in row.inside if isinstance(cell, Node)] for row in body.all("tr")]


def made(
    names: list[str], size: tuple[int, int] = (96, 64), folder: Path = Path("/home/jo doe/in")
) -> tuple[Stack, Result]:
    """A stack of frames of these names that were never there, and what might have become of them: noise,
    which packs worst, and a depth."""
    width, height = size
    random = np.random.default_rng(len(names))
    frames = tuple(Frame(folder / name, width, height, 3, PixelType.UINT8, Kind.JPEG) for name in names)
    places = tuple(_place(index, random) for index in range(len(names)))
    winners = random.integers(0, len(names), (height, width)).astype(np.uint16)
    shares = np.bincount(winners.ravel(), minlength=len(names)) / winners.size
    report = Report("auto", "cpu", "The CPU was asked for.", {"readers": 2}, box=(0, 0, width, height))
    report.frames = [
        FrameReport(name, place, float(share))
        for name, place, share in zip(names, places, shares, strict=True)
    ]
    report.seconds = {"survey": 1.25, "auto": 3.5, "write": 0.25}
    image = random.integers(0, 256, (height, width, 3)).astype(np.uint8)
    return Stack(frames), Result(
        image,
        random.uniform(0, len(names) - 1, (height, width)).astype(np.float32),
        random.uniform(0, 1, (height, width)).astype(np.float32),
        places,
        report,
        Metadata(),
        winners,
    )


def _place(index: int, random: np.random.Generator) -> Place:
    angle, scale = np.radians(0.01 * index), 1 + 1e-4 * index
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = turn, random.normal(0, 2, 2)
    return Place(Transform(matrix, Tone.of(1 + 0.001 * index)), residual_px=float(random.uniform(0, 0.3)))
