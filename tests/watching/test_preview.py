"""The preview: current after every frame, whole, of the frames so far, and never in the way."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from gpustack import Crop, Method, Model, Settings
from gpustack.engine import price
from gpustack.errors import WriteError
from gpustack.model.frame import PixelType
from gpustack.settings import BackendName
from gpustack.watching.preview import Preview
from gpustack.watching.session import PreviewFile, Session
from tests.engine.shots import frames_of, macro
from tests.watching.test_session import Shoot, files


def sharpness(path: Path) -> float:
    gray = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2GRAY)
    return float(np.var(cv2.Laplacian(gray, cv2.CV_32F)))


@pytest.mark.parametrize("method", [Method.AUTO, Method.AVERAGE])
def test_it_is_current_after_every_frame_and_grows_sharper(method: Method, tmp_path: Path) -> None:
    shoot = Shoot(tmp_path, method=method)
    seen = []
    for path in files(tmp_path, ".png", frames_of(macro())):
        shoot.take([path])
        seen.append(sharpness(shoot.preview))
    assert len(set(seen)) == len(seen)
    assert all(after > 0.98 * before for before, after in pairwise(seen))
    assert seen[-1] > 1.2 * seen[0]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_it_is_nearly_the_picture(tmp_path: Path) -> None:
    paths = files(tmp_path, ".png", frames_of(macro()))
    shoot = Shoot(tmp_path, method=Method.PYRAMID, reference="first", crop=Crop.NONE).take(paths)
    preview = cv2.imread(str(shoot.preview))[..., ::-1]
    away = preview.astype(float) - shoot.finished()[0].image
    assert float(np.sqrt((away[8:-8, 8:-8] ** 2).mean())) < 6  # JPEG, and chained links


def test_looking_at_it_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state can be finished as often as one likes: after all frames it is the same as if finished once."""
    paths = files(tmp_path, ".png", frames_of(macro()))
    often = Shoot(tmp_path).take(paths).preview.read_bytes()
    (tmp_path / "once").mkdir()
    write = Preview.write
    monkeypatch.setattr(Preview, "write", lambda *_, **__: None)
    shoot = Shoot(tmp_path / "once").take(paths[:-1])
    monkeypatch.setattr(Preview, "write", write)
    assert shoot.take(paths[-1:]).preview.read_bytes() == often


def test_it_is_smaller_than_large_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price, "SURVEY_SIDE", 80)
    paths = files(tmp_path, ".jpg", frames_of(macro())[:2])
    shoot = Shoot(tmp_path).take(paths)
    preview = cv2.imread(str(shoot.preview))
    assert preview.shape == (53, 80, 3)
    small = cv2.resize(frames_of(macro())[0][:159], (80, 53), interpolation=cv2.INTER_AREA)[..., ::-1]
    assert float(np.abs(preview.astype(float) - small).mean()) < 6


@pytest.mark.parametrize("kind", [PixelType.UINT16, PixelType.FLOAT32])
def test_deep_frames_are_shown_in_eight_bits(kind: PixelType, tmp_path: Path) -> None:
    import tifffile

    frame = frames_of(macro(PixelType.UINT16))[0]
    frame = frame if kind is PixelType.UINT16 else (frame / 65535).astype(np.float32)
    tifffile.imwrite(tmp_path / "f.tif", frame, photometric="rgb")
    shoot = Shoot(tmp_path).take([tmp_path / "f.tif"])
    preview = cv2.imread(str(shoot.preview))[..., ::-1]
    assert float(np.abs(preview / 255 - frame / kind.white).mean()) < 0.02


def test_a_file_of_the_user_is_not_replaced_and_the_frames_are_taken(tmp_path: Path) -> None:
    preview = tmp_path / "out.preview.jpg"
    preview.write_bytes(b"mine")
    paths = files(tmp_path, ".png", frames_of(macro())[:3])
    shoot = Shoot(tmp_path).take(paths)
    assert preview.read_bytes() == b"mine"
    assert len(shoot.session) == 3
    assert len(shoot.warned) == 1  # said once
    assert "There is no preview now." in shoot.warned[0]
    shoot.session.remove_preview()
    assert preview.exists()
    session = Session(Settings(backend=BackendName.CPU), PreviewFile(preview, True), lambda _: None)
    session.take(paths[0])
    assert preview.read_bytes() != b"mine"
    session.remove_preview()
    assert not preview.exists()


def test_a_full_disk_does_not_stop_the_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = files(tmp_path, ".png", frames_of(macro())[:3])
    shoot = Shoot(tmp_path).take(paths[:1])
    before = shoot.preview.read_bytes()
    write = Preview.write

    def full(*_: object, **__: object) -> None:
        raise WriteError("The disk at / is full, so out.preview.jpg cannot be written.", "Free some space.")

    monkeypatch.setattr(Preview, "write", full)
    shoot.take(paths[1:2])
    told = "The disk at / is full, so out.preview.jpg cannot be written. Free some space."
    assert shoot.warned == [f"There is no preview now. {told}"]
    assert shoot.preview.read_bytes() == before
    monkeypatch.setattr(Preview, "write", write)
    assert shoot.take(paths[2:]).preview.read_bytes() != before


def test_a_shaken_frame_is_named_while_it_can_be_shot_again(tmp_path: Path) -> None:
    frames = frames_of(macro(frames=7, width=480, height=320))
    shaken = cv2.blur(frames[3], (13, 1))
    paths = files(tmp_path, ".png", [shaken if i == 3 else frame for i, frame in enumerate(frames)])
    shoot = Shoot(tmp_path).take(paths[:4])
    assert shoot.warned == []
    shoot.take(paths[4:])
    assert shoot.warned == ["f3.png is blurred all over, as if the camera had shaken."]


def test_a_frame_of_something_else_is_named(tmp_path: Path) -> None:
    frames = frames_of(macro())
    other = np.random.default_rng(0).integers(0, 255, frames[0].shape).astype(np.uint8)
    paths = files(tmp_path, ".png", [*frames[:3], other, *frames[3:]])
    shoot = Shoot(tmp_path, reference="first").take(paths)
    (warned,) = shoot.warned
    assert warned == "f3.png shows too little in common with the frames before it to be previewed."
    result, begun = shoot.finished()
    assert [place.used for place in result.places] == [True] * 3 + [False] + [True] * 3
    assert "survey" not in begun


def test_frames_at_rest_are_previewed_where_they_lie(tmp_path: Path) -> None:
    frames = frames_of(macro())
    moved = np.roll(frames[0], 40, axis=1)
    shoot = Shoot(tmp_path, align=Model.NONE, method=Method.AVERAGE)
    shoot.take(files(tmp_path, ".png", [frames[0], moved]))
    preview = cv2.imread(str(shoot.preview))[..., ::-1].astype(float)
    errors = [float(np.abs(preview - frame).mean()) for frame in (frames[0], moved)]
    assert max(errors) < 2 * min(errors)
