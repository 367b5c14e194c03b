"""Lamps out of focus, with and without what lifts their veils: `python bench/lamps.py --json FILE`.

24 frames of a still camera, as the plainest case of quality.py, aligned as by default, which is
when frames are looked at first. PSNR in dB within the box that both keep.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from unittest.mock import PropertyMock, patch

import machine

import gpustack
from gpustack.scenes import Shoot, render
from gpustack.scenes.comparison import truth_psnr
from gpustack.settings import BackendName, Settings

SHOOT = Shoot(
    frames=24, width=1600, height=1200, noise=1.0, breathing=0.0, drift_px=0.0, jitter_px=0.0, flicker=0.0
)
SCENES = ("lights", "macro", "hairs")


def main() -> None:
    """Stack each scene both ways and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    given = options.parse_args()
    rows = [row(scene) for scene in SCENES]
    machine.write_result(machine.heading("lamps out of focus") | {"rows": rows}, given.json)


def row(name: str) -> dict[str, float | str]:
    """One scene: as it is, and with veils left where they are."""
    scene = render(name, SHOOT)
    frames = [scene.frame(index) for index in range(SHOOT.frames)]
    found: dict[str, float | str] = {"scene": name}
    for key, lifts in (("lifted_db", True), ("left_db", False)):
        with patch.object(Settings, "lifts_veils", PropertyMock(return_value=lifts)):
            result = gpustack.stack(frames, Settings(backend=BackendName.CPU))
        found[key] = round(truth_psnr(scene, result.image, result.report.box), 2)
    print(found)
    return found


if __name__ == "__main__":
    main()
