"""Retouching in a real Chromium, from the first stroke to the picture that `gpustack apply` makes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from tests.cli.calling import call
from tests.viewing.page.screen import Pixels, Screen, part

Open = Callable[..., Screen]

RADIUS = 30
SOURCE = 0
NEAR, FAR = (300.0, 250.0), (520.0, 250.0)
"""Ends of the stroke, in pixels of the result."""


@pytest.fixture(scope="module")
def aligned(folder: Path) -> Pixels:
    """The source frame as `gpustack align` writes it, on the pixels of the result."""
    assert call("align", folder / "frames", "-o", folder / "aligned", "--quiet").exit_code == 0
    return np.asarray(tifffile.imread(sorted((folder / "aligned").iterdir())[SOURCE]))


def pick(screen: Screen, *, frame: int = SOURCE, hardness: int = 100, match: bool = False) -> None:
    """A brush of RADIUS that paints from a frame."""
    page = screen.page
    page.locator("[data-tool=brush]").click()
    page.locator("#source").select_option("frame")
    page.get_by_label("Frame to paint from").select_option(str(frame))
    for name, value in (("Radius (px)", RADIUS), ("Hardness (%)", hardness), ("Opacity (%)", 100)):
        page.get_by_label(name).fill(str(value))
        page.get_by_label(name).press("Enter")
    page.locator("#set-match").set_checked(match)


def painted(screen: Screen, count: int) -> None:
    """Wait until so many steps can be undone, and their tiles have come."""
    page = screen.page
    page.locator("#counts", has_text=f"{count} step" if count else "0 steps").wait_for()
    page.wait_for_timeout(80)
    screen.settle()


def shown(screen: Screen, like: Pixels) -> tuple[Pixels, Any]:
    screen.page.mouse.move(3, 3)
    return part(screen.canvas(), screen.corner(), (like.shape[0], like.shape[1]))


def away(distance: float, shape: tuple[int, ...]) -> Pixels:
    """(h, w) bool: pixels at least so far from the stroke's path."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    across = x - np.clip(x, NEAR[0], FAR[0])
    return np.asarray(np.hypot(across, y - NEAR[1]) >= distance)


def test_from_the_first_stroke_to_the_picture(opened: Open, folder: Path, aligned: Pixels) -> None:
    fused = tifffile.imread(folder / "sharp.tif")
    assert aligned.shape == fused.shape
    screen = opened()
    screen.press("1")
    untouched, (rows, columns) = shown(screen, fused)
    outside, inside = away(RADIUS + 2, fused.shape), ~away(RADIUS - 2, fused.shape)
    there, here = outside[rows, columns], inside[rows, columns]

    pick(screen)
    screen.drag(NEAR, FAR)
    painted(screen, 1)
    stroked, _ = shown(screen, fused)
    source = np.rint(aligned / 257.0)[rows, columns]
    assert np.abs(stroked.astype(float) - source)[here].mean() < 4
    assert np.abs(untouched.astype(float) - source)[here].mean() > 6
    assert np.abs(stroked.astype(float) - untouched)[there].mean() < 0.5

    screen.press("Control+z")
    painted(screen, 0)
    assert np.abs(shown(screen, fused)[0].astype(float) - untouched).max() <= 1
    screen.press("Control+Shift+z")
    painted(screen, 1)
    assert np.abs(shown(screen, fused)[0].astype(float) - stroked).max() <= 1

    screen.press("Control+s")
    words = shlex.split(screen.page.locator("#command").inner_text())
    assert (words[0], words[1]) == ("gpustack", "apply")
    assert not screen.page.locator("#unsaved").is_visible()
    listed = json.loads((folder / "sharp.tif.edits.json").read_text())
    assert [stroke["source"] for stroke in listed["strokes"]] == [{"frame": "frames/frame00.tif"}]

    assert call("apply", folder / "sharp.tif.edits.json", "-o", folder / "mended.tif").exit_code == 0
    mended = tifffile.imread(folder / "mended.tif")
    assert (mended.dtype, mended.shape) == (fused.dtype, fused.shape)
    assert (mended[outside] == fused[outside]).all()
    assert np.abs(mended.astype(int) - aligned)[inside].max() <= 1
    assert np.abs(fused.astype(int) - aligned)[inside].mean() > 1000


def test_a_stroke_is_seen_while_it_is_led(opened: Open, folder: Path) -> None:
    fused = tifffile.imread(folder / "average.tif")
    screen = opened()
    screen.press("1")
    pick(screen, frame=5)
    before, (rows, columns) = shown(screen, fused)
    screen.page.mouse.move(*screen.mouse(400, 450))
    screen.page.mouse.down()
    screen.page.mouse.move(*screen.mouse(560, 450), steps=6)
    screen.settle()
    led = part(screen.canvas(), screen.corner(), (fused.shape[0], fused.shape[1]))[0]
    middle = np.s_[445 - rows.start : 456 - rows.start, 400 - columns.start : 520 - columns.start]
    steps = screen.page.locator("#counts").inner_text()
    screen.page.keyboard.press("Escape")
    screen.page.mouse.up()
    screen.page.locator("#tab-view").click()
    screen.page.get_by_label("A frame", exact=True).select_option("frame-5")
    frame = shown(screen, fused)[0]
    assert np.abs(led[middle].astype(float) - frame[middle]).mean() < 0.5
    assert np.abs(led[middle].astype(float) - before[middle]).mean() > 3
    screen.page.locator("#tab-retouch").click()
    assert screen.page.locator("#counts").inner_text() == steps


WATCH = """([x, y]) => {
    const pen = document.getElementById("picture").getContext("2d");
    window.seen = [];
    const look = () => {
        window.seen.push([...pen.getImageData(x, y, 6, 6).data]);
        window.looking = requestAnimationFrame(look);
    };
    look();
}"""


def test_a_stroke_stays_until_its_tiles_have_come(opened: Open) -> None:
    screen = opened()
    screen.press("1")
    pick(screen, frame=5)
    left, top = screen.corner()
    screen.page.mouse.move(*screen.mouse(300, 500))
    screen.page.mouse.down()
    screen.page.mouse.move(*screen.mouse(480, 500), steps=6)
    screen.settle()
    screen.page.evaluate(WATCH, [left + 340, top + 495])
    with screen.page.expect_response("**/tile/result/**"):
        screen.page.mouse.up()
    screen.page.wait_for_timeout(200)
    screen.settle()
    seen = np.array(
        screen.page.evaluate("() => { cancelAnimationFrame(window.looking); return window.seen; }")
    )
    painted_over = seen.reshape(len(seen), 36, 4)[..., :3].astype(float)
    screen.press("Control+z")
    painted(screen, int(screen.page.locator("#counts").inner_text().split()[0]))
    before = screen.canvas()[top + 495 : top + 501, left + 340 : left + 346].reshape(36, 3).astype(float)
    off = np.abs(painted_over - painted_over[-1]).mean(axis=(1, 2))
    assert np.abs(before - painted_over[-1]).mean() > 3 * max(off.max(), 1)
    screen.complaints = [text for text in screen.complaints if "willReadFrequently" not in text]


def test_the_sharpest_frame_is_taken_where_the_stroke_begins(opened: Open) -> None:
    screen = opened()
    screen.mapped()
    screen.press("1")
    screen.page.locator("[data-tool=brush]").click()
    x, y = 500.0, 300.0
    left, top = screen.picture["box"][:2]
    at = screen.page.request.get(f"{screen.address}api/at?x={x + left}&y={y + top}").json()
    with screen.page.expect_request("**/api/edits/add") as sent:
        screen.drag((x, y), (x + 20, y))
    stroke = sent.value.post_data_json
    assert stroke["source"]["frame"].endswith(screen.picture["frames"][at["sharpest"]]["name"])
    assert stroke["points"][0] == pytest.approx([x + left, y + top], abs=1)
    screen.press("Control+z")


def test_a_polygon_by_the_keyboard_and_an_eraser(opened: Open) -> None:
    screen = opened()
    screen.press("1", "+", "+")
    start = screen.page.locator("#counts").inner_text() if screen.page.locator("#counts").is_visible() else ""
    assert start == ""
    screen.press("p")
    screen.page.locator("#source").select_option("frame")
    screen.page.locator("#stage").focus()
    with screen.page.expect_request("**/api/edits/add") as sent:
        screen.press("Enter", *["ArrowRight"] * 3, "Enter", *["ArrowDown"] * 3, "Enter", "Shift+Enter")
    stroke = sent.value.post_data_json
    assert stroke["kind"] == "polygon"
    (ax, ay), (bx, by), (cx, cy) = stroke["points"]
    step = 48 * 3 / screen.zoom
    assert [bx - ax, by - ay, cx - bx, cy - by] == pytest.approx([step, 0, 0, step], abs=1)
    screen.press("e")
    screen.page.locator("#stage").focus()
    with screen.page.expect_request("**/api/edits/add") as sent:
        screen.press("Enter", "ArrowLeft", "ArrowLeft", "Enter")
    stroke = sent.value.post_data_json
    assert stroke["source"] == {"erase": True}
    assert len(stroke["points"]) > 1
    screen.press("Control+z", "Control+z")


def test_leaving_with_unsaved_edits_is_asked_about(opened: Open) -> None:
    screen = opened()
    screen.press("1")
    pick(screen)
    with screen.page.expect_response("**/api/edits/add"):
        screen.drag((200, 400), (240, 400))
    screen.page.locator("#unsaved").wait_for()
    asked: list[str] = []

    def stay(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.accept()

    screen.page.on("dialog", stay)
    screen.page.reload()
    assert asked == ["beforeunload"]
    screen.settle()
    screen.page.locator("#undo").click()


def test_a_source_that_is_refused_leaves_nothing(opened: Open) -> None:
    screen = opened()
    screen.press("1")
    pick(screen)
    refusal = {"error": "The frame frame00.tif has changed.", "remedy": "Stack again."}
    screen.page.route("**/api/edits/add", lambda route: route.fulfill(status=422, json=refusal))
    before = shown(screen, np.empty((screen.picture["height"], screen.picture["width"])))[0]
    screen.drag(NEAR, FAR)
    screen.page.locator("#notice", has_text="has changed").wait_for()
    after = shown(screen, np.empty((screen.picture["height"], screen.picture["width"])))[0]
    assert (after == before).all()
    assert all("422" in text for text in screen.complaints)
    screen.complaints.clear()
