"""Whether aligned frames lie on each other: `python bench/corners.py --json FILE`.

The photographed stacks of the data folder (GPUSTACK_DATA), aligned with the defaults and cropped to what all
frames show; patches at the four corners and in the centre of each frame are compared with those of the next.
The displacement is the peak of their cross-correlation, of band-passed, windowed patches whose spectra are
half whitened, to a hundredth of a pixel; it knows nothing of how the alignment works. A patch counts where
both frames show the same fine texture (LEAST_ALIKE) and it has structure in every direction (LEAST_ACROSS).
`before_px` is the same without alignment.

Nothing tells here what the true motion is. What a blur that changes across a patch does to the measure is in
`rendered`: the same figure for rendered stacks, resampled by their true transforms.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import machine
import numpy as np
import numpy.typing as npt

import gpustack
from gpustack.scenes import Shoot, render
from gpustack.settings import BackendName, Model

ALIGNED = ("bottle_moving_people", "keyboard_aligned", "lytro_lf_009", "lytro_lf_046")
"""Stacks whose frames lay on each other before; the others are marked unaligned."""

NO_FRAMES = ("expected.jpg", "idxImage.png", "stairs11_depthmap.png")
PICTURES = (".jpg", ".png")
BAR_PX = 0.15
PATCH = 256
"""Side of a patch in pixels, at most; a quarter of the shorter side of a small picture."""

REACH_PX = 4.0
"""Displacements looked for."""

LEAST_ALIKE = 0.85
"""Least correlation of two patches, band-passed, one moved onto the other: noise and blur are no texture."""

LEAST_ACROSS = 0.1
"""Least energy of a patch's slopes in the direction that has least, as a share of that which has most: along
an edge nothing tells a displacement."""

PLACES = ("top left", "top right", "bottom left", "bottom right", "centre")
SETTINGS = gpustack.Settings(backend=BackendName.CPU)
STILL = gpustack.Settings(backend=BackendName.CPU, align=Model.NONE)

Plane = npt.NDArray[np.float32]


def main() -> None:
    """Measure every stack and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    options.add_argument("--only", default="", help="only stacks whose names begin so")
    options.add_argument("--crops", type=Path, help="folder for pictures of the worst places, to look at")
    given = options.parse_args()
    data = os.environ.get("GPUSTACK_DATA")
    if not data:
        raise SystemExit("corners: set GPUSTACK_DATA to the data folder.")
    folders = sorted(path for path in (Path(data) / "stacks").iterdir() if path.name.startswith(given.only))
    rows = [measured(folder, given.crops) for folder in folders]
    result = {
        "bar_px": BAR_PX,
        "rows": rows,
        "rendered": [known(scene) for scene in ("macro", "cards", "print")],
    }
    machine.write_result(machine.heading("corners of photographed stacks") | result, given.json)


def measured(folder: Path, crops: Path | None) -> dict[str, Any]:
    """One stack."""
    paths = [path for path in sorted(folder.iterdir(), key=_number) if path.suffix in PICTURES]
    paths = [path for path in paths if path.name not in NO_FRAMES]
    before = displacements(aligned(paths, STILL))
    lumas = aligned(paths, SETTINGS)
    found = displacements(lumas)
    row = {"stack": folder.name, "marked": "aligned" if folder.name in ALIGNED else "unaligned"}
    row |= {"frames": len(paths), "left_out": len(paths) - len(lumas)} | summary(found)
    row["before_px"] = summary(before)["median_px"]
    print(*row.values(), flush=True)
    if crops is not None and found:
        shown(lumas, max(found, key=lambda at: at[2]), crops / f"{folder.name}.png")
    return row


def _number(path: Path) -> tuple[int, str]:
    digits = "".join(letter for letter in path.stem if letter.isdigit())
    return int(digits or 0), path.name


def aligned(paths: Sequence[Path], settings: gpustack.Settings) -> list[Plane]:
    """Lumas 0..255 of the used frames as the engine aligns them, in order."""
    kept: dict[str, Plane] = {}

    def keep(frame: Any, pixels: Any) -> None:
        kept[frame.name] = luma(pixels)

    gpustack.locate(paths, settings, keep_aligned=keep)
    return [kept[path.name] for path in paths if path.name in kept]


def luma(pixels: Any) -> Plane:
    """Of a frame (h, w, c), as uint8 goes."""
    colours = pixels[..., :3].astype(np.float32) * np.float32(255 / np.iinfo(pixels.dtype).max)
    return np.asarray(
        colours @ np.float32([0.299, 0.587, 0.114]) if colours.shape[2] == 3 else colours[..., 0]
    )


def displacements(lumas: Sequence[Plane]) -> list[tuple[int, str, float]]:
    """(frame, place, pixels) of every patch that counts, of each frame and the next."""
    passed = [band_passed(plane) for plane in lumas]
    found = []
    for index, (first, second) in enumerate(pairwise(passed)):
        for name, cut in zip(PLACES, patches(first.shape), strict=True):
            here, there = first[cut], second[cut]
            move, alike = shift(here, there)
            if alike >= LEAST_ALIKE and min(across(here), across(there)) >= LEAST_ACROSS:
                found.append((index, name, move))
    return found


def patches(shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """In the order of PLACES, a sixteenth of the side away from the border."""
    height, width = shape
    side = min(PATCH, min(shape) // 4)
    rims = height // 16, width // 16
    tops, lefts = (rims[0], height - rims[0] - side), (rims[1], width - rims[1] - side)
    at = [(top, left) for top in tops for left in lefts] + [((height - side) // 2, (width - side) // 2)]
    return [(slice(top, top + side), slice(left, left + side)) for top, left in at]


def band_passed(plane: Plane) -> Plane:
    """Fine detail alone, which only frames that are sharp there share."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), 1.0) - cv2.GaussianBlur(plane, (0, 0), 3.0), np.float32)


def across(patch: Plane) -> float:
    """Energy of the slopes in the direction that has least over that in the one that has most, 0..1."""
    right, down = (cv2.Sobel(patch, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    slopes = np.stack([right.ravel(), down.ravel()])
    least, most = np.linalg.eigvalsh(slopes @ slopes.T)
    return float(least / max(most, 1e-12))


def shift(here: Plane, there: Plane) -> tuple[float, float]:
    """How far apart two patches are, in pixels, and how alike they are once one is moved there, -1..1."""
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in here.shape))
    first, second = (np.fft.fft2((part - part.mean()) * window) for part in (here, there))
    cross = second * np.conj(first)
    cross /= np.sqrt(np.maximum(np.abs(cross), 1e-9))
    x = y = 0.0
    for span, step in ((REACH_PX, 0.5), (0.5, 0.1), (0.1, 0.01)):
        y, x = _peak(cross, y, x, span, step)
    down, across = (np.fft.fftfreq(side) for side in here.shape)
    turned = first * np.exp(-2j * np.pi * (down[:, None] * y + across[None] * x))
    alike = float(
        (turned * np.conj(second)).real.sum()
        / np.sqrt((np.abs(first) ** 2).sum() * (np.abs(second) ** 2).sum() + 1e-12)
    )
    return float(np.hypot(x, y)), alike


def _peak(cross: npt.NDArray[Any], y: float, x: float, span: float, step: float) -> tuple[float, float]:
    """Where the correlation is largest, on a grid around a place, by a Fourier sum at just its points."""
    around = np.arange(-span, span + step / 2, step)
    down, across = (2j * np.pi * np.fft.fftfreq(side) for side in cross.shape)
    found = (np.exp(np.outer(y + around, down)) @ cross @ np.exp(np.outer(across, x + around))).real
    row, column = np.unravel_index(int(found.argmax()), found.shape)
    return float(y + around[row]), float(x + around[column])


def summary(found: Sequence[tuple[int, str, float]]) -> dict[str, Any]:
    """Median over all patches and by place, and the share that is beyond the bar."""
    moves = [move for _, _, move in found]
    by_place = {name: _median([move for _, at, move in found if at == name]) for name in PLACES}
    over = round(float(np.mean(np.array(moves) > BAR_PX)), 3) if moves else None
    return {"patches": len(moves), "median_px": _median(moves), "beyond_bar": over, "by_place": by_place}


def _median(moves: Sequence[float]) -> float | None:
    return round(float(np.median(moves)), 3) if moves else None


def known(scene: str) -> dict[str, Any]:
    """A rendered stack, by its true transforms and by those found."""
    shoot = Shoot(
        frames=12, width=1200, height=900, max_blur_px=8.0, breathing=0.03, drift_px=12.0, noise=1.0
    )
    made = render(scene, shoot)
    frames = [made.frame(index) for index in range(shoot.frames)]
    row: dict[str, Any] = {"scene": scene}
    for name, given in (("true transforms", made.transforms), ("found", None)):
        lumas: list[Plane] = []

        def keep(frame: Any, pixels: Any, lumas: list[Plane] = lumas) -> None:
            del frame
            lumas.append(luma(pixels))

        gpustack.stack(frames, SETTINGS, transforms=given, keep_aligned=keep)
        row[name] = summary(displacements(lumas))
    print(scene, row["true transforms"]["median_px"], row["found"]["median_px"], flush=True)
    return row


def shown(lumas: Sequence[Plane], worst: tuple[int, str, float], path: Path) -> None:
    """The patch that is off most, of both frames and their difference, twice as large."""
    index, name, _ = worst
    cut = dict(zip(PLACES, patches(lumas[index].shape), strict=True))[name]
    here, there = lumas[index][cut], lumas[index + 1][cut]
    row = np.hstack([here, there, 128 + 2 * (there - here)])
    path.parent.mkdir(parents=True, exist_ok=True)
    large = cv2.resize(np.clip(row, 0, 255).astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(path), large)


if __name__ == "__main__":
    main()
