"""JPEG files decoded on the device, where something does that."""

from __future__ import annotations

from gpustack.backend.gpu.core import Core
from gpustack.backend.gpu.device import Host, Lane
from gpustack.backend.gpu.tensor import Tensor
from gpustack.errors import BackendError
from gpustack.model.jpeg import Jpeg


class Decoding(Core):
    """`decode`: on the copy lane, where a frame's copy would be, while kernels work on the frame before."""

    @property
    def decodes(self) -> bool:
        return self._jpeg is not None

    def decode(self, data: Host, jpeg: Jpeg, /) -> Tensor:
        decoder = self._jpeg
        if decoder is None:
            raise BackendError("Nothing decodes JPEG files on this device.", "Take --decoder cpu.")
        if self._ring.holds(data):
            return self._ring.bring(
                data, jpeg.shape, "uint8", lambda target: decoder.decode(data, target, jpeg, Lane.COPY)
            )
        array = self.new(jpeg.shape, "uint8")
        decoder.decode(data, array.address, jpeg, Lane.WORK)
        self._device.finish(self._device.record(Lane.WORK))  # the bytes may go from now on
        return array
