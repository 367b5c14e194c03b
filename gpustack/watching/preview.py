"""The preview: a small picture of the frames so far, current after each of them.

It is provisional. Frames are laid on the first one, by their links to frames before them and not as the whole
stack says, and fused at the size of the survey; neither brightness beyond a gain, nor ghosts, nor veils are
looked at. `average` is previewed as it is, every other method by `pyramid`, whose state can be finished as
often as one likes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.backend.values import Band
from gpustack.engine.feed import Source
from gpustack.engine.path import Recipe, first_pass
from gpustack.engine.price import BAND_PLANES, survey_factor
from gpustack.finishing import Finishing
from gpustack.fuse.fold import Footprint, PictureFold
from gpustack.io.write import write_picture
from gpustack.model.canvas import Canvas
from gpustack.model.frame import Frame, Kind, PixelType
from gpustack.model.rect import Rows, cut
from gpustack.model.stack import Stack
from gpustack.model.transform import Transform
from gpustack.settings import FOCUS_SIGMA_PX, Method, Settings
from gpustack.version import SOFTWARE

Pixels = npt.NDArray[Any]

BAND_ROWS = 64
"""Fewer than a run's: what threads take for their bands is then within what the plan has for them."""

QUALITY = 90
"""Of the preview: it is looked at for what is sharp, not kept."""


class Preview:
    """A picture beside the output, replaced in one step with every frame."""

    def __init__(
        self, path: Path, backend: Backend[Any], source: Source, first: Frame, settings: Settings
    ) -> None:
        """`source` reads small pictures with their colours; the `first` frame gives geometry and metadata."""
        self._path, self._backend, self._source, self._first = path, backend, source, first
        self._factor = survey_factor(Stack((first,)))
        self._settings = replace(settings, linear=False)
        self._canvas = canvas_of(first, self._factor)
        self._fold: PictureFold[Any] | None = None
        self._state: Any = None
        self._count = 0

    def read(self, frame: Frame) -> Pixels:
        """A frame as small as it is previewed, (h, w, c); in any thread. Raises DecodeError."""
        by = frame.kind.reduction(self._factor)
        shrink = self._source.shrink
        pixels = self._source.read(frame, None) if shrink is None else shrink(frame, by)
        times = self._factor // by
        size = pixels.shape[1] // times, pixels.shape[0] // times
        if times > 1:
            whole = np.ascontiguousarray(pixels[: size[1] * times, : size[0] * times])
            pixels = cv2.resize(whole, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)
        return np.ascontiguousarray(pixels)

    def add(self, small: Pixels, place: Transform) -> None:
        """Fold the next frame in; `place` leads from the first one's small pixels to its own."""
        backend, canvas = self._backend, self._canvas
        pixels = backend.upload(small)
        if self._fold is None:
            self._fold = _fold(self._settings, backend.noise_level(pixels, canvas.pixel_type))
            self._state = self._fold.start(backend, canvas)

        def view(rows: Rows) -> Band[Any]:
            return backend.load(pixels, place, canvas.pixel_type, canvas.width, rows)

        self._fold.add(backend, self._state, self._count, view)
        self._count += 1

    def write(self, *, overwrite: bool) -> None:
        """The picture of the frames so far. Raises WriteError."""
        assert self._fold is not None
        picture = self._fold.finish(self._backend, self._state)
        finishing = Finishing(self._first, self._settings)
        image, metadata = finishing.upright(picture), finishing.metadata
        if image.dtype == np.float32:
            image = np.rint(np.clip(image, 0, 1) * 65535).astype(np.uint16)
        write_picture(self._path, image, metadata, overwrite=overwrite, software=SOFTWARE, quality=QUALITY)


def canvas_of(first: Frame, factor: int) -> Canvas:
    """All of the first frame, so many times smaller."""
    width, height = first.width // factor, first.height // factor
    linear = first.kind is Kind.RAW or first.pixel_type is PixelType.FLOAT32
    bands = cut(height, BAND_ROWS)
    return Canvas(0, 0, width, height, first.channels, first.pixel_type, bands, covered=False, linear=linear)


def preview_bytes(first: Frame, settings: Settings) -> tuple[int, int]:
    """What the preview takes in host memory beside a run, and on a device where one works: its state, small
    pictures here and there, and a band."""
    canvas = canvas_of(first, survey_factor(Stack((first,))))
    held: Footprint = _fold(settings, 0.0).footprint(canvas.channels, canvas.pixel_type.itemsize)
    small = canvas.channels * canvas.pixel_type.itemsize
    band = min(2 * BAND_ROWS, canvas.height) * canvas.width * 4 * BAND_PLANES[Method.PYRAMID]
    host = canvas.pixels * (held.total + 4 * small) + band
    return int(host), int(canvas.pixels * (held.near + held.afar + small) + band)


def _fold(settings: Settings, noise: float) -> PictureFold[Any]:
    method = Method.AVERAGE if settings.method is Method.AVERAGE else Method.PYRAMID
    recipe = Recipe(method, noise, False, FOCUS_SIGMA_PX, settings.smoothing, settings.prefer)
    fold: Any = first_pass(recipe)[1][0]
    return fold  # type: ignore[no-any-return]
