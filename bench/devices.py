"""The device that a bench works on: a GPU, or the CPU running the same kernels, which proves the bench."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from measure import REPOSITORY, BenchError

from gpustack.backend.cuda import versions
from gpustack.backend.detect import cuda_device
from gpustack.backend.driver import dotted, driver
from gpustack.backend.gpu.device import Device
from gpustack.errors import BackendError

CPU = "cpu"
RESULTS = Path(__file__).with_name("results")

SIZE = (5504, 8256)
"""Rows and columns of a frame of 45 megapixels."""

TOY_SIZE = (600, 96)
"""The same for the CPU: enough rows for bands."""


def open_device(name: str) -> Device:
    """`cuda:0`, `cuda:1`, ... or `cpu`. Raises BenchError where there is no such device."""
    if name == CPU:
        sys.path.insert(0, str(REPOSITORY))  # the tests are no installed package
        from tests.cuda_on_cpu.device import CpuDevice

        return CpuDevice()
    try:
        return cuda_device(device_number(name))
    except BackendError as error:
        raise BenchError(str(error)) from None


def device_number(name: str) -> int:
    """1 of `cuda:1`. Raises BenchError."""
    kind, _, number = name.partition(":")
    if kind != "cuda" or not (number or "0").isdecimal():
        raise BenchError(f"There is no device {name}: name cuda:0, cuda:1, ... or cpu.")
    return int(number or 0)


def about(name: str, device: Device) -> dict[str, Any]:
    """Name and memory of the device, and the versions of driver, CUDA, CuPy and NVRTC; for a result file."""
    found: dict[str, Any] = {"device": device.name, "free_gib": round(device.free_bytes() / 2**30, 2)}
    if name == CPU:
        return found
    card = driver()
    total = getattr(device, "total_bytes", 0)
    known = {"total_gib": round(total / 2**30, 2), "driver_cuda": dotted(card.version) if card else None}
    return found | known | versions()


def arguments(description: str | None, result: str) -> argparse.ArgumentParser:
    """The options that all benches of a device share; `result` is the name of the result file."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--device", default="cuda:0", help="cuda:0, cuda:1, ... or cpu: toy sizes, no timings"
    )
    parser.add_argument("--json", type=Path, default=RESULTS / result, help="where to write the result")
    return parser
