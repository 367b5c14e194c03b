"""The whole engine on GPU devices: the CUDA kernels, run on the CPU by a device that checks the order of
work."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from gpustack.backend.choose import Choice
from gpustack.backend.detect import cuda_device, cuda_problem
from gpustack.backend.gpu.backend import Gpu
from gpustack.backend.gpu.device import Device
from gpustack.backend.gpu.tensor import Pool
from gpustack.depth.surface import Sight, surface
from gpustack.engine import plan as planning
from gpustack.engine import price
from gpustack.engine import run as running
from gpustack.engine.holding import SURFACE
from gpustack.engine.opening import SMALLER
from gpustack.engine.plan import make_plan
from gpustack.engine.planned import Budget
from gpustack.engine.price import DEVICE_RESERVE, Layout
from gpustack.engine.run import Outcome
from gpustack.errors import DeviceFullError, PlanError
from gpustack.model.frame import Kind, PixelType
from gpustack.scenes import Shoot, render
from gpustack.settings import BackendName, Crop, Method, Model, Settings
from tests.cuda_on_cpu.device import ROOM, CpuDevice
from tests.cuda_on_cpu.module import problem
from tests.engine.shots import Shelf, headers, macro
from tests.engine.test_run import frames_of

pytestmark = pytest.mark.skipif(problem() is not None, reason=str(problem()))


def stacked(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, devices: tuple[Device, ...], pictures: list[Any]
) -> Outcome:
    """A run on these devices, or on the CPU backend where there are none."""
    monkeypatch.setattr(running, "choose", lambda *_: Choice("chosen by the test", devices))
    shelf = Shelf(pictures)
    return running.run(shelf.stack, shelf.read, settings)


def small(pixel_type: PixelType = PixelType.UINT8, **changes: Any) -> list[Any]:
    traits = {"frames": 4, "width": 120, "height": 90, **changes}
    return frames_of(macro(pixel_type, **traits))


def on_the_cpu() -> Device:
    return CpuDevice(eager=False)


def on_a_gpu() -> Device:
    problem = cuda_problem(0)
    if problem is not None:
        pytest.skip(problem.sentence)
    return cuda_device(0)


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("pixel_type", [PixelType.UINT8, PixelType.UINT16])
@pytest.mark.parametrize("opened", [on_the_cpu, pytest.param(on_a_gpu, marks=pytest.mark.gpu)])
def test_a_gpu_gives_the_cpus_result(
    monkeypatch: pytest.MonkeyPatch, method: Method, pixel_type: PixelType, opened: Callable[[], Device]
) -> None:
    settings, pictures = Settings(method=method, depth=True, threads=2), small(pixel_type)
    wanted = stacked(monkeypatch, settings, (), pictures)
    found = stacked(monkeypatch, settings, (opened(),), pictures)
    for mine, theirs in zip(found.places, wanted.places, strict=True):
        np.testing.assert_allclose(mine.transform.matrix, theirs.transform.matrix, atol=1e-4)
    bound_agreement(found, wanted, pixel_type)
    assert found.report.backend == "cuda"
    assert found.report.limit in ("decode", "upload", "kernels", "write")
    assert set(found.report.busy) == {"decode", "upload", "kernels", "write"}


def bound_agreement(found: Outcome, wanted: Outcome, pixel_type: PixelType) -> None:
    """The bound that docs/algorithms.md states for CPU and GPU."""
    step = 1 if pixel_type is PixelType.UINT8 else 257 / 16
    away = np.abs(found.fused.picture.astype(float) - wanted.fused.picture)
    assert np.mean(away > step) < 1e-4
    assert np.mean(found.fused.winners != wanted.fused.winners) < 1e-4
    assert found.fused.surface is not None
    assert wanted.fused.surface is not None
    assert np.mean(np.abs(found.fused.surface.depth - wanted.fused.surface.depth) > 1e-3) < 1e-4


@pytest.mark.parametrize(
    ("method", "crop"), [*((method, Crop.AUTO) for method in Method), (Method.AUTO, Crop.NONE)]
)
def test_neither_bands_nor_spilled_state_change_a_bit(
    monkeypatch: pytest.MonkeyPatch, method: Method, crop: Crop
) -> None:
    pictures = small(height=601, width=40, frames=3)  # bands have at least 256 rows
    settings = Settings(method=method, depth=True, crop=crop, align=Model.SHIFT, threads=1)
    pictured = []
    for layout in (Layout(601), Layout(256), Layout(302, True)):
        monkeypatch.setattr(planning, "layout_of", lambda *_, chosen=layout: chosen)
        outcome = stacked(monkeypatch, settings, (CpuDevice(),), pictures)
        assert outcome.report.plan["spill"] == layout.spill
        assert outcome.report.plan["band_rows"] == layout.band_rows
        pictured.append(outcome.fused)
    for fused in pictured[1:]:
        np.testing.assert_array_equal(fused.picture, pictured[0].picture)
        np.testing.assert_array_equal(fused.winners, pictured[0].winners)
        assert fused.surface is not None
        assert pictured[0].surface is not None
        np.testing.assert_array_equal(fused.surface.depth, pictured[0].surface.depth)


@pytest.mark.parametrize("method", Method)
def test_two_devices_give_what_one_gives(monkeypatch: pytest.MonkeyPatch, method: Method) -> None:
    settings, pictures = Settings(method=method, depth=True, threads=2, align=Model.NONE), small(frames=5)
    one = stacked(monkeypatch, settings, (CpuDevice(eager=False),), pictures)
    two = stacked(monkeypatch, settings, (CpuDevice(eager=False), CpuDevice(eager=False)), pictures)
    np.testing.assert_array_equal(two.fused.winners, one.fused.winners)
    away = np.abs(two.fused.picture.astype(int) - one.fused.picture)
    assert away.max() <= (1 if method in (Method.AUTO, Method.AVERAGE) else 0)  # sums round by their order
    assert np.mean(away > 0) < 1e-3


def test_more_devices_than_frames_work(monkeypatch: pytest.MonkeyPatch) -> None:
    settings, pictures = Settings(threads=2, align=Model.NONE), small(frames=2)
    one = stacked(monkeypatch, settings, (CpuDevice(),), pictures)
    three = stacked(monkeypatch, settings, (CpuDevice(), CpuDevice(), CpuDevice()), pictures)
    np.testing.assert_array_equal(three.fused.winners, one.fused.winners)


class Watched(CpuDevice):
    """Counts what is allocated before and after the second frame is sent."""

    def __init__(self, frames: int) -> None:
        super().__init__(eager=False)
        self.frames = frames
        self.sent = 0
        self.late = 0

    def copy_in(self, target: int, host: Any, lane: Any, /) -> None:
        self.sent += str(lane) == "copy"
        super().copy_in(target, host, lane)

    def allocate(self, nbytes: int, /) -> int:
        self.late += 2 < self.sent < self.frames
        return super().allocate(nbytes)

    def pinned(self, nbytes: int, /) -> Any:
        self.late += 2 < self.sent < self.frames
        return super().pinned(nbytes)


@pytest.mark.parametrize("method", [Method.AUTO, Method.PYRAMID, Method.AVERAGE])
def test_nothing_is_allocated_once_frames_flow(monkeypatch: pytest.MonkeyPatch, method: Method) -> None:
    monkeypatch.setattr(Settings, "lifts_veils", False)  # what is looked at before is another pass
    device = Watched(8)
    stacked(monkeypatch, Settings(method=method, align=Model.NONE, threads=2), (device,), small(frames=8))
    assert device.sent == 8
    assert device.late == 0


def test_what_a_pool_does_not_take_back_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pool, "give_back", lambda *_: None)
    device = Watched(8)
    stacked(monkeypatch, Settings(align=Model.NONE, threads=2), (device,), small(frames=8))
    assert device.late > 8


@pytest.mark.parametrize("method", [method for method in Method if method is not Method.AUTO])
@pytest.mark.parametrize("vram", [None, 44 << 20])
def test_a_plan_tells_the_device_memory(
    monkeypatch: pytest.MonkeyPatch, method: Method, vram: int | None
) -> None:
    pictures = small(width=400, height=700, frames=3)
    settings = Settings(method=method, align=Model.NONE, threads=1, vram_bytes=vram, backend=BackendName.CUDA)
    report = stacked(monkeypatch, settings, (CpuDevice(),), pictures).report
    assert 0 < report.device_bytes <= report.plan["device_bytes"] <= report.plan["device_budget_bytes"]
    assert report.plan["device_bytes"] - DEVICE_RESERVE <= 1.5 * report.device_bytes


@cache
def stepped() -> list[Any]:
    """Crossing hairs, higher than two bands of a GPU."""
    return frames_of(render("hairs", Shoot(frames=8, width=80, height=560, max_blur_px=6.0, noise=1.0)))


@pytest.mark.parametrize("layout", [Layout(560), Layout(256, True)], ids=["whole", "spilled bands"])
def test_a_plan_tells_what_looking_behind_takes(monkeypatch: pytest.MonkeyPatch, layout: Layout) -> None:
    """With hardly any reserve it goes through in just as much memory; and the result is the CPU's."""
    monkeypatch.setattr(price, "DEVICE_RESERVE", 1 << 16)
    settings = Settings(align=Model.NONE, depth=True, threads=1, backend=BackendName.CUDA)
    planned = price.device_bytes(Shelf(stepped()).stack, settings, layout)

    def only_layout(_: Any, __: Any, vram: int | None) -> Layout:
        assert vram in (None, planned), "it was full, and was planned again"
        return layout

    monkeypatch.setattr(planning, "layout_of", only_layout)
    found = stacked(monkeypatch, replace(settings, vram_bytes=planned), (CpuDevice(),), stepped())
    assert found.report.seconds["behind"] > 0
    assert found.report.plan["band_rows"] == layout.band_rows
    assert 0.8 * planned < found.report.device_bytes <= planned
    bound_agreement(found, stacked(monkeypatch, settings, (), stepped()), PixelType.UINT8)


def test_a_plan_tells_the_hosts_part_of_a_depth_surface() -> None:
    """Planes of the picture's size, and a strip of the doubted rims."""
    height, width = 900, 200
    chance = np.random.default_rng(0)
    depth, variance, energy, luma = (chance.random((height, width), np.float32) for _ in range(4))
    stack = headers(2, width=width, height=height)
    gpu = Gpu(CpuDevice(), 1 << 28)
    tracemalloc.start()
    try:
        surface(gpu, Sight(20 * depth, variance, energy, luma, coded=True, sigma=2.0), 1e-3, 0.004)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    strip = price.device_finishing_bytes(stack, Settings(depth=True))
    assert 0.8 * strip < taken - 4 * height * width  # of the planes one is there, and one comes
    pixel = SURFACE.result + SURFACE.near  # what is on the device is counted here, too
    assert taken <= strip + pixel * height * width
    assert price.device_finishing_bytes(stack, Settings()) == 0


class Boasting(CpuDevice):
    """Says that more memory is free than it has."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def free_bytes(self) -> int:
        return 1 << 40

    def allocate(self, nbytes: int, /) -> int:
        if super().free_bytes() < ROOM - self.room:
            raise MemoryError
        return super().allocate(nbytes)


def test_a_device_that_is_full_after_all_gets_a_smaller_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = small(width=300, height=700, frames=3)
    settings = Settings(Method.PYRAMID, align=Model.NONE, threads=1)  # `auto` looks behind things in strips
    monkeypatch.setattr(price, "DEVICE_RESERVE", 1 << 19)  # these frames are small
    wanted = stacked(monkeypatch, settings, (CpuDevice(),), pictures)
    device = Boasting(wanted.report.device_bytes * 3 // 5)
    found = stacked(monkeypatch, settings, (device,), pictures)
    np.testing.assert_array_equal(found.fused.picture, wanted.fused.picture)
    assert found.report.plan["device_bytes"] < wanted.report.plan["device_bytes"]


def test_locating_goes_back_to_the_plan_too(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf, budgets = Shelf(small()), []

    def full_at_first(choice: Choice, request: Any, allowed: Budget) -> Any:
        budgets.append(allowed.vram_bytes)
        if len(budgets) == 1:
            raise DeviceFullError(1 << 30, 1 << 27)
        return located(choice, request, allowed)

    located = running._located
    monkeypatch.setattr(running, "choose", lambda *_: Choice("chosen by the test", (CpuDevice(),)))
    monkeypatch.setattr(running, "_located", full_at_first)
    assert len(running.locate(shelf.stack, shelf.read, Settings(threads=1))) == len(shelf.stack)
    assert budgets[1] == int(SMALLER * (1 << 27)) < budgets[0]


def test_too_little_device_memory_is_told_with_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PlanError, match=r"needs \d+ MiB of GPU memory, and 0 MiB are allowed") as told:
        stacked(monkeypatch, Settings(align=Model.NONE), (Boasting(1000),), small())
    assert told.value.exit_code == 5


@pytest.mark.parametrize(
    ("megapixels", "width", "height", "gigabytes"),
    [(45, 8256, 5504, 2), (100, 11648, 8736, 4), (150, 14204, 10652, 4)],
)
@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("pixel_type", [PixelType.UINT8, PixelType.UINT16])
def test_large_frames_fit_small_devices(
    megapixels: int, width: int, height: int, gigabytes: int, method: Method, pixel_type: PixelType
) -> None:
    stack = headers(300, width=width, height=height, channels=3, pixel_type=pixel_type, kind=Kind.JPEG)
    assert round(stack.frames[0].megapixels) in (megapixels, megapixels + 2, megapixels + 1)
    vram = gigabytes << 30
    for depth in (False, True):
        plan = make_plan(stack, Settings(method=method, depth=depth), Budget(64 << 30, 8, vram, 1))
        assert plan.device_bytes <= vram
