"""Every reason why CUDA cannot be used is its own sentence with its own remedy."""

from __future__ import annotations

import ctypes
import importlib.metadata
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import gpustack.backend.detect as detect
from gpustack.backend.driver import Card, Driver, dotted, driver
from gpustack.errors import BackendError
from tests.backend.fake_cupy import CompileFailed, FakeCupy, RuntimeFailed

AMPERE, VOLTA, PASCAL = Card("RTX 3060", (8, 6)), Card("V100", (7, 0)), Card("GTX 1080", (6, 1))
WORKING = Driver(13000, 0, (AMPERE,))
CUDA13, CUDA12 = {"cupy-cuda13x": "14.2.0"}, {"cupy-cuda12x": "14.2.0"}


class Machine:
    """What the probes find; at first a machine where all is well."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.driver: Driver | None = WORKING
        self.packages = CUDA13
        self.cupy = FakeCupy(monkeypatch)
        monkeypatch.setattr(detect, "driver", lambda: self.driver)
        monkeypatch.setattr(detect, "cupy_packages", lambda: self.packages)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_a_machine_where_all_is_well(machine: Machine) -> None:
    assert detect.cuda_problem(0) is None
    assert [call[1] for call in machine.cupy.noted("launch")] == ["fill_float32"]
    assert not machine.cupy.memory
    assert detect.cuda_device(0).name == "NVIDIA Fake"


def no_driver(machine: Machine) -> None:
    machine.driver = None


def old_driver(machine: Machine) -> None:
    machine.driver = Driver(11040, 0, (AMPERE,))


def broken_driver(machine: Machine) -> None:
    machine.driver = Driver(13000, 803, ())


def no_card(machine: Machine) -> None:
    machine.driver = Driver(13000, 100, ())


def old_card(machine: Machine) -> None:
    machine.driver = Driver(13000, 0, (PASCAL,))


def no_cupy(machine: Machine) -> None:
    machine.packages = {}


def no_cupy_for_an_older_driver(machine: Machine) -> None:
    machine.driver, machine.packages = Driver(12040, 0, (AMPERE,)), {}


def no_cupy_for_an_older_card(machine: Machine) -> None:
    machine.driver, machine.packages = Driver(13000, 0, (VOLTA,)), {}


def two_cupys(machine: Machine) -> None:
    machine.packages = CUDA12 | CUDA13


def old_cupy(machine: Machine) -> None:
    machine.packages = {"cupy-cuda12x": "13.4.1"}


def cupy_for_a_newer_driver(machine: Machine) -> None:
    machine.driver = Driver(12080, 0, (AMPERE,))


def cupy_for_a_newer_card(machine: Machine) -> None:
    machine.driver = Driver(13000, 0, (VOLTA,))


def cupy_without_headers(machine: Machine) -> None:
    machine.cupy.failing["get_function"] = RuntimeError("Failed to find CUDA headers.")


def cupy_without_nvrtc(machine: Machine) -> None:
    machine.cupy.failing["get_function"] = RuntimeError('Failure finding "libnvrtc.so.13": No such file')


def kernels_that_do_not_compile(machine: Machine) -> None:
    machine.cupy.failing["get_function"] = CompileFailed("fill.cu(3): error: expected a type")


def little_memory(machine: Machine) -> None:
    machine.cupy.module.cuda.runtime.memGetInfo = lambda: (300 << 20, 8 << 30)


def no_memory_at_all(machine: Machine) -> None:
    machine.cupy.failing["Stream"] = RuntimeFailed(2)


def busy_device(machine: Machine) -> None:
    machine.cupy.failing["Stream"] = RuntimeFailed(46, "cudaErrorDevicesUnavailable: devices are busy")


def wrong_values(machine: Machine) -> None:
    machine.cupy.module.RawModule = lambda **_: SimpleNamespace(get_function=lambda _: lambda *_: None)


CASES: list[tuple[Callable[[Machine], None], str, str]] = [
    (no_driver, "no NVIDIA driver", "--backend cpu"),
    (old_driver, "driver is too old: it knows CUDA 11.4, and 12.0 is needed", "525 or newer"),
    (broken_driver, "driver does not start (error 803)", "Restart"),
    (no_card, "driver finds no GPU", "--backend cpu"),
    (old_card, "Device 0, GTX 1080, is too old: compute capability 6.1, and 7.0 is needed", "--backend cpu"),
    (no_cupy, "CuPy is not installed", "pip install 'gpustack-focus[cuda13]'"),
    (no_cupy_for_an_older_driver, "CuPy is not installed", "pip install 'gpustack-focus[cuda12]'"),
    (no_cupy_for_an_older_card, "CuPy is not installed", "pip install 'gpustack-focus[cuda12]'"),
    (two_cupys, "cupy-cuda12x and cupy-cuda13x are both installed", "Uninstall them"),
    (old_cupy, "cupy-cuda12x 13.4.1 is too old, 14 is needed", "pip uninstall cupy-cuda12x"),
    (cupy_for_a_newer_driver, "here are a driver for CUDA 12.8 and RTX 3060 with 8.6", "[cuda12]"),
    (cupy_for_a_newer_card, "here are a driver for CUDA 13.0 and V100 with 7.0", "[cuda12]"),
    (cupy_without_headers, "Failed to find CUDA headers", "Install the compiler and its headers"),
    (cupy_without_nvrtc, "libnvrtc.so.13", "Install the compiler and its headers"),
    (kernels_that_do_not_compile, "kernels of fill.cu do not compile", "--backend cpu"),
    (little_memory, "Device 0 has 300 MiB of free memory, and 512 MiB are needed", "Close other programs"),
    (no_memory_at_all, "Device 0 has 0 MiB of free memory", "Close other programs"),
    (busy_device, "CUDA device 0 failed (cudaErrorDevicesUnavailable: devices are busy)", "--backend cpu"),
    (wrong_values, "A kernel gave wrong values on device 0", "--backend cpu"),
]


@pytest.mark.parametrize(("spoil", "sentence", "remedy"), CASES, ids=[case[0].__name__ for case in CASES])
def test_a_reason_and_a_remedy(
    machine: Machine, spoil: Callable[[Machine], None], sentence: str, remedy: str
) -> None:
    spoil(machine)
    problem = detect.cuda_problem(0)
    assert problem is not None
    assert sentence in problem.sentence
    assert remedy in problem.remedy
    assert all(text.endswith(".") and text[0].isupper() for text in problem)
    assert "\n" not in problem.sentence + problem.remedy
    with pytest.raises(BackendError) as caught:
        detect.cuda_device(0)
    assert (caught.value.message, caught.value.remedy) == tuple(problem)


def test_cupy_for_cuda_12_works_with_newer_drivers_and_older_cards(machine: Machine) -> None:
    machine.packages = CUDA12
    for version, card in ((12000, AMPERE), (13000, AMPERE), (13000, VOLTA)):
        machine.driver = Driver(version, 0, (card,))
        assert detect.cuda_problem(0) is None


@pytest.mark.parametrize("visible", ["", "-1", "7"])
def test_hidden_devices(machine: Machine, monkeypatch: pytest.MonkeyPatch, visible: str) -> None:
    no_card(machine)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    problem = detect.cuda_problem(0)
    assert problem is not None
    assert problem.sentence == f"CUDA_VISIBLE_DEVICES='{visible}' hides every GPU."


@pytest.mark.parametrize(
    ("cards", "number", "known"),
    [(1, 1, "device 0 only"), (3, 3, "devices 0 to 2"), (2, -1, "devices 0 to 1")],
)
def test_a_number_that_does_not_exist(machine: Machine, cards: int, number: int, known: str) -> None:
    machine.driver = Driver(13000, 0, (AMPERE,) * cards)
    problem = detect.cuda_problem(number)
    assert problem is not None
    assert f"no CUDA device {number}; this machine shows {known}" in problem.sentence
    assert "--devices" in problem.remedy
    assert machine.cupy.calls == []


def test_nothing_is_opened_where_a_cheaper_look_finds_the_reason(machine: Machine) -> None:
    for spoil in (no_driver, no_card, no_cupy, two_cupys):
        spoil(machine)
        assert detect.cuda_problem(0) is not None
    assert machine.cupy.calls == []


def test_packages_are_found_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name not in CUDA12:
            raise importlib.metadata.PackageNotFoundError
        return CUDA12[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert detect.cupy_packages() == CUDA12


def test_the_report_of_a_working_machine(machine: Machine) -> None:
    machine.driver = Driver(13000, 0, (AMPERE, PASCAL))
    report = detect.cuda_report()
    first, second = report.pop("devices")
    versions = {"cupy": "14.2.0", "runtime": "13.2", "nvrtc": "13.5"}
    assert report == {"works": True, "problem": None, "remedy": None, "driver": "13.0"} | versions
    memory = {"memory_free_bytes": 6 << 30, "memory_total_bytes": 8 << 30}
    assert first == {"number": 0, "name": "RTX 3060", "capability": "8.6", "works": True} | memory
    assert (second["number"], second["works"]) == (1, False)
    assert "too old" in second["problem"]


def test_the_report_of_a_machine_without_a_driver(machine: Machine) -> None:
    no_driver(machine)
    report = detect.cuda_report()
    assert (report["works"], report["driver"], report["devices"]) == (False, None, [])
    assert "no NVIDIA driver" in report["problem"]
    assert report["remedy"]


class FakeDriver:
    """The driver library with two devices, called as ctypes does: results go through pointers."""

    def __init__(self, status: int = 0) -> None:
        self.status = status

    def cuInit(self, flags: int) -> int:
        assert flags == 0
        return self.status

    def cuDriverGetVersion(self, answer: Any) -> int:
        answer._obj.value = 12080
        return 0

    def cuDeviceGetCount(self, answer: Any) -> int:
        answer._obj.value = 2
        return 0

    def cuDeviceGet(self, answer: Any, number: int) -> int:
        answer._obj.value = 40 + number
        return 0

    def cuDeviceGetName(self, buffer: Any, size: int, handle: int) -> int:
        buffer.value = f"GPU {handle}"[: size - 1].encode()
        return 0

    def cuDeviceGetAttribute(self, answer: Any, which: int, handle: int) -> int:
        answer._obj.value = {75: 8, 76: handle - 40}[which]
        return 0


def test_the_driver_is_asked_for_its_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    names = []
    monkeypatch.setattr(ctypes, "CDLL", lambda name: names.append(name) or FakeDriver())
    assert driver() == Driver(12080, 0, (Card("GPU 40", (8, 0)), Card("GPU 41", (8, 1))))
    monkeypatch.setattr("sys.platform", "win32")
    driver()
    assert names == ["libcuda.so.1", "nvcuda.dll"]


def test_a_driver_that_fails_and_one_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: FakeDriver(999))
    assert driver() == Driver(12080, 999, ())

    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert driver() is None


def test_versions_are_written_as_cuda_writes_them() -> None:
    assert [dotted(version) for version in (13000, 12080, 11040)] == ["13.0", "12.8", "11.4"]
