"""`NvJpeg` asks nvImageCodec for the right things, and tells failures in our words: with a stand-in, and with
nvImageCodec's own decoder for the CPU where the package is installed."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
import simplejpeg

from gpustack.backend import decoders
from gpustack.backend.cuda import CudaDevice
from gpustack.backend.gpu.backend import Gpu
from gpustack.backend.gpu.device import Lane
from gpustack.backend.nvjpeg import NvJpeg, nvimgcodec
from gpustack.errors import BackendError, DecodeError
from gpustack.model.jpeg import Jpeg
from tests.backend.fake_cupy import FakeCupy
from tests.backend.fake_nvimgcodec import BackendKind, ColorSpec, FakeNvImageCodec, SampleFormat

Pixels = npt.NDArray[Any]
PICTURE = cv2.resize(np.random.default_rng(2).integers(0, 256, (12, 16, 3)).astype(np.uint8), (83, 61))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeNvImageCodec:
    FakeCupy(monkeypatch)
    return FakeNvImageCodec(monkeypatch)


def installed(monkeypatch: pytest.MonkeyPatch, *names: str, cupy: str = "cupy-cuda13x") -> None:
    monkeypatch.setattr(decoders, "_packages", lambda: dict.fromkeys(names, "0.9.0"))
    monkeypatch.setattr(decoders, "cupy_packages", lambda: {cupy: "14.2.0"})


def coded(picture: Pixels = PICTURE, **options: Any) -> Pixels:
    return np.frombuffer(imagecodecs.jpeg8_encode(picture, level=92, **options), np.uint8)


def told(data: Pixels, shape: tuple[int, ...] = PICTURE.shape) -> Jpeg:
    height, width, channels = shape
    return Jpeg("a.jpg", height, width, channels, data.nbytes)


def decoded(device: CudaDevice, decoder: NvJpeg, data: Pixels, shape: tuple[int, ...]) -> Pixels:
    out = np.zeros(shape, np.uint8)
    address = device.allocate(out.nbytes)
    decoder.decode(data, address, told(data, shape), Lane.COPY)
    device.copy_out(out, address, Lane.COPY)
    device.free(address)
    return out


def test_a_decoder_is_asked_for_colour_as_libjpeg_makes_it(fake: FakeNvImageCodec) -> None:
    NvJpeg(CudaDevice(1))
    (made,) = fake.made
    assert made == {
        "device_id": 1,
        "max_num_cpu_threads": 1,
        "backends": [BackendKind.HYBRID_CPU_GPU],
        "options": ":fancy_upsampling=1",
    }


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_go_where_they_are_wanted(fake: FakeNvImageCodec, channels: int) -> None:
    device = CudaDevice(1)
    data = coded() if channels == 3 else coded(np.ascontiguousarray(PICTURE[..., 1]))
    found = decoded(device, NvJpeg(device), data, (*PICTURE.shape[:2], channels))
    space = "GRAY" if channels == 1 else "RGB"
    np.testing.assert_array_equal(found, simplejpeg.decode_jpeg(data.tobytes(), colorspace=space))
    ((stream, params),) = fake.decoded
    assert stream == device.stream(Lane.COPY) != device.stream(Lane.WORK)
    assert params == {
        "apply_exif_orientation": False,
        "color_spec": ColorSpec.GRAY if channels == 1 else ColorSpec.SRGB,
        "allow_any_depth": False,
        "sample_format": SampleFormat.I_Y if channels == 1 else SampleFormat.I_RGB,
    }


def test_a_backend_with_a_decoder_decodes(fake: FakeNvImageCodec) -> None:  # noqa: ARG001
    device = CudaDevice(0)
    gpu, data = Gpu(device, 1 << 20, jpeg=NvJpeg(device)), coded()
    assert gpu.decodes
    found = gpu.download(gpu.decode(data, told(data)))
    np.testing.assert_array_equal(found, simplejpeg.decode_jpeg(data.tobytes()))


def test_without_a_decoder_nothing_is_decoded(fake: FakeNvImageCodec) -> None:  # noqa: ARG001
    gpu = Gpu(CudaDevice(0), 1 << 20)
    assert not gpu.decodes
    with pytest.raises(BackendError, match="Nothing decodes"):
        gpu.decode(coded(), told(coded()))


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (None, "it gives no reason"),
        (
            RuntimeError("CUDA Runtime failure: '#700' at decoder.cpp:32\nand more"),
            "'#700' at decoder.cpp:32",
        ),
        (ValueError("Existing buffer is too small to fit new image."), "too small to fit new image"),
    ],
    ids=["no picture", "CUDA", "another size"],
)
def test_a_file_that_is_not_decoded_is_named(
    fake: FakeNvImageCodec, failure: Exception | None, says: str
) -> None:
    device = CudaDevice(0)
    decoder, data = NvJpeg(device), coded()
    if failure is not None:
        fake.failing["decode"] = failure
    with pytest.raises(
        DecodeError, match=rf"^a\.jpg: nvImageCodec cannot decode it \(.*{says}\)\. "
    ) as error:
        decoded(device, decoder, data if failure else data[:5], PICTURE.shape)
    assert "--decoder cpu" in error.value.remedy


def test_a_picture_of_another_size_is_refused(fake: FakeNvImageCodec) -> None:
    device, fake.smaller = CudaDevice(0), 1
    with pytest.raises(DecodeError, match=r"finds a picture \(60, 83, 3\) where \(61, 83, 3\) was told"):
        decoded(device, NvJpeg(device), coded(), PICTURE.shape)


def test_a_package_that_cannot_be_imported(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "nvidia", None)
    with pytest.raises(BackendError, match=r"nvImageCodec cannot be imported \(") as error:
        nvimgcodec()
    assert "[nvjpeg13]" in error.value.remedy
    os.write(2, b"still there")
    assert capfd.readouterr().err == "still there"


def test_what_importing_says_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "nvidia"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "nvimgcodec.py").write_text("import os; os.write(2, b'no nvTIFF')")
    real = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "nvidia"}
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert nvimgcodec().__file__ == str(package / "nvimgcodec.py")
    finally:
        for name in ("nvidia.nvimgcodec", "nvidia"):
            sys.modules.pop(name, None)
        sys.modules.update(real)
    assert capfd.readouterr().err == ""


def spoilt(fake: FakeNvImageCodec) -> None:
    fake.spoil = 9


def broken(fake: FakeNvImageCodec) -> None:
    fake.failing["decode"] = RuntimeError("no kernel image is available")


def unfit(fake: FakeNvImageCodec) -> None:
    fake.failing["Decoder"] = RuntimeError("Internal error - Could not create decoder. Code: 8")


def well(_: FakeNvImageCodec) -> None:
    pass


BOTH = ("nvidia-nvimgcodec-cu12", "nvidia-nvimgcodec-cu13")


@pytest.mark.parametrize(
    ("spoil", "names", "cupy", "says", "remedy"),
    [
        (well, (), "cupy-cuda13x", "nvImageCodec is not installed", "pip install 'gpustack-focus[nvjpeg13]'"),
        (well, (), "cupy-cuda12x", "nvImageCodec is not installed", "pip install 'gpustack-focus[nvjpeg12]'"),
        (well, BOTH, "cupy-cuda13x", "are both installed", "Uninstall them"),
        (unfit, BOTH[1:], "cupy-cuda13x", "does not start (Internal error", "--decoder cpu"),
        (broken, BOTH[1:], "cupy-cuda13x", "does not work on NVIDIA Fake (", "--decoder cpu"),
        (spoilt, BOTH[1:], "cupy-cuda13x", "decodes a trial picture wrongly", "--decoder cpu"),
    ],
    ids=["missing", "missing for CUDA 12", "twice", "not made", "not decoding", "wrong"],
)
def test_a_decoder_that_does_not_work_has_a_reason_and_a_remedy(
    monkeypatch: pytest.MonkeyPatch,
    fake: FakeNvImageCodec,
    spoil: Any,
    names: tuple[str, ...],
    cupy: str,
    says: str,
    remedy: str,
) -> None:
    installed(monkeypatch, *names, cupy=cupy)
    spoil(fake)
    with pytest.raises(BackendError) as error:
        decoders.jpeg_decoder(CudaDevice(0))
    assert says in error.value.message
    assert remedy in error.value.remedy
    assert error.value.exit_code == 5
    report = decoders.jpeg_report([0])
    assert (report["works"], report["problem"]) == (False, error.value.message)


def test_what_doctor_tells_of_a_decoder_that_works(
    monkeypatch: pytest.MonkeyPatch, fake: FakeNvImageCodec
) -> None:
    installed(monkeypatch, *BOTH[1:])
    works = {"works": True, "problem": None, "remedy": None, "version": "0.9.0"}
    assert decoders.jpeg_report([1, 0]) == works
    assert fake.made[0]["device_id"] == 1
    assert "CUDA" in str(decoders.jpeg_report([])["problem"])


class OnTheHost:
    """nvImageCodec, but with its decoder for the CPU and the host's memory in place of a GPU's."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def Decoder(self, **options: Any) -> Any:
        real = self._real
        cpu = {
            "device_id": real.NVIMGCODEC_DEVICE_CPU_ONLY,
            "backends": [real.Backend(real.BackendKind.CPU_ONLY)],
        }
        return _WithoutStream(real.Decoder(**options | cpu))

    def as_image(self, source: Any, stream: int, **options: Any) -> Any:
        assert stream
        described = {**source.__cuda_array_interface__}
        del described["stream"]
        return self._real.as_image(SimpleNamespace(__array_interface__=described), **options)


class _WithoutStream:
    def __init__(self, real: Any) -> None:
        self._real = real

    def decode(self, data: Any, *, cuda_stream: int, **options: Any) -> Any:
        assert cuda_stream
        return self._real.decode(data, **options)


CODED = {
    "4:4:4": coded(subsampling="444"),
    "4:2:2": coded(subsampling="422"),
    "4:2:0": coded(subsampling="420"),
    "gray": coded(np.ascontiguousarray(PICTURE[..., 1])),
    "progressive": cv2.imencode(".jpg", PICTURE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].reshape(-1),
    "restarts": cv2.imencode(".jpg", PICTURE, [cv2.IMWRITE_JPEG_RST_INTERVAL, 2])[1].reshape(-1),
}


@pytest.mark.skipif(importlib.util.find_spec("nvidia.nvimgcodec") is None, reason="needs nvImageCodec")
@pytest.mark.parametrize("data", CODED.values(), ids=CODED)
def test_nvimagecodec_on_the_cpu_equals_libjpeg(monkeypatch: pytest.MonkeyPatch, data: Pixels) -> None:
    FakeCupy(monkeypatch)
    host = OnTheHost(nvimgcodec())
    monkeypatch.setattr("gpustack.backend.nvjpeg.nvimgcodec", lambda: host)
    device = CudaDevice(0)
    decoder, gray = NvJpeg(device), data is CODED["gray"]
    shape = (*PICTURE.shape[:2], 1 if gray else 3)
    found = decoded(device, decoder, data, shape)
    wanted = simplejpeg.decode_jpeg(data.tobytes(), colorspace="GRAY" if gray else "RGB")
    np.testing.assert_array_equal(found, wanted)
    with pytest.raises(DecodeError, match=r"a\.jpg"):
        decoded(device, decoder, data[: data.nbytes // 2], shape)
