"""The stacks that quality is measured on: which scenes, shot how; rendered once into the cache folder.

Every scene with two seeds, 8 bit, mild noise and a camera that holds still; and with the first seed once each
with little noise, with much noise, in 16 bit, and with a camera that breathes, drifts, shakes, turns and
flickers. Frames are TIFF files without loss, which every competitor reads and writes, in 8 and in 16 bit.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
from quality_photos import MAX_BLUR_PX, SIZE, cotton, folder, motorcycle

from gpustack.model.frame import PixelType
from gpustack.model.transform import Transform, corners
from gpustack.scenes import Rendered, Shoot, names, render

Plane = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

FULL = Shoot(frames=24, width=1600, height=1200, max_blur_px=12.0)
HALF = replace(FULL, width=FULL.width // 2, height=FULL.height // 2, max_blur_px=FULL.max_blur_px / 2)
SMALL = Shoot(frames=12, width=480, height=360, max_blur_px=6.0)
NONE, LITTLE, MILD, MUCH = 0.0, 0.3, 1.0, 3.0
"""Noise, as `Shoot.noise`: standard deviation at mid-gray in steps of 1/255; NONE: pictures as they are."""
SEEDS, HELD_OUT_SEEDS = (0, 1), (1001, 1002)
RIM_PX = 8
"""Pixels at the rim of what all frames of a moving camera cover that do not count."""


@dataclass(frozen=True)
class Case:
    """One stack: a scene, and how it was shot. `held_out` ones are never looked at while tuning."""

    scene: str
    seed: int
    camera: str = "still"
    noise: float = MILD
    bits: int = 8
    held_out: bool = False

    @property
    def exposure(self) -> tuple[str, int, str]:
        """What cases share whose frames differ in noise and bits only."""
        return self.scene, self.seed, self.camera

    @property
    def first(self) -> bool:
        """Whether this is the scene's plainest case, on which slow competitors are run, too."""
        return (
            self.camera == "still" and self.noise in (MILD, NONE) and self.bits == 8 and self.seed == SEEDS[0]
        )

    def shoot(self, size: Shoot) -> Shoot:
        """The camera's settings for a size."""
        if self.scene == "motorcycle":
            size = replace(size, width=SIZE[0], height=SIZE[1], max_blur_px=MAX_BLUR_PX)
        kind = PixelType.UINT8 if self.bits == 8 else PixelType.UINT16
        shot = replace(size, noise=self.noise, pixel_type=kind, seed=self.seed)
        return moving(shot) if self.camera == "moving" else shot


def moving(shoot: Shoot) -> Shoot:
    """A camera that breathes by 2.8 %, drifts by 0.75 % of the width, shakes, turns, and flickers by 3 %."""
    return replace(
        shoot,
        breathing=0.028,
        drift_px=0.0075 * shoot.width,
        jitter_px=0.0005 * shoot.width,
        rotation_deg=0.3,
        flicker=0.03,
    )


def design(held_out: bool) -> list[Case]:
    """All cases; held out are scenes of their own, and all other scenes with other seeds."""
    if not held_out:
        photos = [Case("cotton", 0, noise=NONE), Case("motorcycle", 0)] if folder() else []
        return [case for name in names() for case in _of_scene(name)] + photos
    from gpustack.scenes.heldout import heldout_names

    own = [replace(case, held_out=True) for name in heldout_names() for case in _of_scene(name)]
    return own + [Case(name, seed, held_out=True) for name in names() for seed in HELD_OUT_SEEDS]


def _of_scene(name: str) -> Iterator[Case]:
    first, *others = SEEDS
    yield from (Case(name, first, noise=noise) for noise in (MILD, LITTLE, MUCH))
    yield Case(name, first, bits=16)
    yield from (Case(name, seed) for seed in others)
    yield Case(name, first, "moving")


@dataclass(frozen=True)
class Ready:
    """A case on disk: frames in `folder`, the exposure's truth in `home`; `digest` is that of both."""

    case: Case
    home: Path
    digest: str

    @property
    def name(self) -> str:
        """The case's own part of the path."""
        return f"noise{self.case.noise:g}-{self.case.bits}bit"

    @property
    def folder(self) -> Path:
        """Where the frames lie, and nothing else."""
        return self.home / self.name / "frames"

    @property
    def frames(self) -> tuple[Path, ...]:
        """The frames in their order."""
        return tuple(sorted(self.folder.iterdir()))

    @property
    def results(self) -> Path:
        """Where pictures of competitors are kept."""
        return self.home / self.name / "results"

    def truth(self) -> Plane:
        """The sharp picture (h, w, 3) 0..1, coded."""
        return np.asarray(np.load(self.home / "truth.npy"), np.float32)

    def depth(self) -> Plane | None:
        """The depth (h, w) in frames, None where it is not known."""
        path = self.home / "depth.npy"
        return np.asarray(np.load(path), np.float32) if path.exists() else None

    def covered(self) -> Mask:
        """The pixels (h, w) that count: what all frames cover, less a rim where the camera moved."""
        return np.asarray(np.load(self.home / "covered.npy"), np.bool_)

    def best_pixel(self) -> Plane | None:
        """The upper mark for choosing: everywhere the frame's sample nearest to the truth; None if moving."""
        path = self.home / self.name / "best.npy"
        return np.load(path) if path.exists() else None


def prepared(case: Case, size: Shoot, root: Path) -> Ready:
    """The case on disk under `root`, rendered if it is not there yet.

    All cases of its exposure are rendered together, since the light is what takes long.
    """
    ready = _place(case, size, root)
    if not ready.folder.exists():
        siblings = [other for other in design(case.held_out) if other.exposure == case.exposure]
        together = [_place(other, size, root) for other in siblings]
        _render([each for each in together if not each.folder.exists()], size)
    return ready


def _place(case: Case, size: Shoot, root: Path) -> Ready:
    digest = _digest(case.scene, replace(case, noise=0.0, bits=8).shoot(size))
    home = root / f"{size.width}x{size.height}x{size.frames}" / "-".join(map(str, (*case.exposure, digest)))
    return Ready(case, home, digest)


@cache
def _digest(scene: str, shoot: Shoot) -> str:
    """Of the scene and the camera, by a small rendering: what a change of either would change."""
    if scene == "cotton":
        frames, sharp = cotton()
        return hashlib.sha256(sharp.tobytes() + b"".join(frame.tobytes() for frame in frames)).hexdigest()[
            :12
        ]
    small = (shoot.width, shoot.height) if scene == "motorcycle" else (160, 120)
    rendered = _rendered(scene, replace(shoot, frames=3, width=small[0], height=small[1]))
    found = hashlib.sha256()
    for plane in (rendered.truth * 255, rendered.depth * 8, rendered.frame(0), rendered.frame(2)):
        found.update(np.rint(plane).astype(np.uint8).tobytes())
    return found.hexdigest()[:12]


def _rendered(scene: str, shoot: Shoot) -> Rendered:
    return motorcycle(shoot) if scene == "motorcycle" else render(scene, shoot)


def _render(ready: Sequence[Ready], size: Shoot) -> None:
    """Write the frames of cases of one exposure, and what is known of it."""
    print(f"rendering {ready[0].home.name} ...", flush=True)
    ready[0].home.mkdir(parents=True, exist_ok=True)
    if ready[0].case.scene == "cotton":
        _copy_cotton(ready[0])
        return
    shoot = ready[0].case.shoot(size)
    rendered = _rendered(ready[0].case.scene, shoot)
    _save(ready[0].home / "truth.npy", rendered.truth)
    _save(ready[0].home / "depth.npy", rendered.depth)
    _save(ready[0].home / "covered.npy", covered(rendered.transforms, shoot))
    cameras = [replace(rendered, shoot=each.case.shoot(size)) for each in ready]
    parts = [_emptied(each.folder.with_name("part")) for each in ready]
    best = [np.full(rendered.truth.shape, np.inf, np.float32) for _ in ready]
    for index in range(size.frames):
        light = rendered.light(index)
        for camera, part, nearest in zip(cameras, parts, best, strict=True):
            frame = camera.developed(light, index)
            tifffile.imwrite(part / f"frame_{index:03d}.tif", frame, photometric="rgb", rowsperstrip=64)
            _approach(nearest, frame, rendered.truth)
    for each, part, nearest in zip(ready, parts, best, strict=True):
        if each.case.camera == "still":
            _save(part.with_name("best.npy"), nearest)
        part.rename(each.folder)


def _copy_cotton(ready: Ready) -> None:
    """Write the frames of the set as the rendered ones are written."""
    frames, sharp = cotton()
    part = _emptied(ready.folder.with_name("part"))
    nearest = np.full(sharp.shape, np.inf, np.float32)
    for index, frame in enumerate(frames):
        tifffile.imwrite(part / f"frame_{index:03d}.tif", frame, photometric="rgb", rowsperstrip=64)
        _approach(nearest, frame, sharp)
    _save(ready.home / "truth.npy", sharp)
    _save(ready.home / "covered.npy", np.ones(sharp.shape[:2], np.bool_))
    _save(part.with_name("best.npy"), nearest)
    part.rename(ready.folder)


def _approach(nearest: Plane, frame: npt.NDArray[Any], truth: Plane) -> None:
    """Take the samples of a frame that are nearer to the truth than those before."""
    values = frame * np.float32(1 / np.iinfo(frame.dtype).max)
    np.copyto(nearest, values, where=np.abs(values - truth) < np.abs(nearest - truth))


def covered(transforms: Sequence[Transform], size: Shoot) -> Mask:
    """The pixels (h, w) of the reference that every frame covers, less RIM_PX; all where none moves."""
    whole = np.ones((size.height, size.width), np.uint8)
    for transform in transforms:
        seen = np.zeros_like(whole)
        outline = np.rint(transform.inverse().apply(corners(size.width, size.height))).astype(np.int32)
        cv2.fillConvexPoly(seen, outline, 1)
        whole &= seen
    if whole.all():
        return whole.astype(np.bool_)
    padded = cv2.copyMakeBorder(whole, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return np.asarray(cv2.erode(padded, np.ones((2 * RIM_PX + 1,) * 2, np.uint8))[1:-1, 1:-1] > 0)


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _save(path: Path, values: npt.NDArray[Any]) -> None:
    """Whole or not at all."""
    part = path.with_suffix(".part.npy")
    np.save(part, values)
    part.replace(path)
