"""The page in a real Chromium: what is seen, where, and how large."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from tests.viewing.page.conftest import Server
from tests.viewing.page.screen import Pixels, Screen, part

Open = Callable[..., Screen]

JPEG_ERROR = 4.0
"""Mean difference in levels that JPEG tiles may make; a shift by one pixel makes several times as much."""


def shown(path: Path) -> Pixels:
    """(h, w, 3) uint8 of a 16-bit picture."""
    return np.asarray(np.rint(tifffile.imread(path) / 257.0), np.uint8)


def error(a: Pixels, b: Pixels) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


def test_the_link_opens_one_browser_once(browser: Any, server: Server, opened: Open) -> None:
    opened()
    link = server.next_link()
    page = browser.new_context().new_page()
    page.goto(link)
    page.locator("#stage[aria-busy=false]").wait_for()
    assert page.title().startswith("sharp.tif")
    assert "token" not in page.url
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    stranger = browser.new_context().new_page()
    assert stranger.goto(link).status == 401
    for each in (page, stranger):
        each.context.close()


@pytest.mark.parametrize("ratio", [1.0, 1.25, 2.0])
def test_at_100_percent_a_pixel_is_a_device_pixel(opened: Open, folder: Path, ratio: float) -> None:
    screen = opened(device_scale_factor=ratio)
    screen.press("1")
    assert screen.zoom == 1
    canvas = screen.canvas()
    box = screen.page.locator("#picture").bounding_box()
    assert canvas.shape[1] == pytest.approx(box["width"] * ratio, abs=1)
    truth = shown(folder / "sharp.tif")
    seen, (rows, columns) = part(canvas, screen.corner(), truth.shape[:2])
    assert seen.size > 0.3 * truth.size
    exact = error(seen, truth[rows, columns])
    assert exact < JPEG_ERROR
    for way in (0, 1):
        assert error(seen, np.roll(truth, 1, axis=way)[rows, columns]) > 1.5 * exact


def test_above_100_percent_pixels_are_squares(opened: Open) -> None:
    screen = opened()
    screen.press("1", "+", "+", "+")
    assert screen.zoom == 4
    screen.page.mouse.move(5, 5)
    canvas = screen.canvas()
    left, top = screen.corner()
    inner = canvas[top % 4 : top % 4 + 400, left % 4 : left % 4 + 600]
    blocks = inner.reshape(100, 4, 150, 4, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()
    assert inner.std() > 5


def test_a_wheel_keeps_what_is_under_the_pointer(opened: Open) -> None:
    screen = opened()
    screen.page.mouse.move(400, 300)
    before = screen.page.locator("#readout").inner_text().split("·")[0].split()
    screen.page.mouse.wheel(0, -600)
    screen.settle()
    assert screen.zoom > 1.5
    after = screen.page.locator("#readout").inner_text().split("·")[0].split()
    assert [int(before[1]), int(before[3])] == pytest.approx([int(after[1]), int(after[3])], abs=2)


def test_each_layer_is_seen(opened: Open) -> None:
    screen = opened()
    screen.mapped()
    result = screen.canvas()
    for key, scale in (("d", "frame"), ("c", "Confidence"), ("w", "frame")):
        screen.press(key)
        assert error(screen.canvas(), result) > 5, key
        assert scale in screen.page.locator("#legend-name").inner_text()
    screen.press("r")
    assert error(screen.canvas(), result) == 0
    assert not screen.page.locator("#legend").is_visible()


def test_gaps_are_marked_on_the_picture(opened: Open) -> None:
    screen = opened()
    screen.mapped()
    result = screen.canvas()
    left, top = screen.picture["box"][:2]
    gap = {"side": "after", "frames": [5], "share": 0.02, "missed_db": 4.0, "step_px": 3.0, "more": 1}
    answer = {"known": True, "gaps": [{**gap, "box": [left + 300, top + 200, 60, 40]}], "covered": 0.98}
    screen.page.route("**/api/gaps", lambda route: route.fulfill(json=answer))
    with screen.page.expect_response("**/api/gaps"):
        screen.press("g")
    legend = screen.page.locator("#legend")
    assert "after the last frame" in legend.inner_text()
    marked = screen.canvas() != result
    assert 0 < marked.any(axis=2).sum() < 0.2 * result.shape[0] * result.shape[1]


def test_a_divider_shows_two_layers(opened: Open) -> None:
    screen = opened()
    screen.press("1")
    result = screen.canvas()
    screen.page.get_by_role("radio", name="A frame, aligned").check()
    screen.page.get_by_label("A frame", exact=True).select_option("frame-0")
    frame = screen.canvas()
    screen.press("r", "y")
    screen.page.get_by_label("Right of the divider").select_option("frame-0")
    divider = screen.page.locator("#divider")
    divider.focus()
    for _ in range(5):
        screen.page.keyboard.press("ArrowLeft")
    assert divider.get_attribute("aria-valuenow") == "40"
    assert "frame00" in divider.get_attribute("aria-valuetext")
    both, middle = screen.canvas(), round(result.shape[1] * 0.4)
    assert error(both[:, : middle - 4], result[:, : middle - 4]) < 0.01
    assert error(both[:, middle + 4 :], frame[:, middle + 4 :]) < 0.01
    box = divider.bounding_box()
    screen.page.mouse.move(box["x"] + 14, 200)
    screen.page.mouse.down()
    screen.page.mouse.move(box["x"] + 214, 200, steps=3)
    screen.page.mouse.up()
    assert int(divider.get_attribute("aria-valuenow")) > 55


def test_the_readout_and_the_curve_tell_the_frame(opened: Open, folder: Path) -> None:
    screen = opened()
    screen.mapped()
    screen.press("1")
    x, y = screen.picture["width"] / 2, screen.picture["height"] / 2
    screen.page.mouse.click(*screen.mouse(x, y))
    screen.page.locator("#here-text", has_text="Pinned").wait_for()
    left, top = screen.picture["box"][:2]
    told = screen.page.request.get(f"{screen.address}api/at?x={x + left}&y={y + top}").json()
    readout = screen.page.locator("#readout")
    readout.filter(has_text="depth").wait_for()
    text = readout.inner_text()
    assert f"frame {told['frame']} ·" in text
    assert f"depth {told['depth']:.2f}" in text
    curve = screen.page.get_by_role("slider", name="Frame to look at")
    assert screen.page.locator("#curve circle:not(.best)").count() == len(screen.picture["frames"])
    curve.focus()
    screen.press("Home")
    assert "frame00" in curve.get_attribute("aria-valuetext")
    assert screen.page.locator("#left-name").inner_text() == "0 · frame00.tif"
    screen.press("ArrowUp")
    assert screen.page.locator("#left-name").inner_text() == "1 · frame01.tif"
    assert json.loads((folder / "sharp.tif.gpustack.json").read_text())


def test_the_table_sorts_and_shows_frames(opened: Open) -> None:
    screen = opened()
    screen.page.get_by_role("tab", name="Frames").click()
    share = screen.page.get_by_role("columnheader", name="Share")
    names = screen.page.locator("#panel-frames tbody .show")
    order = sorted(screen.picture["frames"], key=lambda frame: frame["share"])
    share.get_by_role("button").click()
    assert share.get_attribute("aria-sort") == "ascending"
    assert names.all_inner_texts() == [frame["name"] for frame in order]
    share.get_by_role("button").click()
    assert share.get_attribute("aria-sort") == "descending"
    assert names.all_inner_texts() == [frame["name"] for frame in reversed(order)]
    names.first.click()
    screen.settle()
    assert screen.page.locator("#left-name").inner_text().endswith(order[-1]["name"])
    assert any(f"/tile/frame-{order[-1]['index']}/0/" in url for url in screen.asked)


def test_a_gap_can_be_gone_to(opened: Open) -> None:
    screen = opened()
    screen.mapped()
    left, top = screen.picture["box"][:2]
    gap = {"side": "between", "frames": [2, 3], "share": 0.02, "missed_db": 4.0, "step_px": 3.0, "more": 1}
    answer = {
        "known": True,
        "gaps": [{**gap, "box": [left + 100, top + 200, 60, 40]}],
        "covered": 0.98,
        "advice": ["Go."],
    }
    screen.page.route("**/api/gaps", lambda route: route.fulfill(json=answer))
    screen.page.get_by_role("tab", name="Gaps").click()
    screen.page.get_by_role("button", name="Go there: Between frames 2 and 3").click()
    screen.page.locator("#here-text", has_text="Pinned").wait_for()
    assert f"{screen.address}api/at?x={left + 130:.2f}&y={top + 220:.2f}" in screen.asked
    screen.settle()
    assert screen.zoom == 1


def test_tiles_that_are_no_longer_seen_are_given_up(opened: Open) -> None:
    screen = opened()
    held: list[Any] = []
    failed: list[str] = []
    screen.page.on("requestfailed", lambda request: failed.append(request.url))
    screen.page.route("**/tile/frame-1/**", lambda route: held.append(route))
    screen.page.get_by_label("A frame", exact=True).select_option("frame-1")
    screen.page.wait_for_timeout(100)
    assert held
    screen.page.keyboard.press("r")
    screen.settle()
    assert any("/tile/frame-1/" in url for url in failed)
    for route in held:
        route.abort()
