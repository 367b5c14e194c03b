"""What the constants of the alignment are worth: `python bench/choices_alignment.py --json FILE [STACK...]`.

Each row is one choice of SAMPLES, SETTLED_PX and SHARED_DETAIL. Against the truth: mean corner error over
rendered scenes of 10 frames of 900x700, clean and with ten times the noise. Without a truth, on stacks given
as folders or @lists: how far loops of links disagree (`residual_px`, mean over the frames). `link_ms`:
processor time of a match.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import machine
import numpy as np

import gpustack
from gpustack.align import estimate, sight, steps
from gpustack.cli.finding import find
from gpustack.engine import links
from gpustack.model.stack import Stack
from gpustack.model.transform import corners
from gpustack.scenes import Rendered, Shoot, names, render
from gpustack.settings import BackendName

CHOICES = (
    (50_000, 0.005, 0.4),
    (50_000, 0.05, 0.4),
    (50_000, 0.05, 0.9),
    (25_000, 0.05, 0.4),
    (25_000, 0.05, 0.7),
    (25_000, 0.05, 0.8),
    (25_000, 0.05, 0.9),
    (12_000, 0.05, 0.9),
)
SETTINGS = gpustack.Settings(backend=BackendName.CPU)


def main() -> None:
    """Measure every choice and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    options.add_argument("stacks", nargs="*")
    given = options.parse_args()
    scenes = {noise: [scene(name, noise) for name in names()] for noise in (1.0, 10.0)}
    stacks = {Path(name).stem: find([name]) for name in given.stacks}
    rows = [measured(choice, scenes, stacks) for choice in CHOICES]
    machine.write_result(machine.heading("alignment constants") | {"rows": rows}, given.json)


def scene(name: str, noise: float) -> Rendered:
    """A short stack with large differences of blur between neighbours."""
    shoot = Shoot(
        frames=10,
        width=900,
        height=700,
        max_blur_px=12.0,
        noise=noise,
        breathing=0.03,
        drift_px=10.0,
        jitter_px=0.6,
        rotation_deg=0.3,
        flicker=0.02,
    )
    return render(name, shoot)


def measured(
    choice: tuple[int, float, float], scenes: dict[float, list[Rendered]], stacks: dict[str, Stack]
) -> dict[str, Any]:
    """One choice on everything."""
    samples, settled, shared = choice
    row: dict[str, Any] = {"samples": samples, "settled_px": settled, "shared_detail": shared}
    with (
        patch.object(sight, "SAMPLES", samples),
        patch.object(steps, "SETTLED_PX", settled),
        patch.object(estimate, "SHARED_DETAIL", shared),
        timed() as seconds,
    ):
        for noise, rendered in scenes.items():
            row[f"corner_error_px_noise_{noise:.0f}"] = round(
                float(np.mean([error(one) for one in rendered])), 4
            )
        row["residual_px"] = {name: residual(stack) for name, stack in stacks.items()}
    row["link_ms"] = round(1000 * float(np.mean(seconds)), 1)
    print(row)
    return row


@contextmanager
def timed() -> Iterator[list[float]]:
    """Collect the processor time of every match."""
    seconds: list[float] = []

    def match(*arguments: Any) -> Any:
        started = time.thread_time()
        found = estimate.match(*arguments)
        seconds.append(time.thread_time() - started)
        return found

    with patch.object(links, "match", match):
        yield seconds


def error(rendered: Rendered) -> float:
    """Mean over the frames of the root mean square corner error, in pixels."""
    frames = [rendered.frame(index) for index in range(len(rendered.transforms))]
    height, width = frames[0].shape[:2]
    points = corners(width, height)
    places = gpustack.locate(frames, SETTINGS)
    return float(
        np.mean([_away(place, true, points) for place, true in zip(places, rendered.transforms, strict=True)])
    )


def _away(place: Any, true: Any, points: Any) -> float:
    return float(np.sqrt(((place.transform.apply(points) - true.apply(points)) ** 2).sum(axis=1).mean()))


def residual(stack: Stack) -> float:
    """How far the links of a stack disagree, in pixels of the frames."""
    places: Sequence[Any] = gpustack.locate(stack, SETTINGS)
    return round(float(np.mean([place.residual_px for place in places])), 3)


if __name__ == "__main__":
    main()
