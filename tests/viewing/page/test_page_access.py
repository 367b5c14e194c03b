"""The page for everybody: axe finds nothing, the keyboard does all, and it fits small screens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.viewing.page.screen import Screen

Open = Callable[..., Screen]


def violations(screen: Screen) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    found: list[dict[str, Any]] = axe.Axe().run(screen.page).response["violations"]
    return [f"{each['id']}: {node['html'][:120]}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize(("scheme", "width", "height"), [("dark", 1280, 720), ("light", 768, 1024)])
def test_axe_finds_nothing_in_any_panel(opened: Open, scheme: str, width: int, height: int) -> None:
    screen = opened(width, height, color_scheme=scheme)
    screen.mapped()
    for tab in ("View", "Frames", "Gaps", "Retouch"):
        screen.page.get_by_role("tab", name=tab).click()
        assert violations(screen) == [], tab
    screen.press("p", "d", "y")
    screen.page.locator("[data-tool=brush]").click()
    assert violations(screen) == []
    screen.press("?")
    assert violations(screen) == []


def test_dark_and_light_follow_the_system_or_the_user(opened: Open) -> None:
    screen = opened(color_scheme="light")
    root = screen.page.locator(":root")
    assert root.get_attribute("data-theme") == "light"
    screen.page.emulate_media(color_scheme="dark")
    screen.page.locator(":root[data-theme=dark]").wait_for()
    screen.press("l", "l")
    assert root.get_attribute("data-theme") == "light"
    assert screen.said == "Theme: light."
    screen.page.reload()
    screen.settle()
    assert root.get_attribute("data-theme") == "light"


def focused(screen: Screen) -> str:
    return str(
        screen.page.evaluate(
            "() => document.activeElement.id || document.activeElement.dataset.tool ||"
            " document.activeElement.getAttribute('name') || document.activeElement.tagName"
        )
    )


def test_tab_reaches_everything_and_leaves_nothing(opened: Open) -> None:
    screen = opened()
    seen = []
    for _ in range(60):
        screen.page.keyboard.press("Tab")
        seen.append(focused(screen))
        if seen[-1] == "BODY":
            break
    wanted = {"zoom-in", "compare", "theme", "help-open", "brush", "stage", "curve", "tab-view", "side-grip"}
    assert wanted <= set(seen)
    assert seen[-1] == "BODY", "the focus is caught somewhere"


def place(screen: Screen) -> tuple[float, float]:
    """The place of the picture that the page tells of."""
    words = screen.page.locator("#readout").inner_text().split("·")[0].split()
    return float(words[1]), float(words[3])


def test_the_keyboard_alone_looks_around(opened: Open) -> None:
    screen = opened()
    screen.mapped()
    middle = screen.picture["width"] / 2, screen.picture["height"] / 2
    screen.press("1", "ArrowRight", "ArrowRight", "ArrowUp")
    assert place(screen) == pytest.approx((middle[0] + 96, middle[1] - 48), abs=2)
    screen.press("+", "+", "+", "Shift+ArrowRight")
    assert place(screen) == pytest.approx((middle[0] + 97, middle[1] - 48), abs=2)
    screen.press("Enter")
    screen.page.locator("#here-text", has_text="Pinned").wait_for()
    screen.press(".")
    assert screen.said.startswith("Frame ")
    screen.press("Escape", "?")
    assert screen.page.get_by_role("dialog").is_visible()
    screen.press("Escape")
    assert not screen.page.get_by_role("dialog").is_visible()
    screen.press("0", "\\")
    assert not screen.page.locator("#side").is_visible()


def test_keys_without_ctrl_can_be_switched_off(opened: Open) -> None:
    screen = opened()
    screen.press("?")
    screen.page.locator("#plain-keys").uncheck()
    screen.press("Escape", "b")
    assert screen.page.locator("[data-tool=brush]").get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1024, 576), (768, 1024)])
def test_nothing_is_cut_off(opened: Open, width: int, height: int) -> None:
    screen = opened(width, height)
    for selector in ("#side-toggle", "#save", "#tab-retouch", "#zoom-full", "#readout", "#curve"):
        box = screen.page.locator(selector).bounding_box()
        assert box["x"] >= 0, selector
        assert box["y"] >= 0, selector
        assert box["x"] + box["width"] <= width + 1, selector
        assert box["y"] + box["height"] <= height + 1, selector
    stage = screen.page.locator("#stage").bounding_box()
    assert stage["width"] * stage["height"] > 0.35 * width * height
