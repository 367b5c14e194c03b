"""Rendered stacks that move in known ways: each rendered once into the cache folder, as TIFF files.

The rows of `alignment_cases.py` and `alignment_peers.py`. A case is hard where a quantity is at the end of
the range that the alignment is made for, and common otherwise; which it is was set before anything was
measured.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from gpustack.model.frame import PixelType
from gpustack.model.transform import Transform
from gpustack.scenes import Shoot, render

RECIPE = 1
"""Counts up with every change of the recipe, so that frames of an older one are never used again."""

USUAL = Shoot(
    frames=16,
    width=1200,
    height=900,
    max_blur_px=8.0,
    breathing=0.03,
    drift_px=12.0,
    jitter_px=0.6,
    rotation_deg=0.3,
    flicker=0.02,
    noise=1.0,
)
STILL: dict[str, Any] = {
    "breathing": 0.0,
    "drift_px": 0.0,
    "jitter_px": 0.0,
    "rotation_deg": 0.0,
    "flicker": 0.0,
}
AT_ONCE: dict[str, Any] = {
    "breathing": 0.16,
    "drift_px": 60.0,
    "rotation_deg": 3.0,
    "flicker": 0.1,
    "noise": 4.0,
    "max_blur_px": 20.0,
}

COMMON: dict[str, dict[str, Any]] = {
    "usual": {},
    "16 bit": {"pixel_type": PixelType.UINT16},
    "still": STILL,
    "noise 0": {"noise": 0.0},
    "noise 4": {"noise": 4.0},
    "blur 4 px": {"max_blur_px": 4.0},
    "blur 12 px": {"max_blur_px": 12.0},
    "breathing 8 %": {"breathing": 0.08},
    "shift 2.5 %": {"drift_px": 30.0},
    "rotation 1 degree": {"rotation_deg": 1.0},
    "flicker 5 %": {"flicker": 0.05},
    "16 bit, noise 4, flicker 5 %": {"pixel_type": PixelType.UINT16, "noise": 4.0, "flicker": 0.05},
}
HARD: dict[str, dict[str, Any]] = {
    "noise 10": {"noise": 10.0},
    "blur 20 px": {"max_blur_px": 20.0},
    "breathing 16 %": {"breathing": 0.16},
    "breathing -16 %": {"breathing": -0.16},
    "shift 5 %": {"drift_px": 60.0},
    "handheld: each frame by 1 %": {"jitter_px": 12.0},
    "rotation 3 degrees": {"rotation_deg": 3.0},
    "flicker 10 %": {"flicker": 0.1},
    "all at once": AT_ONCE,
    "all at once, 16 bit": AT_ONCE | {"pixel_type": PixelType.UINT16},
}
SCENES = ("macro", "hairs", "cards", "dome", "print", "crystal")
SCENES_A_CASE = 3


@dataclass(frozen=True)
class Moving:
    """One stack: the case that it belongs to, its scene, and how it was shot (the seed is there)."""

    case: str
    hard: bool
    scene: str
    shoot: Shoot

    def home(self, cache: Path) -> Path:
        """The folder of its frames, whether or not they are there."""
        kept = "".join(letter if letter.isalnum() else "-" for letter in self.case)
        return cache / "sets" / f"moving-r{RECIPE}" / f"{kept}-{self.scene}-{self.shoot.seed}"

    def frames(self, cache: Path) -> list[Path]:
        """Its frame files in order, alone in their folder."""
        return sorted(self.home(cache).glob("*.tif"))

    def transforms(self) -> tuple[Transform, ...]:
        """The true ones, reference to frame."""
        return self.shoot.transforms()


def stacks() -> list[Moving]:
    """Every stack of every case: the usual one with all scenes, the others with three that take turns."""
    return [stack for number in range(len(COMMON | HARD)) for stack in _of_case(number)]


def one_a_case() -> list[Moving]:
    """The usual stack with all scenes, of every other case one, with scenes that take turns."""
    of_cases = [list(_of_case(number)) for number in range(len(COMMON | HARD))]
    return of_cases[0] + [of[number // 2 % len(of)] for number, of in enumerate(of_cases) if number]


def _of_case(number: int) -> Iterator[Moving]:
    name, changes = list((COMMON | HARD).items())[number]
    count = len(SCENES) if name == "usual" else SCENES_A_CASE
    for place in range(count):
        scene = SCENES[(number * SCENES_A_CASE + place) % len(SCENES)]
        # Seeds differ from case to case and from scene to scene: other textures, other ways.
        shoot = replace(USUAL, **changes, seed=100 * number + place + 1)
        yield Moving(name, name in HARD, scene, shoot)


def rendered(wanted: Sequence[Moving], cache: Path, workers: int = 2) -> None:
    """Render the stacks that are not in the cache folder yet."""
    missing = [stack for stack in wanted if not stack.home(cache).exists()]
    if not missing:
        return
    with ProcessPoolExecutor(workers) as pool:
        for done, name in enumerate(pool.map(partial(_render, cache=cache), missing), 1):
            print(f"rendered {done} of {len(missing)}: {name}", flush=True)


def _render(stack: Moving, cache: Path) -> str:
    home = stack.home(cache)
    part = home.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    scene = render(stack.scene, stack.shoot)
    for index in range(len(scene)):
        tifffile.imwrite(part / f"frame_{index:03d}.tif", scene.frame(index), photometric="rgb")
    part.rename(home)
    return home.name


def corner_errors(errors: Sequence[Any]) -> tuple[float, float]:
    """Root mean square over frames and corners, and that of the worst frame; (corners, 2) a frame, pixels."""
    squares = [float((error**2).sum(axis=1).mean()) for error in errors]
    return float(np.sqrt(np.mean(squares))), float(np.sqrt(max(squares)))
