"""The pass that makes layers: one at a time, in stack order, of the frames that own pixels; the same on one
GPU, and on two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from gpustack.backend.choose import Choice
from gpustack.engine import run as running
from gpustack.engine.layers import Layer, Opening
from gpustack.engine.plan import make_plan
from gpustack.engine.planned import Budget
from gpustack.engine.run import Outcome, run
from gpustack.settings import Crop, Method, Model, Settings
from tests.cuda_on_cpu.device import CpuDevice
from tests.cuda_on_cpu.module import problem
from tests.engine.shots import Shelf, frames_of, headers, macro, patchwork


class Kept:
    """Takes layers."""

    def __init__(self) -> None:
        self.opening: Opening | None = None
        self.layers: list[Layer] = []
        self.closed = False

    @contextmanager
    def open(self, opening: Opening) -> Iterator[Callable[[Layer], None]]:
        self.opening = opening
        yield self.layers.append
        self.closed = True


def stacked(pictures: list[Any], settings: Settings) -> tuple[Kept, Outcome, Shelf]:
    shelf, kept = Shelf(pictures), Kept()
    outcome = run(shelf.stack, shelf.read, settings, keep_layers=kept.open)
    return kept, outcome, shelf


def test_layers_come_in_order_and_each_frame_is_read_once_more() -> None:
    settings = Settings(align=Model.NONE, method=Method.PYRAMID, threads=2)
    kept, outcome, shelf = stacked(patchwork(5), settings)
    assert kept.closed
    assert kept.opening is not None
    assert kept.opening.picture is outcome.fused.picture
    assert [layer.outline.index for layer in kept.layers] == [0, 1, 2, 3, 4]
    assert set(shelf.reads.values()) == {2, 3}  # the reference is looked at for its noise
    parts = np.zeros(outcome.fused.winners.shape, int)
    for layer in kept.layers:
        box = layer.outline.box
        inside = layer.mask == 255
        assert layer.pixels.shape[:2] == layer.mask.shape == (box.height, box.width)
        assert set(np.unique(layer.mask)) <= {0, 255}
        parts[box.rows, box.columns] += inside
        assert np.array_equal(layer.pixels[inside], outcome.fused.picture[box.rows, box.columns][inside])
    assert (parts == 1).all()


def test_without_layers_no_pass_is_made_or_planned() -> None:
    shelf = Shelf(patchwork(3))
    outcome = run(shelf.stack, shelf.read, Settings(align=Model.NONE, threads=2, layers=True))
    assert outcome.report.layers is None
    assert "layers" not in outcome.report.plan["passes"]
    assert outcome.report.as_dict()["layers"] is None


@pytest.mark.parametrize("depth", [False, True])
@pytest.mark.parametrize("method", list(Method))
def test_the_plan_knows_of_the_pass(method: Method, depth: bool) -> None:
    stack, budget = headers(10, width=4000, height=3000), Budget(1 << 36, 4)
    plain, more = (
        make_plan(stack, Settings(method=method, depth=depth, layers=layers), budget)
        for layers in (False, True)
    )
    assert more.passes == (*plain.passes, "layers")
    assert more.seconds > plain.seconds
    assert more.state_bytes >= plain.state_bytes
    picture = 3 * 4000 * 3000
    assert more.state_bytes >= 3 * picture  # the picture, as it is and upright, and a layer


@pytest.mark.skipif(problem() is not None, reason=str(problem()))
@pytest.mark.parametrize(("crop", "devices"), [(Crop.NONE, 1), (Crop.AUTO, 2)])
def test_a_gpu_hands_out_the_same_layers(crop: Crop, devices: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = frames_of(macro(frames=4, width=120, height=90))
    settings = Settings(method=Method.PYRAMID, crop=crop, threads=2)
    wanted, *_ = stacked(pictures, settings)
    on_gpus = tuple(CpuDevice(eager=False) for _ in range(devices))
    monkeypatch.setattr(running, "choose", lambda *_: Choice("chosen by the test", on_gpus))
    found, *_ = stacked(pictures, settings)
    assert [layer.outline.index for layer in found.layers] == [layer.outline.index for layer in wanted.layers]
    for mine, theirs in zip(found.layers, wanted.layers, strict=True):
        assert (mine.covers is None) == (theirs.covers is None)
        if mine.outline == theirs.outline:
            assert np.mean(mine.mask != theirs.mask) < 0.01
            assert np.mean(np.abs(mine.pixels.astype(int) - theirs.pixels) > 1) < 0.01
