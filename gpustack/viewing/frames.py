"""The frames of a result as tiles: decoded when they are asked for, and moved onto the result's pixels by the
backend, tile by tile.

A tile of a coarse level is made of a frame that is decoded at a smaller size where its kind of file has one.
Decoded frames are held up to a number of bytes, the last used ones; nothing else grows with their number.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.cpu import Cpu
from gpustack.backend.protocol import Backend
from gpustack.backend.resample import SLACK
from gpustack.errors import GpustackError
from gpustack.model.rect import Rows
from gpustack.model.transform import Matrix, Transform, normalise
from gpustack.records.shown import Shown
from gpustack.settings import Interpolation, Settings
from gpustack.viewing.grid import Area
from gpustack.viewing.look import Look
from gpustack.viewing.readers import Readers, missing, open_readers, shrunk, to_reduced
from gpustack.viewing.store import Key, Store
from gpustack.viewing.work import give_way

Pixels = npt.NDArray[Any]

_AHEAD_LEVEL = 2
"""Levels from this on are decoded ahead: a frame then takes a sixteenth of its bytes, or less."""

_MARGIN = 4
"""Pixels around what a tile shows of a frame: what the widest kernel reads."""


class Frames:
    """The frames of a result, on its pixels; for any thread."""

    def __init__(self, shown: Shown, machine: Settings, limit: int) -> None:
        """`limit`: bytes of decoded frames that are held."""
        self._shown, self._machine = shown, machine
        self._store = Store(limit)
        self._backend: Backend[Any] = Cpu(1)  # tiles are the threads
        self._opening = threading.Lock()
        self._opened: Readers | GpustackError | None = None
        self._ahead = ThreadPoolExecutor(1, "ahead", give_way)
        self._awaited: set[Key] = set()

    def readers(self) -> Readers:
        """What reads them, opened when first asked for. Raises GpustackError where they cannot be."""
        with self._opening:
            if self._opened is None:
                try:
                    self._opened = open_readers(self._shown, self._machine)
                except GpustackError as error:
                    self._opened = error
        if isinstance(self._opened, GpustackError):
            raise self._opened
        return self._opened

    def problem(self, index: int) -> GpustackError | None:
        """What is wrong with a frame, as far as is known without opening it."""
        with self._opening:
            opened = self._opened
        if isinstance(opened, GpustackError):
            return opened
        return missing(self._shown, index) or (None if opened is None else opened.problems.get(index))

    def look(self, index: int, area: Area) -> Look:
        """An area of a frame. Raises GpustackError where the frame has gone, changed or is damaged."""
        pixels = self._store.get((index, area.level), lambda: self._decoded(index, area.level))
        self._look_ahead(index, area.level)
        readers = self.readers()
        frame, transform = readers.frames[index], self._shown.sidecar.places[index].transform
        to_frame = normalise(transform.matrix @ self._shown.to_stored @ area.to_full)
        place, part = _cropped(to_reduced(1 << area.level) @ to_frame, area, pixels)
        backend, kind = self._backend, frame.pixel_type
        finest = area.level == 0
        band = backend.load(
            backend.upload(part),
            Transform(place, transform.tone),
            kind,
            area.width,
            Rows(0, area.height),
            interpolation=self._shown.sidecar.settings.interpolation if finest else Interpolation.BICUBIC,
        )
        seen = readers.screen(backend.pack(band.image, kind, None))
        return Look(seen, _covered(to_frame, area, frame.size)).marked()

    def _decoded(self, index: int, level: int, *, keep_whole: bool = True) -> Pixels:
        """A frame at the size of a level, as stored; `keep_whole`: where it has to be decoded whole for that,
        keep that, too."""
        finer = self._store.finest(index, level)
        if finer is not None:
            return shrunk(finer[1], 1 << (level - finer[0]))
        readers = self.readers()
        problem = missing(self._shown, index) or readers.problems.get(index)
        if problem is not None:
            raise problem
        frame, by = readers.frames[index], 1 << level
        if frame.kind.reduction(by) > 1:
            return readers.reduced(frame, by)
        whole = readers.reduced(frame, 1)
        if level and keep_whole:
            self._store.keep((index, 0), whole)
        return shrunk(whole, by)

    def _look_ahead(self, index: int, level: int) -> None:
        """Decode the frames beside one for a coarse level, as they are what is leafed to next."""
        for beside in (index + 1, index - 1):
            key = beside, level
            there = 0 <= beside < len(self._shown.sidecar.inputs)
            if level < _AHEAD_LEVEL or not there or key in self._awaited or self._store.kept(key) is not None:
                continue
            self._awaited.add(key)
            self._ahead.submit(self._decode_ahead, key)

    def _decode_ahead(self, key: Key) -> None:
        try:
            self._store.get(key, lambda: self._decoded(*key, keep_whole=False))
        except (GpustackError, MemoryError):
            pass  # told when somebody looks at the frame
        finally:
            self._awaited.discard(key)

    def close(self) -> None:
        """Let go of backend and decoder."""
        self._ahead.shutdown(cancel_futures=True)
        self._backend.close()
        with self._opening:
            if isinstance(self._opened, Readers):
                self._opened.close()


def _cropped(place: Matrix, area: Area, pixels: Pixels) -> tuple[Matrix, Pixels]:
    """The part of a frame that an area shows, and where the area's pixels lie in it: only so much has to
    become floating point."""
    ends = np.array([[0, 0], [area.width - 1, 0], [0, area.height - 1], [area.width - 1, area.height - 1]])
    points = Transform(place).apply(ends)
    high, wide = pixels.shape[:2]
    left, top = (int(np.floor(low)) - _MARGIN for low in points.min(axis=0))
    right, bottom = (int(np.ceil(top)) + _MARGIN + 1 for top in points.max(axis=0))
    left, top = min(max(left, 0), wide - 1), min(max(top, 0), high - 1)
    right, bottom = max(min(right, wide), left + 1), max(min(bottom, high), top + 1)
    back = np.array([[1.0, 0, -left], [0, 1, -top], [0, 0, 1]])
    return back @ place, pixels[top:bottom, left:right]


def _covered(to_frame: Matrix, area: Area, size: tuple[int, int]) -> npt.NDArray[np.bool_] | None:
    """Where an area's pixels lie in a frame of `size` (width, height); None where all do. On coarse levels,
    whose last pixels reach beyond the picture, within a pixel of the level."""
    slack = SLACK if area.level == 0 else float(1 << area.level)
    x, y = np.arange(area.width, dtype=np.float64), np.arange(area.height, dtype=np.float64)[:, None]

    def inside(x: Pixels, y: Pixels) -> npt.NDArray[np.bool_]:
        across, down, depth = (row[0] * x + row[1] * y + row[2] for row in to_frame)
        across, down = across / depth, down / depth
        right, bottom = size[0] - 1 + slack, size[1] - 1 + slack
        return np.asarray((across >= -slack) & (across <= right) & (down >= -slack) & (down <= bottom))

    if inside(x[[0, -1]], y[[0, -1]]).all():
        return None
    found = inside(x, y)
    return None if found.all() else found
