"""Edit lists: what is written is read again, and what is not as it must be is refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpustack.errors import InputError, UsageError, WriteError
from gpustack.retouch import edits as module
from gpustack.retouch.edits import EditList, Reference, beside, edits_of, read_edits, write_edits
from gpustack.retouch.strokes import Brush, Erase, FrameSource, PictureSource, Polygon, shifted

BRUSH = Brush(((1.5, 2.25), (30.0, -4.5)), 12.5, 0.5, 0.75, FrameSource("../frames/a.tif", 3), True)
STROKES = (
    BRUSH,
    Polygon(((0.0, 0.0), (9.0, 0.1), (5.0, 8.0)), 4.0, 1.0, PictureSource("other/b.tif"), False),
    Brush(((7.0, 7.0),), 0.1, 1.0, 0.0, Erase(), True),
)
LIST = EditList("sharp.tif", Reference("../frames/r.tif", 1, 400, 300), STROKES)


def written(path: Path, change: Callable[[dict[str, Any]], Any] | None = None) -> Path:
    content = json.loads(json.dumps(LIST.as_dict()))
    if change is not None:
        change(content)
    path.write_text(json.dumps(content))
    return path


def put(*names: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: Any) -> None:
        for name in names[:-1]:
            content = content[name]
        content[names[-1]] = value

    return change


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.edits.json"
    write_edits(path, LIST, overwrite=False)
    assert read_edits(path) == LIST
    with pytest.raises(WriteError):
        write_edits(path, LIST, overwrite=False)
    write_edits(path, EditList("b.tif", LIST.reference), overwrite=True)
    assert read_edits(path).strokes == ()


def test_where_it_lies(tmp_path: Path) -> None:
    picture = tmp_path / "sharp.tif"
    assert edits_of(picture) == tmp_path / "sharp.tif.edits.json"
    assert beside(picture) == beside(edits_of(picture)) == edits_of(picture)
    assert beside(tmp_path / "renamed.json") == tmp_path / "renamed.json"


POINT = ("strokes", 0, "points", 1)
REFUSED = [
    (put("gpustack_edits", value=2), "version 2"),
    (put("gpustack_edits", value="1"), "no edit list"),
    (put("strokes", value={}), "strokes is no list"),
    (put("strokes", 0, "kind", value="spray"), "strokes[0].kind"),
    (put("strokes", 0, "points", value=[]), "strokes[0].points"),
    (put("strokes", 1, "points", value=[[0, 0], [1, 1]]), "fewer than 3"),
    (put(*POINT, value=[1]), "no point"),
    (put(*POINT, value=[1, 2, 3]), "strokes[0].points[1]"),
    (put(*POINT, value=[1, 1e9]), "strokes[0].points[1][1]"),
    (put(*POINT, value=[1, "2"]), "strokes[0].points[1][1]"),
    (put("strokes", 0, "radius", value=0), "strokes[0].radius"),
    (put("strokes", 0, "radius", value=True), "strokes[0].radius"),
    (put("strokes", 0, "hardness", value=1.1), "strokes[0].hardness"),
    (put("strokes", 0, "opacity", value=-0.1), "strokes[0].opacity"),
    (put("strokes", 0, "match", value=1), "strokes[0].match"),
    (put("strokes", 1, "feather", value=-1), "strokes[1].feather"),
    (put("strokes", 0, "source", value={}), "none of a frame"),
    (put("strokes", 0, "source", value={"frame": "a", "erase": True}), "none of a frame"),
    (put("strokes", 2, "source", value={"erase": False}), "erase is not true"),
    (put("strokes", 0, "source", "page", value=-1), "page"),
    (put("strokes", 0, "source", "frame", value="a\nb"), "source.frame"),
    (put("reference", "width", value=0), "reference.width"),
    (put("reference", value=None), "reference"),
    (lambda content: content.pop("picture"), "no 'picture'"),
]


@pytest.mark.parametrize(("change", "said"), REFUSED)
def test_what_is_not_as_it_must_be_is_named(
    change: Callable[[dict[str, Any]], None], said: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        read_edits(written(tmp_path / "a.json", change))
    assert said in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "name",
    ["/a/b", "../x.tif", "a/../../x.tif", "C:\\x.tif", "C:x.tif", "\\\\host\\x", "a\\..\\x", "//h/x", ""],
)
@pytest.mark.parametrize("where", [("picture",), ("strokes", 1, "source", "picture")])
def test_names_do_not_lead_out_of_the_folder(name: str, where: tuple[str | int, ...], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leads out of the folder"):
        read_edits(written(tmp_path / "a.json", put(*where, value=name)))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"[" * 100_000, b'{"gpustack_edits": NaN}', b"\xff\xfe", b"1" * 5000],
)
def test_what_is_no_json_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read_edits(path)


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.json")
    monkeypatch.setattr(module, "MOST_POINTS", 1)
    with pytest.raises(InputError, match=r"strokes\[0\].points is no list of up to 1"):
        read_edits(path)
    monkeypatch.setattr(module, "MOST_STROKES", 2)
    with pytest.raises(InputError, match="strokes is no list of up to 2"):
        read_edits(path)
    with pytest.raises(UsageError, match="3 strokes"):
        write_edits(tmp_path / "b.json", LIST, overwrite=False)
    with path.open("ab") as file:
        file.truncate(module.LARGEST_FILE + 1)
    with pytest.raises(InputError, match="too large"):
        read_edits(path)


TEXT = json.dumps(LIST.as_dict()).encode()


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, len(TEXT) - 1), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, len(TEXT)),
)
def test_mutated_bytes_give_a_list_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], end: int
) -> None:
    content = bytearray(TEXT)
    for at, value in changes:
        content[at] = value
    path = tmp_path_factory.getbasetemp() / "mutated.json"
    path.write_bytes(content if end % 3 else content[:end])
    found = LIST
    with suppress(InputError):  # nothing else may come out
        found = read_edits(path)
    assert all(np.isfinite(stroke.points).all() and 0 <= stroke.opacity <= 1 for stroke in found.strokes)
    assert ".." not in found.picture.split("/")


def test_strokes_move_with_the_picture() -> None:
    assert BRUSH.moved(shifted(10, 20)).points == ((-8.5, -17.75), (20.0, -24.5))
    assert BRUSH.moved(shifted(10, 20)).radius == BRUSH.radius
    turned = np.array([[0.0, -2.0, 5.0], [2.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    moved = BRUSH.moved(turned)
    assert moved.points == ((0.5, 4.0), (14.0, 61.0))
    assert moved.radius == pytest.approx(25.0)
    assert moved.hardness == BRUSH.hardness


def test_a_perspective_scales_a_brush_as_it_does_the_picture_there() -> None:
    matrix = np.array([[1.1, 0.05, 3.0], [-0.02, 1.2, 4.0], [1e-4, 2e-4, 1.0]])
    x, y = np.asarray(BRUSH.points).mean(axis=0)
    corners = np.array([(x, y), (x + 1e-3, y), (x, y + 1e-3)])
    there = np.concatenate([corners, np.ones((3, 1))], axis=1) @ matrix.T
    sides = np.diff(there[:, :2] / there[:, 2:], axis=0, prepend=0)
    across, down = sides[1], sides[1] + sides[2]
    area = abs(across[0] * down[1] - across[1] * down[0]) / 1e-6
    assert BRUSH.moved(matrix).radius == pytest.approx(BRUSH.radius * np.sqrt(area), rel=1e-4)
