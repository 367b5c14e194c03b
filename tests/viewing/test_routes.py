"""What the page is answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from gpustack.viewing.desk import Desk
from gpustack.viewing.grid import Area
from gpustack.viewing.routes import static_files
from tests.cli.calling import pixels
from tests.viewing.stacks import client_of, decoded, opened, stacked, write_stack


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three turned frames, their result with depth, and another method's of another crop."""
    folder = tmp_path_factory.mktemp("stack")
    write_stack(folder, orientation=6)
    stacked(folder, "--depth", folder / "depth.tif", "--confidence", folder / "confidence.tif")
    stacked(folder, "--method", "pyramid", "--crop", "none", name="other.png")
    return folder


@pytest.fixture(scope="module")
def desk(folder: Path) -> Iterator[Desk]:
    with opened(folder / "sharp.tif", folder / "other.png") as desk:
        yield desk


@pytest.fixture(scope="module")
def client(desk: Desk) -> TestClient:
    return client_of(desk)


def test_the_picture_is_told(client: TestClient, folder: Path) -> None:
    told = client.get("/api/picture").json()
    high, wide = pixels(folder / "sharp.tif").shape[:2]
    assert (told["name"], told["width"], told["height"]) == ("sharp.tif", wide, high)
    assert told["reference"] == {"width": 96, "height": 144, "index": 1}
    left, top, *size = told["box"]
    assert size == [wide, high]
    assert min(left, top) >= 0
    assert (told["tile"], told["levels"], told["bits"], told["work"]) == (512, 1, 8, None)
    assert [frame["name"] for frame in told["frames"]] == ["f0.png", "f1.png", "f2.png"]
    assert sum(frame["share"] for frame in told["frames"]) == pytest.approx(1, abs=1e-3)
    assert told["others"] == [{"id": "other-0", "name": "other.png", "source": {"picture": "other.png"}}]
    assert told["settings"]["align"] == "similarity"


def test_shifts_are_told_upright(client: TestClient) -> None:
    """Frames drift by (1.5, 0.75) pixels as stored; turned by 90 degrees to the right, by (-0.75, 1.5)."""
    frames = client.get("/api/picture").json()["frames"]
    assert frames[1]["shift_px"] == [0, 0]
    assert frames[2]["shift_px"] == pytest.approx([-0.75, 1.5], abs=0.1)
    assert frames[0]["shift_px"] == pytest.approx([0.75, -1.5], abs=0.1)


def test_all_layers_are_ready_in_the_end(client: TestClient) -> None:
    told, work = client.get("/api/picture").json(), client.get("/api/work").json()
    ready = [layer["id"] for layer in told["layers"] if layer["ready"]]
    assert work == {"work": None, "ready": ready, "errors": []}
    assert set(ready) >= {"result", "original", "depth", "confidence", "winners", "frame-0", "other-0"}
    legend = next(layer["legend"] for layer in told["layers"] if layer["id"] == "depth")
    assert (legend["unit"], legend["stops"][0][0], legend["stops"][-1][0]) == ("frame", 0, 2)


def test_the_result_is_shown_as_it_is(client: TestClient, desk: Desk, folder: Path) -> None:
    saved = pixels(folder / "sharp.tif")
    for layer in ("result", "original"):
        assert np.array_equal(desk.look(layer, Area(0, 0, 0, *desk.pictures.shown.box[2:])).pixels, saved)
        shown = decoded(client.get(f"/tile/{layer}/0/0/0").content)[..., :3]
        assert np.abs(shown.astype(int) - saved).mean() < 6  # JPEG, of what is nearly noise


def test_another_crop_lies_on_the_same_pixels(client: TestClient, desk: Desk, folder: Path) -> None:
    left, top, wide, high = desk.pictures.shown.box
    whole = pixels(folder / "other.png")
    look = desk.look("other-0", Area(0, 0, 0, wide, high))
    assert np.array_equal(look.pixels, whole[top : top + high, left : left + wide])
    assert client.get("/tile/other-0/0/0/0").status_code == 200


def test_depth_is_that_of_its_file(client: TestClient, desk: Desk, folder: Path) -> None:
    depth = pixels(folder / "depth.tif")[..., 0]
    left, top = desk.pictures.shown.box[:2]
    for x, y in ((3, 5), (50, 70), (90, 130)):
        at = client.get(f"/api/at?x={left + x + 0.5}&y={top + y + 0.5}").json()
        assert at["depth"] == pytest.approx(float(depth[y, x]), abs=1e-3)
        assert at["frame"] == round(float(depth[y, x]))
        assert at["rgb"] == pixels(folder / "sharp.tif")[y, x].tolist()


def test_the_curve_rises_to_the_frame_that_is_sharp(client: TestClient, desk: Desk) -> None:
    """Stored columns are sharp in thirds: upright, rows are."""
    left, top, wide, high = desk.pictures.shown.box
    for index in range(3):
        at = client.get(f"/api/at?x={left + wide / 2}&y={top + high * (index + 0.5) / 3}").json()
        curve = dict(map(tuple, at["curve"]))
        assert set(curve) == {0, 1, 2}
        assert max(curve, key=lambda frame: curve[frame]) == at["sharpest"] == index
        assert max(curve.values()) == 1


def test_outside_the_result_nothing_is_known(client: TestClient) -> None:
    at = client.get("/api/at?x=-5&y=3").json()
    assert at == {
        "frame": None,
        "sharpest": None,
        "depth": None,
        "confidence": None,
        "curve": [],
        "rgb": None,
    }


@pytest.mark.parametrize("query", ["", "x=1", "x=a&y=2", "x=nan&y=1", "x=1e300&y=1", "x=inf&y=1"])
def test_a_place_that_is_none_is_refused(client: TestClient, query: str) -> None:
    answer = client.get(f"/api/at?{query}")
    assert answer.status_code == 422
    assert "no place" in answer.json()["error"]


@pytest.mark.parametrize(
    "path",
    [
        "/tile/result/1/0/0",
        "/tile/result/0/1/0",
        "/tile/result/0/0/99999999999999999999",
        "/tile/frame-3/0/0/0",
        "/tile/frame-/0/0/0",
        "/tile/frame-00000000001/0/0/0",
        "/tile/frame-٣/0/0/0",
        "/tile/other-1/0/0/0",
        "/tile/else/0/0/0",
        "/tile/result/-1/0/0",
        "/tile/result/a/0/0",
        "/static/nothing.js",
        "/else",
    ],
)
def test_what_there_is_not_is_not_found(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert set(answer.json()) == {"error", "remedy"}


@pytest.mark.parametrize(
    "path",
    [
        "/static/../routes.py",
        "/static/..%2froutes.py",
        "/static/%2e%2e%2froutes.py",
        "/static/%2fetc%2fpasswd",
        "/static/..%5croutes.py",
        "/static/index.html%00.js",
        "/tile/..%2f..%2fetc/0/0/0",
        "/tile/frame-0%2f..%2f1/0/0/0",
        "//etc/passwd",
    ],
)
def test_no_path_leads_to_a_file(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "import" not in answer.text


def test_the_page_s_own_files_are_all_there_is(client: TestClient) -> None:
    assert "index.html" in static_files()
    for name, (data, kind) in static_files().items():
        answer = client.get(f"/static/{name}")
        assert (answer.content, answer.headers["content-type"]) == (data, kind)
    assert client.get("/").content == static_files()["index.html"][0]


def test_tiles_may_be_kept_while_nothing_is_painted(client: TestClient) -> None:
    rev = client.get("/api/picture").json()["rev"]
    assert "immutable" in client.get(f"/tile/result/0/0/0?r={rev}").headers["cache-control"]
    assert client.get("/tile/result/0/0/0?r=99").headers["cache-control"] == "no-store"
    assert client.get("/tile/result/0/0/0").headers["cache-control"] == "no-store"


def test_gaps_that_cannot_be_told_are_none(client: TestClient) -> None:
    answer = client.get("/tile/gaps/0/0/0")
    assert answer.status_code == 503
    assert "too few frames" in answer.json()["error"]
    assert client.get("/api/gaps").json() == {"known": True, "covered": None, "gaps": [], "advice": []}
