"""A run carries out what was asked: frames once a pass, the canvas wanted, a report that adds up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpustack.engine.run import Outcome, run
from gpustack.errors import PlanError
from gpustack.model.frame import Frame
from gpustack.model.place import Place
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform
from gpustack.settings import Crop, Method, Model, Settings
from tests.engine.shots import Shelf, frames_of, macro, patchwork

STILL = Settings(align=Model.NONE, threads=2)
every_method = pytest.mark.parametrize("method", list(Method))


class Noted:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.passes: list[tuple[str, int, float]] = []
        self.steps: list[str] = []
        self.shares: list[float] = []
        self.warnings: list[str] = []

    def begin(self, stage: str, frames: int, megapixels: float) -> None:
        self.passes.append((stage, frames, megapixels))

    def advance(self, waiting_share: float) -> None:
        self.steps.append(self.passes[-1][0])
        self.shares.append(waiting_share)

    def warn(self, sentence: str) -> None:
        self.warnings.append(sentence)


def shifted(x: float, y: float) -> Transform:
    matrix = np.eye(3)
    matrix[:2, 2] = x, y
    return Transform(matrix)


def stacked(shelf: Shelf, settings: Settings, **more: Any) -> Outcome:
    return run(shelf.stack, shelf.read, settings, **more)


@pytest.mark.parametrize(
    ("method", "passes"), [(Method.AUTO, 1), (Method.PYRAMID, 1), (Method.AVERAGE, 1), (Method.DEPTHMAP, 2)]
)
@pytest.mark.parametrize("depth", [False, True])
def test_every_frame_is_read_once_a_pass(method: Method, passes: int, depth: bool) -> None:
    shelf = Shelf(frames_of(macro())[:4])
    stacked(shelf, Settings(method=method, depth=depth, threads=2))
    assert set(shelf.reads.values()) == {1 + passes}
    assert len(shelf.reads) == 4


@every_method
def test_without_alignment_the_reference_is_read_once_more_and_by_auto_each_fourth(method: Method) -> None:
    shelf = Shelf(patchwork(5))
    outcome = stacked(shelf, Settings(method=method, align=Model.NONE, reference="1", threads=2))
    # Where nothing steps, the second pass of `auto` is left out.
    passes = len(set(outcome.report.plan["passes"]) & set(outcome.report.seconds))
    more = {1, 2} if method is Method.AUTO else {1}
    assert shelf.reads == {f"frame{index}.jpg": passes + (index in more) for index in range(5)}


@every_method
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_one_frame_gives_itself(method: Method, dtype: str, channels: int) -> None:
    values = np.random.default_rng(1).random((37, 53, channels))
    frame = (values if dtype == "float32" else values * np.iinfo(dtype).max).astype(dtype)
    outcome = stacked(Shelf([frame]), Settings(method=method, threads=2))
    assert outcome.fused.picture.dtype == frame.dtype
    assert outcome.fused.picture.tobytes() == frame.tobytes()
    assert outcome.report.frames[0].share == 1.0


@every_method
def test_frames_that_are_sharp_in_turn_give_a_picture_that_is_sharp_everywhere(method: Method) -> None:
    frames = patchwork(3, 60, 90)
    outcome = stacked(Shelf(frames), Settings(method=method, align=Model.NONE, depth=True, threads=2))
    sharp = sum(frame.astype(int) - 128 for frame in frames) + 128
    error = np.abs(outcome.fused.picture - sharp)
    inside = np.r_[0:22, 38:52, 68:90]  # the focus measure cannot tell sides closer than its own width
    assert error[:, inside].max() <= 2
    assert (outcome.fused.winners[:, [5, 45, 85]] == [0, 1, 2]).all()


def test_identity_and_no_cropping_keep_size_and_geometry() -> None:
    rendered = macro()
    shelf = Shelf(frames_of(rendered))
    outcome = stacked(shelf, Settings(crop=Crop.NONE, threads=2))
    assert outcome.fused.picture.shape == (160, 240, 3)
    assert outcome.report.box == (0, 0, 240, 160)
    truth = (rendered.truth * 255).mean(axis=2)
    fused = outcome.fused.picture.mean(axis=2)
    inner = np.s_[20:-20, 20:-20]
    errors = {
        (y, x): np.abs(np.roll(fused, (y, x), (0, 1)) - truth)[inner].mean()
        for y in (-1, 0, 1)
        for x in (-1, 0, 1)
    }
    assert min(errors, key=errors.__getitem__) == (0, 0)


def test_cropping_keeps_what_every_frame_covers() -> None:
    rendered = macro()
    shelf = Shelf(frames_of(rendered))
    outcome = stacked(shelf, Settings(threads=2))
    left, top, width, height = outcome.report.box
    assert outcome.fused.picture.shape == (height, width, 3)
    assert width < 240
    corners = [[x, y] for x in (left, left + width - 1) for y in (top, top + height - 1)]
    for transform in (place.transform for place in outcome.places):
        places = transform.apply(corners)
        assert (places >= -1e-3).all()
        assert (places <= np.array([239, 159]) + 1e-3).all()


@pytest.mark.parametrize(("crop", "size"), [(Crop.AUTO, (34, 52)), (Crop.NONE, (40, 60))])
def test_given_transforms_are_used_instead_of_a_survey(crop: Crop, size: tuple[int, int]) -> None:
    scene = np.random.default_rng(5).integers(0, 256, (46, 68, 3)).astype(np.uint8)
    frames = [scene[:40, :60].copy(), scene[6:, 8:].copy()]
    shelf = Shelf(frames)
    given = [Transform.identity(), shifted(-8, -6)]
    settings = Settings(method=Method.PYRAMID, reference="first", crop=crop, threads=1)
    outcome = stacked(shelf, settings, places=[Place(t) for t in given])
    assert outcome.fused.picture.shape == (*size, 3)
    # Both frames show the same scene, so whichever wins the reference must come out.
    top, left = (6, 8) if crop is Crop.AUTO else (0, 0)
    np.testing.assert_array_equal(outcome.fused.picture, frames[0][top:, left:])
    assert [place.transform.matrix.tolist() for place in outcome.places] == [t.matrix.tolist() for t in given]
    assert set(shelf.reads.values()) == {1, 2}  # no survey: only the reference is looked at for its noise


def test_the_gain_of_given_transforms_is_applied() -> None:
    frame = np.full((40, 60, 3), 100, np.uint8)
    outcome = stacked(Shelf([frame]), STILL, places=[Place(Transform(np.eye(3), Tone((1.5,))))])
    assert (outcome.fused.picture == 150).all()


def test_frames_without_a_common_view_are_not_cropped_and_that_is_said() -> None:
    progress = Noted()
    shelf = Shelf(patchwork(2))
    far = [Transform.identity(), shifted(50, 0)]
    outcome = stacked(
        shelf, Settings(threads=1, reference="0"), places=[Place(t) for t in far], progress=progress
    )
    assert outcome.fused.picture.shape == (40, 60, 3)
    assert len(progress.warnings) == 1
    assert "less than a quarter" in progress.warnings[0]
    assert outcome.report.warnings == progress.warnings


def test_a_frame_that_cannot_be_aligned_is_named_in_a_warning() -> None:
    rendered = macro()
    frames = frames_of(rendered)[:4]
    frames[3] = np.full_like(frames[3], 77)
    outcome = stacked(Shelf(frames), Settings(threads=2))
    assert any("frame3.jpg" in warning for warning in outcome.report.warnings)
    assert [row.place.used for row in outcome.report.frames] == [True, True, True, False]
    assert outcome.report.frames[3].share == 0.0


def test_the_report_has_a_row_a_frame_and_shares_that_add_up() -> None:
    shelf = Shelf(frames_of(macro()))
    report = stacked(shelf, Settings(depth=True, threads=2)).report
    assert [row.file for row in report.frames] == [frame.name for frame in shelf.stack]
    assert sum(row.share for row in report.frames) == pytest.approx(1.0)
    assert all(0.0 < row.place.confidence <= 1.0 for row in report.frames)
    assert not report.frames[2].place.transform.moves
    assert report.frames[2].place.transform.gain == 1.0
    assert list(report.seconds) == ["survey", "ghosts", "auto", "finish"]
    assert all(seconds > 0 for seconds in report.seconds.values())
    assert report.backend == "cpu"
    assert report.backend_reason
    assert set(report.busy) == {"decode", "compute", "write"}
    assert report.limit in report.busy
    assert report.peak_bytes > 10 << 20
    assert 0 < report.noise < 0.02
    assert report.warnings == []


def test_progress_hears_of_every_frame_of_every_pass() -> None:
    progress = Noted()
    settings = Settings(method=Method.DEPTHMAP, threads=2)
    stacked(Shelf(frames_of(macro())[:4]), settings, progress=progress)
    assert progress.passes == [(name, 4, 0.0384) for name in ("survey", "measure", "blend")]
    assert progress.steps == ["survey"] * 4 + ["measure"] * 4 + ["blend"] * 4
    assert all(0.0 <= share <= 1.0 for share in progress.shares)


@every_method
def test_each_aligned_frame_is_handed_out_once(method: Method) -> None:
    frames = patchwork(4)
    kept: list[tuple[Frame, np.ndarray]] = []
    shelf = Shelf(frames)
    settings = Settings(method=method, align=Model.NONE, threads=2)
    stacked(shelf, settings, keep_aligned=lambda frame, pixels: kept.append((frame, pixels)))
    assert [frame for frame, _ in kept] == list(shelf.stack)
    for (_, pixels), frame in zip(kept, frames, strict=True):
        np.testing.assert_array_equal(pixels, frame)


def test_a_budget_that_is_too_small_reads_no_frame() -> None:
    shelf = Shelf(patchwork(3))
    with pytest.raises(PlanError, match=" 1 MiB are allowed"):
        stacked(shelf, Settings(ram_bytes=1 << 20))
    assert not shelf.reads


@every_method
def test_the_number_of_threads_does_not_change_a_bit(method: Method) -> None:
    shelf = Shelf(frames_of(macro())[:4])
    one, three = (stacked(shelf, Settings(method=method, threads=threads)).fused for threads in (1, 3))
    assert one.picture.tobytes() == three.picture.tobytes()
    assert one.winners.tobytes() == three.winners.tobytes()


def test_pixels_that_no_frame_covers_are_black_and_count_for_none() -> None:
    away = [Place(shifted(500, 0))] * 2
    outcome = stacked(Shelf(patchwork(2)), Settings(threads=1, crop=Crop.NONE), places=away)
    assert (outcome.fused.picture == 0).all()
    assert sum(row.share for row in outcome.report.frames) == 0.0
