"""A rendered stack, `gpustack view` of its result in a process of its own, and pages of a real Chromium."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gpustack.io.metadata import Metadata
from gpustack.io.write import write_picture
from gpustack.model.frame import PixelType
from gpustack.scenes import Shoot, render
from tests.cli.calling import call, surroundings
from tests.viewing.page.screen import Screen

SHOOT = Shoot(
    frames=6,
    width=900,
    height=600,
    max_blur_px=7.0,
    breathing=0.02,
    drift_px=4.0,
    flicker=0.02,
    noise=0.5,
    pixel_type=PixelType.UINT16,
)
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
END_SECONDS = 20
PATIENCE_MS = 60_000  # Machines that run tests are busy.


def _chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("there is no Chromium")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, driven by Playwright."""
    driver = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = _chromium()
    with driver.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `frames/`, and two results of them in 16 bits: `sharp.tif` and `average.tif`."""
    folder = tmp_path_factory.mktemp("stack")
    (folder / "frames").mkdir()
    scene = render("macro", SHOOT)
    paths = [folder / "frames" / f"frame{index:02}.tif" for index in range(SHOOT.frames)]
    for index, path in enumerate(paths):
        write_picture(path, scene.frame(index), Metadata(), overwrite=False, software="")
    for name, method in (("sharp", "pyramid"), ("average", "average")):
        ran = call("stack", folder / "frames", "-o", folder / f"{name}.tif", "--method", method, "--quiet")
        assert ran.exit_code == 0, ran.stderr
    return folder


@pytest.fixture(scope="session")
def link(browser: Any, folder: Path) -> Iterator[str]:
    """The link that `gpustack view sharp.tif` prints; it ends like Ctrl-C, with exit code 0 or 130."""
    del browser  # Without one nothing needs to be started.
    pytest.importorskip("starlette", reason="the extra web is not installed")
    with subprocess.Popen(
        [sys.executable, "-m", "gpustack", "view", "sharp.tif", "--compare", "average.tif", "--no-browser"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=surroundings(),
    ) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.send_signal(signal.SIGINT)
        assert server.wait(END_SECONDS) in (0, 130)


@pytest.fixture(scope="session")
def cookies(browser: Any, link: str) -> list[Any]:
    """What the link gave the first browser that opened it."""
    context = browser.new_context()
    context.new_page().goto(link)
    found: list[Any] = context.cookies()
    context.close()
    return found


@pytest.fixture
def opened(browser: Any, link: str, cookies: list[Any]) -> Iterator[Callable[..., Screen]]:
    """open(width, height, **context options) -> Screen. In the end none may have complained, or have asked
    another host for anything."""
    screens: list[Screen] = []

    def open_page(width: int = 1280, height: int = 720, **options: Any) -> Screen:
        size = {"width": width, "height": height}
        context = browser.new_context(viewport=size, reduced_motion="reduce", **options)
        context.set_default_timeout(PATIENCE_MS)
        context.add_cookies(cookies)
        screens.append(Screen(context.new_page(), link.split("?")[0]))
        return screens[-1]

    yield open_page
    for screen in screens:
        screen.page.context.close()
    assert [text for screen in screens for text in screen.complaints] == []
    assert [url for screen in screens for url in screen.strangers] == []
