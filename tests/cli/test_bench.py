"""`gpustack bench` at toy sizes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gpustack import benching
from tests.cli.calling import assert_refused, call


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benching, "COPY_BYTES", 1 << 16)


def test_the_text_tells_rates_and_what_limits(frames: list[Path]) -> None:
    result = call("bench", "--frames", frames[0].parent, "--backend", "cpu", "--threads", 2)
    assert result.exit_code == 0, result.stderr
    for words in ("decode, 2 threads", "load, moved", "fuse, depthmap", "copy, 1 thread ", "MP/s", "GB/s"):
        assert words in result.stdout
    assert re.search(r"A run by default does \d+ MP/s, and [\w ]+ limits it\.", result.stdout)
    assert "a whole run by average ..." in result.stderr


def test_json_has_the_fields_that_the_documentation_names(frames: list[Path]) -> None:
    options = "--backend", "cpu", "--threads", 1, "--json", "--quiet"
    result = call("bench", "--frames", frames[0], "--frames", frames[1], *options)
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    page = (Path(__file__).parents[2] / "docs/cli.md").read_text("utf-8")
    table = page.split("\n## gpustack bench\n")[1].split("The object of `--json`:")[1].split("\n\nA rate")[0]
    named = {name for row in table.splitlines()[4:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == set(found)
    assert set(found["decode"]) == {"1"}


def test_frames_that_do_not_exist_are_refused() -> None:
    assert_refused(call("bench", "--frames", "nowhere.jpg", "--quiet"), 3, "nowhere.jpg")
