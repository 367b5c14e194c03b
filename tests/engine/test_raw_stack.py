"""A stack of RAW files on a GPU: unpacked by the readers, developed on the device, the same as on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import gpustack
from gpustack import Method, Model, Settings
from gpustack.backend.choose import Choice
from gpustack.engine import run as running
from gpustack.errors import DecodeError
from gpustack.io import raw
from gpustack.model.frame import Frame
from tests.cuda_on_cpu.device import CpuDevice
from tests.cuda_on_cpu.module import problem
from tests.engine.shots import frames_of, macro
from tests.engine.test_gpu import Watched
from tests.io.dng import BLACK, write_dng

pytest.importorskip("rawpy", reason="rawpy has no build for this platform")
pytestmark = pytest.mark.skipif(problem() is not None, reason=str(problem()))

Picture = npt.NDArray[Any]
QUAD = (0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 2, 2, 1, 1, 2, 2)


def shot(folder: Path, count: int = 4, **options: Any) -> list[Path]:
    """Frames of a rendered scene, as a sensor with Bayer's filters sees them."""
    paths = []
    for number, picture in enumerate(frames_of(macro(frames=count, width=121, height=90))):
        mosaic = picture[..., 1].astype(np.uint16)
        mosaic[::2, ::2], mosaic[1::2, 1::2] = picture[::2, ::2, 0], picture[1::2, 1::2, 2]
        paths.append(write_dng(folder / f"{number}.dng", (BLACK + 20 * mosaic).astype(np.uint16), **options))
    return paths


def stacked(
    monkeypatch: pytest.MonkeyPatch, paths: Sequence[Path], devices: tuple[CpuDevice, ...], **wishes: Any
) -> tuple[gpustack.Result, dict[str, Picture]]:
    """The result on these devices, or on the CPU where there are none; and the frames on the canvas."""
    monkeypatch.setattr(Settings, "lifts_veils", False)  # reads of its own, which are not counted here
    monkeypatch.setattr(running, "choose", lambda *_: Choice("chosen by the test", devices))
    kept: dict[str, Picture] = {}

    def keep(frame: Frame, picture: Picture) -> None:
        kept[frame.name] = picture

    return gpustack.stack(paths, Settings(threads=2, **wishes), keep_aligned=keep), kept


def check_alike(found: dict[str, Picture], wanted: dict[str, Picture]) -> None:
    assert found.keys() == wanted.keys()
    for name, picture in found.items():
        np.testing.assert_array_equal(picture, wanted[name])


def developed(device: CpuDevice) -> int:
    """How many frames a device has developed."""
    return sum(what == "develop_rcd" for _, what in device.log)


@pytest.mark.parametrize("devices", [1, 2])
def test_frames_developed_on_a_device_are_those_of_the_cpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, devices: int
) -> None:
    paths = shot(tmp_path)
    still = {"align": Model.NONE, "method": Method.PYRAMID}  # frames are looked at for nothing else
    wanted, host = stacked(monkeypatch, paths, (), **still)
    used = tuple(CpuDevice(eager=False) for _ in range(devices))
    with monkeypatch.context() as only:
        only.setattr(raw, "_by_libraw", None)  # LibRaw is not asked to
        found, device = stacked(only, paths, used, **still)
    assert sum(map(developed, used)) == len(paths) + 1  # the reference's noise is measured beforehand
    check_alike(device, host)
    assert len(device) == len(paths)
    away = np.abs(found.image.astype(int) - wanted.image)
    assert np.mean(away > 16) < 1e-4


def test_a_survey_sees_developed_frames(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    paths, device = shot(tmp_path), CpuDevice(eager=False)
    wanted, _ = stacked(monkeypatch, paths, ())
    found, _ = stacked(monkeypatch, paths, (device,))
    assert developed(device) == 2 * len(paths)
    for mine, theirs in zip(found.transforms, wanted.transforms, strict=True):
        np.testing.assert_allclose(mine.matrix, theirs.matrix, atol=1e-4)


def test_what_does_not_fit_comes_from_libraw(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    paths, device = shot(tmp_path, colours=QUAD), CpuDevice(eager=False)
    _, host = stacked(monkeypatch, paths, (), align=Model.NONE)
    _, found = stacked(monkeypatch, paths, (device,), align=Model.NONE)
    assert developed(device) == 0
    check_alike(found, host)


def test_nothing_is_allocated_once_frames_flow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    device = Watched(6)
    found, _ = stacked(monkeypatch, shot(tmp_path, 6), (device,), align=Model.NONE, method=Method.PYRAMID)
    assert (device.sent, device.late) == (6, 0)
    assert 0 < found.report.device_bytes <= found.report.plan["device_bytes"]


def test_a_damaged_frame_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    paths, device = shot(tmp_path), CpuDevice(eager=False)
    stack = gpustack.open_stack(paths)
    paths[2].write_bytes(paths[2].read_bytes()[:-1000])
    monkeypatch.setattr(running, "choose", lambda *_: Choice("chosen by the test", (device,)))
    with pytest.raises(DecodeError, match=r"2\.dng: the file is damaged"):
        gpustack.stack(stack, Settings(threads=2))
