"""A page of the viewer as a test sees it: its pixels, its places, and what it complained of."""

from __future__ import annotations

import base64
import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[Any]

STAGE = """() => {
    const canvas = document.getElementById("picture");
    return canvas.toDataURL("image/png").split(",")[1];
}"""


class Screen:
    """One page, opened and drawn."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.address = page, address
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        self.asked: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._request)
        page.goto(address)
        self.picture: dict[str, Any] = page.request.get(f"{address}api/picture").json()
        self.settle()

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _request(self, request: Any) -> None:
        self.asked.append(request.url)
        if not request.url.startswith((self.address, "blob:", "data:")):
            self.strangers.append(request.url)

    def settle(self) -> None:
        """Wait until all that is seen is drawn."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 30)))")
        self.page.locator("#stage[aria-busy=false]").wait_for()

    def mapped(self) -> None:
        """Wait until the maps are made."""
        self.page.locator("#work").wait_for(state="hidden")
        self.settle()

    def press(self, *keys: str) -> None:
        """Press keys, one after another."""
        for key in keys:
            self.page.keyboard.press(key)
        self.settle()

    def canvas(self) -> Pixels:
        """(h, w, 3) uint8 RGB: the stage, in device pixels."""
        self.settle()
        coded = np.frombuffer(base64.b64decode(self.page.evaluate(STAGE)), np.uint8)
        decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        assert decoded is not None
        return np.asarray(decoded[..., ::-1])

    @property
    def ratio(self) -> float:
        """Device pixels for a CSS pixel."""
        return float(self.page.evaluate("() => devicePixelRatio"))

    @property
    def zoom(self) -> float:
        """Device pixels for a pixel of the picture, as the page tells it."""
        return float(self.page.locator("#zoom").inner_text().split()[0]) / 100

    def corner(self) -> tuple[int, int]:
        """(x, y) of the picture's corner on the canvas, while its middle is that of the stage."""
        width, height = self.page.evaluate("() => [picture.width, picture.height].map(Number)")
        wide, high = (self.picture[side] * self.zoom for side in ("width", "height"))
        return math.floor(width / 2 - wide / 2 + 0.5), math.floor(height / 2 - high / 2 + 0.5)

    def mouse(self, x: float, y: float) -> tuple[float, float]:
        """Where the mouse must be for a place of the picture, while its middle is that of the stage."""
        box = self.page.locator("#picture").bounding_box()
        left, top = self.corner()
        zoom, ratio = self.zoom, self.ratio
        return box["x"] + (left + x * zoom) / ratio, box["y"] + (top + y * zoom) / ratio

    def drag(self, *places: tuple[float, float]) -> None:
        """Press at the first place of the picture, lead through the others, and let go."""
        self.page.mouse.move(*self.mouse(*places[0]))
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*self.mouse(*place), steps=4)
        self.page.mouse.up()

    @property
    def said(self) -> str:
        """The last message."""
        return str(self.page.locator("#said").inner_text())


def part(
    canvas: Pixels, corner: tuple[int, int], size: tuple[int, int]
) -> tuple[Pixels, tuple[slice, slice]]:
    """What a canvas shows of a picture (height, width) at 100 %: its pixels, and which of the picture's."""
    (left, top), (high, wide) = corner, size
    rows = slice(max(0, -top), min(high, canvas.shape[0] - top))
    columns = slice(max(0, -left), min(wide, canvas.shape[1] - left))
    seen = canvas[rows.start + top : rows.stop + top, columns.start + left : columns.stop + left]
    return seen, (rows, columns)
