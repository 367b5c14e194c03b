"""A survey of frames that are decoded at a smaller size: it finds what it finds of whole ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest

import gpustack
from gpustack import Settings
from gpustack.backend.choose import Choice
from gpustack.engine import price
from gpustack.engine import run as running
from gpustack.engine.feed import Feed, Source
from gpustack.io import jpeg, raw
from gpustack.io.decode import Decoder
from gpustack.model.frame import Kind
from gpustack.model.transform import corners
from gpustack.settings import BackendName, Brightness, Model
from tests.cuda_on_cpu.device import CpuDevice
from tests.cuda_on_cpu.module import problem
from tests.engine.shots import Shelf, frames_of, macro, patchwork
from tests.engine.test_feed import Slotted
from tests.io.dng import BLACK, write_dng

Picture = npt.NDArray[Any]
WIDTH, HEIGHT = 600, 402
ON_CPU = Settings(backend=BackendName.CPU, threads=2)
TRAITS = {"width": WIDTH, "height": HEIGHT, "frames": 5, "drift_px": 8.0, "max_blur_px": 8.0, "noise": 2.0}


@pytest.fixture(params=[2, 4], ids=["half", "quarter"])
def factor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The survey's planes are so many times smaller than the frames."""
    monkeypatch.setattr(price, "SURVEY_SIDE", WIDTH // request.param)
    return int(request.param)


def as_jpeg(path: Path, picture: Picture) -> Path:
    path = path.with_suffix(".jpg")
    path.write_bytes(bytes(imagecodecs.jpeg8_encode(picture, level=95)))
    return path


def as_raw(path: Path, picture: Picture) -> Path:
    samples = picture[..., 1].astype(np.uint16)
    samples[::2, ::2], samples[1::2, 1::2] = picture[::2, ::2, 0], picture[1::2, 1::2, 2]
    return write_dng(path.with_suffix(".dng"), (BLACK + 40 * samples).astype(np.uint16))


def shot(folder: Path, save: Callable[[Path, Picture], Path]) -> list[Path]:
    if save is as_raw:
        pytest.importorskip("rawpy", reason="rawpy has no build for this platform")
    return [save(folder / str(index), picture) for index, picture in enumerate(frames_of(macro(**TRAITS)))]


def whole(monkeypatch: pytest.MonkeyPatch, paths: list[Path], settings: Settings) -> gpustack.Result:
    """The result of a survey that decodes frames whole."""
    with monkeypatch.context() as only:
        only.setattr(Source, "reduction", lambda *_: 0)
        return gpustack.stack(paths, settings)


def check_alike(found: gpustack.Result, wanted: gpustack.Result, factor: int) -> None:
    """As close to the truth as the survey of whole frames, but for a fiftieth of a pixel of the survey."""
    points, true = corners(WIDTH, HEIGHT), macro(**TRAITS).transforms
    away = [
        [
            np.abs(at.apply(points) - by.apply(points)).mean()
            for at, by in zip(one.transforms, true, strict=True)
        ]
        for one in (found, wanted)
    ]
    assert np.mean(away[0]) < np.mean(away[1]) + 0.02 * factor
    for mine, theirs in zip(found.transforms, wanted.transforms, strict=True):
        assert np.abs(mine.apply(points) - theirs.apply(points)).max() < 0.1 * factor
        assert mine.gain == pytest.approx(theirs.gain, abs=0.005)
    assert found.report.noise == pytest.approx(wanted.report.noise, rel=1e-3)
    assert sum(place.used for place in found.places) == TRAITS["frames"]


@pytest.mark.parametrize("save", [as_jpeg, as_raw])
def test_small_frames_lie_where_whole_ones_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, factor: int, save: Callable[[Path, Picture], Path]
) -> None:
    paths = shot(tmp_path, save)
    module, name = (jpeg, "reduced") if save is as_jpeg else (raw, "halved")
    asked, plain = [], getattr(module, name)

    def counted(*given: Any, **more: Any) -> Any:
        asked.append(given[1])
        return plain(*given, **more)

    monkeypatch.setattr(module, name, counted)
    found = gpustack.stack(paths, ON_CPU)
    assert len(asked) == len(paths)
    assert save is as_raw or set(asked) == {factor}
    check_alike(found, whole(monkeypatch, paths, ON_CPU), factor)


def test_colours_are_kept_where_they_are_compared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, factor: int
) -> None:
    paths, settings = (
        shot(tmp_path, as_jpeg),
        Settings(backend=BackendName.CPU, threads=2, brightness=Brightness.CHANNELS),
    )
    found = gpustack.stack(paths, settings)
    assert all(len(at.tone.gain) == 3 for at in found.transforms)
    check_alike(found, whole(monkeypatch, paths, settings), factor)


def test_a_flat_field_is_divided_out_of_small_frames(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, factor: int
) -> None:
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    fall = (1 - 0.25 * (x * x + y * y))[..., None] * np.array([1.0, 0.95, 0.9])
    flat = as_jpeg(tmp_path / "flat", np.rint(230 * fall).astype(np.uint8))
    frames = tmp_path / "frames"
    frames.mkdir()
    paths = [
        as_jpeg(frames / str(index), np.rint(picture * fall).astype(np.uint8))
        for index, picture in enumerate(frames_of(macro(**TRAITS)))
    ]
    settings = Settings(backend=BackendName.CPU, threads=2, flat=str(flat))
    check_alike(gpustack.stack(paths, settings), whole(monkeypatch, paths, settings), factor)


@pytest.mark.skipif(problem() is not None, reason=str(problem()))
def test_a_device_is_sent_small_frames(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(price, "SURVEY_SIDE", WIDTH // 2)
    paths, device = shot(tmp_path, as_jpeg), CpuDevice(eager=False)
    wanted = gpustack.locate(paths, ON_CPU)
    sent: list[int] = []
    plain = device.copy_in

    def copy_in(address: int, host: Any, lane: Any) -> None:
        sent.append(host.nbytes)
        plain(address, host, lane)

    monkeypatch.setattr(device, "copy_in", copy_in)
    monkeypatch.setattr(running, "choose", lambda *_: Choice("chosen by the test", (device,)))
    found = gpustack.locate(paths, Settings(threads=2))
    assert sent.count(WIDTH // 2 * (HEIGHT // 2)) == len(paths)
    assert sent.count(WIDTH * HEIGHT * 3) == 1  # the reference, for its noise
    points = corners(WIDTH, HEIGHT)
    for mine, theirs in zip(found, wanted, strict=True):
        assert np.abs(mine.transform.apply(points) - theirs.transform.apply(points)).max() < 0.01


def test_frames_of_other_kinds_beside_it_are_decoded_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(price, "SURVEY_SIDE", WIDTH // 2)
    paths = shot(tmp_path, as_jpeg)
    paths[1] = paths[1].with_suffix(".png")
    picture = frames_of(macro(**TRAITS))[1]
    assert cv2.imwrite(str(paths[1]), picture[..., ::-1])
    check_alike(gpustack.stack(paths, ON_CPU), whole(monkeypatch, paths, ON_CPU), 2)


def test_small_frames_go_through_slots() -> None:
    pictures, backend = patchwork(3), Slotted()
    shelf = Shelf(pictures)
    source = Source(shelf.read, shrink=lambda frame, by: shelf.read(frame)[::by, ::by])
    feed = Feed(
        backend,
        shelf.stack.frames,
        source,
        slots=2,
        readers=1,
        reduction=lambda frame: 2 if frame is shelf.stack.frames[1] else 0,
    )
    with feed.open(lambda _, array: array) as found:
        arrays = [array for _, array in found]
    assert [array.shape for array in arrays] == [(40, 60, 3), (20, 30, 3), (40, 60, 3)]
    np.testing.assert_array_equal(arrays[1], pictures[1][::2, ::2])
    assert backend.out == []


@pytest.mark.parametrize(
    ("side", "kind", "factor"),
    [
        (6000, Kind.JPEG, 3),
        (6000, Kind.RAW, 2),
        (9000, Kind.RAW, 4),
        (2000, Kind.RAW, 2),
        (1600, Kind.JPEG, 2),
        (1500, Kind.JPEG, 1),
        (1500, Kind.RAW, 1),
    ],
)
def test_large_frames_are_halved_and_raw_files_first(side: int, kind: Kind, factor: int) -> None:
    from tests.engine.shots import headers

    assert price.survey_factor(headers(2, width=side, height=side // 2, kind=kind)) == factor


def test_what_a_device_decodes_is_not_reduced_here(tmp_path: Path) -> None:
    paths = shot(tmp_path, as_jpeg)
    stack = gpustack.open_stack(paths)
    decoder = Decoder(stack.frames[0])
    source = Source(decoder, decoder.unpack, decoder.reduced)

    class Decoding(Slotted):
        @property
        def decodes(self) -> bool:
            return True

    assert source.reduction(stack.frames[0], Slotted(), 2) == 2
    assert source.reduction(stack.frames[0], Decoding(), 2) == 0
    assert Model.SIMILARITY is Settings().align
