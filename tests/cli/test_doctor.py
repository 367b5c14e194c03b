"""`gpustack doctor` tells what is there, and ends with an error where its self-test fails."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

import gpustack.api
import gpustack.cli.doctor
from gpustack import __version__
from gpustack.settings import BackendName, Method, Settings
from tests.cli.calling import call


def test_doctor_as_text() -> None:
    result = call("doctor")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"gpustack {__version__}, Python 3.")
    assert lines[-1] == "self-test: passed"
    for line in (
        "numpy",
        "backend cpu: works",
        "backend cuda:",
        "kernels: found",
        "codecs:",
        "decoder gpu:",
        "memory:",
        "disk:",
    ):
        assert any(line in each for each in lines)


def test_doctor_as_json() -> None:
    result = call("doctor", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["gpustack"] == __version__
    assert found["self_test"] == "passed"
    assert found["backends"]["cpu"]["works"] is True
    cuda = found["backends"]["cuda"]
    assert bool(cuda["problem"]) is bool(cuda["remedy"]) is not cuda["works"]
    assert found["libraries"]["numpy"] != "missing"
    assert found["codecs"]["jpeg8"] == "yes"
    decoder = found["decoders"]["gpu"]
    assert bool(decoder["problem"]) is bool(decoder["remedy"]) is not decoder["works"]
    assert found["memory"]["free_bytes"] > 0
    assert 0 < found["memory"]["used_by_default"] < 1


def test_a_failed_self_test_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpustack.cli.doctor, "_self_test", lambda **_: "method auto is off by 9 of 255")
    result = call("doctor")
    assert result.exit_code == 1
    assert "gpustack: The self-test failed: method auto is off by 9 of 255." in result.stderr


@pytest.mark.parametrize("with_cuda", [False, True])
def test_the_self_test_tries_every_backend_that_works(
    monkeypatch: pytest.MonkeyPatch, with_cuda: bool
) -> None:
    asked = []
    real = gpustack.api.stack

    def stack(frames: list[Any], settings: Settings) -> gpustack.api.Result:
        asked.append((settings.backend, settings.method))
        return real(frames, replace(settings, backend=BackendName.CPU))

    monkeypatch.setattr(gpustack.api, "stack", stack)
    assert gpustack.cli.doctor._self_test(with_cuda=with_cuda) == "passed"
    backends = [BackendName.CPU, BackendName.CUDA] if with_cuda else [BackendName.CPU]
    assert asked == [(backend, method) for backend in backends for method in Method]


def test_packages_that_break_each_other_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"opencv-python": "4.9", "gpustack": "2.3"}
    monkeypatch.setattr(gpustack.cli.doctor, "installed", lambda name: installed.get(name, "missing"))
    first, second = gpustack.cli.doctor.examine()["problems"]
    assert first.startswith("opencv-python shares its files")
    assert "cluster manager" in second
    assert call("doctor").stdout.count("PROBLEM: ") == 2


NO_CUDA: dict[str, Any] = {
    "works": False,
    "problem": "There is no NVIDIA driver on this machine.",
    "remedy": "Install one.",
    "driver": None,
    "devices": [],
}
OLD = {"number": 1, "name": "GTX 1080", "capability": "6.1", "works": False} | {
    "problem": "It is too old.",
    "remedy": "Use the CPU.",
}
FINE = {"number": 0, "name": "H100", "capability": "9.0", "works": True} | {
    "memory_free_bytes": 79_100_000_000,
    "memory_total_bytes": 85_000_000_000,
}
VERSIONS = {"driver": "13.0", "cupy": "14.2.0", "runtime": "13.2", "nvrtc": "13.5"}
CUDA: dict[str, Any] = {"works": True, "problem": None, "remedy": None, "devices": [FINE, OLD]} | VERSIONS


@pytest.mark.parametrize(
    ("report", "lines"),
    [
        (
            NO_CUDA,
            ["backend cuda: does not work: There is no NVIDIA driver on this machine. Install one."],
        ),
        (
            NO_CUDA | {"driver": "13.0", "devices": [OLD]},
            [
                "backend cuda: does not work: There is no NVIDIA driver on this machine. Install one.",
                "  device 1: GTX 1080, compute capability 6.1, does not work: It is too old. Use the CPU.",
            ],
        ),
        (
            CUDA,
            [
                "backend cuda: works, driver for CUDA 13.0, CuPy 14.2.0 for CUDA 13.2, NVRTC 13.5",
                "  device 0: H100, compute capability 9.0, 79.1 of 85.0 GB free",
                "  device 1: GTX 1080, compute capability 6.1, does not work: It is too old. Use the CPU.",
            ],
        ),
    ],
)
def test_cuda_works_or_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch, report: dict[str, Any], lines: list[str]
) -> None:
    monkeypatch.setattr("gpustack.backend.detect.cuda_report", lambda: report)
    monkeypatch.setattr(gpustack.cli.doctor, "_self_test", lambda **_: "passed")
    text = call("doctor").stdout.splitlines()
    at = text.index(lines[0])
    assert text[at : at + len(lines)] == lines
    assert text[at + len(lines)].startswith("kernels:")
    assert json.loads(call("doctor", "--json").stdout)["backends"]["cuda"] == report


MISSING = {
    "works": False,
    "problem": "nvImageCodec is not installed.",
    "remedy": "Install it.",
    "version": None,
}
THERE = {"works": True, "problem": None, "remedy": None, "version": "0.9.0.20"}


@pytest.mark.parametrize(
    ("report", "cuda", "tried", "line"),
    [
        (THERE, CUDA, [0], "decoder gpu: works, nvImageCodec 0.9.0.20"),
        (MISSING, CUDA, [0], "decoder gpu: does not work: nvImageCodec is not installed. Install it."),
        (MISSING, NO_CUDA, [], "decoder gpu: does not work: nvImageCodec is not installed. Install it."),
    ],
)
def test_decoding_on_a_gpu_works_or_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch,
    report: dict[str, Any],
    cuda: dict[str, Any],
    tried: list[int],
    line: str,
) -> None:
    asked: list[list[int]] = []
    monkeypatch.setattr("gpustack.backend.detect.cuda_report", lambda: cuda)
    monkeypatch.setattr(
        "gpustack.backend.decoders.jpeg_report", lambda devices: asked.append(devices) or report
    )
    monkeypatch.setattr(gpustack.cli.doctor, "_self_test", lambda **_: "passed")
    assert line in call("doctor").stdout.splitlines()
    assert asked == [tried]
