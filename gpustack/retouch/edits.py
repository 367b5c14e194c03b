"""The edit list of a result, as JSON beside it: `sharp.tif.edits.json` holds the strokes over `sharp.tif`.

docs/retouch.md describes every field. A list may come from anywhere. Reading one bounds its size, checks the
type and range of every value, and opens no file; the names in it lead nowhere but into its own folder
(pictures) and to the inputs that the picture's sidecar names (frames).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from gpustack.errors import UsageError
from gpustack.io.atomic import replacing
from gpustack.io.strict import Document, Malformed, Node, read_document
from gpustack.retouch.strokes import Brush, Erase, FrameSource, PictureSource, Polygon, Stroke, StrokeSource

ENDING = ".edits.json"
VERSION = 1
"""Of the schema: it goes up when a field changes its meaning or goes; new fields leave it."""

LARGEST_FILE = 64 << 20
"""Bytes of a list that are read and written: about three million points."""

MOST_STROKES, MOST_POINTS = 100_000, 20_000
MOST_PIXELS = 1 << 20
_MOST_PAGES = 65_535
_LEAST_CORNERS = 3
_REMEDY = "Name the file that gpustack view saved beside the picture."
_KIND = Document("an edit list", "gpustack_edits", VERSION, LARGEST_FILE, _REMEDY)


@dataclass(frozen=True, slots=True)
class Reference:
    """The frame whose pixels positions count in: its file as the sidecar names it, page, and upright size."""

    file: str
    page: int
    width: int
    height: int

    def as_dict(self) -> dict[str, Any]:
        """As the file has it."""
        page = {"page": self.page} if self.page else {}
        return {"file": self.file, **page, "width": self.width, "height": self.height}


@dataclass(frozen=True, slots=True)
class EditList:
    """Strokes over a picture, in the order in which they were made. `picture`: its file, relative to the
    list."""

    picture: str
    reference: Reference
    strokes: tuple[Stroke, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as the file has them."""
        return {
            "gpustack_edits": VERSION,
            "picture": self.picture,
            "reference": self.reference.as_dict(),
            "strokes": [stroke.as_dict() for stroke in self.strokes],
        }


def edits_of(picture: Path) -> Path:
    """Where the edit list of a result lies."""
    return picture.with_name(picture.name + ENDING)


def beside(path: Path) -> Path:
    """The edit list that a user means, who may name the picture instead."""
    return path if path.name.endswith(ENDING) or path.suffix.lower() == ".json" else edits_of(path)


def write_edits(path: Path, edits: EditList, *, overwrite: bool) -> None:
    """Write it. Raises WriteError; UsageError for a list that could not be read again."""
    content = json.dumps(edits.as_dict(), allow_nan=False, separators=(",", ":")).encode()
    if len(content) > LARGEST_FILE or len(edits.strokes) > MOST_STROKES:
        raise UsageError(
            f"{path.name} would have {len(edits.strokes):,} strokes and {len(content) >> 20} MiB, more than "
            "a list may have.",
            "Apply what there is, and go on with the picture that comes of it.",
        )
    with replacing(path, overwrite=overwrite) as file:
        file.write(content)


def read_edits(path: Path) -> EditList:
    """Read one. Raises InputError for what is none, is damaged, or of a later version."""
    return read_document(path, _KIND, _parsed)


def stroke_of(node: Node) -> Stroke:
    """One stroke. Raises Malformed."""
    kind = node["kind"].text(16)
    if kind not in ("brush", "polygon"):
        raise Malformed(f"{node.where}.kind is neither brush nor polygon")
    least = _LEAST_CORNERS if kind == "polygon" else 1
    points = tuple(_point(row) for row in node["points"].rows(MOST_POINTS))
    if len(points) < least:
        raise Malformed(f"{node.where}.points are fewer than {least}")
    opacity, source = node["opacity"].number(0, 1), _source(node["source"])
    match = node["match"].flag()
    if kind == "polygon":
        return Polygon(points, node["feather"].number(0, MOST_PIXELS), opacity, source, match)
    radius, hardness = node["radius"].number(0.1, MOST_PIXELS), node["hardness"].number(0, 1)
    return Brush(points, radius, hardness, opacity, source, match)


def _parsed(content: Node) -> EditList:
    reference = content["reference"]
    return EditList(
        _within(content["picture"]),
        Reference(
            reference["file"].text(),
            _page(reference),
            reference["width"].whole(1, MOST_PIXELS),
            reference["height"].whole(1, MOST_PIXELS),
        ),
        tuple(stroke_of(row) for row in content["strokes"].rows(MOST_STROKES)),
    )


def _point(row: Node) -> tuple[float, float]:
    both = list(row.rows(2))
    if len(both) != 2:
        raise Malformed(f"{row.where} is no point")
    x, y = (one.number(-MOST_PIXELS, 2 * MOST_PIXELS) for one in both)
    return x, y


def _source(node: Node) -> StrokeSource:
    """What a stroke paints with: one of three."""
    if len(set(node.fields()) & {"frame", "picture", "erase"}) != 1:
        raise Malformed(f"{node.where} is none of a frame, a picture and erase")
    if "frame" in node:
        return FrameSource(node["frame"].text(), _page(node))
    if "picture" in node:
        return PictureSource(_within(node["picture"]))
    if not node["erase"].flag():
        raise Malformed(f"{node.where}.erase is not true")
    return Erase()


def _page(node: Node) -> int:
    return node["page"].whole(0, _MOST_PAGES) if "page" in node else 0


def _within(node: Node) -> str:
    """The name of a file in the list's folder, or in one below it."""
    name = node.text()
    parts = PurePosixPath(name).parts
    absolute = PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor or ":" in name
    if not parts or absolute or ".." in re.split(r"[/\\]", name):
        raise Malformed(f"{node.where} leads out of the folder of the list")
    return name
