"""JPEG files decoded on the CPU and on a GPU: `python bench/decoders.py --device cuda:0`.

Every way of coding by every decoder: milliseconds a file, one after the other, and how many levels the
samples are away from libjpeg's. Then a stack, read and fused, by the decoder of the CPU and by the GPU's.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import devices
import numpy as np
import numpy.typing as npt
import simplejpeg
from machine import heading, write_result
from measure import BenchError
from sweep import JPEG_QUALITY, Sweep, repeated, write_files

from gpustack import api
from gpustack.backend.choose import Choice
from gpustack.backend.gpu.device import Device, JpegDecoder, Lane
from gpustack.engine import run as running
from gpustack.errors import GpustackError
from gpustack.model.jpeg import Jpeg
from gpustack.settings import BackendName, Crop, DecoderName, Model, Settings

KINDS = {"cuda": ("HYBRID_CPU_GPU",), "hardware": ("HW_GPU_ONLY",)}
"""nvImageCodec's decoders: by CUDA kernels, as `--decoder gpu` has it, and by engines of their own."""

CODINGS: dict[str, tuple[int, ...]] = {
    "4:2:0": (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420),
    "4:2:2": (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422),
    "4:4:4": (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    "gray": (),
    "progressive": (cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
}
ROUNDS, TOY_ROUNDS = 12, 2
FRAMES, TOY_FRAMES = 60, 6
DISTINCT, TOY_DISTINCT = 8, 3

Row = dict[str, Any]
Data = npt.NDArray[np.uint8]
Pixels = npt.NDArray[np.uint8]


def decoder_of(device: Device, name: str, kinds: Sequence[str]) -> JpegDecoder:
    """nvImageCodec's on a GPU; on the CPU that runs kernels, libjpeg in its place. Raises BackendError."""
    if name == devices.CPU:
        from tests.cuda_on_cpu.jpeg import CpuJpeg

        return CpuJpeg(device)  # type: ignore[arg-type]
    from gpustack.backend.nvjpeg import NvJpeg

    return NvJpeg(device, kinds)  # type: ignore[arg-type]


def coded(picture: Pixels, coding: str) -> Data:
    """A picture as a JPEG file, quality 92."""
    source = picture[..., 1] if coding == "gray" else picture
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, *CODINGS[coding]]
    return np.asarray(cv2.imencode(".jpg", source, options)[1]).reshape(-1)


def on_host(data: Data, *, gray: bool) -> Pixels:
    """What libjpeg makes of a file."""
    return np.asarray(simplejpeg.decode_jpeg(data.tobytes(), colorspace="GRAY" if gray else "RGB"))


def ms_each(work: Callable[[], object], rounds: int) -> float:
    """Median milliseconds of a call, after one that is not counted."""
    work()
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return round(1000 * median(taken), 2)


def compared(device: Device, decoder: JpegDecoder, data: Data, wanted: Pixels, rounds: int) -> Row:
    """One decoder on one file: time, device memory that it took, and levels away from `wanted`."""
    height, width, channels = wanted.shape
    jpeg = Jpeg("the bench's", height, width, channels, data.nbytes)
    held = device.pinned(data.nbytes)
    held[:] = data
    address, free = device.allocate(wanted.nbytes), device.free_bytes()
    found = np.empty_like(wanted)

    def work() -> None:
        decoder.decode(held, address, jpeg, Lane.WORK)
        device.finish(device.record(Lane.WORK))

    try:
        took = ms_each(work, rounds)
        memory = free - device.free_bytes()
        device.copy_out(found, address, Lane.WORK)
        device.finish(device.record(Lane.WORK))
    finally:
        device.free(address)
    return {"ms": took, "decoder_mib": round(memory / 2**20, 1)} | levels(found, wanted)


def levels(found: Pixels, wanted: Pixels) -> Row:
    """How far samples are apart, in levels of 255, and the share of those more than one apart."""
    away = cv2.absdiff(found, wanted)
    return {
        "largest": int(away.max()),
        "mean": round(float(away.mean()), 4),
        "beyond_one": float(f"{np.mean(away > 1):.3g}"),
    }


def codings(device: Device, name: str, picture: Pixels, rounds: int) -> list[Row]:
    """Every coding by every decoder; what cannot be had or refuses a file says so."""
    rows = []
    for coding in CODINGS:
        data = coded(picture, coding)
        wanted = on_host(data, gray=coding == "gray")
        told = {"coding": coding, "mib": round(data.nbytes / 2**20, 2)}
        rows.append(told | {"decoder": "host"} | at_once(data, rounds, gray=coding == "gray"))
        for kind, wish in KINDS.items():
            try:
                decoder = decoder_of(device, name, wish)
                row = compared(device, decoder, data, wanted, rounds)
            except GpustackError as error:
                row = {"failed": str(error)}
            rows.append(told | {"decoder": kind} | row)
            print(rows[-1], flush=True)
    return rows


def at_once(data: Data, rounds: int, *, gray: bool) -> Row:
    """libjpeg: milliseconds a file on one processor, and on all of them at a time."""
    count = os.cpu_count() or 1
    alone = ms_each(lambda: on_host(data, gray=gray), rounds)
    with ThreadPoolExecutor(count) as pool:
        together = ms_each(
            lambda: list(pool.map(lambda _: on_host(data, gray=gray), range(2 * count))), max(1, rounds // 4)
        )
    return {"ms": alone, "ms_all_processors": round(together / (2 * count), 2), "processors": count}


def stack(device: Device, name: str, files: Sequence[Path]) -> Row:
    """Frames a second of a stack that is not aligned, by each decoder, and how far the pictures are apart."""
    rows: Row = {}
    pictures = []
    for wish in (DecoderName.CPU, DecoderName.GPU):
        settings = Settings(
            align=Model.NONE, crop=Crop.NONE, backend=BackendName.CUDA, decoder=wish, devices=(_number(name),)
        )
        if name == devices.CPU:
            decoders = (decoder_of(device, name, ()),) if wish is DecoderName.GPU else ()
            choice = Choice("chosen by the bench", (device,), decoders)
            vars(running)["choose"] = lambda *_, chosen=choice: chosen
        report = (result := api.stack(files, settings)).report
        passes = sum(report.seconds.get(each, 0.0) for each in report.plan["passes"])
        rows[str(wish)] = {
            "fps": round(len(files) / passes, 2),
            "limit": report.limit,
            "busy": report.busy,
            "device_mib": round(report.device_bytes / 2**20, 1),
        }
        pictures.append(result.image)
    return rows | {"apart": levels(*pictures)}


def _number(name: str) -> int:
    return 0 if name == devices.CPU else devices.device_number(name)


def bench(given: Namespace) -> Row:
    """The whole bench."""
    toy = given.device == devices.CPU
    device = devices.open_device(given.device)
    sweep = Sweep(devices.TOY_SIZE if toy else devices.SIZE, TOY_DISTINCT if toy else DISTINCT)
    found: Row = heading("decoders") | devices.about(given.device, device)
    found["megapixels"] = round(sweep.height * sweep.width / 1e6, 1)
    found["codings"] = codings(device, given.device, sweep.frame(0), TOY_ROUNDS if toy else ROUNDS)
    write_result(found, given.json, quiet=True)
    scratch = Path(tempfile.mkdtemp(prefix="gpustack-bench-"))
    try:
        files = write_files(sweep, "jpeg", scratch / "jpeg")
        links = repeated(files, TOY_FRAMES if toy else FRAMES, scratch / "links")
        found["stack"] = stack(device, given.device, links)
    except GpustackError as error:
        found["stack"] = {"failed": str(error)}
    finally:
        shutil.rmtree(scratch)
    print(found["stack"])
    write_result(found, given.json)
    return found


def main() -> None:
    """Command line of this file; exits with 1 where what `--decoder gpu` uses fails."""
    given = devices.arguments(__doc__, "decoders.json").parse_args()
    try:
        found = bench(given)
    except BenchError as error:
        raise SystemExit(f"bench: {error}") from None
    used = [row for row in found["codings"] if row["decoder"] == "cuda"] + [found["stack"]]
    sys.exit(1 if any("failed" in row for row in used) else 0)


if __name__ == "__main__":
    main()
