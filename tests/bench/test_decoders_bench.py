"""The bench of decoders at toy sizes, with libjpeg in the place of the GPU's decoder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cuda_on_cpu.module import problem

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(problem() is not None, reason=str(problem()))
def test_every_coding_and_a_stack_are_compared(tmp_path: Path) -> None:
    result = tmp_path / "decoders.json"
    command = [sys.executable, str(ROOT / "bench/decoders.py"), "--device", "cpu", "--json", str(result)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(result.read_text())
    assert len({row["coding"] for row in found["codings"]}) == 5
    rows = [row for row in found["codings"] if row["decoder"] != "host"]
    assert len(rows) == 10
    assert [row["largest"] for row in rows] == [0] * 10  # the same libjpeg
    assert all(row["ms"] > 0 for row in found["codings"])
    assert found["stack"]["apart"]["largest"] == 0
    assert found["stack"]["gpu"]["fps"] > 0
