"""Which backend works, chosen once and with the reason."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpustack.backend.cpu import Cpu
from gpustack.backend.decoders import jpeg_decoder
from gpustack.backend.detect import cuda_device, cuda_problem
from gpustack.backend.fast.backend import FastCpu
from gpustack.backend.gpu.backend import Gpu
from gpustack.backend.gpu.device import Device, JpegDecoder
from gpustack.backend.paged import Paged
from gpustack.backend.protocol import Backend
from gpustack.errors import BackendError, UsageError
from gpustack.settings import BackendName, DecoderName


@dataclass(frozen=True, slots=True)
class Choice:
    """A backend that works, and one sentence why it was taken; `devices` is empty for the CPU.

    `decoders`: one for each device where JPEG files are decoded there, else empty. `loops`: the CPU's can be
    compiled, as the extra `fast` is installed.
    """

    reason: str
    devices: tuple[Device, ...] = ()
    decoders: tuple[JpegDecoder, ...] = ()
    loops: bool = False

    def free_bytes(self) -> int:
        """Free memory of the device that has least; 0 for the CPU."""
        return min((device.free_bytes() for device in self.devices), default=0)

    def open(
        self,
        threads: int,
        vram_bytes: int,
        *,
        spill: bool,
        loops: bool = False,
        paged: Paged | None = None,
    ) -> tuple[Backend[Any], ...]:
        """The backends: one for each device, each of which holds `vram_bytes` at most; or the CPU, with
        compiled loops or without, and with what is `paged` in a file."""
        if not self.devices:
            return (FastCpu(threads, paged) if loops else Cpu(threads, paged),)
        decoders = self.decoders or (None,) * len(self.devices)
        return tuple(
            Gpu(device, vram_bytes, spill=spill, jpeg=decoder)
            for device, decoder in zip(self.devices, decoders, strict=True)
        )


def choose(wish: BackendName, numbers: Sequence[int], decoder: DecoderName = DecoderName.AUTO) -> Choice:
    """The backend for a wish, and where JPEG files are decoded.

    Raises BackendError with the reason where CUDA or a decoder on it was asked for and does not work;
    UsageError for a decoder on the GPU beside the CPU backend.
    """
    decodes = decoder is DecoderName.GPU
    if wish is BackendName.CPU:
        if decodes:
            raise UsageError("--decoder gpu does not go with --backend cpu.", "Leave one of them out.")
        return Choice("The CPU was asked for.", loops=has_loops())
    problem = cuda_problem(numbers[0])
    if problem is not None and wish is BackendName.AUTO:
        if decodes:
            raise BackendError(
                f"JPEG files cannot be decoded on a GPU: {problem.sentence}",
                "Take --decoder cpu; gpustack doctor says more.",
            )
        return Choice(f"{problem.sentence} The CPU works instead.", loops=has_loops())
    devices = tuple(cuda_device(number) for number in numbers)
    names = " and ".join(device.name for device in devices)
    why = "CUDA was asked for" if wish is BackendName.CUDA else "CUDA works"
    decoders = tuple(jpeg_decoder(device) for device in devices) if decodes else ()
    return Choice(f"{why}: {names}.", devices, decoders)


def has_loops() -> bool:
    """Whether numba is installed, which compiles the CPU's loops; it is not imported."""
    return importlib.util.find_spec("numba") is not None
