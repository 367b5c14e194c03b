"""Demosaicking against the truth: `python bench/demosaic.py --json bench/results/demosaic.json`.

Pictures whose colours are known are seen through Bayer's filters, with the noise of a camera or without,
and developed by our ways and by LibRaw's; PSNR in dB, coded as sRGB, rims left out. Truth: rendered scenes,
and with GPUSTACK_DATA photographs at half their size, so that what their own camera made up is gone. Then
whole stacks of such frames, fused. Speed is megapixels a second of one core's time, reading included,
the best of five.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # LibRaw's own threads would be counted as one core

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import machine
import numpy as np
import numpy.typing as npt
from dng import write_light

import gpustack
from gpustack.io.decode import Decoder, probe
from gpustack.metrics import psnr
from gpustack.scenes import Shoot, render
from gpustack.scenes.camera import encode, with_noise
from gpustack.settings import Crop, Deghost, Demosaic, Model, Settings

Light = npt.NDArray[np.float32]

NEUTRAL = (0.48, 1.0, 0.62)
"""What a usual sensor lets through of daylight."""
RIM = 16
SCENES = ("macro", "print", "hairs", "wing")
SHOOT = Shoot(frames=8, width=960, height=720, max_blur_px=8.0)
PHOTOS = {
    "cotton": "ground_truth/cotton",
    "motorcycle": "ground_truth/motorcycle",
    "circuit board": "stacks/pcb",
    "mineral": "stacks/mineral",
}
FILES = {
    "cotton": "**/input_Cam040.png",
    "motorcycle": "*left*.png",
    "circuit board": "expected.jpg",
    "mineral": "*03*",
}
NOISES = (0.0, 1.0)
LIBRAW = ("LINEAR", "PPG", "VNG", "AHD", "DCB", "DHT", "AAHD")
OURS = (Demosaic.MALVAR, Demosaic.RCD)
FUSED = (Demosaic.MALVAR, Demosaic.PPG, Demosaic.AHD, Demosaic.RCD)
SPEED_MEGAPIXELS, REPEATS = 4, 5


def main() -> None:
    """Measure all and write the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    target: Path = options.parse_args().json
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.dng"
        single = [
            row for name, light in truths() for noise in NOISES for row in rows_of(path, name, light, noise)
        ]
        speed = speeds(path)
        fused = [
            row for scene in SCENES for noise in NOISES for row in stack_rows(Path(folder), scene, noise)
        ]
    result = {"neutral": NEUTRAL, "pictures": single, "stacks": fused, "megapixels_per_second": speed}
    machine.write_result(machine.heading("demosaicking") | result, target)
    for line in table(single, fused, speed):
        print(line)


def truths() -> Iterator[tuple[str, Light]]:
    """Names, and light (h, w, 3) float32 0..1."""
    for name in SCENES:
        yield name, linear(render(name, SHOOT).truth)
    data = os.environ.get("GPUSTACK_DATA")
    for name, folder in PHOTOS.items() if data else ():
        path = next(iter(sorted((Path(data or "") / folder).rglob(FILES[name]))))
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        light = linear(np.asarray(picture, np.float32) / 255)
        height, width = (side // 4 * 4 for side in light.shape[:2])
        half = cv2.resize(light[:height, :width], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        yield name, np.asarray(half, np.float32)


def linear(coded: npt.NDArray[Any]) -> Light:
    """SRGB, 0..1, as light."""
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4).astype(np.float32)


def rows_of(path: Path, name: str, light: Light, noise: float) -> Iterator[dict[str, Any]]:
    """One picture with one noise, by each way."""
    write_light(path, with_noise(light, noise, np.random.default_rng(0)), NEUTRAL)
    wanted = encode(light)[RIM:-RIM, RIM:-RIM]
    for way, develop in ways(path).items():
        found = encode(develop().astype(np.float32) / 65535)[RIM:-RIM, RIM:-RIM]
        yield {"picture": name, "noise": noise, "way": way, "psnr_db": round(psnr(found, wanted), 2)}


def ways(path: Path) -> dict[str, Callable[[], npt.NDArray[Any]]]:
    """How a file is developed, by each name."""
    own = {f"our {way.value}": by_us(path, way) for way in OURS}
    return own | {f"LibRaw {name}": lambda name=name: by_libraw(path, name) for name in LIBRAW}


def by_us(path: Path, way: Demosaic) -> Callable[[], npt.NDArray[Any]]:
    """As a run does, which reads once what all frames are developed with."""
    (frame,) = probe(path)
    decode = Decoder(frame, demosaic=way)
    return lambda: decode(frame)


def by_libraw(path: Path, name: str) -> npt.NDArray[Any]:
    """With the same levels and balance."""
    import rawpy

    balance = [1 / part for part in NEUTRAL]
    with rawpy.imread(str(path)) as raw:
        return np.asarray(
            raw.postprocess(
                gamma=(1, 1),
                no_auto_bright=True,
                output_bps=16,
                adjust_maximum_thr=0.0,
                user_wb=[*balance, balance[1]],
                user_flip=0,
                output_color=rawpy.ColorSpace.raw,
                demosaic_algorithm=rawpy.DemosaicAlgorithm[name],
            )
        )


def stack_rows(folder: Path, scene: str, noise: float) -> Iterator[dict[str, Any]]:
    """A stack of mosaics, fused, against the sharp picture."""
    rendered = render(scene, replace(SHOOT, noise=noise))
    paths = []
    for index in range(len(rendered)):
        random = np.random.default_rng((1, index))
        light = with_noise(rendered.light(index), noise, random)
        paths.append(write_light(folder / f"{index}.dng", light, NEUTRAL))
    wanted = rendered.truth[RIM:-RIM, RIM:-RIM]
    for way in FUSED:
        settings = Settings(
            align=Model.NONE, crop=Crop.NONE, deghost=Deghost.OFF, linear=True, demosaic=way, threads=1
        )
        started = time.process_time()
        image = gpustack.stack(paths, settings).image
        taken = time.process_time() - started
        found = encode(image.astype(np.float32) / 65535)[RIM:-RIM, RIM:-RIM]
        row = {"scene": scene, "noise": noise, "way": way.value, "psnr_db": round(psnr(found, wanted), 2)}
        yield row | {"cpu_s": round(taken, 2)}


def speeds(path: Path) -> dict[str, float]:
    """Megapixels a second of one core's time, by each way; the best of some runs."""
    cv2.setNumThreads(1)
    side = SPEED_MEGAPIXELS * 500
    light = linear(render("macro", replace(SHOOT, width=side, height=2000)).truth)
    write_light(path, light, NEUTRAL)
    found = {}
    for name, develop in ways(path).items():
        taken = []
        for _ in range(REPEATS):
            started = time.process_time()
            develop()
            taken.append(time.process_time() - started)
        found[name] = round(light.shape[0] * light.shape[1] / 1e6 / min(taken), 1)
    return found


def table(
    single: list[dict[str, Any]], fused: list[dict[str, Any]], speed: dict[str, float]
) -> Iterator[str]:
    """The tables of the docs, in Markdown."""
    yield from _grid(single, "picture", list(speed))
    yield "| MP/s | " + " | ".join(f"{value:g}" for value in speed.values()) + " |"
    yield ""
    yield from _grid(fused, "scene", [way.value for way in FUSED])
    spent = {way: [row["cpu_s"] for row in fused if row["way"] == way.value] for way in FUSED}
    yield "| CPU seconds, median | " + " | ".join(f"{median(taken):.2f}" for taken in spent.values()) + " |"


def _grid(rows: list[dict[str, Any]], what: str, columns: list[str]) -> Iterator[str]:
    yield f"| {what} | " + " | ".join(columns) + " |"
    yield "| --- |" + " ---: |" * len(columns)
    for name, noise in dict.fromkeys((row[what], row["noise"]) for row in rows):
        found = {row["way"]: row["psnr_db"] for row in rows if (row[what], row["noise"]) == (name, noise)}
        yield (
            f"| {name}{', noise' if noise else ''} | " + " | ".join(f"{found[c]:.1f}" for c in columns) + " |"
        )


if __name__ == "__main__":
    main()
