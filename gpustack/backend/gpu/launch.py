"""From Python values to a launch: block and grid sizes, and arguments of the very width a kernel declares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpustack.backend.gpu.device import Argument, Device
from gpustack.backend.gpu.tensor import Tensor

BLOCK = (32, 8, 1)
"""Threads of a block for kernels over a picture; `GPUSTACK_THREADS_X` and `_Y` in kernels/common.cuh."""

LINE = 256
"""Threads of a block for kernels over a list; `GPUSTACK_THREADS` in kernels/common.cuh."""

Value = Tensor | np.generic | np.ndarray[Any, np.dtype[np.void]] | int | float | None


class Launcher:
    """Starts kernels on a device."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def picture(
        self,
        stage: str,
        name: str,
        size: tuple[int, int],
        values: Sequence[Value],
        *,
        channels: int = 1,
        pixel: str = "float32",
        rows: int = BLOCK[1],
    ) -> None:
        """One thread for every pixel of `size` (height, width), `channels` in z; a block covers `rows`
        rows."""
        height, width = size
        if height and width:
            grid = (-(-width // BLOCK[0]), -(-height // rows), channels)
            self._device.launch(stage, name, pixel, grid, BLOCK, [argument(value) for value in values])

    def line(
        self, stage: str, name: str, blocks: int, values: Sequence[Value], *, pixel: str = "float32"
    ) -> None:
        """`blocks` blocks of LINE threads."""
        if blocks:
            arguments = [argument(value) for value in values]
            self._device.launch(stage, name, pixel, (blocks, 1, 1), (LINE, 1, 1), arguments)


def argument(value: Value) -> Argument:
    """Tensors become addresses, None the null address, int int32, float float32; the rest goes as it is."""
    if value is None:
        return np.uint64(0)
    if isinstance(value, Tensor):
        return np.uint64(value.address)
    if isinstance(value, np.generic):  # np.float64 is a float too
        return value
    if isinstance(value, bool | int):
        return np.int32(value)
    return np.float32(value) if isinstance(value, float) else value
