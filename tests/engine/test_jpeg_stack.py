"""A stack of JPEG files on a GPU: read by the readers, decoded on the device, the same as on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest

import gpustack
from gpustack import Model, Settings
from gpustack.backend.choose import Choice
from gpustack.backend.gpu.backend import Gpu
from gpustack.engine import run as running
from gpustack.engine.feed import Source
from gpustack.engine.plan import make_plan
from gpustack.engine.planned import Budget
from gpustack.engine.price import DECODER_FRAMES
from gpustack.errors import DecodeError
from gpustack.io import jpeg
from gpustack.model.frame import Frame
from gpustack.model.jpeg import Jpeg
from gpustack.settings import DecoderName
from tests.cuda_on_cpu.device import CpuDevice
from tests.cuda_on_cpu.jpeg import CpuJpeg
from tests.cuda_on_cpu.module import problem
from tests.engine.shots import frames_of, macro
from tests.engine.test_gpu import Watched

pytestmark = pytest.mark.skipif(problem() is not None, reason=str(problem()))

Picture = npt.NDArray[Any]
Kept = dict[str, Picture]


def coded(picture: Picture, **options: Any) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(picture, level=95, **options))


def gray(picture: Picture) -> bytes:
    return coded(np.ascontiguousarray(picture[..., 1]))


def progressive(picture: Picture) -> bytes:
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1])


def in_rgb(picture: Picture) -> bytes:
    return coded(picture, colorspace="RGB", outcolorspace="RGB")


def shot(folder: Path, encode: Callable[[Picture], bytes] = coded, count: int = 4) -> list[Path]:
    """Frames of a rendered scene, as JPEG files."""
    paths = []
    for number, picture in enumerate(frames_of(macro(frames=count, width=121, height=90))):
        paths.append(folder / f"{number}.jpg")
        paths[-1].write_bytes(encode(picture))
    return paths


def stacked(
    monkeypatch: pytest.MonkeyPatch,
    paths: Sequence[Path],
    devices: Sequence[CpuDevice],
    decoders: Sequence[CpuJpeg] = (),
    **wishes: Any,
) -> tuple[gpustack.Result, Kept]:
    """The result on these devices, and the frames on the canvas."""
    choice = Choice("chosen by the test", tuple(devices), tuple(decoders))
    monkeypatch.setattr(Settings, "lifts_veils", False)  # reads of its own, which are not counted here
    monkeypatch.setattr(running, "choose", lambda *_: choice)
    kept: Kept = {}

    def keep(frame: Frame, picture: Picture) -> None:
        kept[frame.name] = picture

    decoder = DecoderName.GPU if decoders else DecoderName.AUTO
    settings = Settings(threads=2, decoder=decoder, **wishes)
    return gpustack.stack(paths, settings, keep_aligned=keep), kept


def check_alike(found: tuple[gpustack.Result, Kept], wanted: tuple[gpustack.Result, Kept]) -> None:
    """Every frame and the picture, to the last bit."""
    np.testing.assert_array_equal(found[0].image, wanted[0].image)
    assert found[1].keys() == wanted[1].keys()
    for name, picture in found[1].items():
        np.testing.assert_array_equal(picture, wanted[1][name])


@pytest.mark.parametrize("eager", [True, False], ids=["eager", "late"])
@pytest.mark.parametrize("encode", [coded, gray, progressive])
def test_frames_decoded_on_a_device_are_those_of_the_cpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encode: Callable[[Picture], bytes], eager: bool
) -> None:
    paths, device = shot(tmp_path, encode), CpuDevice(eager=eager)
    wanted = stacked(monkeypatch, paths, [CpuDevice()], align=Model.NONE)
    decoder = CpuJpeg(device)
    with monkeypatch.context() as only:
        only.setattr(jpeg, "_pixels", None)  # the readers do not decode
        found = stacked(only, paths, [device], [decoder], align=Model.NONE)
    check_alike(found, wanted)
    reference = paths[len(paths) // 2 - 1].name  # its noise is measured beforehand
    assert decoder.decoded == [reference, *(path.name for path in paths)]
    assert not any(what.startswith("copy_in") for lane, what in device.log if lane == "copy")


def test_several_devices_decode_their_frames(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    paths, devices = shot(tmp_path), [CpuDevice(eager=False), CpuDevice(eager=False)]
    wanted = stacked(monkeypatch, paths, [CpuDevice(), CpuDevice()], align=Model.NONE)
    decoders = [CpuJpeg(device) for device in devices]
    check_alike(stacked(monkeypatch, paths, devices, decoders, align=Model.NONE), wanted)
    assert [decoder.decoded[-2:] for decoder in decoders] == [["0.jpg", "1.jpg"], ["2.jpg", "3.jpg"]]


def test_a_survey_sees_the_same_frames(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    paths, device = shot(tmp_path), CpuDevice(eager=False)
    with monkeypatch.context() as only:
        only.setattr(Source, "reduction", lambda *_: 0)  # the readers, too, decode the colours
        wanted = stacked(only, paths, [CpuDevice()])
    decoder = CpuJpeg(device)
    found = stacked(monkeypatch, paths, [device], [decoder])
    assert decoder.decoded == 2 * [path.name for path in paths]
    check_alike(found, wanted)
    for mine, theirs in zip(found[0].transforms, wanted[0].transforms, strict=True):
        np.testing.assert_array_equal(mine.matrix, theirs.matrix)


def test_files_that_decoders_may_read_otherwise_are_decoded_by_the_readers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    paths, device = shot(tmp_path), CpuDevice(eager=False)
    pictures = frames_of(macro(frames=4, width=121, height=90))
    paths[0].write_bytes(in_rgb(pictures[0]))
    paths[3] = paths[3].with_suffix(".png")
    assert cv2.imwrite(str(paths[3]), pictures[3])
    wanted = stacked(monkeypatch, paths, [CpuDevice()], align=Model.NONE)
    decoder = CpuJpeg(device)
    check_alike(stacked(monkeypatch, paths, [device], [decoder], align=Model.NONE), wanted)
    assert decoder.decoded == ["1.jpg", "1.jpg", "2.jpg"]


class Counted(Watched):
    """Counts frames that are decoded on the copy lane as sent."""

    def ask(self, lane: Any, what: str, do: Any, *, reads: Any, writes: Any) -> None:
        self.sent += str(lane) == "copy"
        super().ask(lane, what, do, reads=reads, writes=writes)


def test_nothing_is_allocated_once_frames_flow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    device = Counted(6)
    found, _ = stacked(monkeypatch, shot(tmp_path, count=6), [device], [CpuJpeg(device)], align=Model.NONE)
    assert (device.sent, device.late) == (6, 0)
    assert 0 < found.report.device_bytes <= found.report.plan["device_bytes"]


@pytest.mark.parametrize("end", [b"", b"\xff\xd9"], ids=["seen by a reader", "seen by the device"])
def test_a_damaged_frame_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, end: bytes) -> None:
    paths, device = shot(tmp_path), CpuDevice(eager=False)
    stack = gpustack.open_stack(paths)
    data = paths[2].read_bytes()
    paths[2].write_bytes(data[: len(data) // 2] + end)
    choice = Choice("chosen by the test", (device,), (CpuJpeg(device),))
    monkeypatch.setattr(running, "choose", lambda *_: choice)
    with pytest.raises(DecodeError, match=r"^2\.jpg: the (file is damaged|device cannot decode it)") as told:
        gpustack.stack(stack, Settings(threads=2, decoder=DecoderName.GPU))
    assert ("device" in str(told.value)) is bool(end)


def test_a_plan_knows_who_decodes(tmp_path: Path) -> None:
    stack, budget = gpustack.open_stack(shot(tmp_path)), Budget(1 << 40, 4, 1 << 40, 1)
    on_cpu, on_gpu = (
        make_plan(stack, Settings(decoder=name), budget) for name in (DecoderName.AUTO, DecoderName.GPU)
    )
    assert on_gpu.seconds < on_cpu.seconds
    assert on_gpu.device_bytes - on_cpu.device_bytes == DECODER_FRAMES * stack.frames[0].nbytes
    assert on_gpu.frame_bytes > on_cpu.frame_bytes


def test_bytes_that_lie_in_no_slot_may_change_after_they_were_decoded() -> None:
    device = CpuDevice(eager=False)
    gpu = Gpu(device, 1 << 20, jpeg=CpuJpeg(device))
    picture = frames_of(macro(frames=4, width=121, height=90))[0]
    data = np.frombuffer(coded(picture), np.uint8).copy()
    frame = gpu.decode(data, Jpeg("a.jpg", 90, 121, 3, data.nbytes))
    data[:] = 0
    assert np.abs(gpu.download(frame).astype(int) - picture).mean() < 3
