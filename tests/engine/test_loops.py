"""Loops are compiled before frames are in memory, if at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpustack.backend import choose as choosing
from gpustack.backend.cpu import Cpu
from gpustack.engine import opening
from gpustack.engine import plan as planning
from gpustack.engine.planned import Budget
from gpustack.engine.progress import Silent
from gpustack.engine.run import locate, run
from gpustack.model.frame import Frame, Kind, PixelType
from gpustack.model.stack import Stack
from gpustack.settings import BackendName, Method, Model, Settings

SETTINGS = Settings(method=Method.AVERAGE, align=Model.NONE, backend=BackendName.CPU)
STACK = Stack(tuple(Frame(Path(f"{n}.jpg"), 40, 30, 3, PixelType.UINT8, Kind.JPEG) for n in range(3)))


class Events(Silent):
    """What happens, in order: a progress, and a reader of frames."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def warn(self, sentence: str) -> None:
        self.seen.append(sentence)

    def read(self, frame: Frame, _: Any) -> Any:
        """Decode a frame."""
        self.seen.append("read")
        return np.zeros((frame.height, frame.width, frame.channels), np.uint8)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Events:
    """Of runs of small frames for which loops pay, and are not compiled."""
    found = Events()

    def compiles() -> None:
        found.seen.append("compile")

    monkeypatch.setattr(choosing, "has_loops", lambda: True)
    monkeypatch.setattr(choosing, "FastCpu", Cpu)
    monkeypatch.setattr(opening, "pays_to_compile", lambda _: True)
    monkeypatch.setattr(planning, "pays_to_compile", lambda _: True)
    monkeypatch.setattr(opening, "compiled_before", lambda: False)
    monkeypatch.setattr(opening, "have_compiled", compiles)
    return found


def test_loops_are_compiled_before_any_frame_is_read(events: Events) -> None:
    report = run(STACK, events.read, SETTINGS, progress=events).report
    told, *after = events.seen
    assert "compiled now" in told
    assert after[0] == "compile"
    assert after[1:].count("compile") == 0
    assert "read" in after
    assert report.plan["loops"]
    assert report.warnings == []


def test_once_they_are_there_nothing_is_compiled(events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "compiled_before", lambda: True)
    assert run(STACK, events.read, SETTINGS, progress=events).report.plan["loops"]
    assert "compile" not in events.seen


def test_a_run_does_without_loops_that_cannot_be_compiled(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "have_compiled", lambda: "no room")
    report = run(STACK, events.read, SETTINGS, progress=events).report
    assert any("cannot be compiled (no room)" in each for each in events.seen)
    assert not report.plan["loops"]


def test_who_only_looks_at_frames_needs_no_loops(events: Events) -> None:
    locate(STACK, events.read, SETTINGS, progress=events)
    assert "compile" not in events.seen


def test_nothing_is_compiled_for_small_frames(events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(opening, "compiled_before", lambda: pytest.fail("it was looked for"))
    allowed = Budget(1 << 30, 2, loops=True)
    assert opening.with_loops(allowed, STACK, events.warn) is allowed
    assert opening.with_loops(Budget(1 << 30, 2), STACK, events.warn).loops is False
