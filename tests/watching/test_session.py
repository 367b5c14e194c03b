"""A session against one run over the same frames: the same pixels, and less done in the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

import gpustack
from gpustack import Brightness, Method, Model, Settings, api
from gpustack.backend.choose import Choice
from gpustack.engine import price
from gpustack.engine import run as running
from gpustack.errors import DecodeError, DeviceFullError, PlanError, StackError, UsageError
from gpustack.model.frame import PixelType
from gpustack.settings import BackendName, Deghost, Prefer
from gpustack.watching import desk
from gpustack.watching.session import PreviewFile, Session
from tests.cuda_on_cpu.device import CpuDevice
from tests.cuda_on_cpu.module import problem
from tests.engine.shots import frames_of, macro

Pixels = npt.NDArray[Any]
COUNT = 6


class Stages:
    """A progress that notes the passes over the frames."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    def begin(self, stage: str, frames: int, megapixels: float) -> None:
        del frames, megapixels
        self.begun.append(stage)

    def advance(self, waiting_share: float) -> None:
        del waiting_share

    def warn(self, sentence: str) -> None:
        del sentence


class Shoot:
    """A folder, a session on it, and what the session warned of."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder, self.warned = folder, list[str]()
        self.settings = Settings(backend=BackendName.CPU, threads=2, **settings)
        self.preview = folder / "out.preview.jpg"
        self.session = Session(self.settings, PreviewFile(self.preview), self.warned.append)

    def take(self, paths: Sequence[Path]) -> Shoot:
        for path in paths:
            self.session.take(path)
        return self

    def finished(self, changed: Sequence[Path] = ()) -> tuple[gpustack.Result, list[str]]:
        """The picture, and the passes that were done for it."""
        stages = Stages()
        stack, known = self.session.finish(changed)
        return api.stack(stack, self.settings, known=known, progress=stages), stages.begun

    def at_once(self, paths: Sequence[Path]) -> gpustack.Result:
        return gpustack.stack(list(paths), self.settings)


def files(folder: Path, ending: str, frames: Sequence[Pixels], name: str = "f{}") -> list[Path]:
    paths = [folder / f"{name.format(index)}{ending}" for index in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        assert cv2.imwrite(str(path), np.ascontiguousarray(frame[..., ::-1]))
    return paths


def still() -> list[Pixels]:
    """Frames that do not move, and in which nothing is burnt out."""
    frames = frames_of(macro(breathing=0.0, drift_px=0.0, jitter_px=0.0))
    return [(frame * 0.9).astype(np.uint8) for frame in frames]


def assert_same(one: gpustack.Result, other: gpustack.Result) -> None:
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(one.winners, other.winners)
    assert one.metadata == other.metadata
    for mine, theirs in zip(one.places, other.places, strict=True):
        np.testing.assert_array_equal(mine.transform.matrix, theirs.transform.matrix)
        assert mine.transform.tone == theirs.transform.tone
        assert (mine.used, mine.confidence, mine.residual_px) == (
            theirs.used,
            theirs.confidence,
            theirs.residual_px,
        )
    assert one.report.noise == other.report.noise
    if other.depth is not None:
        np.testing.assert_array_equal(one.depth, other.depth)
        np.testing.assert_array_equal(one.confidence, other.confidence)


@pytest.mark.parametrize(
    ("ending", "side", "settings"),
    [
        (".jpg", 240, {}),
        (".jpg", 120, {"method": Method.PYRAMID, "brightness": Brightness.CHANNELS}),
        (".jpg", 120, {"method": Method.AUTO, "depth": True, "reference": "last"}),
        (".png", 120, {"method": Method.DEPTHMAP, "depth": True, "deghost": Deghost.OFF}),
        (".tif", 240, {"method": Method.AVERAGE, "align": Model.AUTO, "reference": "2"}),
        (".png", 240, {"slab": (3, 1), "prefer": Prefer.NEAR, "brightness": Brightness.NONE}),
    ],
)
def test_the_same_pixels_as_at_once_without_another_survey(
    ending: str, side: int, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(price, "SURVEY_SIDE", side)  # with half of it, frames are seen smaller
    kind = PixelType.UINT16 if ending == ".tif" else PixelType.UINT8
    paths = files(tmp_path, ending, frames_of(macro(kind)))
    shoot = Shoot(tmp_path, **settings).take(paths)
    result, begun = shoot.finished()
    assert_same(result, shoot.at_once(paths))
    assert begun
    assert "survey" not in begun
    assert shoot.warned == []
    assert not all(np.array_equal(place.transform.matrix, np.eye(3)) for place in result.places)


@pytest.mark.parametrize("method", list(Method))
def test_frames_at_rest_are_folded_as_they_come(method: Method, tmp_path: Path) -> None:
    paths = files(tmp_path, ".jpg", still())
    shoot = Shoot(tmp_path, method=method, align=Model.NONE, reference="first", depth=True).take(paths)
    result, begun = shoot.finished()
    assert_same(result, shoot.at_once(paths))
    # auto looks at a few frames for lamps, and behind nearer things where there are such.
    later = {Method.AUTO: ["survey", "behind"], Method.DEPTHMAP: ["blend"]}.get(method, [])
    assert [name for name in later if name in begun] == begun


def test_frames_at_rest_under_lamps_are_folded_again(tmp_path: Path) -> None:
    """What lies over frames is known only when all of them are there."""
    frames = [cv2.circle(frame.copy(), (60, 60), 20, (255, 255, 255), -1) for frame in still()]
    paths = files(tmp_path, ".png", frames)
    shoot = Shoot(tmp_path, align=Model.NONE, reference="first").take(paths)
    result, begun = shoot.finished()
    assert_same(result, shoot.at_once(paths))
    assert "auto" in begun


@pytest.mark.skipif(problem() is not None, reason=str(problem()))
@pytest.mark.parametrize("align", [Model.SHIFT, Model.NONE])
def test_on_a_device(align: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels of the GPU, run by the CPU."""
    for module in (desk, running):
        monkeypatch.setattr(module, "choose", lambda *_: Choice("chosen by the test", (CpuDevice(),)))
    frames = frames_of(macro(frames=4, width=120, height=90))
    paths = files(tmp_path, ".png", frames)
    shoot = Shoot(tmp_path, method=Method.PYRAMID, align=align, reference="first").take(paths)
    result, begun = shoot.finished()
    assert_same(result, shoot.at_once(paths))
    assert result.report.backend == "cuda"
    assert begun == ([] if align is Model.NONE else ["pyramid"])
    assert shoot.preview.exists()


@pytest.mark.skipif(problem() is not None, reason=str(problem()))
def test_a_device_that_is_full_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The states go with their backend; the frames are folded again, in a smaller plan."""
    for module in (desk, running):
        monkeypatch.setattr(module, "choose", lambda *_: Choice("chosen by the test", (CpuDevice(),)))
    paths = files(tmp_path, ".png", frames_of(macro(frames=3, width=120, height=90)))
    shoot = Shoot(tmp_path, method=Method.PYRAMID, align=Model.NONE, reference="first").take(paths)
    whole = shoot.at_once(paths)
    render, tries = running.render, list[int]()

    def full_once(*given: Any) -> Any:
        tries.append(1)
        if len(tries) == 1:
            raise DeviceFullError(1 << 30, 1 << 30)
        return render(*given)

    monkeypatch.setattr(running, "render", full_once)
    result, begun = shoot.finished()
    assert_same(result, whole)
    assert begun == ["pyramid"]


def test_where_the_reference_is_yet_to_come_frames_at_rest_are_folded_in_the_end(tmp_path: Path) -> None:
    paths = files(tmp_path, ".jpg", still())
    shoot = Shoot(tmp_path, method=Method.PYRAMID, align=Model.NONE).take(paths)
    result, begun = shoot.finished()
    assert_same(result, shoot.at_once(paths))
    assert begun == ["pyramid"]


def test_one_frame_is_a_stack(tmp_path: Path) -> None:
    (path,) = files(tmp_path, ".png", frames_of(macro())[:1])
    result, _ = Shoot(tmp_path).take([path]).finished()
    np.testing.assert_array_equal(result.image, frames_of(macro())[0])


def _reversed(paths: list[Path]) -> tuple[list[Path], list[Path], list[Path]]:
    return paths[::-1], [], paths


def _rewritten(paths: list[Path]) -> tuple[list[Path], list[Path], list[Path]]:
    return paths, paths[1:2], paths


def _deleted(paths: list[Path]) -> tuple[list[Path], list[Path], list[Path]]:
    return paths, paths[1:2], paths[:1] + paths[2:]


@pytest.mark.parametrize("odd", [_reversed, _rewritten, _deleted])
def test_what_does_not_hold_is_found_out_again(
    odd: Callable[[list[Path]], tuple[list[Path], list[Path], list[Path]]], tmp_path: Path
) -> None:
    paths = files(tmp_path, ".png", frames_of(macro()))
    order, changed, left = odd(paths)
    shoot = Shoot(tmp_path, method=Method.PYRAMID).take(order)
    if odd is _rewritten:
        files(tmp_path, ".png", [frames_of(macro())[2]], name="f1")
    if odd is _deleted:
        paths[1].unlink()
    result, begun = shoot.finished(changed)
    assert_same(result, shoot.at_once(left))
    assert "survey" in begun
    assert "looked at once more" in shoot.warned[-1]
    assert ("f1.png has gone, and is left out." in shoot.warned) == (odd is _deleted)


def test_frames_of_another_size_or_kind_are_not_previewed_and_stacked_all_the_same(tmp_path: Path) -> None:
    frames = frames_of(macro())
    paths = files(
        tmp_path, ".png", [frame[8:-8, 8:-8] if i == 4 else frame for i, frame in enumerate(frames)]
    )
    jpeg = files(tmp_path, ".jpg", [frames[5]], name="g{}")
    shoot = Shoot(tmp_path, method=Method.PYRAMID).take([*paths, *jpeg])
    assert ["f4.png differs" in shoot.warned[0], "g0.jpg differs" in shoot.warned[1]] == [True, True]
    result, begun = shoot.finished()
    assert_same(result, shoot.at_once([*paths, *jpeg]))
    assert "survey" in begun


def test_frames_that_do_not_go_together_are_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    paths = files(tmp_path, ".png", frames_of(macro()))
    gray = tmp_path / "gray.png"
    cv2.imwrite(str(gray), frames_of(macro())[0][..., 0])
    broken = tmp_path / "f2a.png"
    broken.write_bytes(paths[3].read_bytes()[:-500])
    shoot = Shoot(tmp_path, method=Method.PYRAMID).take(paths[:3])
    with pytest.raises(StackError, match=r"gray\.png differs in number of channels"):
        shoot.session.take(gray)
    with pytest.raises(DecodeError, match=r"f2a\.png"):
        shoot.session.take(broken)
    result, begun = shoot.take(paths[3:]).finished()
    assert_same(result, shoot.at_once(paths))
    assert "survey" not in begun


@pytest.mark.parametrize("align", [Model.SIMILARITY, Model.NONE])
def test_a_broken_first_frame_gives_nothing_to_the_stack(align: Model, tmp_path: Path) -> None:
    frames = frames_of(macro())
    (broken,) = files(tmp_path, ".png", [frames[0][:-30, :-40]], name="broken")
    broken.write_bytes(broken.read_bytes()[:-500])
    paths = files(tmp_path, ".png", frames)
    shoot = Shoot(tmp_path, method=Method.PYRAMID, align=align, reference="first")
    for _ in range(2):
        with pytest.raises(DecodeError, match=r"broken\.png"):
            shoot.session.take(broken)
    result, begun = shoot.take(paths).finished()
    assert_same(result, shoot.at_once(paths))
    assert begun == ([] if align is Model.NONE else ["pyramid"])


def test_a_file_whose_second_page_comes_late(tmp_path: Path) -> None:
    import tifffile

    frames = frames_of(macro())
    for name, pages in (("a.tif", frames[:2]), ("b.tif", frames[2:4])):
        tifffile.imwrite(tmp_path / name, np.stack(pages), photometric="rgb", compression="zlib")
    paths = [tmp_path / "a.tif", tmp_path / "b.tif"]
    whole = paths[1].read_bytes()
    with tifffile.TiffFile(paths[1]) as file:
        at = file.pages[1].dataoffsets[0]
    paths[1].write_bytes(whole[: at + 8] + bytes(64) + whole[at + 72 :])
    shoot = Shoot(tmp_path, method=Method.PYRAMID).take(paths[:1])
    with pytest.raises(DecodeError):
        shoot.session.take(paths[1])
    paths[1].write_bytes(whole)
    result, begun = shoot.take(paths[1:]).finished()
    assert_same(result, shoot.at_once(paths))
    assert "survey" in begun
    assert "only a part of b.tif" in shoot.warned[-1]


def test_frames_of_another_size_are_refused_where_nothing_is_aligned(tmp_path: Path) -> None:
    paths = files(tmp_path, ".png", [frames_of(macro())[0], frames_of(macro())[1][:-8]])
    shoot = Shoot(tmp_path, align=Model.NONE).take(paths[:1])
    with pytest.raises(StackError, match="pixel size"):
        shoot.session.take(paths[1])


def test_pages_of_a_file_are_frames(tmp_path: Path) -> None:
    import tifffile

    frames = frames_of(macro())
    for name, pages in (("a.tif", frames[:2]), ("b.tif", frames[2:])):
        tifffile.imwrite(tmp_path / name, np.stack(pages), photometric="rgb")
    paths = [tmp_path / "a.tif", tmp_path / "b.tif"]
    shoot = Shoot(tmp_path, method=Method.PYRAMID).take(paths)
    assert len(shoot.session) == COUNT
    result, begun = shoot.finished()
    assert_same(result, shoot.at_once(paths))
    assert "survey" not in begun


def test_raw_frames(data: Path, tmp_path: Path) -> None:
    paths = sorted((data / "raw" / "synthetic_dng_stack_bayer").glob("*.dng"))[:3]
    shoot = Shoot(tmp_path, method=Method.PYRAMID, exposure=0.5).take(paths)
    assert cv2.imread(str(shoot.preview)).shape == (768, 1024, 3)
    result, begun = shoot.finished()
    assert_same(result, shoot.at_once(paths))
    assert begun == ["pyramid"]


def test_options_for_raw_frames_are_refused_with_the_first_one(tmp_path: Path) -> None:
    (path,) = files(tmp_path, ".png", frames_of(macro())[:1])
    with pytest.raises(UsageError, match="--exposure takes RAW frames"):
        Shoot(tmp_path, exposure=1.0).take([path])


def test_what_does_not_fit_the_memory_is_told_with_the_first_frame(tmp_path: Path) -> None:
    (path,) = files(tmp_path, ".png", frames_of(macro())[:1])
    with pytest.raises(PlanError):
        Shoot(tmp_path, ram_bytes=100 << 20).take([path])


def test_no_frame_came(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="No frame has come"):
        Shoot(tmp_path).session.finish()


def test_all_frames_have_gone(tmp_path: Path) -> None:
    paths = files(tmp_path, ".png", frames_of(macro())[:2])
    shoot = Shoot(tmp_path).take(paths)
    for path in paths:
        path.unlink()
    with pytest.raises(StackError, match="All frames have gone"):
        shoot.session.finish(paths)
