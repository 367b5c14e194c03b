"""A rendered stack, `gpustack view` of its result in a process of its own, and pages of a real Chromium."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gpustack.io.metadata import Metadata
from gpustack.io.write import write_picture
from gpustack.model.frame import PixelType
from gpustack.scenes import Shoot, render
from tests.cli.calling import call, surroundings
from tests.patience import LONG_S
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
PATIENCE_MS = 60_000  # Machines that run tests are busy.


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


class Server:
    """`gpustack view sharp.tif`, and the links that it prints, each good once."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.first = process.stdout.readline().strip()

    def next_link(self) -> str:
        """The link that was printed when the one before was used; waits for it."""
        assert self.process.stderr is not None
        return next(line.split()[-1] for line in self.process.stderr if "for another browser" in line)


@pytest.fixture(scope="session")
def server(chromium: str, folder: Path) -> Iterator[Server]:
    """It runs until the tests end, and ends like Ctrl-C."""
    del chromium  # Without one nothing needs to be started.
    pytest.importorskip("starlette", reason="the extra web is not installed")
    with subprocess.Popen(
        [sys.executable, "-m", "gpustack", "view", "sharp.tif", "--compare", "average.tif", "--no-browser"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings(),
    ) as process:
        yield Server(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(LONG_S) == 0


@pytest.fixture(scope="session")
def cookie(server: Server) -> dict[str, str]:
    """What the first link was changed for, as Playwright takes it."""
    address = urlsplit(server.first)
    asked = HTTPConnection(address.netloc, timeout=PATIENCE_MS / 1000)
    asked.request("GET", f"/?{address.query}")
    name, value = asked.getresponse().headers["set-cookie"].split(";")[0].split("=", 1)
    asked.close()
    return {"name": name, "value": value, "url": f"http://{address.netloc}/"}


@pytest.fixture
def opened(browser: Any, cookie: dict[str, str]) -> Iterator[Callable[..., Screen]]:
    """open(width, height, **context options) -> Screen. In the end none may have complained, or have asked
    another host for anything."""
    screens: list[Screen] = []

    def open_page(width: int = 1280, height: int = 720, **options: Any) -> Screen:
        size = {"width": width, "height": height}
        context = browser.new_context(viewport=size, reduced_motion="reduce", **options)
        context.set_default_timeout(PATIENCE_MS)
        context.add_cookies([cookie])
        screens.append(Screen(context.new_page(), cookie["url"]))
        return screens[-1]

    yield open_page
    for screen in screens:
        screen.page.context.close()
    assert [text for screen in screens for text in screen.complaints] == []
    assert [url for screen in screens for url in screen.strangers] == []
