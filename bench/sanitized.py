"""Every kernel at odd sizes, its results compared with the reference: what compute-sanitizer watches.

    compute-sanitizer --tool memcheck python bench/sanitized.py --device cuda:0

The calls are the cases of the kernels' own tests, and a frame resampled and aligned, compared with the CPU
backend's. Without a sanitizer they are a short test of a device.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from typing import Any, cast

import cv2
import devices
import numpy as np
from floors import BYTES, Shares
from measure import REPOSITORY, BenchError
from meter import Meter

from gpustack.align.estimate import match
from gpustack.align.sight import see
from gpustack.backend.cpu import Cpu
from gpustack.backend.gpu.backend import Gpu
from gpustack.backend.gpu.device import Device
from gpustack.backend.protocol import Backend
from gpustack.model.frame import PixelType
from gpustack.model.rect import Rows
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform
from gpustack.settings import Interpolation, Model

LIMIT = 1 << 28
ALIGNED = (133, 171)
"""Rows and columns of the frames that are aligned."""

BOUND = 1e-5
"""By how much a resampled value may differ from the CPU backend's; white is 1."""

BOUND_PX = 1e-3
"""By how much the motion may differ from the CPU backend's, in pixels."""


def check(device: str, largest: bool) -> int:
    """Run all cases on a device; the number of launches. Raises AssertionError where a result is wrong."""
    sys.path.insert(0, str(REPOSITORY))  # the tests are no installed package
    from tests.kernels.cases import CASES, SHAPES

    meter = Meter(devices.open_device(device), Shares())
    gpu = Gpu(cast(Device, meter), LIMIT)
    for case in CASES:
        for shape in SHAPES[-1:] if largest else SHAPES:
            for found, wanted in case(gpu, shape, np.random.default_rng(1)):
                np.testing.assert_array_equal(found, wanted, err_msg=f"{case.__name__} {shape}")
    for mine, theirs in zip(resampled(gpu), resampled(Cpu(1)), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=BOUND)
    np.testing.assert_allclose(motion(gpu), motion(Cpu(1)), atol=BOUND_PX)
    gpu.close()
    launches = meter.taken()
    idle = set(BYTES) - {launch.name for launch in launches}
    assert not idle, f"not started: {', '.join(sorted(idle))}"
    return len(launches)


def resampled(backend: Backend[Any]) -> Iterator[Any]:
    """What a backend makes of a frame that is turned, by each interpolation, and the frame's light."""
    frame = backend.upload(np.random.default_rng(3).integers(0, 256, (*ALIGNED, 3), dtype=np.uint8))
    turned = Transform(np.array([[0.99, 0.03, -2.6], [-0.02, 1.01, 1.7], [0, 0, 1.0]]), Tone((1.02,)))
    rows = Rows(0, ALIGNED[0])
    for interpolation in Interpolation:
        band = backend.load(frame, turned, PixelType.UINT8, ALIGNED[1], rows, interpolation=interpolation)
        yield backend.download(band.image)
    yield backend.light(frame, PixelType.UINT8, 5, False)


def motion(backend: Backend[Any]) -> Any:
    """The motion that a backend finds between two frames, one of which is moved by a known one."""
    texture = np.random.default_rng(4).integers(0, 256, (*ALIGNED, 3), dtype=np.uint8)
    here = cv2.GaussianBlur(texture, (0, 0), 2)
    there = cv2.warpAffine(here, np.array([[1, 0, 1.4], [0, 1, -0.8]]), ALIGNED[::-1], flags=cv2.INTER_CUBIC)
    sights = []
    for frame in (here, there):
        held = backend.upload(np.ascontiguousarray(frame))
        backend.noise_level(held, PixelType.UINT8)
        sights.append(see(backend, backend.survey_luma(held, PixelType.UINT8, 1), ALIGNED[::-1]))
    return match(backend, sights[0], sights[1], Model.SIMILARITY).matrix


def main() -> None:
    """Command line of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--largest", action="store_true", help="only the largest of the sizes")
    given = parser.parse_args()
    started = time.perf_counter()
    try:
        count = check(given.device, given.largest)
    except BenchError as error:
        raise SystemExit(f"bench: {error}") from None
    print(f"all results are right, {count} launches in {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
