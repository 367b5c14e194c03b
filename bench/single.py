"""One stack in a process of its own, through the Python interface: what `stream.py` measures.

Writes a JSON object: the report, the seconds of the whole call, a digest of the picture, and where the frames
lie. `--device host` is the CPU backend, `--device cpu` the GPU backend whose kernels the CPU runs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import devices
import numpy as np

from gpustack import api
from gpustack.backend.choose import Choice
from gpustack.engine import run as running
from gpustack.settings import BackendName, Crop, Method, Model, Settings

HOST = "host"


def settings_of(given: Namespace) -> Settings:
    """The settings of a run; on the CPU that runs kernels, the device is put in the place of a real one."""
    number = 0
    if given.device == devices.CPU:
        device = devices.open_device(given.device)
        vars(running)["choose"] = lambda *_: Choice("chosen by the bench", (device,))
    elif given.device != HOST:
        number = devices.device_number(given.device)
    return Settings(
        method=Method(given.method),
        align=Model(given.align),
        crop=Crop.AUTO if given.align != Model.NONE else Crop.NONE,
        backend=BackendName.CPU if given.device == HOST else BackendName.CUDA,
        devices=(number,),
        vram_bytes=given.vram,
    )


def stacked(given: Namespace) -> dict[str, Any]:
    """Read, fuse and write; the result for the bench."""
    files = given.list.read_text().splitlines()
    settings = settings_of(given)
    started = time.perf_counter()
    result = api.stack(files, settings)
    fused = time.perf_counter()
    if given.out is not None:
        result.save(given.out, overwrite=True)
    ended = time.perf_counter()
    result.report.seconds["write"] = ended - fused
    if given.pixels is not None:
        np.save(given.pixels, result.image)
    report = result.report.as_dict()
    rows = report.pop("frames")
    return {
        "seconds": ended - started,
        "report": report,
        "digest": hashlib.blake2b(result.image.tobytes(), digest_size=16).hexdigest(),
        "matrices": [row["matrix"] for row in rows],
        "used": [row["used"] for row in rows],
    }


def main() -> None:
    """Command line of this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda:0", help="cuda:0, ..., cpu or host")
    parser.add_argument("--list", type=Path, required=True, help="a file with the frames' paths, one a line")
    parser.add_argument("--report", type=Path, required=True, help="where to write the JSON object")
    parser.add_argument("--out", type=Path, help="where to write the picture")
    parser.add_argument("--pixels", type=Path, help="where to write its pixels, .npy")
    parser.add_argument("--method", default=Method.AUTO)
    parser.add_argument("--align", default=Model.SIMILARITY)
    parser.add_argument("--vram", type=int, help="bytes")
    given = parser.parse_args()
    given.report.write_text(json.dumps(stacked(given)))


if __name__ == "__main__":
    main()
