"""`--slab` in a run: one reading of each frame, the plan's numbers, whole-stack depth, clear refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gpustack.engine.plan import make_plan
from gpustack.engine.planned import Budget
from gpustack.engine.run import Outcome, run
from gpustack.errors import PlanError, UsageError
from gpustack.model.place import Place
from gpustack.model.slab import Slab
from gpustack.model.transform import Transform
from gpustack.settings import Crop, Method, Model, Settings
from tests.engine.shots import Pixels, Shelf, frames_of, headers, macro

one_pass = pytest.mark.parametrize("method", [Method.AUTO, Method.PYRAMID, Method.AVERAGE])
ROOMY = Budget(8 << 30, 2)


def slabbed(shelf: Shelf, settings: Settings, **more: Any) -> tuple[Outcome, list[tuple[Slab, Pixels]]]:
    kept: list[tuple[Slab, Pixels]] = []
    return run(shelf.stack, shelf.read, settings, keep_slab=lambda *given: kept.append(given), **more), kept


@one_pass
def test_every_frame_is_read_once_besides_the_survey(method: Method) -> None:
    shelf = Shelf(frames_of(macro()))
    outcome, kept = slabbed(shelf, Settings(method=method, slab=(3, 1), depth=True, threads=2))
    assert set(shelf.reads.values()) == {2}
    assert [slab.frames for slab, _ in kept] == [range(3), range(2, 5), range(4, 6)]
    assert outcome.report.slabs == [slab for slab, _ in kept]
    assert [row["last"] for row in outcome.report.as_dict()["slabs"]] == [2, 4, 5]
    assert all(picture.shape == outcome.fused.picture.shape for _, picture in kept)
    assert all(picture.dtype == np.uint8 for _, picture in kept)


@pytest.mark.parametrize("method", [Method.PYRAMID, Method.AVERAGE])
def test_slabs_are_stacks_with_the_transforms_of_the_whole(method: Method) -> None:
    shelf = Shelf(frames_of(macro()))
    settings = Settings(method=method, crop=Crop.NONE, threads=2, reference="3")
    outcome, kept = slabbed(shelf, replace(settings, slab=(3, 1)))
    for slab, picture in kept:
        if 3 not in slab.frames:  # frames without the reference have another noise and canvas
            continue
        first, stop = slab.frames.start, slab.frames.stop
        some = Shelf(frames_of(macro())[first:stop])
        alone = replace(settings, reference=str(3 - first))
        again = run(some.stack, some.read, alone, places=outcome.places[first:stop])
        np.testing.assert_array_equal(picture, again.fused.picture)


@one_pass
def test_depth_and_winners_are_those_of_the_whole_stack(method: Method) -> None:
    scene = macro(breathing=0.0, drift_px=0.0, jitter_px=0.0, flicker=0.0)
    settings = Settings(method=method, align=Model.NONE, slab=(3, 1), depth=True, threads=2)
    outcome, _ = slabbed(Shelf(frames_of(scene)), settings)
    found = outcome.fused.surface
    assert found is not None
    assert np.median(np.abs(found.depth - scene.depth)) < 0.26
    assert outcome.fused.winners.max() == 5
    assert sum(frame.share for frame in outcome.report.frames) == pytest.approx(1.0)


def test_a_slab_of_all_frames_is_the_picture() -> None:
    settings = Settings(threads=2, method=Method.PYRAMID)  # auto looks behind things and at lamps in no slab
    whole = run((shelf := Shelf(frames_of(macro()))).stack, shelf.read, settings)
    outcome, kept = slabbed(shelf, replace(settings, slab=(6, 0)))
    np.testing.assert_array_equal(kept[0][1], whole.fused.picture)
    np.testing.assert_array_equal(outcome.fused.picture, whole.fused.picture)


def test_frames_that_are_not_used_are_not_in_a_slab() -> None:
    shelf = Shelf(frames_of(macro()))
    places = [Place(Transform.identity(), used=index not in (4, 5)) for index in range(6)]
    outcome, kept = slabbed(shelf, Settings(slab=(2, 0), threads=2), places=places)
    assert [slab.number for slab, _ in kept] == [1, 2]
    assert shelf.reads["frame5.jpg"] == 0
    assert outcome.fused.winners.max() == 3


def test_the_plan_prices_the_slabs_that_are_open() -> None:
    stack = headers(40, width=3000, height=2000)
    states = {}
    for slab, number, most in (((10, 0), 4, 1), ((10, 5), 7, 2), ((10, 8), 16, 5)):
        plan = make_plan(stack, Settings(slab=slab), ROOMY)
        assert (plan.slabs, plan.open_slabs) == (number, most)
        states[most] = plan.state_bytes
    alone = make_plan(stack, Settings(), ROOMY)
    assert (alone.slabs, alone.open_slabs) == (0, 0)
    assert alone.state_bytes < states[1] < states[2] < states[5]
    more = make_plan(headers(400, width=3000, height=2000), Settings(slab=(10, 5)), ROOMY)
    assert more.state_bytes == states[2]


def test_what_does_not_fit_is_refused_with_a_way_out() -> None:
    tight = Budget(1400 << 20, 2)
    stack = headers(40, width=3000, height=2000)
    make_plan(stack, Settings(slab=(10, 0)), tight)
    with pytest.raises(PlanError, match="--slab less with a smaller overlap"):
        make_plan(stack, Settings(slab=(10, 9)), tight)


def test_a_gpu_is_priced_for_open_slabs_too() -> None:
    stack = headers(40, width=3000, height=2000)
    budget = Budget(8 << 30, 2, 16 << 30, 1)
    held = [make_plan(stack, Settings(slab=slab), budget).device_bytes for slab in (None, (10, 0), (10, 5))]
    assert held == sorted(set(held))


@pytest.mark.parametrize(
    ("wishes", "problem"),
    [
        ({"slab": (1, 0)}, "--slab 1,0 is no size and overlap"),
        ({"slab": (5, 5)}, "--slab 5,5 is no size and overlap"),
        ({"slab": (5, -1)}, "--slab 5,-1 is no size and overlap"),
        ({"slab": (5, 1), "method": Method.DEPTHMAP}, "does not go with --method depthmap"),
        ({"slab": (5, 1), "devices": (0, 1)}, "--slab works on one GPU, and 2 are named"),
    ],
)
def test_what_does_not_go_together_is_refused(wishes: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        Settings(**wishes)
