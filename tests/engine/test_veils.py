"""Lamps out of focus in a whole run: their disks are not drawn around them."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from gpustack.engine.run import Outcome, run
from gpustack.model.frame import Frame
from gpustack.scenes import Rendered, Shoot, render
from gpustack.scenes.comparison import truth_psnr
from gpustack.settings import Deghost, Method, Model, Settings
from tests.engine.shots import Shelf, frames_of

SHOOT = Shoot(8, 480, 360, 8.0, noise=1.0, seed=5)


@cache
def lit(name: str) -> Rendered:
    return render(name, SHOOT)


def stacked(scene: str, **options: Any) -> Outcome:
    shelf = Shelf(frames_of(lit(scene)))
    settings = Settings(threads=2, deghost=Deghost.OFF, **options)
    return run(shelf.stack, shelf.read, settings)


def quality(scene: str, outcome: Outcome) -> float:
    return truth_psnr(lit(scene), outcome.fused.picture, outcome.report.box)


def test_lamps_lose_their_rings(monkeypatch: pytest.MonkeyPatch) -> None:
    lifted = stacked("lights")
    monkeypatch.setattr(Settings, "lifts_veils", property(lambda _: False))
    assert quality("lights", lifted) > quality("lights", stacked("lights")) + 1.0


def test_hairs_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    lifted = quality("hairs", stacked("hairs"))
    monkeypatch.setattr(Settings, "lifts_veils", property(lambda _: False))
    assert lifted > quality("hairs", stacked("hairs")) - 0.05


@pytest.mark.parametrize(("scene", "expected"), [("lights", True), ("hairs", False)])
def test_frames_that_are_not_aligned_are_looked_at_where_there_are_lamps(
    scene: str, *, expected: bool
) -> None:
    frames = frames_of(lit(scene)) * 3
    shelf = Shelf(frames)
    seen: list[str] = []

    def read(frame: Frame, out: Any) -> Any:
        seen.append(frame.name)
        return shelf.read(frame, out)

    settings = Settings(threads=2, align=Model.NONE, deghost=Deghost.OFF)
    outcome = run(shelf.stack, read, settings)
    passes = 1 + ("behind" in outcome.report.seconds)
    looks = 1 + 6 + (len(frames) if expected else 0)  # one for its noise
    assert len(seen) - passes * len(frames) == looks


def test_lamps_lose_their_rings_where_nothing_is_aligned(monkeypatch: pytest.MonkeyPatch) -> None:
    lifted = stacked("lights", align=Model.NONE)
    monkeypatch.setattr(Settings, "lifts_veils", property(lambda _: False))
    assert quality("lights", lifted) > quality("lights", stacked("lights", align=Model.NONE)) + 1.0


@pytest.mark.parametrize("method", [Method.PYRAMID, Method.AVERAGE])
def test_other_methods_do_not_look(method: Method) -> None:
    assert not Settings(method=method).lifts_veils
