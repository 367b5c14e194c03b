"""How well brightness is matched: `python bench/brightness.py --json bench/results/brightness.json`.

Rendered scenes that breathe by 5 % and flicker, as a whole or each colour by itself, with and without
offsets, and with corners that are 30 % darker in coded values. Tones are found with the true motion. Errors
are against those that were rendered: of gains in percent; of values in 8-bit steps, over the pixels of the
reference that are not burnt out.
`median` is the median ratio of small pictures of the luma at the same places of the subject, for comparison.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import machine
import numpy as np

from gpustack.align.brightness import Light, factor_of, seen_light, tones
from gpustack.backend.cpu import Cpu
from gpustack.model.tone import LUMA, Tone
from gpustack.model.transform import Transform
from gpustack.scenes import Rendered, Shoot, names, render

SIZE = 640, 432
CORNER = 0.7
CODING = 2.2
"""Exponent that turns a falloff of coded values into one of light, nearly."""

FLICKERS: dict[str, dict[str, float]] = {
    "whole": {"flicker": 0.03},
    "colours": {"flicker_rgb": 0.03},
    "colours and offsets": {"flicker_rgb": 0.03, "offset_rgb": 3.0},
}
CPU = Cpu(1)


def main() -> None:
    """Measure every scene and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    target: Path = options.parse_args().json
    rows = [row for name in names() for row in scene_rows(name)]
    machine.write_result(machine.heading("brightness") | {"worst": summary(rows), "rows": rows}, target)


def scene_rows(name: str) -> list[dict[str, Any]]:
    """One scene, by kind of flicker and of lens; what falls on the sensor is rendered once."""
    made = {how: render(name, shoot(**traits)) for how, traits in FLICKERS.items()}
    lights = [next(iter(made.values())).light(index) for index in range(len(made["whole"]))]
    rows = []
    for corner in (1.0, CORNER):
        fall = (falloff(corner) ** CODING).astype(np.float32)
        for how, scene in made.items():
            frames = [scene.developed(light * fall, index) for index, light in enumerate(lights)]
            rows.append({"scene": name, "corners": corner, "flicker": how} | measured(scene, frames, how))
            print(*rows[-1].values())
    return rows


def shoot(**flicker: float) -> Shoot:
    """The camera; flicker is drawn after all motion."""
    return Shoot(
        9, *SIZE, max_blur_px=10.0, breathing=0.05, drift_px=5.0, jitter_px=0.5, noise=1.0, seed=3, **flicker
    )


def falloff(corner: float) -> Any:
    """(h, w, 1): 1 in the middle, `corner` in the corners."""
    middle = (np.array(SIZE) - 1) / 2
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    radius = np.hypot(x - middle[0], y - middle[1]) / np.hypot(*middle)
    return (1 - (1 - corner) * radius**2.4)[..., None]


def measured(scene: Rendered, frames: list[Any], how: str) -> dict[str, float]:
    """How far the tones that are found are from the rendered ones."""
    colours, reference = how != "whole", scene.shoot.reference
    lights = [light_of(frame, colours) for frame in frames]
    found = tones(lights, list(scene.transforms), reference, colours=colours)
    pairs = [
        (tone, true.tone)
        for i, (tone, true) in enumerate(zip(found, scene.transforms, strict=True))
        if i != reference
    ]
    gains = np.array([np.array(tone.gain) / true.gain - 1 for tone, true in pairs])
    values = np.concatenate([value_errors(frames[reference], *pair) for pair in pairs])
    result = {
        "gain_rms_percent": 100 * rms(gains),
        "gain_most_percent": 100 * float(np.abs(gains).max()),
        "value_rms_steps": 255 * rms(values),
    }
    if how == "colours and offsets":
        offsets = np.array([np.array(tone.offset) - true.offset for tone, true in pairs])
        taken = np.array([tone.offset for tone, _ in pairs]) != 0
        result |= {"offset_rms_steps": 255 * rms(offsets[taken]), "offsets_taken": float(taken.mean())}
    if how == "whole":
        plain = [
            median_ratio(frames[reference], frame, at)
            for frame, at in zip(frames, scene.transforms, strict=True)
        ]
        off = [ratio / at.gain - 1 for ratio, at in zip(plain, scene.transforms, strict=True)]
        result["median_gain_most_percent"] = 100 * float(np.abs(off).max())
    return {name: round(value, 3) for name, value in result.items()}


def light_of(frame: Any, colours: bool) -> Light:
    """What the survey keeps of a frame."""
    factor, kind = factor_of(SIZE), shoot().pixel_type
    return seen_light(CPU.light(frame, kind, factor, False), factor, SIZE, linear=False, colours=colours)


def value_errors(frame: Any, found: Tone, true: Tone) -> Any:
    """What a frame with these values on the reference is off by, once it has the tone found."""
    pixels = frame[::4, ::4].reshape(-1, 3) / 255
    pixels = pixels[(pixels < 0.95).all(axis=1)]
    there = (pixels - true.offset) / true.gain
    return (there * found.gain + found.offset - pixels).ravel()


def median_ratio(here: Any, there: Any, transform: Transform) -> float:
    """Of the luma of a frame, brought onto the reference, on pictures of 96 pixels."""
    moved = cv2.warpAffine(there, transform.matrix[:2], SIZE, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
    inside = cv2.warpAffine(
        np.ones(SIZE[::-1], np.uint8), transform.matrix[:2], SIZE, flags=cv2.WARP_INVERSE_MAP
    )
    small = (96, round(96 * SIZE[1] / SIZE[0]))
    a, b, whole = (
        cv2.resize(part.astype(np.float32), small, interpolation=cv2.INTER_AREA)
        for part in (here @ np.array(LUMA) / 255, moved @ np.array(LUMA) / 255, inside)
    )
    usable = (whole > 0.999) & (np.minimum(a, b) > 0.02) & (np.maximum(a, b) < 0.95)
    return float(np.median(a[usable] / b[usable]))


def rms(values: Any) -> float:
    """Root mean square; 0 of nothing."""
    return float(np.sqrt((values**2).mean())) if values.size else 0.0


def summary(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The largest of every figure over the scenes, by flicker and lens."""
    kinds = dict.fromkeys((row["flicker"], row["corners"]) for row in rows)
    return {
        f"{how}, corners {corner:g}": {
            name: max(row[name] for row in rows if (row["flicker"], row["corners"]) == (how, corner))
            for name in next(row for row in rows if row["flicker"] == how)
            if name not in ("scene", "corners", "flicker", "offsets_taken")
        }
        for how, corner in kinds
    }


if __name__ == "__main__":
    main()
