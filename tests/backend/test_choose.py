"""Which backend is taken, and what is said of it."""

from __future__ import annotations

import pytest

from gpustack.backend import choose as choosing
from gpustack.backend.choose import choose
from gpustack.backend.detect import Problem
from gpustack.errors import BackendError, UsageError
from gpustack.settings import BackendName, DecoderName
from tests.cuda_on_cpu.device import CpuDevice
from tests.cuda_on_cpu.jpeg import CpuJpeg

PROBLEM = Problem("CuPy is not installed.", "Install it.")


def cuda_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "cuda_problem", lambda _: None)
    monkeypatch.setattr(choosing, "cuda_device", lambda number: CpuDevice(capacity=(number + 1) << 20))


def cuda_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: int) -> CpuDevice:
        raise BackendError(*PROBLEM)

    monkeypatch.setattr(choosing, "cuda_problem", lambda _: PROBLEM)
    monkeypatch.setattr(choosing, "cuda_device", refused)


def test_the_cpu_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda_works(monkeypatch)
    choice = choose(BackendName.CPU, (0,))
    (backend,) = choice.open(2, 0, spill=False)
    assert (backend.info.name, backend.info.threads) == ("cpu", 2)
    assert choice.reason == "The CPU was asked for."
    assert choice.free_bytes() == 0


def test_auto_takes_the_cpu_where_cuda_fails_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda_fails(monkeypatch)
    choice = choose(BackendName.AUTO, (0,))
    assert choice.reason == "CuPy is not installed. The CPU works instead."
    assert choice.open(1, 0, spill=False)[0].info.name == "cpu"


def test_asking_for_cuda_where_it_fails_is_an_error_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda_fails(monkeypatch)
    with pytest.raises(BackendError, match=r"CuPy is not installed\. Install it\.") as told:
        choose(BackendName.CUDA, (0,))
    assert told.value.exit_code == 5


@pytest.mark.parametrize("wish", [BackendName.AUTO, BackendName.CUDA])
def test_every_device_that_was_named_is_opened(monkeypatch: pytest.MonkeyPatch, wish: BackendName) -> None:
    cuda_works(monkeypatch)
    choice = choose(wish, (2, 1))
    assert choice.free_bytes() == 2 << 20  # that of the device that has least
    assert "CUDA" in choice.reason
    assert choice.reason.count(choice.devices[0].name) == 2
    backends = choice.open(4, 1 << 20, spill=False)
    assert [backend.info.name for backend in backends] == ["cuda", "cuda"]


def test_every_device_has_a_decoder_where_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda_works(monkeypatch)
    monkeypatch.setattr(choosing, "jpeg_decoder", CpuJpeg)
    choice = choose(BackendName.AUTO, (0, 1), DecoderName.GPU)
    assert len(choice.decoders) == 2
    backends = choice.open(4, 1 << 20, spill=False)
    assert [backend.decodes for backend in backends] == [True, True]


@pytest.mark.parametrize("decoder", [DecoderName.AUTO, DecoderName.CPU])
def test_nothing_else_is_decoded_on_a_device(monkeypatch: pytest.MonkeyPatch, decoder: DecoderName) -> None:
    cuda_works(monkeypatch)
    monkeypatch.setattr(choosing, "jpeg_decoder", None)
    (backend,) = choose(BackendName.CUDA, (0,), decoder).open(4, 1 << 20, spill=False)
    assert not backend.decodes


def test_decoding_on_a_gpu_does_not_go_with_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda_works(monkeypatch)
    with pytest.raises(UsageError, match=r"--decoder gpu does not go with --backend cpu\.") as told:
        choose(BackendName.CPU, (0,), DecoderName.GPU)
    assert told.value.exit_code == 2


@pytest.mark.parametrize("wish", [BackendName.AUTO, BackendName.CUDA])
def test_decoding_on_a_gpu_needs_one(monkeypatch: pytest.MonkeyPatch, wish: BackendName) -> None:
    cuda_fails(monkeypatch)
    with pytest.raises(BackendError, match=r"CuPy is not installed\.") as told:
        choose(wish, (0,), DecoderName.GPU)
    assert told.value.exit_code == 5
