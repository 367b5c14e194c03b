"""The seam between our host code and a GPU: memory, copies, two lanes of work, events and launches.

CUDA stands behind it through CuPy (`backend/cuda.py`); in the tests, a device that runs the same kernels on
the CPU and checks the order of everything it is asked to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gpustack.model.jpeg import Jpeg

Host = npt.NDArray[Any]
Argument = np.generic | npt.NDArray[np.void]
"""What a kernel takes: a NumPy scalar of the very width it declares (addresses are uint64), or a 0-d
record."""


class Lane(StrEnum):
    """A stream: what is asked for on one lane happens in that order; lanes know nothing of each other."""

    COPY = "copy"
    WORK = "work"


class Device(Protocol):
    """One GPU. All calls come from one thread; only `finish` and `elapsed` wait for the device."""

    @property
    def name(self) -> str:
        """Maker's name of the device, for people."""
        ...

    def free_bytes(self) -> int:
        """Bytes of device memory that are free now."""
        ...

    def allocate(self, nbytes: int, /) -> int:
        """The address of new device memory, aligned to 256 bytes. Raises MemoryError."""
        ...

    def free(self, address: int, /) -> None:
        """Give memory back; work already asked for may still use it."""
        ...

    def pinned(self, nbytes: int, /) -> npt.NDArray[np.uint8]:
        """Page-locked host memory; kernels can read and write it at its own address. Raises MemoryError.

        It is given back with its last view, as `free` does.
        """
        ...

    def copy_in(self, target: int, host: Host, lane: Lane, /) -> None:
        """Host to device; `host` is C-contiguous and must not change before the lane has come past this."""
        ...

    def copy_out(self, host: Host, source: int, lane: Lane, /) -> None:
        """Device to host; `host` is C-contiguous and complete once the lane has come past this."""
        ...

    def move(self, target: int, source: int, nbytes: int, /) -> None:
        """Device to device, on the work lane."""
        ...

    def launch(
        self,
        stage: str,
        name: str,
        pixel: str,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Argument],
        /,
    ) -> None:
        """Start kernel `name` of `kernels/<stage>.cu`, compiled for frames of dtype `pixel`, on the work
        lane."""
        ...

    def record(self, lane: Lane, /) -> Any:
        """An event that happens when the lane comes to this point."""
        ...

    def wait(self, lane: Lane, event: Any, /) -> None:
        """The lane goes on only after the event; the host does not wait."""
        ...

    def finish(self, event: Any, /) -> None:
        """The host waits for the event."""
        ...

    def elapsed(self, first: Any, second: Any, /) -> float:
        """Seconds on the device between two events that have happened."""
        ...


class JpegDecoder(Protocol):
    """Decodes JPEG files on one device; called by the thread that gives the device its orders."""

    def decode(self, data: Host, target: int, jpeg: Jpeg, lane: Lane, /) -> None:
        """Bytes -> picture (h, w, c) uint8 at `target` in device memory, not turned by EXIF.

        `data`, uint8, must not change before the lane has come past this. The host may wait while it does
        its part, but not for the lane. Raises: DecodeError, naming the file.
        """
        ...
