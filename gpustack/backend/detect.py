"""Whether CUDA works here, and if not, the reason and the remedy, found in order of cost.

The driver is asked first, through ctypes: without one, nothing is imported.
"""

from __future__ import annotations

import importlib.metadata
import os
from typing import Any, NamedTuple

import numpy as np

from gpustack.backend.cuda import CudaDevice, versions
from gpustack.backend.driver import NO_DEVICE, Card, Driver, dotted, driver
from gpustack.backend.gpu.device import Device, Lane
from gpustack.backend.gpu.launch import Launcher
from gpustack.backend.gpu.tensor import Tensor
from gpustack.errors import BackendError, GpustackError

LEAST_DRIVER = 12000
"""Oldest CUDA version, as 1000 major + 10 minor, that a driver must know: CuPy 14 is built for 12 and 13."""

LEAST_CAPABILITY = (7, 0)
"""Oldest compute capability that the kernels compile for (Volta): `__grid_constant__` begins there."""

LEAST_BYTES = 512 << 20
"""Device memory that must be free: below it not even frames of a few megapixels fit beside the state."""

CUPY_MAJOR = 14
"""The CuPy that pyproject.toml asks for."""

_CUPY = ("cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x", "cupy-rocm-7-0")


class Problem(NamedTuple):
    """Why CUDA cannot be used, one sentence, and what to do about it."""

    sentence: str
    remedy: str


def cuda_device(number: int) -> CudaDevice:
    """The device of a number. Raises BackendError with the reason where it cannot be used."""
    problem = cuda_problem(number)
    if problem is not None:
        raise BackendError(*problem)
    return CudaDevice(number)


def cuda_problem(number: int = 0) -> Problem | None:
    """Why a device cannot be used, or None. Without a driver that takes less than a millisecond."""
    found = driver()
    if found is None:
        return Problem(
            "There is no NVIDIA driver on this machine.",
            "Install one if it has an NVIDIA GPU; else use --backend cpu.",
        )
    return (
        _driver_problem(found)
        or _card_problem(found, number)
        or _cupy_problem(found, found.cards[number])
        or _trial_problem(number)
    )


def _driver_problem(found: Driver) -> Problem | None:
    if found.version < LEAST_DRIVER:
        return Problem(
            f"The NVIDIA driver is too old: it knows CUDA {dotted(found.version)}, and 12.0 is needed.",
            "Update the driver to 525 or newer.",
        )
    if found.status not in (0, NO_DEVICE):
        return Problem(
            f"The NVIDIA driver does not start (error {found.status}).",
            "Restart the machine; if that does not help, install the driver again.",
        )
    if found.cards:
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return Problem(
            f"CUDA_VISIBLE_DEVICES='{visible}' hides every GPU.", "Unset it, or name a device that exists."
        )
    return Problem("The NVIDIA driver finds no GPU.", "Use --backend cpu.")


def _card_problem(found: Driver, number: int) -> Problem | None:
    count = len(found.cards)
    if not 0 <= number < count:
        known = "device 0 only" if count == 1 else f"devices 0 to {count - 1}"
        return Problem(
            f"There is no CUDA device {number}; this machine shows {known}.", "Choose others with --devices."
        )
    card = found.cards[number]
    if card.capability < LEAST_CAPABILITY:
        return Problem(
            f"Device {number}, {card.name}, is too old: compute capability {_pair(card.capability)}, "
            f"and {_pair(LEAST_CAPABILITY)} is needed.",
            "Use --backend cpu.",
        )
    return None


def _cupy_problem(found: Driver, card: Card) -> Problem | None:
    """What is wrong with the installed CuPy, for this driver and device."""
    extra = "cuda13" if found.version >= 13000 and card.capability >= (7, 5) else "cuda12"
    install = f"pip install 'gpustack-focus[{extra}]'"
    installed = cupy_packages()
    if not installed:
        return Problem("CuPy is not installed.", f"Install it: {install}.")
    names = " and ".join(installed)
    if len(installed) > 1:
        return Problem(
            f"The packages {names} are both installed, and break each other.",
            f"Uninstall them, then: {install}.",
        )
    replace = f"pip uninstall {names}, then {install}"
    if int(installed[names].split(".")[0]) < CUPY_MAJOR:
        return Problem(
            f"The package {names} {installed[names]} is too old, {CUPY_MAJOR} is needed.",
            f"Replace it: {replace}.",
        )
    if names == "cupy-cuda13x" and extra == "cuda12":
        return Problem(
            f"The package {names} needs a driver for CUDA 13 and compute capability 7.5; "
            f"here are a driver for CUDA {dotted(found.version)} and {card.name} with "
            f"{_pair(card.capability)}.",
            f"Replace it: {replace}.",
        )
    return None


def _trial_problem(number: int) -> Problem | None:
    """Open the device, look at its memory, and run a kernel on it."""
    try:
        device = open_device(number)
        free = device.free_bytes()
        if free < LEAST_BYTES:
            return _memory_problem(number, free)
        right = runs(device)
    except GpustackError as error:
        return Problem(error.message, error.remedy)
    except MemoryError:
        return _memory_problem(number, 0)
    if right:
        return None
    return Problem(
        f"A kernel gave wrong values on device {number}.", "Update the driver, or use --backend cpu."
    )


def _memory_problem(number: int, free: int) -> Problem:
    return Problem(
        f"Device {number} has {free >> 20} MiB of free memory, and {LEAST_BYTES >> 20} MiB are needed.",
        "Close other programs that use it, or use --backend cpu.",
    )


def open_device(number: int) -> CudaDevice:
    """The device of a number, untried. Raises BackendError, MemoryError."""
    return CudaDevice(number)


def runs(device: Device) -> bool:
    """Whether the smallest kernel compiles, starts, and does what it should. Raises BackendError."""
    values = np.zeros(1000, np.float32)
    address = device.allocate(values.nbytes)
    try:
        target = Tensor.of(None, address, values.shape, values.dtype)
        Launcher(device).line("fill", "fill_float32", 1, (target, values.size, 0.5))
        device.copy_out(values, address, Lane.WORK)
        device.finish(device.record(Lane.WORK))
    finally:
        device.free(address)
    return bool((values == 0.5).all())


def cupy_packages() -> dict[str, str]:
    """Names and versions of the CuPy distributions that are installed."""
    found = {}
    for name in _CUPY:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _pair(numbers: tuple[int, int]) -> str:
    return f"{numbers[0]}.{numbers[1]}"


def cuda_report() -> dict[str, Any]:
    """All that `gpustack doctor` tells of CUDA: each device with its memory, or why it does not work.

    Keys: works, problem and remedy (of the first device, or of the machine), driver, devices; cupy, runtime
    and nvrtc where a device works.
    """
    found = driver()
    devices = [_described(number, card) for number, card in enumerate(found.cards)] if found else []
    works = any(device["works"] for device in devices)
    problem = None if works else cuda_problem(0)
    return {
        "works": works,
        "problem": problem.sentence if problem else None,
        "remedy": problem.remedy if problem else None,
        "driver": dotted(found.version) if found else None,
        "devices": devices,
    } | (versions() if works else {})


def _described(number: int, card: Card) -> dict[str, Any]:
    problem = cuda_problem(number)
    described = {
        "number": number,
        "name": card.name,
        "capability": _pair(card.capability),
        "works": problem is None,
    }
    if problem is not None:
        return described | {"problem": problem.sentence, "remedy": problem.remedy}
    device = open_device(number)
    return described | {"memory_free_bytes": device.free_bytes(), "memory_total_bytes": device.total_bytes}
