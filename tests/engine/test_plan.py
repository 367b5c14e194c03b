"""A plan before any pixel: pure, within the budget or refused, and the same for any number of frames but for
what is kept to tell what moved."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpustack.backend.spool import IN_MEMORY_BYTES
from gpustack.engine import duration, price
from gpustack.engine.looked import LOOK_BYTES, carried_bytes, looked_bytes, telling_bytes
from gpustack.engine.plan import make_plan
from gpustack.engine.planned import Budget, Plan
from gpustack.errors import PlanError
from gpustack.model.frame import Kind, PixelType
from gpustack.model.stack import Stack
from gpustack.settings import DecoderName, Deghost, Demosaic, Interpolation, Method, Model, Settings
from tests.engine.shots import headers

GENEROUS = Budget(1 << 40, 4)


@st.composite
def stacks(draw: st.DrawFn) -> Stack:
    return headers(
        draw(st.integers(1, 40)),
        width=draw(st.integers(1, 30_000)),
        height=draw(st.integers(1, 30_000)),
        channels=draw(st.integers(1, 4)),
        pixel_type=draw(st.sampled_from(PixelType)),
        kind=draw(st.sampled_from(Kind)),
    )


wishes = st.builds(
    Settings, method=st.sampled_from(Method), align=st.sampled_from(Model), depth=st.booleans()
)
budgets = st.builds(Budget, st.integers(1, 1 << 37), st.integers(1, 64))


def planned(stack: Stack, settings: Settings, budget: Budget) -> Plan | PlanError:
    try:
        return make_plan(stack, settings, budget)
    except PlanError as error:
        return error


def numbers(error: PlanError) -> tuple[int, int]:
    """MiB needed and MiB allowed, as the sentence has them."""
    needed, allowed = re.findall(r"(\d+) MiB", error.message)
    return int(needed), int(allowed)


@given(stack=stacks(), settings=wishes, budget=budgets)
def test_a_plan_is_within_the_budget_or_refused_with_both_numbers(
    stack: Stack, settings: Settings, budget: Budget
) -> None:
    answer = planned(stack, settings, budget)
    if isinstance(answer, Plan):
        assert answer.total_bytes <= answer.budget_bytes == budget.ram_bytes
        return
    assert answer.exit_code == 5
    needed, allowed = numbers(answer)
    assert allowed == budget.ram_bytes >> 20
    assert "--ram" in answer.remedy
    enough = replace(budget, ram_bytes=(needed + 1) << 20)
    assert enough.ram_bytes > budget.ram_bytes
    assert make_plan(stack, settings, enough).total_bytes <= enough.ram_bytes


@given(stack=stacks(), settings=wishes, budget=budgets)
def test_the_same_question_has_the_same_answer(stack: Stack, settings: Settings, budget: Budget) -> None:
    first, second = (planned(stack, settings, budget) for _ in "12")
    assert str(first) == str(second)


@given(stack=stacks(), settings=wishes, budget=budgets)
def test_memory_does_not_depend_on_the_number_of_frames(
    stack: Stack, settings: Settings, budget: Budget
) -> None:
    # Else a little is kept of every frame.
    settings = replace(settings, deghost=Deghost.OFF, align=Model.NONE)
    if settings.lifts_veils:
        settings = replace(settings, method=Method.PYRAMID)
    one, many = (planned(Stack(stack.frames[:1] * count), settings, budget) for count in (100, 1000))
    if isinstance(one, PlanError) or isinstance(many, PlanError):
        assert str(one) == str(many)
    else:
        assert many == replace(one, frames=1000, seconds=many.seconds)
        assert many.seconds == pytest.approx(10 * one.seconds)


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("deghost", [Deghost.ON, Deghost.OFF])
def test_what_is_kept_of_each_frame_is_hardly_seen(method: Method, deghost: Deghost) -> None:
    settings = Settings(method=method, deghost=deghost)
    few, many = (
        make_plan(headers(count, width=1700, height=1200), settings, Budget(1 << 60, 2))
        for count in (100, 1000)
    )
    assert 0 <= many.total_bytes - few.total_bytes <= 900 * LOOK_BYTES + IN_MEMORY_BYTES
    assert many.total_bytes < 1.03 * few.total_bytes


def test_what_tells_what_moved_is_planned() -> None:
    short = headers(20, width=6000, height=4000)
    on, off = (Settings(method=Method.PYRAMID, deghost=wish) for wish in (Deghost.ON, Deghost.OFF))
    for priced in (looked_bytes, telling_bytes, carried_bytes):
        assert priced(short, on) > priced(short, off)
    plans = [make_plan(short, settings, Budget(1 << 60, 2)) for settings in (on, off)]
    assert plans[0].kept_bytes > plans[1].kept_bytes == 0


@given(stack=stacks(), settings=wishes)
def test_bands_cover_every_row_once_from_even_rows(stack: Stack, settings: Settings) -> None:
    bands = make_plan(stack, settings, Budget(1 << 60, 2)).bands
    assert [band.start for band in bands] == [0, *(band.stop for band in bands[:-1])]
    assert bands[-1].stop == stack.height
    assert all(len(band) > 0 and band.start % 2 == 0 for band in bands)


@pytest.mark.parametrize(
    ("method", "passes"),
    [
        (Method.AUTO, ("auto", "behind")),
        (Method.PYRAMID, ("pyramid",)),
        (Method.DEPTHMAP, ("measure", "blend")),
        (Method.AVERAGE, ("average",)),
    ],
)
def test_passes_are_named(method: Method, passes: tuple[str, ...]) -> None:
    stack = headers(5)
    assert make_plan(stack, Settings(method=method), GENEROUS).passes == ("survey", *passes)
    assert make_plan(stack, Settings(method=method, align=Model.NONE), GENEROUS).passes == passes


@pytest.mark.parametrize("method", list(Method))
def test_fewer_frames_are_in_flight_where_memory_is_short(method: Method) -> None:
    stack, settings = headers(50, width=6000, height=4000), Settings(method=method)
    roomy = make_plan(stack, settings, GENEROUS)
    slots = [roomy.slots]
    ram = roomy.total_bytes
    while (tighter := planned(stack, settings, Budget(ram - 1, 4))) and isinstance(tighter, Plan):
        slots.append(tighter.slots)
        ram = tighter.total_bytes
    assert roomy.slots == 5
    assert roomy.threads == roomy.readers == 4
    assert slots[-1] <= 3  # as many as one thread needs, where what is done without frames takes more
    with pytest.raises(PlanError):
        make_plan(stack, settings, Budget(ram - 1, 4))


def test_depth_costs_memory() -> None:
    stack = headers(3, width=3000, height=2000)
    for method in Method:
        without, with_depth = (
            make_plan(stack, Settings(method=method, depth=depth), GENEROUS).finish_bytes
            for depth in (False, True)
        )
        assert with_depth > without


def test_seconds_grow_with_frames_and_passes() -> None:
    def seconds(count: int, **settings: object) -> float:
        return make_plan(headers(count, width=3000, height=2000), Settings(**settings), GENEROUS).seconds

    assert seconds(20) == pytest.approx(2 * seconds(10))
    assert seconds(10, align=Model.NONE) < seconds(10)


def test_lanczos_takes_longer_where_frames_are_moved() -> None:
    def seconds(align: Model, interpolation: Interpolation) -> float:
        frames = headers(9, width=3000, height=2000)
        return make_plan(frames, Settings(align=align, interpolation=interpolation), GENEROUS).seconds

    bicubic, lanczos = Interpolation.BICUBIC, Interpolation.LANCZOS
    assert seconds(Model.SHIFT, lanczos) > 1.5 * seconds(Model.SHIFT, bicubic)
    assert seconds(Model.NONE, lanczos) == seconds(Model.NONE, bicubic)


def test_a_plan_as_data_holds_every_field_and_the_sums() -> None:
    plan = make_plan(headers(3, width=4000, height=3000), Settings(), replace(GENEROUS, loops=True))
    data = plan.as_dict()
    parts = [data[f"{what}_bytes"] for what in ("frame", "state", "work")]
    survey = data["survey_bytes"] + data["llvm_bytes"]
    most = max(survey, max(sum(parts), data["finish_bytes"]) + data["loops_bytes"])
    assert data["total_bytes"] == plan.total_bytes == data["base_bytes"] + most
    assert data["bands"] == len(plan.bands)
    assert data["passes"] == ("survey", "auto", "behind")


def test_a_flat_field_keeps_the_decoding_on_the_host() -> None:
    stack, wish = headers(4, width=4000, height=3000), Settings(decoder=DecoderName.GPU)
    assert price.device_decodes(stack, wish)
    flat = replace(wish, flat="flat.tif")
    assert not price.device_decodes(stack, flat)
    assert duration.predict(stack, flat, Method.AUTO, 1) > duration.predict(stack, wish, Method.AUTO, 1)


def test_one_progressive_frame_is_enough_to_make_decoding_dear() -> None:
    plain = headers(6, width=4000, height=3000, kind=Kind.JPEG)
    staged = Stack((*plain.frames[:-1], replace(plain.frames[-1], progressive=True)))
    cheap, dear = (make_plan(stack, Settings(), GENEROUS) for stack in (plain, staged))
    more = price.PROGRESSIVE_FACTOR - price.DECODE_FACTOR[Kind.JPEG]
    assert dear.frame_bytes - cheap.frame_bytes == pytest.approx(
        more * plain.largest.nbytes * dear.readers, rel=1e-6
    )
    assert dear.survey_bytes > cheap.survey_bytes


def test_what_files_tell_of_decoding_counts() -> None:
    """Where all of them tell it, that of the dearest; LibRaw's ways to develop take what they always do."""
    kinds = Kind.TIFF, Kind.RAW
    for plain in (headers(6, kind=kind, pixel_type=PixelType.UINT16) for kind in kinds):
        told = Stack(tuple(replace(frame, decoding=0.5) for frame in plain))
        partly = Stack((plain.frames[0], *told.frames[1:]))
        dear = Stack((replace(plain.frames[0], decoding=3.0), *told.frames[1:]))
        usual, less, same, more = (
            make_plan(each, Settings(), GENEROUS) for each in (plain, told, partly, dear)
        )
        spared = (price.DECODE_FACTOR[plain.kind] - 0.5) * plain.largest.nbytes * usual.readers
        assert usual.frame_bytes - less.frame_bytes == pytest.approx(spared, abs=8)
        assert (same.frame_bytes, same.survey_bytes) == (usual.frame_bytes, usual.survey_bytes)
        assert more.frame_bytes > usual.frame_bytes
        assert less.survey_bytes < usual.survey_bytes
        by_libraw = make_plan(told, Settings(demosaic=Demosaic.AHD), GENEROUS)
        assert (by_libraw.frame_bytes == usual.frame_bytes) is (plain.kind is Kind.RAW)


def test_loops_count_where_they_are_called_and_numba_from_the_start() -> None:
    """Where the survey takes most, it is numba alone that lies beside it."""
    stack, little = headers(3, width=4000, height=3000), Settings(method=Method.AVERAGE)
    plan = make_plan(stack, little, replace(GENEROUS, loops=True))
    without = make_plan(stack, little, GENEROUS)
    assert plan.total_bytes - without.total_bytes == price.LOOPS_BYTES
    surveying = replace(plan, survey_bytes=plan.survey_bytes << 3)
    assert surveying.total_bytes == plan.base_bytes + price.LLVM_BYTES + surveying.survey_bytes


def test_libraries_count_as_the_system_maps_them() -> None:
    """More of their files is in memory where they were just installed; what else a host has mapped is not
    ours."""
    known, most = (
        make_plan(headers(2), Settings(), replace(GENEROUS, mapped_bytes=size)).base_bytes
        for size in (32 << 20, 55 << 20)
    )
    assert known == price.OWN_BYTES + int(price.MAPPED_MORE * (32 << 20))
    assert most - known == int(price.MAPPED_MORE * (55 << 20)) - int(price.MAPPED_MORE * (32 << 20))
    huge = make_plan(headers(2), Settings(), replace(GENEROUS, mapped_bytes=1 << 30))
    assert huge.base_bytes == make_plan(headers(2), Settings(), GENEROUS).base_bytes == price.BASE_BYTES
    little = make_plan(headers(2), Settings(), replace(GENEROUS, mapped_bytes=1))
    assert little.base_bytes == price.OWN_BYTES + price.LEAST_MAPPED_BYTES
