"""Strokes on the page: the routes, and that what is shown is what `gpustack apply` makes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from gpustack.errors import InputError
from gpustack.io.sidecar import sidecar_of
from gpustack.model.frame import PixelType
from gpustack.retouch.applying import apply
from gpustack.retouch.edits import read_edits
from gpustack.retouch.strokes import Erase, PictureSource, Stroke
from gpustack.settings import Settings
from gpustack.viewing import grid
from gpustack.viewing.desk import Desk
from gpustack.viewing.grid import Area
from tests.cli.calling import call, pixels
from tests.retouch.results import Bench, Pixels, brush, copied, polygon, stacked, write_frames
from tests.viewing.stacks import ORIGIN, client_of, opened

STROKES = (
    brush((60, 100), (300, 100), frame=0, radius=30.0, opacity=0.8),
    polygon((90, 30), (280, 80), (200, 180), frame=3, opacity=0.6, feather=30.0),
    brush((180, 40), (180, 200), frame=2, radius=15.0, hardness=1.0, match=False),
    replace(brush((220, 40), (220, 200), radius=12.0), source=Erase()),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("made")
    write_frames(home / "frames", kind=PixelType.UINT8)
    return stacked(home)


@pytest.fixture
def bench(made: Path, tmp_path: Path) -> Bench:
    return copied(made, tmp_path)


@contextmanager
def page(bench: Bench, *others: Path) -> Iterator[tuple[Desk, TestClient]]:
    with opened(bench.path, *others) as desk:
        yield desk, client_of(desk)


def post(client: TestClient, how: str, stroke: Stroke | None = None) -> dict[str, Any]:
    answer = client.post(
        f"/api/edits/{how}", content=json.dumps(stroke.as_dict()) if stroke else "", headers=ORIGIN
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def shown(desk: Desk, level: int = 0, tile: int = 512) -> Pixels:
    """The result as the page shows it, put together from tiles."""
    wide, high = (-(-side >> level) for side in desk.pictures.shown.box[2:])
    out = np.zeros((high, wide, 3), np.uint8)
    for top in range(0, high, tile):
        for left in range(0, wide, tile):
            area = Area(level, left, top, min(tile, wide - left), min(tile, high - top))
            out[area.slices] = desk.look("result", area).pixels
    return out


def test_what_is_shown_is_what_is_applied(bench: Bench) -> None:
    with page(bench) as (desk, client):
        for stroke in STROKES:
            post(client, "add", stroke)
        preview = shown(desk)
        # Frames are resampled from the corner of a piece: a rounding may go the other way.
        assert np.abs(shown(desk, tile=100).astype(int) - preview).max() <= 1
        saved = post(client, "save")
    assert saved["file"] == "sharp.tif.edits.json"
    assert read_edits(bench.edits).strokes == STROKES
    words = shlex.split(saved["command"])
    assert words[:2] == ["gpustack", "apply"]
    assert call(*words[1:], "-q").exit_code == 0
    done = pixels(Path(words[words.index("-o") + 1]))
    assert (done != bench.pixels()).any(axis=2).mean() > 0.1
    assert np.abs(preview.astype(int) - done).max() <= 2


def test_smaller_levels_show_it_smaller(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "TILE", 128)
    with page(bench) as (desk, client):
        post(client, "add", STROKES[0])
        full, small = shown(desk), shown(desk, 1)
    halved = full.reshape(120, 2, 180, 2, 3).mean(axis=(1, 3))
    assert np.abs(halved - small).mean() < 2


def test_undo_redo_and_clear(bench: Bench) -> None:
    with page(bench) as (desk, client):
        seen = [shown(desk)]
        for stroke in STROKES:
            told = post(client, "add", stroke)
            seen.append(shown(desk))
            left, top, width, height = told["dirty"]
            changed = (seen[-1] != seen[-2]).any(axis=2)
            changed[top : top + height, left : left + width] = False
            assert not changed.any()
        assert (told["undo"], told["redo"]) == (4, 0)
        for number in (3, 2):
            assert post(client, "undo")["undo"] == number
            assert np.array_equal(shown(desk), seen[number])
        assert post(client, "clear")["undo"] == 3
        assert np.array_equal(shown(desk), seen[0])
        assert post(client, "clear")["dirty"] is None
        post(client, "undo")
        assert np.array_equal(shown(desk), seen[2])
        told = post(client, "add", STROKES[2])
        assert (told["undo"], told["redo"]) == (3, 0)
        assert np.array_equal(shown(desk), seen[3])
        for _ in range(5):
            told = post(client, "undo")
        assert (told["undo"], told["redo"], told["dirty"]) == (0, 3, None)
        for _ in range(3):
            post(client, "redo")
        assert np.array_equal(shown(desk), seen[3])


def test_the_revision_changes_with_what_is_seen(bench: Bench) -> None:
    with page(bench) as (desk, client):
        first = client.get("/api/picture").json()["rev"]
        told = post(client, "add", STROKES[0])
        assert told["rev"] > first > 1_700_000_000  # of another run, tiles are in the browser's cache
        assert client.get("/api/picture").json()["rev"] == told["rev"] == desk.edits.rev
        assert post(client, "redo")["rev"] == told["rev"]


def test_a_list_is_opened_again_and_saved(bench: Bench) -> None:
    bench.draw(*STROKES[:2])
    with page(bench) as (desk, client):
        told = client.get("/api/edits").json()
        assert [stroke["kind"] for stroke in told["strokes"]] == ["brush", "polygon"]
        assert (told["undo"], told["unsaved"]) == (2, False)
        assert not np.array_equal(shown(desk), bench.pixels())
        assert post(client, "undo")["unsaved"]
        assert post(client, "redo")["unsaved"] is False
        post(client, "undo")
        assert post(client, "save")["unsaved"] is False
    assert read_edits(bench.edits).strokes == STROKES[:1]


def test_strokes_of_another_reference_follow_the_picture(bench: Bench) -> None:
    first = bench.draw(STROKES[0])
    other = Bench(stacked(bench.path.parent, "--reference", "3", name="other.tif"))
    first.rename(other.edits)
    with page(other) as (_, client):
        told = client.get("/api/edits").json()
        assert told["reference"]["file"] == "frames/f3.tif"
        assert told["strokes"][0]["points"] != [[60, 100], [300, 100]]
        post(client, "save")
    done = apply(other.edits, machine=Settings(threads=1)).pixels
    assert (done != other.pixels()).any()


def test_another_list_is_not_written_over(bench: Bench) -> None:
    bench.edits.write_text("mine")
    with page(bench) as (desk, client):
        assert any("not shown" in sentence for sentence in desk.work.errors)
        post(client, "add", STROKES[0])
        refused = client.post("/api/edits/save", headers=ORIGIN)
        assert refused.status_code == 422
        assert "is not replaced" in refused.json()["error"]
    assert bench.edits.read_text() == "mine"
    bench.edits.unlink()
    with page(bench) as (_, client):
        post(client, "add", STROKES[0])
        bench.edits.write_text("came meanwhile")
        assert client.post("/api/edits/save", headers=ORIGIN).status_code == 422
    assert bench.edits.read_text() == "came meanwhile"


BAD = [
    b"",
    b"{",
    b"[]",
    b'{"kind": "brush"}',
    json.dumps(STROKES[0].as_dict() | {"radius": 1e300}).encode(),
    json.dumps(STROKES[0].as_dict() | {"source": {"frame": "f9.tif"}}).encode(),
    json.dumps(STROKES[0].as_dict() | {"source": {"picture": "../secret.tif"}}).encode(),
    json.dumps(STROKES[0].as_dict() | {"source": {"picture": "none.tif"}}).encode(),
]


def test_what_is_no_stroke_is_refused_and_changes_nothing(bench: Bench) -> None:
    with page(bench) as (desk, client):
        for body in BAD:
            answer = client.post("/api/edits/add", content=body, headers=ORIGIN)
            assert answer.status_code == 422, body
            assert answer.json()["error"].endswith(".")
            assert answer.json()["remedy"]
        assert client.get("/api/edits").json()["strokes"] == []
        assert np.array_equal(shown(desk), bench.pixels())
        assert client.post("/api/edits/add", content=json.dumps(STROKES[0].as_dict())).status_code == 403
        assert client.post("/api/edits/destroy", headers=ORIGIN).status_code in (404, 405)


def test_a_frame_that_has_gone_is_told_of_and_not_painted(bench: Bench) -> None:
    (bench.path.parent / "frames" / "f0.tif").unlink()
    for match in (True, False):
        stroke = replace(STROKES[0], match=match)
        with page(bench) as (desk, client):
            body = json.dumps(stroke.as_dict())
            answer = client.post("/api/edits/add", content=body, headers=ORIGIN)
            assert answer.status_code == 422
            assert "f0.tif" in answer.json()["error"]
            assert np.array_equal(shown(desk), bench.pixels())
            post(client, "add", STROKES[1])


def test_another_result_is_painted_from(bench: Bench) -> None:
    other = Bench(stacked(bench.path.parent, "--method", "average", "--crop", "auto", name="other.tif"))
    stroke = replace(STROKES[1], source=PictureSource("other.tif"))
    with page(bench, other.path) as (desk, client):
        told = client.get("/api/picture").json()["others"]
        assert told[0]["source"] == {"picture": "other.tif"}
        post(client, "add", stroke)
        preview = shown(desk)
        post(client, "save")
    done = apply(bench.edits, machine=Settings(threads=1)).pixels
    assert np.abs(preview.astype(int) - done).max() <= 2


def test_how_frames_are_named_is_told(bench: Bench) -> None:
    with page(bench) as (_, client):
        rows = client.get("/api/picture").json()["frames"]
        assert rows[2]["source"] == {"frame": "frames/f2.tif"}
        stroke = STROKES[2].as_dict() | {"source": rows[2]["source"]}
        assert client.post("/api/edits/add", content=json.dumps(stroke), headers=ORIGIN).status_code == 200


def test_where_the_camera_s_turn_is_not_known_nothing_is_painted(bench: Bench) -> None:
    """As of results made before sidecars told it, whose frames have gone."""
    sidecar = sidecar_of(bench.path)
    told = json.loads(sidecar.read_text())
    for row in told["inputs"]:
        assert row.pop("orientation") == 1
    sidecar.write_text(json.dumps(told))
    for path in (bench.path.parent / "frames").iterdir():
        path.unlink()
    with page(bench) as (desk, _):
        assert not desk.pictures.shown.turn_known
        with pytest.raises(InputError, match="turned"):
            desk.edits.add(json.dumps(STROKES[3].as_dict()).encode())
