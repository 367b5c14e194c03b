"""`pyramid`: keep, at every scale and place, the detail of the frame that has most of it there.

Crossing hairs come out complete, however deep the stack and whatever the order of its frames; what is
nowhere sharp keeps the noise of whichever frame had most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpustack.backend.protocol import Backend
from gpustack.backend.values import Part
from gpustack.fuse.levels import LaplacianFold
from gpustack.fuse.measure import empty_best


@dataclass(frozen=True, slots=True)
class KeepLargest:
    """The detail of larger energy stays; ties go to the lower frame."""

    sigma: float = 1.0

    def empty(
        self, backend: Backend[Any], channels: int, height: int, width: int, level: int, /
    ) -> Part[Any]:
        """Nothing is kept yet."""
        return Part(empty_best(backend, height, width, channels, afar=level == 0))

    def bytes_per_pixel(self, channels: int, /) -> float:
        """Detail, energy and index."""
        return 4.0 * channels + 6


def pyramid() -> LaplacianFold:
    """The fold of `--method pyramid`."""
    return LaplacianFold(KeepLargest())
