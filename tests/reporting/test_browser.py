"""The page in a browser: readable by all, at any width, dark, light and on paper, and asking for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpustack.reporting.command import Written
from gpustack.reporting.writing import write_report
from gpustack.settings import Settings
from tests.reporting.pages import made
from tests.reporting.test_page import HOSTILE

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")

LOOKS = [(1280, "light"), (820, "dark"), (390, "light")]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of frames with odd names, one of which was left out, with a warning."""
    stack, result = made(
        [*HOSTILE, "IMG_with_a_very_long_name_that_says_a_lot_about_the_frame.jpg"], (1300, 1000)
    )
    left_out = replace(result.places[2], used=False, shaken=True)
    result = replace(result, places=(*result.places[:2], left_out, *result.places[3:]))
    result.report.warnings.append("Something was odd.")
    path = tmp_path_factory.mktemp("report") / "r.html"
    written = Written({"output": Path("/out/sharp.tif")}, Path("/out/sharp.tif.gpustack.json"))
    write_report(path, stack, Settings(radius=2.0), result, written=written)
    return path


@pytest.fixture(params=LOOKS, ids=lambda look: f"{look[0]} {look[1]}")
def page(browser: Any, report: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The report, in each width and scheme; whatever it asks for or complains of is noted."""
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    opened = context.new_page()
    opened.asked, opened.said = [], []
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.on("console", lambda message: opened.said.append(message.text))
    opened.on("dialog", lambda dialog: opened.said.append(dialog.message))
    opened.goto(report.as_uri())
    yield opened
    context.close()


def test_everybody_can_read_it(page: Any) -> None:
    found = axe.Axe().run(page)
    told = [
        (each["id"], [node["html"][:120] for node in each["nodes"]]) for each in found.response["violations"]
    ]
    assert told == []


def test_it_fits_and_asks_for_nothing(page: Any, report: Path) -> None:
    width, inner = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= inner
    assert [url for url in page.asked if not url.startswith("data:image/jpeg")] == [report.as_uri()]
    assert page.said == []
    shown = page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert shown
    crops = page.evaluate(
        "[...document.querySelectorAll('.crops img')].map(image => "
        "[getComputedStyle(image).objectFit, image.clientHeight - image.naturalHeight])"
    )
    assert crops
    assert all(crop == ["none", 0] for crop in crops)  # 100 %, whatever the width


def test_paper_is_white_and_shows_all(page: Any) -> None:
    page.emulate_media(media="print")
    background, ink = page.evaluate(
        "(style => [style.backgroundColor, style.color])(getComputedStyle(document.body))"
    )
    assert (background, ink) == ("rgb(255, 255, 255)", "rgb(0, 0, 0)")
    heights = page.evaluate(
        "[document.querySelector('details table').getBoundingClientRect().height, "
        "document.querySelector('.scroll').scrollHeight - document.querySelector('.scroll').clientHeight]"
    )
    assert heights[0] > 300  # the settings, though nobody opened them
    assert heights[1] <= 0
