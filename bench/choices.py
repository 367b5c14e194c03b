"""What the constants of the fusion are worth: `python bench/choices.py --json bench/results/choices.json`.

PSNR in dB of rendered scenes with a still camera, for the value that is used and for its neighbours.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import machine

import gpustack
from gpustack.fuse.auto import Auto
from gpustack.fuse.levels import LaplacianFold
from gpustack.fuse.radius import blur_radius
from gpustack.fuse.scales import SoftMaximum
from gpustack.model.canvas import Canvas
from gpustack.scenes import Rendered, Shoot, names, render
from gpustack.scenes.comparison import truth_psnr
from gpustack.settings import Method, Model, Settings

SHOOT = Shoot(frames=16, width=640, height=480, max_blur_px=10.0, noise=1.0)


@contextmanager
def evidence(value: float) -> Iterator[None]:
    """How much a level heeds the finer ones."""
    with ExitStack() as patches:
        for module in ("gpustack.backend.cpu", "gpustack.fuse.scales"):
            patches.enter_context(patch(f"{module}.EVIDENCE", value))
        yield


@contextmanager
def setting(name: str, value: float) -> Iterator[None]:
    """One of the user's settings."""
    with patch(f"{__name__}.Settings", partial(Settings, **{name: value})):
        yield


@contextmanager
def level_sigma(value: float) -> Iterator[None]:
    """Blur of a level's energy, for `auto`."""
    with patch("gpustack.fuse.auto.soft_scales", lambda noise, *_: LaplacianFold(SoftMaximum(noise, value))):
        yield


def constant(module: str, name: str) -> Callable[[float], AbstractContextManager[object]]:
    """A constant of a module of the package."""
    return lambda value: patch(f"gpustack.{module}.{name}", value)


@contextmanager
def radius(factor: float) -> Iterator[None]:
    """The fitted radius times a factor; 0 leaves the pyramid alone."""
    with patch("gpustack.fuse.auto.blur_radius", lambda *given: factor * blur_radius(*given)):
        yield


@contextmanager
def coded(linear: float) -> Iterator[None]:
    """Whether values are taken for light as they are (1) or squared (0)."""
    as_it_is = Auto._empty

    def empty(self: Auto, backend: Any, canvas: Canvas, height: int) -> Any:
        return as_it_is(self, backend, replace(canvas, linear=bool(linear)), height)

    with patch.object(Auto, "_empty", empty):
        yield


CHOICES: tuple[tuple[str, Method, Any, tuple[float, ...]], ...] = (
    ("EVIDENCE", Method.AUTO, evidence, (0.0, 1.0, 4.0, 16.0)),
    ("EVIDENCE", Method.PYRAMID, evidence, (0.0, 1.0, 4.0, 16.0)),
    ("NOISE_LEVELS", Method.AUTO, partial(setting, "smoothing"), (1.0, 2.0, 3.0, 4.0)),
    ("SoftMaximum.sigma", Method.AUTO, level_sigma, (1.0, 1.5, 2.0)),
    ("MEAN_SIGMA_PX", Method.AUTO, constant("fuse.auto", "MEAN_SIGMA_PX"), (1.5, 2.0, 2.5)),
    ("MISFIT", Method.AUTO, constant("backend.debias", "MISFIT"), (1.5 / 255, 3 / 255, 6 / 255, 1.0)),
    ("WIDEST_BLUR", Method.AUTO, constant("backend.debias", "WIDEST_BLUR"), (0.5, 1.0, 2.0)),
    ("DEBIAS_NOISE", Method.AUTO, constant("backend.debias", "DEBIAS_NOISE"), (0.15, 0.3, 0.6)),
    ("DEBIAS_SIGMA_PX", Method.AUTO, constant("backend.debias", "DEBIAS_SIGMA_PX"), (1.0, 2.0)),
    ("radius", Method.AUTO, radius, (0.0, 0.85, 1.0, 1.2)),
    ("linear", Method.AUTO, coded, (0.0, 1.0)),
    ("FOCUS_SIGMA_PX", Method.AVERAGE, partial(setting, "radius"), (1.0, 1.5, 2.0, 2.5)),
)


def main() -> None:
    """Measure every choice on every scene and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    target: Path = options.parse_args().json
    scenes = {name: render(name, SHOOT) for name in names()}
    frames = {name: [scene.frame(i) for i in range(SHOOT.frames)] for name, scene in scenes.items()}
    rows = [
        {"constant": constant, "method": method.value, "value": value, "psnr_db": row}
        for constant, method, changed, values in CHOICES
        for value in values
        for row in [_row(scenes, frames, method, changed(value))]
    ]
    machine.write_result(machine.heading("choices") | {"rows": rows}, target)
    for row in rows:
        print(row["constant"], row["method"], row["value"], row["psnr_db"])


def _row(
    scenes: dict[str, Rendered], frames: dict[str, Any], method: Method, changed: Any
) -> dict[str, float]:
    settings = Settings(method, Model.NONE)
    with changed:
        results = {name: gpustack.stack(frames[name], settings) for name in scenes}
    return {name: round(truth_psnr(scenes[name], r.image, r.report.box), 2) for name, r in results.items()}


if __name__ == "__main__":
    main()
