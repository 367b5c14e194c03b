"""The frames of the benches: a scene with truth, rendered once into a cache folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import platformdirs
from measure import BenchError

from gpustack.io.decode import probe

Picture = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]

HEIGHT, WIDTH = 3000, 4000
JPEG_QUALITY = 93
# Blur of the picture at these standard deviations, in pixels; a frame blends the two nearest ones.
SIGMAS = (0.0, 0.8, 1.6, 3.2, 6.4, 12.8)
# Blur of one end of the depth range with the focus at the other, in pixels; with 24 frames a step is 0.7 px.
SWEEP_SIGMA = 16.0
NOISE_SIGMA = 2.0
BAND = 250
# Counts up with every change of the recipe, so that frames of an older one are never used again.
RECIPE = 3


@dataclass(frozen=True)
class FrameSet:
    """One set of frames: files in order, alone in `folder`; the sharp picture where known; to be aligned?

    `out`: what the picture is called; `readers`: the beginnings of the names of those that read such files.
    """

    name: str
    folder: Path
    truth: Path | None
    align: bool
    out: str = "out.jpg"
    readers: tuple[str, ...] = ("",)

    @property
    def frames(self) -> tuple[Path, ...]:
        """The frame files in their order."""
        return tuple(sorted(self.folder.iterdir()))

    def describe(self) -> dict[str, object]:
        """Count, size in pixels, bytes and task, for the result file."""
        (frame, *_) = probe(self.frames[0])
        return {
            "set": self.name,
            "frames": len(self.frames),
            "width": frame.width,
            "height": frame.height,
            "kind": f"{frame.kind.value}, {frame.pixel_type.value}",
            "bytes": sum(frame.stat().st_size for frame in self.frames),
            "task": "align and fuse" if self.align else "fuse",
        }


def default_cache() -> Path:
    """The user's cache folder for rendered frames and the peers' environments."""
    return platformdirs.user_cache_path("gpustack-bench")


def rendered(cache: Path, name: str, count: int) -> FrameSet:
    """`count` rendered frames of 12 megapixels sweeping the same depth range, with truth."""
    home = cache / "sets" / f"{name}-r{RECIPE}-{count}"
    if not home.exists():
        part = home.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        (part / "frames").mkdir(parents=True)
        _render_into(part, count)
        part.rename(home)
    return FrameSet(name, home / "frames", home / "truth.png", align=False)


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width of a picture; raises BenchError where `path` is not one."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    if picture is None:
        raise BenchError(
            f"{path.parent.name} wrote no picture {path.name}: see its log under runs/ in the cache folder."
        )
    return picture.shape[0], picture.shape[1]


def psnr(path: Path, truth: Path) -> float:
    """Peak signal-to-noise ratio in dB of two 8-bit pictures of one size, over all channels."""
    ours, theirs = (cv2.imread(str(each), cv2.IMREAD_COLOR) for each in (path, truth))
    if ours is None or theirs is None:
        raise BenchError(f"{path.name} cannot be compared with {truth.name}: one of the two is no picture.")
    return float(cv2.PSNR(ours, theirs))


def _render_into(home: Path, count: int) -> None:
    rng = np.random.default_rng(20)
    sharp = _texture(rng)
    cv2.imwrite(str(home / "truth.png"), sharp, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    blurred = [_blurred(sharp, sigma) for sigma in SIGMAS]
    depth = _depth()
    for index in range(count):
        frame = _frame(blurred, depth, index / max(count - 1, 1), rng)
        path = home / "frames" / f"frame_{index:03d}.jpg"
        cv2.imwrite(str(path), frame, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def _texture(rng: np.random.Generator) -> Picture:
    """(HEIGHT, WIDTH, 3) of detail at every scale, as photographs have it, with edges and weak tints."""
    light = np.zeros((HEIGHT, WIDTH, 1), np.float32)
    for octave in range(8):
        light += 22 * 0.8**octave * _noise(rng, 2 ** (8 - octave), 1)
    light += 20 * np.sign(_noise(rng, 24, 1))
    tints = 12 * _noise(rng, 160, 3)
    # An edge one pixel wide is what a lens and a Bayer sensor leave of a hard one.
    soft = cv2.GaussianBlur(128 + light + tints, (0, 0), 0.5)
    sharp: Picture = np.clip(soft, 0, 255).astype(np.uint8)
    return sharp


def _blurred(sharp: Picture, sigma: float) -> Picture:
    return np.asarray(cv2.GaussianBlur(sharp, (0, 0), sigma), np.uint8) if sigma else sharp


def _noise(rng: np.random.Generator, period: int, channels: int) -> Plane:
    """Smooth noise of unit variance at its nodes, `period` pixels apart; (HEIGHT, WIDTH, channels)."""
    nodes = (HEIGHT // period + 3, WIDTH // period + 3, channels)
    coarse = rng.standard_normal(nodes, dtype=np.float32)
    fine = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.asarray(fine, np.float32).reshape(HEIGHT, WIDTH, channels)


def _depth() -> Plane:
    """(HEIGHT, WIDTH) in 0..1: a plane that recedes upwards and a little sideways, with gentle waves."""
    y, x = np.mgrid[0 : 1 : HEIGHT * 1j, 0 : 1 : WIDTH * 1j].astype(np.float32)
    waves = 0.05 * np.sin(9 * x + 3 * y) * np.cos(7 * y)
    return np.asarray(np.clip(0.05 + 0.75 * y + 0.15 * x + waves, 0, 1), np.float32)


def _frame(blurred: list[Picture], depth: Plane, focus: float, rng: np.random.Generator) -> Picture:
    """The picture focused at `focus` (0..1): blurred by distance from it, with sensor noise."""
    level = np.interp(SWEEP_SIGMA * np.abs(depth - focus), SIGMAS, np.arange(len(SIGMAS))).astype(np.float32)
    noise = NOISE_SIGMA * rng.standard_normal((BAND, WIDTH, 3), dtype=np.float32)
    frame = np.empty_like(blurred[0])
    for rows in _bands():
        # The same noise in every band, but turned sideways: cheaper than drawing 36 million numbers a frame.
        band = np.roll(noise, int(rng.integers(WIDTH)), axis=1)[: rows.stop - rows.start]
        frame[rows] = np.clip(np.rint(_blend(blurred, level, rows) + band), 0, 255)
    return frame


def _blend(blurred: list[Picture], level: Plane, rows: slice) -> Plane:
    """The rows of the picture, each pixel between the two blurs that its fractional `level` lies between."""
    band = np.zeros(blurred[0][rows].shape, np.float32)
    for index, picture in enumerate(blurred):
        weight = np.maximum(0, 1 - np.abs(level[rows] - index))
        if weight.any():
            band += weight[..., None] * picture[rows]
    return band


def _bands() -> Iterator[slice]:
    for top in range(0, HEIGHT, BAND):
        yield slice(top, min(top + BAND, HEIGHT))
