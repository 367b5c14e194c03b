"""Fingers and a server that goes away, in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.viewing.page.screen import Screen

Open = Callable[..., Screen]


class Fingers:
    """Touches, as the browser gets them from a tablet."""

    def __init__(self, screen: Screen) -> None:
        self._send = screen.page.context.new_cdp_session(screen.page).send

    def __call__(self, kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(places)]
        self._send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})


@pytest.fixture
def tablet(opened: Open) -> Screen:
    return opened(768, 1024, has_touch=True, device_scale_factor=2)


def test_two_fingers_zoom(tablet: Screen) -> None:
    touch, before = Fingers(tablet), tablet.zoom
    touch("Start", (300, 300), (340, 300))
    for step in range(1, 9):
        touch("Move", (300 - 10 * step, 300), (340 + 10 * step, 300))
    touch("End")
    tablet.settle()
    assert tablet.zoom == pytest.approx(before * 5, rel=0.15)


def test_one_finger_moves_and_a_brush_paints(tablet: Screen) -> None:
    touch = Fingers(tablet)
    tablet.press("1", "+", "+", "+")
    before = tablet.canvas()
    touch("Start", (300, 300))
    for step in range(1, 6):
        touch("Move", (300 - 12 * step, 300))
    touch("End")
    moved = tablet.canvas()
    assert (moved[200:900, 200:900] == before[200:900, 320:1020]).all()

    sent: list[Any] = []

    def answer(route: Any) -> None:
        sent.append(route.request.post_data_json)
        route.fulfill(json={"rev": tablet.picture["rev"], "dirty": None, "undo": 1, "redo": 0})

    tablet.page.route("**/api/edits/add", answer)
    tablet.page.wait_for_timeout(500)  # Chromium takes a tap right after a drag for the end of a fling.
    tablet.page.locator("[data-tool=brush]").tap()
    tablet.page.locator("#source").select_option("frame")
    touch("Start", (300, 300))
    touch("Move", (360, 300))
    touch("Start", (360, 300), (400, 340))  # A second finger: the stroke was none.
    touch("Move", (370, 310), (410, 350))
    touch("End")
    assert sent == []
    touch("Start", (300, 300))
    touch("Move", (340, 300))
    touch("End")
    tablet.page.locator("#unsaved").wait_for()
    assert [stroke["kind"] for stroke in sent] == ["brush"]


def test_a_server_that_has_gone_is_told_and_comes_back(opened: Open) -> None:
    screen = opened()
    screen.page.route("**/*", lambda route: route.abort("connectionrefused"))
    screen.page.mouse.move(300, 300)
    banner = screen.page.get_by_role("alert")
    banner.wait_for()
    assert "does not answer" in banner.inner_text()
    screen.page.unroute("**/*")
    banner.get_by_role("button", name="Try again").click()
    banner.wait_for(state="hidden")
    screen.settle()
    assert all("ERR_CONNECTION_REFUSED" in text for text in screen.complaints)
    screen.complaints.clear()


def test_a_frame_that_has_gone_is_told(opened: Open) -> None:
    screen = opened()
    refusal = {"error": "The frame frame03.tif has gone.", "remedy": "Put it back."}
    screen.page.route("**/tile/frame-3/**", lambda route: route.fulfill(status=422, json=refusal))
    screen.page.get_by_label("A frame", exact=True).select_option("frame-3")
    notice = screen.page.locator("#notice")
    notice.wait_for()
    assert notice.inner_text() == "The frame frame03.tif has gone. Put it back."
    assert all("422" in text for text in screen.complaints)
    screen.complaints.clear()


def test_maps_that_cannot_be_made_are_told(opened: Open) -> None:
    screen = opened()
    told = {**screen.picture, "work": None}
    told["layers"] = [{**layer, "ready": layer["kind"] != "map"} for layer in screen.picture["layers"]]
    screen.page.route("**/api/picture", lambda route: route.fulfill(json=told))
    screen.page.reload()
    screen.settle()
    assert screen.page.get_by_role("radio", name="Depth").is_disabled()
    assert screen.page.locator("#state-depth").inner_text() == "not there"
    screen.press("d")
    assert screen.said.endswith("could not be made.")
    screen.page.get_by_role("tab", name="Gaps").click()
    assert "cannot be told" in screen.page.locator("#panel-gaps").inner_text()
