"""How photographs lie that other programs aligned: `python bench/corners_peers.py --json FILE`.

The photographed stacks of the data folder that are not aligned yet, and the measure of corners.py: patches
all over the picture, of each of up to eight frames and the next, are correlated. Every program aligns with
its defaults; ours also with `--align auto`, and `none` is the frames as shot. OpenFocus and FocusWeave are
asked for their matrices, as in alignment_peers.py; what they, and ours, found is laid over the first frame by
one and the same resampling, so that patches lie at the same places. align_image_stack writes frames, over the
first, too.

`places` are those where any program brought the two frames near enough to be compared, of frames that it
moved; one that a program did not counts as beyond reach, and not as nothing. `px` is the median over the
places (null where that is beyond reach), `reached` how many of them a program has. `sharp` is the same of
places that are about as sharp in one frame as in the other, which are those that a picture is made of.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import displaced
import machine
import numpy as np
import peers
from alignment_peers import matrices, remapped, versions
from corners import ALIGNED, AS_SHARP, GRID_PAIRS, grid, luma, photographs
from displaced import Cut, Patch, Plane
from frames import default_cache
from measure import BenchError

import gpustack
from gpustack.backend.resample import resample
from gpustack.model.rect import Rows
from gpustack.model.transform import Transform
from gpustack.settings import BackendName, Interpolation, Model

NOTHING_SHARP = ("algae_20MP",)
"""Stacks of which no patch is sharp in two frames."""

AS_SHOT = "none"
PNG = b"\x89PNG"
WHITE = 255.0

Aligned = Callable[[int], Plane]
"""The luma 0..255 of an aligned frame, by its index; not a number where the frame does not cover it."""

Found = list[list[Patch | None]]
"""Of each pair of frames, one for each place."""


def main() -> None:
    """Measure every program on every stack and write the table; the file is written anew after each."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    options.add_argument("--cache", type=Path, default=default_cache(), help="folder of peers")
    options.add_argument(
        "--only",
        nargs="*",
        default=[""],
        help="stacks, by their beginning; the file keeps the rows of others",
    )
    given = options.parse_args()
    data = os.environ.get("GPUSTACK_DATA")
    if not data:
        raise SystemExit("corners_peers: set GPUSTACK_DATA to the data folder.")
    left_out, only = (*ALIGNED, *NOTHING_SHARP), tuple(given.only)
    stacks = sorted(path for path in (Path(data) / "stacks").iterdir() if path.name not in left_out)
    rows = json.loads(given.json.read_text())["rows"] if only != ("",) and given.json.exists() else []
    head = machine.heading("corners of peers") | {"competitors": versions(given.cache)}
    for folder in (path for path in stacks if path.name.startswith(only)):
        rows = [row for row in rows if row["stack"] != folder.name]
        rows.append(measured(folder, given.cache) | {"commit": head["commit"]})
        rows.sort(key=lambda row: row["stack"])
        machine.write_result(head | {"rows": rows}, given.json, quiet=True)


def measured(folder: Path, cache: Path) -> dict[str, Any]:
    """One stack."""
    with tempfile.TemporaryDirectory() as scratch:
        frames = alone(photographs(folder), Path(scratch) / "frames")
        runs = programs(cache)
        found = {name: tried(run, frames, Path(scratch) / name) for name, run in runs.items()}
    moved = [pairs for name, pairs in found.items() if name != AS_SHOT and isinstance(pairs, list)]
    places, sharp = places_of(moved)
    row: dict[str, Any] = {"stack": folder.name, "frames": len(frames)}
    row |= {"places": len(places), "sharp_places": len(sharp)}
    for name, pairs in found.items():
        row[name] = (
            {"failed": pairs}
            if isinstance(pairs, str)
            else medians(pairs, places) | {"sharp": medians(pairs, sharp)}
        )
        print(f"{folder.name:<18} {name:<18} {row[name]}", flush=True)
    return row


def alone(paths: Sequence[Path], folder: Path) -> list[Path]:
    """The same files in a folder of their own, in the order of their names, which tell what they are."""
    folder.mkdir()
    copies = []
    for index, path in enumerate(paths):
        held = path.read_bytes()
        copies.append(folder / f"{index:04d}{'.png' if held.startswith(PNG) else '.jpg'}")
        copies[-1].write_bytes(held)
    return copies


def programs(cache: Path) -> dict[str, Callable[[list[Path], Path], Aligned]]:
    """What aligns the frames of a folder, with a folder to work in."""
    asked = {"openfocus ecc": (peers.OPENFOCUS, "ecc"), "focusweave": (peers.FOCUSWEAVE, "focusweave")}
    return {
        AS_SHOT: as_shot,
        "gpustack": functools.partial(ours, Model.SIMILARITY),
        "gpustack auto": functools.partial(ours, Model.AUTO),
        **{
            name: functools.partial(theirs, venv.program(cache, "python"), peer)
            for name, (venv, peer) in asked.items()
        },
        "align_image_stack": hugin,
    }


def tried(run: Callable[[list[Path], Path], Aligned], frames: list[Path], scratch: Path) -> Found | str:
    """The patches of each pair, or why there are none."""
    scratch.mkdir()
    try:
        return patches(run(frames, scratch), len(frames))
    except BenchError as error:
        return str(error).splitlines()[0]
    finally:
        shutil.rmtree(scratch)


def as_shot(frames: list[Path], scratch: Path) -> Aligned:
    """Where they are."""
    del scratch
    return laid([Transform.identity()] * len(frames), frames)


def ours(model: Model, frames: list[Path], scratch: Path) -> Aligned:
    """By the transforms that the package gives."""
    del scratch
    settings = gpustack.Settings(backend=BackendName.CPU, align=model)
    places = gpustack.locate(frames, settings)
    if not all(place.used for place in places):
        raise BenchError("a frame was left out")
    first = places[0].transform.inverse().matrix
    return laid([Transform(place.transform.matrix @ first) for place in places], frames)


def theirs(python: str, peer: str, frames: list[Path], scratch: Path) -> Aligned:
    """By the matrices of a peer."""
    found = matrices(python, peer, frames[0].parent, scratch)
    return laid([Transform(np.linalg.inv(matrix) @ found[0]) for matrix in found], frames)


def laid(transforms: Sequence[Transform], frames: Sequence[Path]) -> Aligned:
    """Frames over the first one, by transforms that map its pixels to theirs."""

    def aligned(index: int) -> Plane:
        picture = read(frames[index])
        height, width = picture.shape[:2]
        band = resample(picture, transforms[index], WHITE, width, Rows(0, height), Interpolation.LANCZOS)
        plane = luma(np.rint(np.clip(np.moveaxis(band.image, 0, -1), 0, 1) * WHITE).astype(np.uint8))
        return covered(plane, band.valid)

    return aligned


def hugin(frames: list[Path], scratch: Path) -> Aligned:
    """By the frames that align_image_stack writes."""
    pictures = remapped(frames, scratch)
    if any(picture is None for picture in pictures):
        raise BenchError("it left a frame out")
    shape = read(frames[0]).shape[:2]
    if any(picture.shape[:2] != shape for picture in pictures):
        raise BenchError("its frames are of another size")
    return lambda index: covered(
        luma(pictures[index]), pictures[index][..., 3] if pictures[index].shape[2] > 3 else None
    )


def read(path: Path) -> Any:
    """A frame (h, w, 3), colours in the order that they have in files; uint8."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise BenchError(f"{path.name} cannot be read")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def covered(plane: Plane, valid: Any) -> Plane:
    """The plane, not a number where it is not valid; a filter spreads that as far as it looks."""
    if valid is not None:
        plane[np.asarray(valid) == 0] = np.nan
    return plane


def patches(aligned: Aligned, count: int) -> Found:
    """Of pairs all over the stack."""
    pairs = list(pairwise(range(count)))
    return [compared(aligned, *pair) for pair in pairs[:: max(1, len(pairs) // GRID_PAIRS)]]


def compared(aligned: Aligned, first: int, second: int) -> list[Patch | None]:
    """Of a pair, all over the picture: none where one of the two frames does not cover a patch."""
    here, there = (displaced.band_passed(aligned(index)) for index in (first, second))
    known = np.isfinite(here) & np.isfinite(there)

    def told(cut: Cut) -> Patch | None:
        return displaced.compared(here, there, [cut])[0] if known[cut].all() else None

    return [told(cut) for cut in grid(here.shape)]


def medians(pairs: Found, places: Sequence[int]) -> dict[str, Any]:
    """How far apart the places are, and how many of them a program has."""
    all_of_them = [np.inf if patch is None else patch.px for pair in pairs for patch in pair]
    moves = [all_of_them[at] for at in places]
    middle = float(np.median(moves)) if moves else np.inf
    px = round(middle, 3) if np.isfinite(middle) else None
    return {"reached": int(np.isfinite(moves).sum()), "px": px}


def places_of(found: Sequence[Found]) -> tuple[list[int], list[int]]:
    """The places that any program has, by their number in its pairs; and which of them are sharp."""
    at_each = zip(*([patch for pair in pairs for patch in pair] for pairs in found), strict=True)
    told = [[patch.sharpness for patch in at if patch is not None] for at in at_each]
    every = [at for at, sharpness in enumerate(told) if sharpness]
    return every, [at for at in every if np.median(told[at]) >= AS_SHARP]


if __name__ == "__main__":
    main()
