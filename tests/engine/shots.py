"""Frames for the engine: headers without files, pictures in memory, and a rendered scene with its truth."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.engine.feed import filled
from gpustack.model.frame import Frame, Kind, PixelType
from gpustack.model.stack import Stack
from gpustack.scenes import Rendered, Shoot, render

Pixels = npt.NDArray[Any]


def header(
    index: int = 0,
    width: int = 60,
    height: int = 40,
    channels: int = 3,
    pixel_type: PixelType = PixelType.UINT8,
    kind: Kind = Kind.JPEG,
) -> Frame:
    """A frame as its header would describe it; there is no file."""
    return Frame(Path(f"frame{index}.jpg"), width, height, channels, pixel_type, kind)


def headers(count: int, **traits: Any) -> Stack:
    """A stack of such frames."""
    return Stack(tuple(header(index, **traits) for index in range(count)))


def patchwork(count: int, height: int = 40, width: int = 60, channels: int = 3) -> list[Pixels]:
    """uint8 frames (h, w, c) of one picture, each sharp in its own columns and flat elsewhere."""
    sharp = np.random.default_rng(3).integers(30, 226, (height, width, channels)).astype(np.uint8)
    frames = [np.full_like(sharp, 128) for _ in range(count)]
    for frame, columns in zip(frames, np.array_split(np.arange(width), count), strict=True):
        frame[:, columns] = sharp[:, columns]
    return frames


class Shelf:
    """Pictures in memory, read like files; counts how often each is read."""

    def __init__(self, pictures: list[Pixels]) -> None:
        kind = PixelType(pictures[0].dtype.name)
        self.stack = Stack(
            tuple(
                header(index, wide, high, channels, kind, Kind.ARRAY)
                for index, (high, wide, channels) in enumerate(picture.shape for picture in pictures)
            )
        )
        self.reads: Counter[str] = Counter()
        self._pictures = {frame.name: picture for frame, picture in zip(self.stack, pictures, strict=True)}
        self._lock = Lock()

    def read(self, frame: Frame, out: Pixels | None = None) -> Pixels:
        """The picture of a frame."""
        with self._lock:
            self.reads[frame.name] += 1
        return filled(self._pictures[frame.name], out)


@cache
def macro(pixel_type: PixelType = PixelType.UINT8, **changes: Any) -> Rendered:
    """Six frames of the macro scene at 240x160, breathing, drifting, jittering, flickering and noisy."""
    traits: dict[str, Any] = {
        "frames": 6,
        "width": 240,
        "height": 160,
        "max_blur_px": 5.0,
        "breathing": 0.03,
        "drift_px": 3.0,
        "jitter_px": 0.5,
        "flicker": 0.01,
        "noise": 1.0,
        "pixel_type": pixel_type,
    }
    return render("macro", Shoot(**traits | changes))


@cache
def _frames_of(rendered: Rendered) -> tuple[Pixels, ...]:
    return tuple(rendered.frame(index) for index in range(len(rendered)))


def frames_of(rendered: Rendered) -> list[Pixels]:
    """Its frames; they are rendered once only."""
    return list(_frames_of(rendered))
