"""What every test may ask for: a backend, the test pictures, and no silent skip where a GPU is promised."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from gpustack.backend.cpu import Cpu
from gpustack.backend.detect import cuda_device
from gpustack.backend.gpu.backend import Gpu
from gpustack.backend.protocol import Backend
from gpustack.errors import BackendError
from tests.backend.sealed import Sealed
from tests.cuda_on_cpu.device import CpuDevice
from tests.cuda_on_cpu.module import problem

# The same examples each time, whatever the machine has to do; where EX asks for more, other ones each time.
settings.register_profile(
    "gpustack",
    deadline=None,
    max_examples=int(os.environ.get("EX", "40")),
    derandomize="EX" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("gpustack")

DEVICE_BYTES = 1 << 32

QUIET_BROWSER = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
"""Flags of Chromium: as root, without a screen, and asking nobody for anything."""


def _fast() -> Backend[Any]:
    pytest.importorskip("numba", reason="the extra `fast` is not installed")
    from gpustack.backend.fast.backend import FastCpu

    return FastCpu(2)


def _cuda_on_cpu() -> Backend[Any]:
    reason = problem()
    if reason is not None:
        pytest.skip(reason)
    return Gpu(CpuDevice(), DEVICE_BYTES)


def _cuda() -> Backend[Any]:
    try:
        device = cuda_device(0)
    except BackendError as error:
        pytest.skip(str(error))
    return Gpu(device, DEVICE_BYTES)


BACKENDS: dict[str, Callable[[], Backend[Any]]] = {
    "cpu": lambda: Cpu(1),
    "fast": _fast,
    "sealed": lambda: Sealed(Cpu(2)),
    "cuda-on-cpu": _cuda_on_cpu,
    "cuda": _cuda,
}
"""Every backend there is, one with compiled loops, one with two threads whose arrays nobody but itself may
look into, and the GPU's with its kernels run by the CPU."""


@pytest.fixture(
    scope="session",
    params=[pytest.param(name, marks=[pytest.mark.gpu] * (name == "cuda")) for name in BACKENDS],
)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend[Any]]:
    """Each of `BACKENDS` in turn."""
    opened = BACKENDS[request.param]()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of test pictures."""
    folder = os.environ.get("GPUSTACK_DATA")
    if not folder:
        pytest.skip("GPUSTACK_DATA does not name the data folder")
    return Path(folder)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium, for which Playwright must be there, too."""
    pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("there is no Chromium")
    return path


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    """Chromium, driven by Playwright. For one file only: while it is open, an event loop counts as running,
    and no other test of this process could run one."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=list(QUIET_BROWSER))
        yield opened
        opened.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where GPUSTACK_REQUIRE_GPU=1 promises a device, skipping a test marked `gpu` is a failure."""
    del call
    report = yield
    if report.skipped and os.environ.get("GPUSTACK_REQUIRE_GPU") == "1" and item.get_closest_marker("gpu"):
        report.outcome = "failed"
        report.longrepr = f"GPUSTACK_REQUIRE_GPU=1, but this GPU test was skipped: {report.longrepr}"
    return report
