"""Checkpoints in the engine: on every kind of backend, on several devices, by the clock, and their price."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpustack import api
from gpustack.backend.choose import Choice
from gpustack.backend.values import PIECE_BYTES
from gpustack.engine import pace, price
from gpustack.engine import plan as planning
from gpustack.engine import run as running
from gpustack.engine.checkpoint import Checkpoint
from gpustack.engine.identity import difference, identity_of
from gpustack.engine.looking import Pictures, PicturesPiece
from gpustack.engine.pace import Pace
from gpustack.engine.path import PASSES
from gpustack.engine.plan import make_plan
from gpustack.engine.planned import Budget
from gpustack.engine.price import Layout
from gpustack.errors import CheckpointError, DecodeError, UsageError
from gpustack.io.parts import DamagedError
from gpustack.model.place import Place
from gpustack.model.transform import Transform
from gpustack.result import Result
from gpustack.scenes import Rendered, Shoot, render
from gpustack.settings import Crop, Deghost, Method, Model, Settings
from tests.cli.calling import write_tiffs
from tests.cuda_on_cpu.device import CpuDevice
from tests.cuda_on_cpu.module import problem
from tests.engine.cutting import Cut, Cutting
from tests.engine.shots import frames_of, headers, macro

on_devices = pytest.mark.skipif(problem() is not None, reason=str(problem()))


@pytest.fixture
def frames(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "frames"
    folder.mkdir()
    return write_tiffs(folder, frames_of(_lights()))


@cache
def _lights() -> Rendered:
    """Lamps before each other: `auto` takes a second pass beside their edges."""
    traits = {"frames": 6, "width": 160, "height": 120, "max_blur_px": 5.0, "drift_px": 2.0}
    return render("lights", Shoot(**traits, jitter_px=0.4, noise=1.0))


@pytest.fixture
def few(tmp_path: Path) -> list[Path]:
    """For devices whose kernels the CPU runs."""
    folder = tmp_path / "frames"
    folder.mkdir()
    return write_tiffs(folder, frames_of(macro(frames=4, width=60, height=48)))


def cut_and_gone_on(frames: list[Path], folder: Path, settings: Settings, cuts: list[int]) -> Result:
    """A run that is ended so often, each time some frames further."""
    for after in cuts:
        checkpoint = Checkpoint(folder)
        with pytest.raises(Cut):
            api.stack(frames, settings, progress=Cutting(after), checkpoint=checkpoint)
        checkpoint.leave()
    checkpoint = Checkpoint(folder)
    result = api.stack(frames, settings, progress=Cutting(-1), checkpoint=checkpoint)
    checkpoint.remove()
    assert not folder.exists()
    return result


def same(found: Result, wanted: Result) -> None:
    np.testing.assert_array_equal(found.image, wanted.image)
    np.testing.assert_array_equal(found.winners, wanted.winners)
    for mine, theirs in ((found.depth, wanted.depth), (found.confidence, wanted.confidence)):
        assert mine is not None
        assert theirs is not None
        np.testing.assert_array_equal(mine, theirs)
    for here, there in zip(found.transforms, wanted.transforms, strict=True):
        np.testing.assert_array_equal(here.matrix, there.matrix)
        assert here.tone == there.tone


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("crop", Crop)
def test_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, frames: list[Path], tmp_path: Path, method: Method, crop: Crop
) -> None:
    monkeypatch.setattr(pace, "WORK_TO_KEEPING", 0.0)
    settings = Settings(method=method, crop=crop, depth=True, threads=2)
    wanted = api.stack(frames, settings)
    passes = len(PASSES[method])
    found = cut_and_gone_on(frames, tmp_path / "c", settings, [2, 2, *[5] * (passes - 1)])
    same(found, wanted)
    assert found.report.checkpoint is not None
    assert found.report.checkpoint.resumed[0] == "survey"
    assert len(found.report.checkpoint.resumed) == 1 + passes


class CuttingSurvey:
    """A progress that ends the run after some frames of the survey, and notes how many it had to look at."""

    def __init__(self, after: int) -> None:
        self._left, self.looked = after, 0

    def begin(self, stage: str, frames: int, megapixels: float) -> None:
        del megapixels
        self._left = self._left if stage == "survey" else -1
        self.looked += frames * (stage == "survey")

    def advance(self, waiting_share: float) -> None:
        del waiting_share
        self._left -= 1
        if self._left == 0:
            raise Cut

    def warn(self, sentence: str) -> None:
        raise AssertionError(sentence)


@pytest.mark.parametrize(
    "wishes",
    [{}, {"align": Model.AUTO, "brightness": "channels", "reference": "first"}],
    ids=["usual", "auto"],
)
def test_a_survey_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wishes: dict[str, Any]) -> None:
    """Of 10 frames 3 are looked at, then 4 more, and then the last 3; of those before, 4 once more."""
    monkeypatch.setattr(pace, "WORK_TO_KEEPING", 0.0)
    monkeypatch.setattr(pace, "LOOKING_SECONDS", 0.0)
    frames, folder = write_tiffs(tmp_path, frames_of(macro(frames=10, width=160, height=120))), tmp_path / "c"
    settings = Settings(depth=True, threads=2, **wishes)
    wanted, looked = api.stack(frames, settings), []
    for after in (3, 7, -1):
        progress, checkpoint = CuttingSurvey(after), Checkpoint(folder)
        if after > 0:
            with pytest.raises(Cut):
                api.stack(frames, settings, progress=progress, checkpoint=checkpoint)
        else:
            found = api.stack(frames, settings, progress=progress, checkpoint=checkpoint)
        looked.append(progress.looked)
        assert bool(list(folder.glob("look-*"))) == (after > 0)
        checkpoint.leave()
    same(found, wanted)
    assert looked == [10, 10, 7]
    assert found.report.checkpoint is not None
    assert found.report.checkpoint.resumed == ["survey: 7 of 10 frames"]
    assert found.report.warnings == wanted.report.warnings
    for mine, theirs in zip(found.places, wanted.places, strict=True):
        assert (mine.confidence, mine.residual_px, mine.links) == (
            theirs.confidence,
            theirs.residual_px,
            theirs.links,
        )


def test_looks_at_frames_at_rest_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What tells what moved, and then what tells veils, each cut short; no frame is looked at twice for one
    of them, but a few that tell whether there are lamps at all."""
    monkeypatch.setattr(pace, "WORK_TO_KEEPING", 0.0)
    monkeypatch.setattr(pace, "LOOKING_SECONDS", 0.0)
    shoot = Shoot(frames=10, width=160, height=120, max_blur_px=5.0, noise=1.0)
    frames, folder = write_tiffs(tmp_path, frames_of(render("lights", shoot))), tmp_path / "c"
    settings = Settings(depth=True, threads=2, align=Model.NONE, deghost=Deghost.ON)
    wanted, looked = api.stack(frames, settings), []
    for after, left in ((3, "look"), (7 + 4, "glow"), (-1, None)):
        progress, checkpoint = CuttingSurvey(after), Checkpoint(folder)
        if left:
            with pytest.raises(Cut):
                api.stack(frames, settings, progress=progress, checkpoint=checkpoint)
            assert len(list(folder.glob("*-*-*"))) == len(list(folder.glob(f"{left}-*")))
        else:
            found = api.stack(frames, settings, progress=progress, checkpoint=checkpoint)
        looked.append(progress.looked)
        checkpoint.leave()
    same(found, wanted)
    assert looked == [10, 7 + 10, 6]
    assert found.report.checkpoint is not None
    assert found.report.checkpoint.resumed == ["survey", "glows: 4 of 10 frames"]


@pytest.mark.parametrize("wrong", [(), ("of another kind",), tuple(range(11))])
def test_pieces_of_something_else_are_refused(wrong: tuple[object, ...]) -> None:
    seen = Pictures(int)
    seen.recall(PicturesPiece((1, 2)), 10)
    for piece in (PicturesPiece(wrong), wrong):
        with pytest.raises(DamagedError):
            seen.recall(piece, 10)
    assert list(seen.found) == [1, 2]


def test_what_was_seen_before_a_bad_frame_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever the clock says."""
    monkeypatch.setattr(pace, "LOOKING_SECONDS", 1e9)
    frames = write_tiffs(tmp_path, frames_of(macro(frames=10, width=160, height=120)))
    settings, folder, away = Settings(threads=1), tmp_path / "c", tmp_path / "away"
    wanted = api.stack(frames, settings)

    class Vanishing(CuttingSurvey):
        def advance(self, waiting_share: float) -> None:
            del waiting_share
            if frames[9].exists():
                frames[9].rename(away)

    with Checkpoint(folder) as checkpoint, pytest.raises(DecodeError, match=frames[9].name):
        api.stack(frames, settings, progress=Vanishing(-1), checkpoint=checkpoint)
    away.rename(frames[9])
    progress = CuttingSurvey(-1)
    with Checkpoint(folder) as checkpoint:
        found = api.stack(frames, settings, progress=progress, checkpoint=checkpoint)
    np.testing.assert_array_equal(found.image, wanted.image)
    assert progress.looked == 5


@on_devices
@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("spill", [False, True])
def test_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch, few: list[Path], tmp_path: Path, method: Method, spill: bool
) -> None:
    given(monkeypatch, 1, Layout(48, spill))
    settings = Settings(method=method, depth=True, threads=2, align=Model.NONE)
    wanted = api.stack(few, settings)
    same(cut_and_gone_on(few, tmp_path / "c", settings, [2, 2]), wanted)


@on_devices
def test_on_two_gpus(monkeypatch: pytest.MonkeyPatch, few: list[Path], tmp_path: Path) -> None:
    given(monkeypatch, 2, Layout(48))
    settings = Settings(method=Method.AVERAGE, depth=True, threads=2, align=Model.NONE)
    wanted = api.stack(few, settings)
    found = cut_and_gone_on(few, tmp_path / "c", settings, [2])
    same(found, wanted)
    assert found.report.checkpoint is not None
    assert any(line.startswith("average") for line in found.report.checkpoint.resumed)


def given(monkeypatch: pytest.MonkeyPatch, devices: int, layout: Layout) -> None:
    """Runs on so many devices, new ones each time, laid out so, with a checkpoint after every frame."""

    def choose(*_: Any) -> Choice:
        return Choice("chosen by the test", tuple(CpuDevice(eager=False) for _ in range(devices)))

    monkeypatch.setattr(pace, "WORK_TO_KEEPING", 0.0)
    monkeypatch.setattr(running, "choose", choose)
    monkeypatch.setattr(planning, "layout_of", lambda *_: layout)


@on_devices
def test_other_bands_begin_the_pass_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    frames = write_tiffs(tmp_path / "frames", frames_of(macro(frames=3, width=40, height=400)))
    settings = Settings(method=Method.PYRAMID, depth=True, threads=1, align=Model.NONE)
    given(monkeypatch, 1, Layout(400))
    wanted = api.stack(frames, settings)
    checkpoint = Checkpoint(tmp_path / "c")
    with pytest.raises(Cut):
        api.stack(frames, settings, progress=Cutting(2), checkpoint=checkpoint)
    checkpoint.leave()
    given(monkeypatch, 1, Layout(256))
    checkpoint = Checkpoint(tmp_path / "c")
    found = api.stack(frames, settings, checkpoint=checkpoint)
    checkpoint.remove()
    same(found, wanted)
    assert "the memory is divided otherwise" in found.report.warnings[0]


def test_few_checkpoints_are_kept_where_they_are_dear(
    monkeypatch: pytest.MonkeyPatch, frames: list[Path], tmp_path: Path
) -> None:
    monkeypatch.setattr(pace, "FIRST_RATE", 1.0)  # a byte a second
    checkpoint = Checkpoint(tmp_path / "c")
    monkeypatch.setattr(Pace, "__init__", _slow)
    result = api.stack(frames, Settings(threads=2), checkpoint=checkpoint)
    checkpoint.remove()
    assert result.report.checkpoint is not None
    assert result.report.checkpoint.written == 1  # what the survey found


def _slow(self: Pace) -> None:
    self.started = self.last = time.perf_counter()
    self.spent, self.rate = 0.0, 1.0


def test_the_clock() -> None:
    clock = Pace(started=time.perf_counter() - 100.0, rate=1e6)
    assert clock.due(4.9e6)
    assert not clock.due(5.1e6)  # six seconds would be more than a twentieth
    clock.took(4e6, 2.0)
    assert clock.rate == 2e6
    assert clock.due(5.6e6)
    assert not clock.due(6e6)
    assert clock.worth(2e6) == 20.0


def test_arrays_and_aligned_frames_are_refused(frames: list[Path], tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c")
    with pytest.raises(CheckpointError, match="Arrays cannot be recognised"):
        api.stack(frames_of(macro()), checkpoint=checkpoint)
    with pytest.raises(UsageError, match="keep_aligned does not go"):
        api.stack(frames, checkpoint=checkpoint, keep_aligned=lambda *_: None)
    checkpoint.leave()
    assert not (tmp_path / "c").exists()


def test_what_tells_runs_apart() -> None:
    stack, choice = headers(3), Choice("")
    settings = Settings(ram_bytes=1 << 30, threads=2)
    now = identity_of(stack, settings, None, choice)
    more = replace(settings, ram_bytes=None, threads=7, on_bad_frame="fail", devices=(1,))
    assert difference(identity_of(stack, more, None, choice), now) is None

    def said(before: dict[str, Any]) -> str:
        found = difference(before, now)
        assert found is not None
        return found

    assert said(now | {"gpustack": "0.0.1"}).startswith("by gpustack 0.0.1, and this is ")
    assert "numpy 1.0, not" in said(now | {"libraries": now["libraries"] | {"numpy": "1.0"}})
    assert "vax" in said(now | {"machine": ["vax"]})
    radius = identity_of(stack, replace(settings, radius=2.0), None, choice)
    assert said(radius) == "with other settings (radius 2.0, not 1.5)"
    assert said(identity_of(headers(4), settings, None, choice)) == "of other frames (frame3.jpg is missing)"
    assert said(identity_of(headers(2), settings, None, choice)) == "of other frames (frame2.jpg is new)"
    turned = now | {"frames": now["frames"][::-1]}
    assert said(turned) == "of other frames (they are in another order)"
    places = [Place(Transform.identity())] * 3
    assert said(identity_of(stack, settings, places, choice)) == "with other --transforms"
    assert said({}) == "by gpustack None, and this is " + now["gpustack"]


def test_the_plan_prices_them() -> None:
    stack = headers(20, width=4000, height=3000)
    for method, held in ((Method.AVERAGE, 2 * 22), (Method.DEPTHMAP, 22 + 2 * 34)):
        settings = Settings(method=method, align=Model.NONE)
        without = make_plan(stack, settings, Budget(4 << 30, 2))
        plan = make_plan(stack, settings, Budget(4 << 30, 2), checkpoints=True)
        assert without.checkpoint_bytes == 0
        assert plan.work_bytes - without.work_bytes == price.KEEPING_PIECES * PIECE_BYTES
        assert plan.checkpoint_bytes == held * 12_000_000
