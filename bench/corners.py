"""Whether aligned frames lie on each other: `python bench/corners.py --json FILE`.

The photographed stacks of the data folder (GPUSTACK_DATA), aligned with the defaults and cropped to what all
frames show; patches at the four corners and in the centre of each frame are compared with those of the next.
The displacement is the peak of their cross-correlation, of band-passed, windowed patches of light whose
spectra are half whitened, to a hundredth of a pixel (displaced.py); it knows nothing of how the alignment
works. A patch
counts where both frames show the same fine texture with structure in every direction. `before_px` is the same
without alignment.

What a similarity cannot take out, such as parallax, or blur that is not even about its centre, stays: `grid`
compares patches all over the picture, in up to eight pairs a stack, and sets the median of theirs beside what
is left of the same displacements by the similarity, and by the homography, that fit them best, pair by pair.
`sharp` is the same of patches that are as sharp in one frame as in the other, which is where both are used:
where the blur differs, and is not even about its centre, a place looks moved although it is not. The best
motions are then fitted to these patches alone, in pairs that have enough of them, and `fitted_px` is ours in
just those pairs. Such a motion follows the errors of the displacements that it is judged by. `unseen` is
fair: each patch is judged by the motion that fits best those patches of its pair that do not overlap with
it; beside it stands what ours leaves of the same patches. `auto` is what `--align auto` chose, and gives;
`models` is what others leave of these patches, in stacks that are beyond the bar there. `loops`: how far
links are from the way by the frame halfway, in the survey's own terms. What a blur that changes across a
patch does to the measure is in `rendered`: rendered stacks, resampled by their true transforms.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import displaced
import machine
import numpy as np
from displaced import Cut, Patch, Plane

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

GRID = (7, 9)
GRID_PAIRS = 8
AS_SHARP = 0.9
"""A patch is as sharp in both frames where the contrast of its fine detail differs by a tenth or less."""

LEAST_OF_A_GRID = 12
"""Patches that a pair must have for a motion to be fitted to them."""

PLACES = ("top left", "top right", "bottom left", "bottom right", "centre")
SETTINGS = gpustack.Settings(backend=BackendName.CPU)
CHOSEN = gpustack.Settings(backend=BackendName.CPU, align=Model.AUTO)
STILL = gpustack.Settings(backend=BackendName.CPU, align=Model.NONE)


def main() -> None:
    """Measure every stack; the file is written anew after each."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    options.add_argument(
        "--only",
        nargs="*",
        default=[""],
        help="stacks, by their beginning; the file keeps the rows of others",
    )
    options.add_argument(
        "--grid",
        action="store_true",
        help="measure the grid and the loops alone; FILE keeps the rest of a row",
    )
    options.add_argument("--crops", type=Path, help="folder for pictures of the worst places, to look at")
    given = options.parse_args()
    data = os.environ.get("GPUSTACK_DATA")
    if not data:
        raise SystemExit("corners: set GPUSTACK_DATA to the data folder.")
    head, only = machine.heading("corners of photographed stacks"), tuple(given.only)
    before = json.loads(given.json.read_text()) if only != ("",) or given.grid else {"rows": []}
    folders = sorted(path for path in (Path(data) / "stacks").iterdir() if path.name.startswith(only))
    rows = before["rows"]
    checks = before.get("rendered") or [known(scene) for scene in ("macro", "cards", "print")]
    for folder in folders:
        old = next((row for row in rows if row["stack"] == folder.name and given.grid), None)
        found = measured(folder, given.crops) if old is None else old | grid_and_loops(folder)
        found |= {"commit": head["commit"]}
        rows = sorted([found, *(row for row in rows if row["stack"] != folder.name)], key=_stack_of)
        result = {"bar_px": BAR_PX, "rows": rows, "rendered": checks}
        machine.write_result(head | result, given.json, quiet=True)


def _stack_of(row: dict[str, Any]) -> str:
    return str(row["stack"])


def measured(folder: Path, crops: Path | None) -> dict[str, Any]:
    """One stack."""
    paths = photographs(folder)
    before = [at.px for pair in at_places(aligned(paths, STILL)[0]) for at in pair.values()]
    planes, places = aligned(paths, SETTINGS)
    pairs = at_places(planes)
    row: dict[str, Any] = {
        "stack": folder.name,
        "marked": "aligned" if folder.name in ALIGNED else "unaligned",
    }
    row |= {"frames": len(paths), "left_out": len(paths) - len(planes)} | summary(pairs)
    row |= {"before_px": _median(before), "grid": over_grid(planes), "loops": loops(places)}
    row["at_rest"] = not any(place.transform.moves for place in places)
    row["auto"] = by_choice(paths)
    sharp = row["grid"]["sharp"]["found_px"]
    row["models"] = by_model(paths) if sharp is not None and sharp > BAR_PX else None
    print(*row.values(), flush=True)
    if crops is not None:
        shown(planes, pairs, crops / f"{folder.name}.png")
    return row


def grid_and_loops(folder: Path) -> dict[str, Any]:
    """Of a row, what the default alignment leaves over the grid, and its loops."""
    planes, places = aligned(photographs(folder), SETTINGS)
    row = {"grid": over_grid(planes), "loops": loops(places)}
    print(folder.name, *row.values(), flush=True)
    return row


def photographs(folder: Path) -> list[Path]:
    """The frames of a stack, in order."""
    paths = [path for path in sorted(folder.iterdir(), key=_number) if path.suffix in PICTURES]
    return [path for path in paths if path.name not in NO_FRAMES]


def _number(path: Path) -> tuple[int, str]:
    digits = "".join(letter for letter in path.stem if letter.isdigit())
    return int(digits or 0), path.name


def loops(places: Sequence[gpustack.Place]) -> dict[str, Any]:
    """By how much loops of links do not close."""
    found = [link.loop_px for place in places for link in place.links if link.loop_px is not None]
    most = round(max(found), 3) if found else None
    return {"count": len(found), "median_px": _median(found), "most_px": most}


def by_choice(paths: Sequence[Path]) -> dict[str, Any] | None:
    """What is left over the grid where the model is chosen; None where that is the similarity, or none."""
    planes, places = aligned(paths, CHOSEN)
    linear = [place.transform.matrix for place in places if place.used]
    leaning = any(abs(at[2, :2]).max() > 0 for at in linear)
    sheared = any(max(abs(at[0, 0] - at[1, 1]), abs(at[0, 1] + at[1, 0])) > 1e-9 for at in linear)
    if not leaning and not sheared:
        return None
    found = {
        "model": "homography" if leaning else "affine",
        "median_px": summary(at_places(planes))["median_px"],
    }
    grid = over_grid(planes)
    return found | {"grid_px": grid["found_px"], "sharp_px": grid["sharp"]["found_px"]}


def by_model(paths: Sequence[Path]) -> dict[str, dict[str, float | None]]:
    """What other models leave of patches that are as sharp in both frames: of all, and of those in full
    pairs."""
    found = {}
    for model in (Model.NONE, Model.AFFINE, Model.HOMOGRAPHY):
        planes, _ = aligned(paths, gpustack.Settings(backend=BackendName.CPU, align=model))
        sharp = over_grid(planes)["sharp"]
        found[model.value] = {name: sharp[name] for name in ("patches", "found_px", "fitted_px")}
    return found


def aligned(
    paths: Sequence[Path], settings: gpustack.Settings
) -> tuple[list[Plane], tuple[gpustack.Place, ...]]:
    """Lumas 0..255 of the used frames as the engine aligns them, in order, and where all frames lie."""
    kept: dict[str, Plane] = {}

    def keep(frame: Any, pixels: Any) -> None:
        kept[frame.name] = luma(pixels)

    places = gpustack.locate(paths, settings, keep_aligned=keep)
    return [kept[path.name] for path in paths if path.name in kept], places


def luma(pixels: Any) -> Plane:
    """Of a frame (h, w, 3 or 4), as uint8 goes."""
    colours = pixels[..., :3].astype(np.float32) * np.float32(255 / np.iinfo(pixels.dtype).max)
    return np.asarray(colours @ np.array([0.299, 0.587, 0.114], np.float32))


def at_places(planes: Sequence[Plane]) -> list[dict[str, Patch]]:
    """For each frame and the next, the patches that count, by the name of their place."""
    found = []
    for here, there in pairwise([displaced.band_passed(plane) for plane in planes]):
        patches = zip(PLACES, displaced.compared(here, there, cuts(here.shape)), strict=True)
        found.append({name: patch for name, patch in patches if patch is not None})
    return found


def cuts(shape: tuple[int, ...]) -> list[Cut]:
    """In the order of PLACES, a sixteenth of the side away from the border."""
    height, width = shape
    side = _side(shape)
    rims = height // 16, width // 16
    tops, lefts = (rims[0], height - rims[0] - side), (rims[1], width - rims[1] - side)
    at = [(top, left) for top in tops for left in lefts] + [((height - side) // 2, (width - side) // 2)]
    return [(slice(top, top + side), slice(left, left + side)) for top, left in at]


def over_grid(planes: Sequence[Plane]) -> dict[str, Any]:
    """Medians over patches all over the picture: as they are, and what the best motion of a pair leaves."""
    pairs = list(pairwise([displaced.band_passed(plane) for plane in planes]))
    compared = [
        [at for at in displaced.compared(here, there, grid(here.shape)) if at is not None]
        for here, there in pairs[:: max(1, len(pairs) // GRID_PAIRS)]
    ]
    enough = [patches for patches in compared if len(patches) >= LEAST_OF_A_GRID]
    sharp = [[patch for patch in patches if patch.sharpness >= AS_SHARP] for patches in compared]
    fitted = [patches for patches in sharp if len(patches) >= LEAST_OF_A_GRID]
    side = _side(planes[0].shape)
    among: dict[str, Any] = {"patches": sum(map(len, sharp)), "found_px": _median_of(sharp)}
    among |= {"fitted": sum(map(len, fitted)), "fitted_px": _median_of(fitted)}
    row: dict[str, Any] = {"patches": sum(map(len, enough)), "found_px": _median_of(enough)}
    row |= _best(enough) | {"unseen": _unseen(enough, side)}
    return row | {"sharp": among | _best(fitted) | {"unseen": _unseen(fitted, side)}}


def _median_of(pairs: Sequence[Sequence[Patch]]) -> float | None:
    return _median([patch.px for patches in pairs for patch in patches])


def _best(pairs: Sequence[list[Patch]]) -> dict[str, float | None]:
    """What the best motion of each pair leaves, by model."""
    return {
        f"best_{model}_px": _median([px for patches in pairs for px in displaced.left_by(patches, model)])
        for model in displaced.MODELS
    }


def _unseen(pairs: Sequence[list[Patch]], side: int) -> dict[str, Any]:
    """What motions leave that were fitted to other places, and what ours leaves of the same patches."""
    left = {
        model: [displaced.unseen_by(patches, model, side) for patches in pairs] for model in displaced.MODELS
    }
    told = [
        patch.px
        for patches, each in zip(pairs, left["similarity"], strict=True)
        for patch, px in zip(patches, each, strict=True)
        if px is not None
    ]
    medians = {
        f"{model}_px": _median([px for each in found for px in each if px is not None])
        for model, found in left.items()
    }
    return {"patches": len(told), "found_px": _median(told)} | medians


def _side(shape: tuple[int, ...]) -> int:
    """Side of the patches of a picture."""
    return min(PATCH, min(shape) // 4)


def grid(shape: tuple[int, ...]) -> list[Cut]:
    """Patches all over a picture, by rows."""
    side = _side(shape)
    tops, lefts = (
        np.linspace(0, length - side, count).astype(int) for length, count in zip(shape, GRID, strict=True)
    )
    return [(slice(int(y), int(y) + side), slice(int(x), int(x) + side)) for y in tops for x in lefts]


def summary(pairs: Sequence[dict[str, Patch]]) -> dict[str, Any]:
    """Median over all patches and by place, and the share that is beyond the bar."""
    moves = [patch.px for pair in pairs for patch in pair.values()]
    by_place = {name: _median([pair[name].px for pair in pairs if name in pair]) for name in PLACES}
    over = round(float(np.mean(np.array(moves) > BAR_PX)), 3) if moves else None
    sharp = [patch.px for pair in pairs for patch in pair.values() if patch.sharpness >= AS_SHARP]
    row = {"patches": len(moves), "median_px": _median(moves), "beyond_bar": over, "by_place": by_place}
    return row | {"sharp_patches": len(sharp), "sharp_px": _median(sharp)}


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
        planes: list[Plane] = []

        def keep(frame: Any, pixels: Any, planes: list[Plane] = planes) -> None:
            del frame
            planes.append(luma(pixels))

        gpustack.stack(frames, SETTINGS, transforms=given, keep_aligned=keep)
        row[name] = summary(at_places(planes))
    print(scene, row["true transforms"]["median_px"], row["found"]["median_px"], flush=True)
    return row


def shown(planes: Sequence[Plane], pairs: Sequence[dict[str, Patch]], path: Path) -> None:
    """The patch that is off most, of both frames and their difference, twice as large."""
    found = [(patch.px, index, name) for index, pair in enumerate(pairs) for name, patch in pair.items()]
    if not found:
        return
    _, index, name = max(found)
    cut = cuts(planes[index].shape)[PLACES.index(name)]
    here, there = planes[index][cut], planes[index + 1][cut]
    row = np.hstack([here, there, 128 + 2 * (there - here)])
    path.parent.mkdir(parents=True, exist_ok=True)
    large = cv2.resize(np.clip(row, 0, 255).astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(path), large)


if __name__ == "__main__":
    main()
