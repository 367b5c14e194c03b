"""Stop watches: what they count, and that the work is really done."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from gpustack.backend.choose import choose
from gpustack.engine import gauge
from gpustack.engine.gauge import Rate, Watch, copying, decoding, loading, timed
from gpustack.engine.plan import make_plan
from gpustack.engine.planned import Budget
from gpustack.model.frame import Frame, Kind, PixelType
from gpustack.model.stack import Stack
from gpustack.model.transform import Transform
from gpustack.settings import BackendName, Settings
from tests.patience import LONG_S


def test_a_rate_is_an_amount_by_its_seconds() -> None:
    assert Rate.of(12.0, [2.0, 1.0, 4.0]) == Rate(median=6.0, least=3.0, most=12.0)


def test_a_watch_adds_the_passes_of_a_frame_and_leaves_out_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 10.0, 11.0, 13.0, 20.0, 29.0, 29.5, 30.0])
    monkeypatch.setattr(gauge.time, "perf_counter", lambda: next(clock))
    watch = Watch()
    for stage in ("measure", "blend"):
        watch.begin(stage, 3, 1.0)
        for _ in range(3):
            watch.advance(0.0)
    assert watch.seconds == {"measure": [10.0, 1.0, 2.0], "blend": [9.0, 0.5, 0.5]}
    assert watch.per_frame() == [1.5, 2.5]


@pytest.mark.parametrize(("each", "times"), [(0.01, gauge.MOST), (0.4, gauge.LEAST), (9.0, gauge.LEAST)])
def test_short_work_is_timed_more_often(monkeypatch: pytest.MonkeyPatch, each: float, times: int) -> None:
    now = [0.0]
    monkeypatch.setattr(gauge.time, "perf_counter", lambda: now[0])

    def work() -> None:
        now[0] += each

    assert timed(work) == pytest.approx([each] * times)


def test_every_thread_decodes_a_frame() -> None:
    frames = [Frame(Path(name), 8, 6, 3, PixelType.UINT8, Kind.ARRAY) for name in "ab"]
    seen: list[str] = []
    together = threading.Barrier(3, timeout=LONG_S)

    def read(frame: Frame, out: object) -> np.ndarray:
        assert out is None
        together.wait()  # breaks unless three threads decode at a time
        seen.append(frame.name)
        return np.zeros((6, 8, 3), np.uint8)

    taken = decoding(read, frames, 3)
    assert sorted(seen) == sorted(["a", "b", "a"] * (len(taken) + 1))


def test_memory_is_copied() -> None:
    assert all(seconds > 0 for seconds in copying(3, 1 << 16))


def test_a_frame_is_loaded() -> None:
    frame = Frame(Path("a"), 40, 30, 3, PixelType.UINT8, Kind.ARRAY)
    settings = Settings(backend=BackendName.CPU)
    plan = make_plan(Stack((frame,)), settings, Budget(1 << 40, 2))
    choice = choose(settings.backend, settings.devices)
    assert all(loading(choice, plan, np.zeros((30, 40, 3), np.uint8), Transform.identity()))
