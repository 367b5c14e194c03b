"""What every test may ask for: a backend, the test pictures, and no silent skip where a GPU is promised."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from gpustack.backend.cpu import Cpu
from gpustack.backend.protocol import Backend
from tests.backend.sealed import Sealed

settings.register_profile("gpustack", deadline=None, max_examples=40)
settings.load_profile("gpustack")

BACKENDS = {"cpu": lambda: Cpu(1), "sealed": lambda: Sealed(Cpu(2))}


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend[Any]:
    """Every backend there is, and one with two threads whose arrays nobody but itself may look into."""
    return BACKENDS[request.param]()


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of test pictures."""
    folder = os.environ.get("GPUSTACK_DATA")
    if not folder:
        pytest.skip("GPUSTACK_DATA does not name the data folder")
    return Path(folder)


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
