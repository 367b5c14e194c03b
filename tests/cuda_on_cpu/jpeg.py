"""What decodes JPEG files on a `CpuDevice`: libjpeg, which writes into the memory that stands for the
device's."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg

from gpustack.backend.gpu.device import Host, Lane
from gpustack.errors import DecodeError
from gpustack.model.jpeg import Jpeg
from tests.cuda_on_cpu.device import CpuDevice


class CpuJpeg:
    """`JpegDecoder` that tells errors at once and decodes when the lane comes to it, what lies there then."""

    def __init__(self, device: CpuDevice) -> None:
        self._device = device
        self.decoded: list[str] = []

    def decode(self, data: Host, target: int, jpeg: Jpeg, lane: Lane, /) -> None:
        _pixels(data, jpeg)

        def work() -> None:
            pixels = _pixels(data, jpeg)
            ctypes.memmove(target, pixels.ctypes.data, pixels.nbytes)
            self.decoded.append(jpeg.name)

        size = int(np.prod(jpeg.shape))
        self._device.ask(lane, f"decode of {jpeg.name}", work, reads=data, writes=(target, size))


def _pixels(data: Host, jpeg: Jpeg) -> npt.NDArray[Any]:
    space = "GRAY" if jpeg.channels == 1 else "RGB"
    try:
        pixels: npt.NDArray[Any] = simplejpeg.decode_jpeg(data.tobytes(), colorspace=space, strict=True)
    except ValueError as error:
        raise DecodeError(jpeg.name, f"the device cannot decode it ({error}).") from error
    assert pixels.shape == jpeg.shape
    return pixels
