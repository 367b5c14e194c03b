"""The bench's own instrument: what it reports must be the measured process's, not the bench's."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

MEASURE = Path(__file__).parents[2] / "bench" / "measure.py"
MIB = 2**20

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the benches measure with wait4, which Windows lacks")


@pytest.fixture(scope="module")
def measure() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_measure", MEASURE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


def test_peak_is_that_of_the_command(measure: ModuleType, tmp_path: Path) -> None:
    figures = measure.measure([python("bytearray(b'x') * (200 << 20)")], tmp_path / "log")
    assert 200 * MIB < figures.peak_bytes < 260 * MIB


def test_memory_held_by_the_bench_does_not_count(measure: ModuleType, tmp_path: Path) -> None:
    held = bytearray(b"x") * (200 << 20)
    figures = measure.measure([python("pass")], tmp_path / "log")
    assert figures.peak_bytes < 100 * MIB < len(held)


def test_commands_in_turn_add_their_times_and_keep_the_larger_peak(
    measure: ModuleType, tmp_path: Path
) -> None:
    big, slow = python("bytearray(b'x') * (100 << 20)"), python("import time; time.sleep(0.3)")
    figures = measure.measure([big, slow, slow], tmp_path / "log")
    assert figures.wall_s > 0.6
    assert figures.cpu_s < figures.wall_s
    assert figures.peak_bytes > 100 * MIB


def test_cpu_time_of_waited_children_counts(measure: ModuleType, tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 0.4: pass"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-I', '-S', '-c', {burn!r}])"
    assert measure.measure([python(parent)], tmp_path / "log").cpu_s >= 0.4


def test_failure_quotes_the_log(measure: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(measure.BenchError, match=r"failed; .*\n(.*\n)*no frames here"):
        measure.measure([python("raise SystemExit('no frames here')")], tmp_path / "log")


def test_a_run_that_hangs_is_stopped(measure: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(measure.BenchError, match="was stopped after 1 s"):
        measure.measure([python("import time; time.sleep(60)")], tmp_path / "log", timeout_s=1)


def test_a_program_that_is_not_there_is_named(measure: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(measure.BenchError, match="no-such-stacker cannot be started"):
        measure.measure([["no-such-stacker"]], tmp_path / "log")


@pytest.mark.parametrize("limit", ["OMP_NUM_THREADS", "PYTHONDONTWRITEBYTECODE"])
def test_limits_are_lifted(measure: ModuleType, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setenv(limit, "1")
    assert limit not in measure.environment()
    assert "PATH" in measure.environment()


def test_rounds_interleave_and_drop_the_warm_up(measure: ModuleType) -> None:
    called: list[str] = []

    def run(name: str) -> object:
        called.append(name)
        return measure.Figures(float(len(called)), 0.0, 0)

    taken = measure.rounds(["a", "b"], 2, run)
    assert called == ["a", "b", "a", "b", "a", "b"]
    assert [figures.wall_s for figures in taken["a"]] == [3.0, 5.0]


def test_summary_holds_spread_and_every_run(measure: ModuleType) -> None:
    figures = [measure.Figures(wall, 2 * wall, 3 * MIB) for wall in (3.0, 1.0, 2.5)]
    summary = measure.summary(figures)
    assert summary["wall_s"] == {"min": 1.0, "median": 2.5, "max": 3.0, "runs": [3.0, 1.0, 2.5]}
    assert summary["cpu_s"]["median"] == 5.0
    assert summary["peak_mib"]["max"] == 3.0
