"""Do loops of links close where nothing but the camera moves? `python bench/flat_copies.py --json FILE`.

A loop, from a frame to the second next and back by the one between, is open by what its links err, or by
what no motion of the whole picture follows: near and far things that shift against each other, or blur that
is not even about its centre. To tell these apart, every photographed stack of the data folder (GPUSTACK_DATA)
is shot again without depth: its fused picture is a flat print, moved as the frames of the stack were found to
be, with as many frames. The focus sweeps across it from left to right, as over a slanted page, up to BLUR of
the width out of focus, in light; then come noise and 8 bits. The same picture, the same motions, the same
matching: but one plane. Loops of both, and how far the copies are from where they were put: at their corners,
and where they have detail, which in some lies in the middle alone.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import corners
import cv2
import machine
import moving
import numpy as np
import numpy.typing as npt

import gpustack
from gpustack.backend.matching import light_of
from gpustack.model.transform import Matrix, Transform, normalise
from gpustack.model.transform import corners as corners_of
from gpustack.scenes.camera import encode
from gpustack.scenes.lens import disk
from gpustack.settings import BackendName, Crop, Deghost, Method

Picture = npt.NDArray[np.float32]

BAR_PX = 0.05
BLUR = 1 / 150
"""Radius of the blur disk, as a share of the width, one whole sweep of the focus away: 8 pixels of 1200, as
in the usual case of moving.py."""

LONGEST = 1536
"""Longer side of a print: pictures up to there are aligned as large as they are (decision 32)."""

RADIUS_STEP_PX = 0.5
DETAIL_EVERY = 97
NOISE = 1 / 255
MARGIN_PX = 8
"""Beyond the way of the frames: what Lanczos and the blur read at the rim of the print."""

SETTINGS = gpustack.Settings(
    backend=BackendName.CPU, crop=Crop.NONE, method=Method.PYRAMID, deghost=Deghost.OFF
)


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
    given = options.parse_args()
    data = os.environ.get("GPUSTACK_DATA")
    if not data:
        raise SystemExit("flat_copies: set GPUSTACK_DATA to the data folder.")
    only = tuple(given.only)
    rows = json.loads(given.json.read_text())["rows"] if only != ("",) and given.json.exists() else []
    head = machine.heading("loops of flat copies")
    for folder in sorted(path for path in (Path(data) / "stacks").iterdir() if path.name.startswith(only)):
        paths = corners.photographs(folder)
        if len(paths) < 3:
            continue
        found = {"stack": folder.name, "frames": len(paths)} | measured(paths)
        print(*found.values(), flush=True)
        rows = [row for row in rows if row["stack"] != folder.name]
        rows = sorted([*rows, found], key=lambda row: row["stack"])
        within = all(row["flat"]["median_px"] is None or row["flat"]["median_px"] <= BAR_PX for row in rows)
        result = {"bar_px": BAR_PX, "within_bar": within, "rows": rows}
        machine.write_result(head | result, given.json, quiet=True)


def measured(paths: Sequence[Path]) -> dict[str, Any]:
    """One stack and its flat copy."""
    fused = gpustack.stack(paths, SETTINGS)
    flat = printed(fused.image, [place.transform.matrix for place in fused.places if place.used])
    places, truth, points = (
        gpustack.locate(list(flat.frames()), SETTINGS),
        flat.truth(),
        corners_of(*flat.size),
    )
    away = [place.transform.apply(points) - at.apply(points) for place, at in zip(places, truth, strict=True)]
    rms, worst = moving.corner_errors(away)
    held = flat.detail()
    inside = [place.transform.apply(held) - at.apply(held) for place, at in zip(places, truth, strict=True)]
    return {
        "photographs": corners.loops(fused.places),
        "flat_size": flat.size,
        "flat": corners.loops(places),
        "flat_corner_rms_px": round(rms, 3),
        "flat_corner_max_px": round(worst, 3),
        "flat_detail_rms_px": round(moving.corner_errors(inside)[0], 3),
    }


@dataclass(frozen=True)
class Print:
    """A picture (h, w, 3) in light, and the motions of frames that show it, from its pixels to theirs."""

    light: Picture
    moves: tuple[Matrix, ...]

    @property
    def margin(self) -> int:
        """Pixels from the rim that no frame sees beyond, if it lacks as many on every side."""
        points = corners_of(self.light.shape[1], self.light.shape[0])
        ways = [Transform(move).inverse().apply(points) - points for move in self.moves]
        return int(np.ceil(np.abs(ways).max())) + MARGIN_PX

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the frames."""
        return self.light.shape[1] - 2 * self.margin, self.light.shape[0] - 2 * self.margin

    def detail(self) -> Any:
        """(n, 2): where the frame that does not move has the strongest tenth of its slopes, x and y."""
        luma = cv2.GaussianBlur(self.light.mean(axis=2), (0, 0), 1.0)
        inner = luma[self.margin : -self.margin, self.margin : -self.margin]
        slopes = np.hypot(*(cv2.Sobel(inner, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1))))
        return np.argwhere(slopes >= np.quantile(slopes, 0.9))[::DETAIL_EVERY, ::-1].astype(np.float64)

    def truth(self) -> list[Transform]:
        """Where the frames lie, against one that does not move."""
        back, into = shifted(-self.margin), shifted(self.margin)
        return [Transform(normalise(back @ move @ into)) for move in self.moves]

    def frames(self) -> Iterator[Any]:
        """Frames (h, w, 3) uint8, each with another part of the print in focus."""
        blurred, noise, into = blurs(self.light), np.random.default_rng(0), shifted(self.margin)
        for number, move in enumerate(self.moves):
            seen = focused(blurred, number / (len(self.moves) - 1))
            back = np.linalg.inv(move) @ into
            how = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
            frame = cv2.warpPerspective(seen, back, self.size, flags=how)
            coded = encode(np.clip(frame, 0, 1)) + noise.normal(0, NOISE, frame.shape)
            yield np.rint(np.clip(coded, 0, 1) * 255).astype(np.uint8)


def printed(image: Any, moves: Sequence[Matrix]) -> Print:
    """A picture (h, w, 3 or 4) of integers, a whole number of times smaller until its longer side is at most
    LONGEST."""
    times = -(-max(image.shape[:2]) // LONGEST)
    light = light_of(image[..., :3].astype(np.float32) / np.float32(np.iinfo(image.dtype).max))
    size = image.shape[1] // times, image.shape[0] // times
    held = np.ascontiguousarray(light[: size[1] * times, : size[0] * times])
    grown = np.diag([times, times, 1.0]) + shifted((times - 1) / 2) - np.eye(3)
    smaller = tuple(normalise(np.linalg.inv(grown) @ move @ grown) for move in moves)
    return Print(np.asarray(cv2.resize(held, size, interpolation=cv2.INTER_AREA), np.float32), smaller)


def shifted(by: float) -> Matrix:
    """A shift by as many pixels across as down."""
    return np.array([[1.0, 0, by], [0, 1.0, by], [0, 0, 1.0]])


def blurs(light: Picture) -> list[Picture]:
    """The print out of focus by radii that grow by RADIUS_STEP_PX, as far as it goes."""
    count = int(np.ceil(BLUR * light.shape[1] / RADIUS_STEP_PX)) + 2
    kernels = [disk(RADIUS_STEP_PX * number) for number in range(count)]
    found = (cv2.filter2D(light, -1, kernel, borderType=cv2.BORDER_REFLECT_101) for kernel in kernels)
    return [np.asarray(each, np.float32) for each in found]


def focused(blurred: Sequence[Picture], focus: float) -> Picture:
    """The print with the focus at a share of its width: every column between two blurs."""
    width = blurred[0].shape[1]
    steps = np.abs(np.linspace(0, 1, width) - focus) * BLUR * width / RADIUS_STEP_PX
    out = np.empty_like(blurred[0])
    for column, step in enumerate(steps):
        less, share = int(step), np.float32(step - int(step))
        near, far = blurred[less][:, column], blurred[less + 1][:, column]
        out[:, column] = near + share * (far - near)
    return out


if __name__ == "__main__":
    main()
