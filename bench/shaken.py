"""How often shaken frames are found: `python bench/shaken.py --json FILE [STACK...]`.

Frames of rendered scenes and of the stacks given, 1200 pixels wide at most, are replaced by copies blurred
along a line, one in five at a time, in another direction each. Whether a frame at either end of a stack is
shaken cannot be told, so those are left as they are, but a false alarm would count.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import machine
import numpy as np

import gpustack
from gpustack.cli.finding import find
from gpustack.scenes import Shoot, names, render
from gpustack.settings import BackendName

LENGTHS = (0.0075, 0.015, 0.03)
"""Of the blur, as shares of the width."""

APART = 5
SETTINGS = gpustack.Settings(backend=BackendName.CPU)


def main() -> None:
    """Measure every stack and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    options.add_argument("stacks", nargs="*")
    given = options.parse_args()
    rows = [measured(name, rendered(name)) for name in names()]
    rows += [measured(Path(name).stem, photographed(name)) for name in given.stacks]
    rows.append({"stack": "all"} | {key: total(rows, key) for key in rows[0] if key != "stack"})
    machine.write_result(machine.heading("shaken frames") | {"rows": rows}, given.json)


def total(rows: list[dict[str, Any]], key: str) -> int:
    """Over all stacks."""
    return int(sum(row[key] for row in rows))


def measured(name: str, frames: list[Any]) -> dict[str, Any]:
    """One stack: false alarms, and how many shaken frames are left out, of those that are not at an end."""
    row: dict[str, Any] = {"stack": name, "frames": len(frames), "inner_frames": max(0, len(frames) - 2)}
    row["false_alarms"] = sum(place.shaken for place in gpustack.locate(frames, SETTINGS))
    for length in LENGTHS:
        found, wrong = counted(frames, length)
        row[f"found_{100 * length:g}_percent"] = found
        row["false_alarms"] += wrong
    print(row)
    return row


def counted(frames: list[Any], length: float) -> tuple[int, int]:
    """Frames rightly and wrongly left out over all runs."""
    found = wrong = 0
    for first in range(1, min(APART, len(frames) - 2) + 1):
        bad = set(range(first, len(frames) - 1, APART))
        mixed = [
            blurred(frame, length, index) if index in bad else frame for index, frame in enumerate(frames)
        ]
        places = gpustack.locate(mixed, SETTINGS)
        found += sum(not places[index].used for index in bad)
        wrong += sum(place.shaken for index, place in enumerate(places) if index not in bad)
    return found, wrong


def blurred(frame: Any, length: float, index: int) -> Any:
    """The frame (h, w, c) shaken along a line; directions go round by the golden angle."""
    reach = length * frame.shape[1] / 2
    angle = index * np.pi * (3 - np.sqrt(5))
    side = 2 * int(np.ceil(reach)) + 3
    kernel = np.zeros((side, side), np.float32)
    for step in np.linspace(-reach, reach, 8 * side):
        x, y = step * np.cos(angle) + side // 2, step * np.sin(angle) + side // 2
        left, top = int(x), int(y)
        spread = np.outer([top + 1 - y, y - top], [left + 1 - x, x - left])
        kernel[top : top + 2, left : left + 2] += spread
    return cv2.filter2D(frame, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)


def rendered(name: str) -> list[Any]:
    """A scene with breathing, drift, jitter, flicker and noise."""
    shoot = Shoot(
        frames=12,
        width=900,
        height=700,
        max_blur_px=12.0,
        noise=1.0,
        breathing=0.03,
        drift_px=10.0,
        jitter_px=0.6,
        rotation_deg=0.3,
        flicker=0.02,
    )
    scene = render(name, shoot)
    return [scene.frame(index) for index in range(shoot.frames)]


def photographed(name: str) -> list[Any]:
    """A folder or @list."""
    pictures = [cv2.imread(str(frame.path)) for frame in find([name])]
    factor = min(1.0, 1200 / max(pictures[0].shape))
    return [
        cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) for picture in pictures
    ]


if __name__ == "__main__":
    main()
