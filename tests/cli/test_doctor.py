"""`gpustack doctor` tells what is there, and ends with an error where its self-test fails."""

from __future__ import annotations

import json

import pytest

import gpustack.cli.doctor
from gpustack import __version__
from tests.cli.calling import call


def test_doctor_as_text() -> None:
    result = call("doctor")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"gpustack {__version__}, Python 3.")
    assert lines[-1] == "self-test: passed"
    for line in ("numpy", "backend cpu: works", "kernels: found", "codecs:", "memory:", "disk:"):
        assert any(line in each for each in lines)


def test_doctor_as_json() -> None:
    result = call("doctor", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["gpustack"] == __version__
    assert found["self_test"] == "passed"
    assert set(found["backends"]) >= {"cpu", "cuda"}
    assert found["libraries"]["numpy"] != "missing"
    assert found["codecs"]["jpeg8"] == "yes"
    assert found["memory"]["free_bytes"] > 0
    assert 0 < found["memory"]["used_by_default"] < 1


def test_a_failed_self_test_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpustack.cli.doctor, "_self_test", lambda: "method auto is off by 9 of 255")
    result = call("doctor")
    assert result.exit_code == 1
    assert "gpustack: The self-test failed: method auto is off by 9 of 255." in result.stderr


def test_packages_that_break_each_other_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"opencv-python": "4.9", "gpustack": "2.3"}
    monkeypatch.setattr(gpustack.cli.doctor, "_version", lambda name: installed.get(name, "missing"))
    first, second = gpustack.cli.doctor.examine()["problems"]
    assert first.startswith("opencv-python shares its files")
    assert "cluster manager" in second
    assert call("doctor").stdout.count("PROBLEM: ") == 2
