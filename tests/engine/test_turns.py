"""State that memory does not hold: the same picture, bit for bit, from the same frames in several turns."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpustack import api
from gpustack.backend.paged import CAN_PAGE
from gpustack.engine import layout, opening, pace
from gpustack.engine import plan as planning
from gpustack.engine.checkpoint import Checkpoint
from gpustack.engine.plan import make_plan
from gpustack.engine.planned import Budget, Plan
from gpustack.errors import PlanError
from gpustack.model.band_turn import Turn
from gpustack.model.stack import Stack
from gpustack.result import Result
from gpustack.scenes import Shoot, render
from gpustack.settings import BackendName, Deghost, Method, Settings
from tests.cli.calling import write_tiffs
from tests.engine.cutting import Cut, Cutting
from tests.engine.shots import headers

pages = pytest.mark.skipif(not CAN_PAGE, reason="mapped memory cannot be given back on this system")
Pixels = npt.NDArray[Any]
Key = tuple[Method, bool]
WIDTH, HEIGHT, FRAMES = 320, 400, 5
DISK = 1 << 40


@pytest.fixture(scope="module")
def shot() -> list[Pixels]:
    """Hairs before a wall, shot by a camera that breathes and drifts, and then turned by hand."""
    scene = render("hairs", Shoot(FRAMES, WIDTH, HEIGHT, max_blur_px=6.0, breathing=0.02, noise=1.0))
    return [_turned(scene.frame(index), 0.15 * index) for index in range(FRAMES)]


def _turned(frame: Pixels, degrees: float) -> Pixels:
    matrix = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), degrees, 1.0)
    return cv2.warpAffine(frame, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)


@pytest.fixture(scope="module")
def usual(shot: list[Pixels]) -> dict[Key, Result]:
    """What runs in memory give, by method, and whether frames have 16 bits."""
    deep = [frame.astype(np.uint16) * 257 for frame in shot]
    return {
        (method, is_deep): api.stack(frames, chosen(method))
        for method in Method
        for is_deep, frames in ((False, shot), (True, deep))
    }


@pytest.fixture
def tight(usual: dict[Key, Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Plan]:
    """Runs have just so much memory that their state does not fit; gives their plans."""
    del usual  # it must be made before
    return shorten(monkeypatch, tmp_path)


def shorten(monkeypatch: pytest.MonkeyPatch, folder: Path, readings: int = 3) -> list[Plan]:
    plans: list[Plan] = []

    def made(stack: Stack, settings: Settings, budget: Budget, **more: Any) -> Plan:
        loops = budget.loops
        plans.append(tightest(stack, settings, folder, readings, loops=loops, **more))
        return plans[-1]

    monkeypatch.setattr(layout, "BAND_PIXELS", 1)  # bands of 48 rows
    monkeypatch.setattr(planning, "LEAST_RESIDENT", 1)
    monkeypatch.setattr(planning, "survey_bytes", lambda *_: 0)  # of small frames that is more than the state
    monkeypatch.setattr(opening, "make_plan", made)
    return plans


def tightest(
    stack: Stack, settings: Settings, folder: Path, readings: int, *, loops: bool, **more: Any
) -> Plan:
    """The plan with most memory that has so many turns, or, where there is one, a quarter of the state."""

    def planned(ram: int) -> Plan | None:
        try:
            budget = Budget(ram, 2, 0, 0, DISK, str(folder), loops=loops)
            return make_plan(stack, settings, budget, **more)
        except PlanError:
            return None

    def is_tight(plan: Plan | None) -> bool:
        few = plan is not None and bool(settings.slab) and plan.resident_bytes * 4 < plan.disk_bytes
        return plan is None or (bool(plan.folder) and (few or plan.readings >= readings))

    low, high = 0, 1 << 32
    while high - low > 1 << 12:
        middle = (low + high) // 2
        low, high = (middle, high) if is_tight(planned(middle)) else (low, middle)
    found = planned(low)
    assert found is not None
    return found


def same(one: Result, other: Result) -> bool:
    planes = ("image", "winners", "depth", "confidence")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in planes)


def chosen(method: Method, **more: Any) -> Settings:
    return Settings(
        method=method,
        backend=BackendName.CPU,
        threads=2,
        depth=True,
        deghost=Deghost.ON if "slab" not in more else Deghost.OFF,
        **more,
    )


@pages
@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("deep", [False, True])
def test_the_result_is_that_of_a_run_in_memory(
    usual: dict[Key, Result], tight: list[Plan], shot: list[Pixels], method: Method, deep: bool
) -> None:
    frames = [frame.astype(np.uint16) * 257 for frame in shot] if deep else shot
    found = api.stack(frames, chosen(method))
    assert max(len(turns) for turns in tight[0].turns.values()) >= 3
    assert same(usual[method, deep], found)
    assert len(found.report.warnings) == 1
    assert "times as long" in found.report.warnings[0]


@pages
def test_the_second_pass_of_auto_comes_in_turns_too(
    usual: dict[Key, Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shot: list[Pixels]
) -> None:
    plans = shorten(monkeypatch, tmp_path, readings=6)
    found = api.stack(shot, chosen(Method.AUTO))
    assert len(plans[0].turns["behind"]) > 1
    assert found.report.seconds["behind"] > 0  # it had something to do
    assert same(usual[Method.AUTO, False], found)


@pages
def test_slabs_come_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shot: list[Pixels]) -> None:
    settings = chosen(Method.AUTO, slab=(3, 1))
    kept: list[list[Pixels]] = [[], []]

    def stacked(number: int) -> Result:
        return api.stack(shot, settings, keep_slab=lambda slab: kept[number].append(slab.image))

    whole = stacked(0)
    plans = shorten(monkeypatch, tmp_path)
    assert same(whole, stacked(1))
    assert plans[0].folder == str(tmp_path)
    assert all(len(turns) == 1 for turns in plans[0].turns.values())
    assert all(np.array_equal(*pair) for pair in zip(*kept, strict=True))


@pages
@pytest.mark.parametrize("after", [2, FRAMES, 2 * FRAMES + 2])
def test_an_interrupted_run_goes_on_in_its_turn(
    monkeypatch: pytest.MonkeyPatch, tight: list[Plan], tmp_path: Path, shot: list[Pixels], after: int
) -> None:
    monkeypatch.setattr(pace, "WORK_TO_KEEPING", 0.0)
    (tmp_path / "frames").mkdir()
    paths, settings = write_tiffs(tmp_path / "frames", shot), chosen(Method.PYRAMID)
    whole = api.stack(paths, settings)
    with pytest.raises(Cut), Checkpoint(tmp_path / "checkpoint") as checkpoint:
        api.stack(paths, settings, checkpoint=checkpoint, progress=Cutting(after))
    with Checkpoint(tmp_path / "checkpoint") as checkpoint:
        rest = api.stack(paths, settings, checkpoint=checkpoint)
        resumed = rest.report.checkpoint.resumed if rest.report.checkpoint else []
    assert any(re.fullmatch(r"pyramid: \d+ of 15 frames", line) for line in resumed)
    assert len(tight[-1].turns["pyramid"]) == 3
    assert same(whole, rest)


@given(
    ram=st.integers(1 << 28, 1 << 34),
    method=st.sampled_from(Method),
    depth=st.booleans(),
    megapixels=st.sampled_from([3, 24, 100, 150]),
)
def test_every_band_has_its_turn_and_the_budget_is_kept(
    ram: int, method: Method, depth: bool, megapixels: int
) -> None:
    side = int((megapixels * 1e6) ** 0.5)
    stack, settings = headers(20, width=side, height=side), Settings(method=method, depth=depth)
    try:
        plan = make_plan(stack, settings, Budget(ram, 2, 0, 0, DISK, "/somewhere"))
    except PlanError:
        return
    assert plan.total_bytes <= ram
    assert bool(plan.folder) is bool(plan.turns)
    for turns in plan.turns.values():
        numbers = [number for turn in turns for number in turn.of(len(plan.bands))]
        assert numbers == list(range(len(plan.bands)))
        assert [turn.first for turn in turns] == [True] + [False] * (len(turns) - 1)


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("depth", [False, True])
@pytest.mark.parametrize("megapixels", [100, 150])
def test_large_frames_fit_two_gibibytes(method: Method, depth: bool, megapixels: int) -> None:
    side = int((megapixels * 1e6) ** 0.5)
    stack, settings = headers(20, width=side, height=side), Settings(method=method, depth=depth)
    plan = make_plan(stack, settings, Budget(2 << 30, 2, 0, 0, DISK, "/somewhere"))
    assert plan.total_bytes <= 2 << 30
    assert plan.slowdown > 1


def test_what_fits_is_not_paged_and_what_cannot_be_is_refused() -> None:
    stack, wish = headers(20, width=6000, height=4000), Settings(method=Method.AUTO)
    roomy = make_plan(stack, wish, Budget(1 << 40, 2, 0, 0, DISK, "/somewhere"))
    assert (roomy.folder, roomy.turns, roomy.slowdown) == ("", {}, 1.0)
    short = Budget(1 << 30, 2, 0, 0, DISK, "/somewhere")
    assert make_plan(stack, wish, short).readings > 1
    for settings, budget in (
        (replace(wish, layers=True), short),
        (wish, replace(short, disk_bytes=0)),
        (wish, replace(short, ram_bytes=200 << 20)),
    ):
        with pytest.raises(PlanError, match="MiB are allowed"):
            make_plan(stack, settings, budget)


def test_a_disk_without_room_is_told_before_the_run() -> None:
    stack, budget = headers(20, width=6000, height=4000), Budget(1 << 30, 2, 0, 0, 1 << 30, "/somewhere")
    with pytest.raises(PlanError, match=r"\d+ MiB on the disk of /somewhere, where 1024 MiB may") as told:
        make_plan(stack, Settings(), budget)
    assert "TMPDIR" in told.value.remedy


@given(start=st.integers(0, 9), stop=st.none() | st.integers(0, 9), count=st.integers(0, 9))
def test_a_turn_takes_what_is_of_it(start: int, stop: int | None, count: int) -> None:
    turn = Turn(start, stop)
    assert list(turn.of(count)) == [number for number in range(count) if turn.takes(number)]


@pages
@pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")
@pytest.mark.parametrize("method", [Method.AUTO, Method.PYRAMID])
def test_with_compiled_loops_it_is_theirs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shot: list[Pixels], method: Method
) -> None:
    monkeypatch.setattr(planning, "pays_to_compile", lambda _: True)
    whole = api.stack(shot, chosen(method))
    plans = shorten(monkeypatch, tmp_path)
    assert same(whole, api.stack(shot, chosen(method)))
    assert plans[0].loops
    assert plans[0].readings >= 3
