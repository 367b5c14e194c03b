"""Results to paint on, made once for a test module: a rendered scene, its frames as files, its stack."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from gpustack import api
from gpustack.model.frame import Frame, PixelType
from gpustack.records.shown import Shown, open_shown
from gpustack.retouch.edits import EditList, Reference, edits_of, write_edits
from gpustack.retouch.strokes import Brush, FrameSource, Polygon, Stroke
from gpustack.scenes import Rendered, Shoot, render
from gpustack.settings import Settings
from tests.cli.calling import call

Pixels = npt.NDArray[Any]

SHOOT = Shoot(
    frames=4,
    width=360,
    height=240,
    noise=1.0,
    flicker=0.02,
    breathing=0.015,
    jitter_px=1.5,
    rotation_deg=0.3,
    pixel_type=PixelType.UINT16,
    seed=5,
)
STACK = ("--crop", "none", "--threads", 1, "--quiet")


@cache
def scene() -> Rendered:
    """The scene that all of them show."""
    return render("macro", SHOOT)


@cache
def frame(index: int) -> Pixels:
    """One of its frames."""
    return scene().frame(index)


def write_frames(folder: Path, orientation: int = 1, kind: PixelType = PixelType.UINT16) -> list[Path]:
    """Its frames as TIFF files; the camera was turned as `orientation` says."""
    folder.mkdir()
    paths = [folder / f"f{index}.tif" for index in range(len(scene()))]
    tag = (274, "H", 1, orientation, True)
    for index, path in enumerate(paths):
        pixels = converted(frame(index), kind)
        tifffile.imwrite(path, pixels, photometric="rgb", extratags=[tag])
    return paths


def converted(pixels: Pixels, kind: PixelType) -> Pixels:
    """16-bit pixels in another type."""
    if kind is PixelType.UINT16:
        return pixels
    if kind is PixelType.UINT8:
        return np.asarray(np.rint(pixels / 257), np.uint8)
    return (pixels / np.float32(65535)).astype(np.float32)


def stacked(folder: Path, *options: object, name: str = "sharp.tif") -> Path:
    """The result of the frames in `folder / "frames"`."""
    done = call("stack", folder / "frames", "-o", folder / name, *STACK, *options)
    assert done.exit_code == 0, done.stderr
    return folder / name


@dataclass(frozen=True)
class Bench:
    """A folder with a result and its frames, all of them one's own."""

    path: Path

    @property
    def shown(self) -> Shown:
        return open_shown(self.path)

    @property
    def edits(self) -> Path:
        return edits_of(self.path)

    def pixels(self) -> Pixels:
        return tifffile.imread(self.path)

    def put(self, pixels: Pixels) -> None:
        """Other pixels in the result's file."""
        tifffile.imwrite(self.path, pixels, photometric="rgb")

    def draw(self, *strokes: Stroke) -> Path:
        """An edit list of these strokes."""
        own, (width, height) = self.shown.reference, self.shown.turn.size
        edits = EditList(self.path.name, Reference(own.file, own.page, width, height), strokes)
        write_edits(self.edits, edits, overwrite=True)
        return self.edits

    def aligned(self, settings: Settings | None = None) -> list[Pixels]:
        """The frames as `--save-steps` has them, as stored."""
        found: dict[str, Pixels] = {}

        def keep(frame: Frame, pixels: Pixels) -> None:
            found[frame.name] = pixels.copy()

        recorded = self.shown.sidecar
        settings = settings or replace(recorded.settings, ram_bytes=None)
        paths = [self.path.parent / one.file for one in recorded.inputs]
        api.stack(paths, settings, transforms=recorded.places, keep_aligned=keep)
        return [found[Path(one.file).name] for one in recorded.inputs]


def copied(bench: Path, folder: Path) -> Bench:
    """A bench like one that was made before."""
    shutil.copytree(bench.parent, folder, dirs_exist_ok=True)
    return Bench(folder / bench.name)


def brush(*points: tuple[float, float], frame: int = 2, **traits: Any) -> Brush:
    """A brush stroke of a frame."""
    usual: dict[str, Any] = {"radius": 20.0, "hardness": 0.5, "opacity": 1.0, "match": True}
    return Brush(points, source=FrameSource(f"f{frame}.tif"), **(usual | traits))


def polygon(*points: tuple[float, float], frame: int = 2, **traits: Any) -> Polygon:
    """A polygon of a frame."""
    usual: dict[str, Any] = {"feather": 8.0, "opacity": 1.0, "match": True}
    return Polygon(points, source=FrameSource(f"f{frame}.tif"), **(usual | traits))
