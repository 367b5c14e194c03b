"""A focus sweep of any size, made in a fraction of a second a frame: frames in memory, and files of them.

A plane that recedes upwards, with detail at every scale, photographed by a camera that drifts and breathes
by known similarities. `frames.py` renders more truly and more slowly; here sizes, codecs and motions matter.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
from measure import BenchError

Picture = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]

SIGMAS = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Blurs of the scene, in pixels; a frame blends two of them in every strip of rows."""

STRIP = 16
NOISE_ROWS = 256
NOISE_SIGMA = 2.0
BREATHING = 4e-4
"""Growth of the picture from one frame to the next."""

DRIFT_PX = (1.7, -1.1)
"""Motion from one frame to the next, in pixels of a frame 8000 pixels wide."""

JPEG_QUALITY = 92


class Sweep:
    """`count` frames (height, width, 3) uint8, sharp from top to bottom in turn."""

    def __init__(self, size: tuple[int, int], count: int) -> None:
        self.height, self.width = size
        self.count = count
        self._rng = np.random.default_rng(11)

    def motion(self, index: int) -> Matrix:
        """Position in the middle frame to position in frame `index`, pixel centres at whole numbers."""
        away = index - (self.count - 1) // 2
        scale, pixel = 1 + BREATHING * away, away * self.width / 8000
        across, down = DRIFT_PX[0] * pixel, DRIFT_PX[1] * pixel
        x, y = (self.width - 1) / 2, (self.height - 1) / 2
        return np.array([[scale, 0, x - scale * x + across], [0, scale, y - scale * y + down], [0, 0, 1.0]])

    def truth(self) -> Picture:
        """What the middle frame would be, were it sharp everywhere and without noise."""
        return self._blurred[0]

    def frame(self, index: int) -> Picture:
        """One frame."""
        still = self._focused(index / max(1, self.count - 1))
        size = (self.width, self.height)
        moved = cv2.warpAffine(
            still, self.motion(index)[:2], size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        )
        return self._noisy(moved, index)

    def frame16(self, index: int) -> npt.NDArray[np.uint16]:
        """The same in 16 bits, with noise below the eight upper ones, as a sensor's."""
        wide = self.frame(index).astype(np.uint16) << 8
        for top in range(0, self.height, NOISE_ROWS):
            rows = wide[top : top + NOISE_ROWS]
            rows |= np.roll(self._grain, 17 * index + top, axis=1)[: len(rows)]
        return wide

    @cached_property
    def _blurred(self) -> list[Picture]:
        sharp = self._texture()
        return [np.asarray(cv2.GaussianBlur(sharp, (0, 0), s), np.uint8) if s else sharp for s in SIGMAS]

    @cached_property
    def _noise(self) -> npt.NDArray[np.int16]:
        drawn = self._rng.standard_normal((NOISE_ROWS, self.width, 3), dtype=np.float32)
        return np.rint(NOISE_SIGMA * drawn).astype(np.int16)

    @cached_property
    def _grain(self) -> npt.NDArray[np.uint16]:
        return self._rng.integers(0, 256, (NOISE_ROWS, self.width, 3), dtype=np.uint16)

    def prepare(self) -> None:
        """Make what all frames share, before several threads ask for it."""
        _ = self._blurred, self._noise, self._grain

    def _texture(self) -> Picture:
        """Detail in every octave, edges and weak tints, as photographs have them."""
        size = (self.height, self.width)
        light = np.full(size, 128, np.float32)
        for octave in range(7):
            light += 22 * 0.8**octave * self._cloud(2 ** (7 - octave), size)
        light += 20 * np.sign(self._cloud(24, size))
        tints = [light + 12 * self._cloud(160, size) for _ in range(3)]
        return np.asarray(cv2.convertScaleAbs(cv2.max(cv2.merge(tints), 0)), np.uint8)

    def _cloud(self, period: int, size: tuple[int, int]) -> npt.NDArray[np.float32]:
        """Smooth noise whose nodes are `period` pixels apart."""
        nodes = self._rng.standard_normal([side // period + 3 for side in size], dtype=np.float32)
        return np.asarray(cv2.resize(nodes, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)

    def _focused(self, focus: float) -> Picture:
        """The scene with the rows around `focus` (0 top to 1 bottom) sharp."""
        out = np.empty((self.height, self.width, 3), np.uint8)
        for top in range(0, self.height, STRIP):
            rows = slice(top, top + STRIP)
            level = min(len(SIGMAS) - 1.001, (len(SIGMAS) - 1) * 2 * abs(top / self.height - focus))
            lower, share = int(level), level % 1
            pair = self._blurred[lower][rows], self._blurred[lower + 1][rows]
            cv2.addWeighted(pair[0], 1 - share, pair[1], share, 0, dst=out[rows])
        return out

    def _noisy(self, picture: Picture, index: int) -> Picture:
        for top in range(0, self.height, NOISE_ROWS):
            rows = picture[top : top + NOISE_ROWS]
            noise = np.roll(self._noise, 13 * index + top, axis=1)[: len(rows)]
            cv2.add(rows, noise, dst=rows, dtype=cv2.CV_8U)
        return picture


def write_files(sweep: Sweep, kind: str, folder: Path, step: int = 1) -> list[Path]:
    """Every `step`-th frame as a file: `jpeg` (quality 92, 4:2:0), `tiff` (16 bits) or `deflate` (such,
    packed)."""
    sweep.prepare()
    folder.mkdir(parents=True, exist_ok=True)
    writer = WRITERS[kind]
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(lambda index: writer(sweep, index, folder), range(0, sweep.count, step)))


def _jpeg(sweep: Sweep, index: int, folder: Path) -> Path:
    path = folder / f"{index:03d}.jpg"
    # OpenCV's blue comes first; that red and blue change places does no harm.
    if not cv2.imwrite(str(path), sweep.frame(index), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
        raise BenchError(f"{path} cannot be written: is the disk full?")
    return path


def _tiff(sweep: Sweep, index: int, folder: Path) -> Path:
    path = folder / f"{index:03d}.tif"
    tifffile.imwrite(path, sweep.frame16(index), photometric="rgb", rowsperstrip=64)
    return path


def _deflate(sweep: Sweep, index: int, folder: Path) -> Path:
    path = folder / f"{index:03d}-deflate.tif"
    packed = {"compression": "zlib", "compressionargs": {"level": 4}, "predictor": True}
    tifffile.imwrite(path, sweep.frame16(index), photometric="rgb", rowsperstrip=64, maxworkers=1, **packed)
    return path


WRITERS: dict[str, Callable[[Sweep, int, Path], Path]] = {"jpeg": _jpeg, "tiff": _tiff, "deflate": _deflate}


def to_and_fro(count: int, distinct: int) -> list[int]:
    """Which of `distinct` frames each of `count` is: 0 1 2 3 2 1 0 ..., so that neighbours are neighbours."""
    period = max(1, 2 * (distinct - 1))
    return [min(index % period, period - index % period) for index in range(count)]


def repeated(files: Sequence[Path], count: int, folder: Path) -> list[Path]:
    """`count` names in `folder` for the files, to and fro, as links that take no room."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number, index in enumerate(to_and_fro(count, len(files))):
        link = folder / f"frame_{number:04d}{files[index].suffix}"
        link.unlink(missing_ok=True)
        os.link(files[index], link)
        made.append(link)
    return made
