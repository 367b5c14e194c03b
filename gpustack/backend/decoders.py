"""Whether JPEG files can be decoded on a GPU, and if not, the reason and the remedy."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import cv2
import numpy as np

from gpustack.backend.cuda import CudaDevice
from gpustack.backend.detect import Problem, cupy_packages, open_device
from gpustack.backend.gpu.device import Device, JpegDecoder, Lane
from gpustack.backend.nvjpeg import TAKE_CPU, NvJpeg
from gpustack.errors import BackendError, DecodeError, GpustackError
from gpustack.model.jpeg import Jpeg

WRONG_LEVELS = 4
"""How far a decoded trial picture may be from OpenCV's: another rounding is no fault, another colour is."""

_PACKAGES = ("nvidia-nvimgcodec-cu12", "nvidia-nvimgcodec-cu13")


def jpeg_decoder(device: CudaDevice) -> NvJpeg:
    """What decodes JPEG files on a device. Raises BackendError with the reason where nothing does."""
    problem = _package_problem()
    if problem is not None:
        raise BackendError(*problem)
    decoder = NvJpeg(device)
    try:
        right = decodes(decoder, device)
    except DecodeError as error:
        raise BackendError(
            f"nvImageCodec does not work on {device.name} ({error.problem.rstrip('.')}).", TAKE_CPU
        ) from error
    if not right:
        raise BackendError(f"nvImageCodec decodes a trial picture wrongly on {device.name}.", TAKE_CPU)
    return decoder


def jpeg_report(devices: Sequence[int]) -> dict[str, Any]:
    """What `gpustack doctor` tells of decoding on GPUs, tried on the first of these, on which CUDA works.

    Keys: works; problem and remedy, None where it works; version of nvImageCodec, None where it is missing.
    """
    problem = (
        _problem(devices[0])
        if devices
        else Problem("It needs CUDA, which does not work here.", "Make that work first.")
    )
    version = next(iter(_packages().values()), None)
    sentence, remedy = problem or (None, None)
    return {"works": problem is None, "problem": sentence, "remedy": remedy, "version": version}


def _problem(number: int) -> Problem | None:
    """Why a device cannot decode JPEG files, or None."""
    try:
        jpeg_decoder(open_device(number))
    except GpustackError as error:
        return Problem(error.message, error.remedy)
    except MemoryError:
        return Problem(f"Device {number} has no memory left.", "Close other programs that use it.")
    return None


def _packages() -> dict[str, str]:
    """Names and versions of the nvImageCodec distributions that are installed."""
    found = {}
    for name in _PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _package_problem() -> Problem | None:
    found = _packages()
    extra = "nvjpeg12" if "cupy-cuda12x" in cupy_packages() else "nvjpeg13"
    install = f"pip install 'gpustack-focus[{extra}]'"
    if not found:
        return Problem("nvImageCodec is not installed.", f"Install it: {install}. Or take --decoder cpu.")
    if len(found) > 1:
        names = " and ".join(found)
        return Problem(
            f"The packages {names} are both installed, and share their files.",
            f"Uninstall them, then: {install}.",
        )
    return None


def decodes(decoder: JpegDecoder, device: Device) -> bool:
    """Whether a small picture becomes what OpenCV makes of it. Raises BackendError, DecodeError."""
    ramp = np.add.outer(np.arange(48), np.arange(64))
    picture = np.stack([40 + ramp, 200 - ramp, 60 + ramp // 2], axis=-1).astype(np.uint8)
    data = np.asarray(cv2.imencode(".jpg", picture)[1]).reshape(-1)
    wanted = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB))
    found = np.zeros_like(wanted)
    address = device.allocate(found.nbytes)
    try:
        decoder.decode(data, address, Jpeg("the trial picture", 48, 64, 3, data.nbytes), Lane.WORK)
        device.copy_out(found, address, Lane.WORK)
        device.finish(device.record(Lane.WORK))
    finally:
        device.free(address)
    return bool(np.abs(found.astype(int) - wanted).max() <= WRONG_LEVELS)
