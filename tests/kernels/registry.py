"""What cases are: a kernel's calls through the backend, and what they must give."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from gpustack.backend.gpu.backend import Gpu
from gpustack.model.frame import PixelType
from tests.kernels.reference import Array, F

Shape = tuple[int, int]
Pairs = Iterator[tuple[Array, Array]]
Case = Callable[[Gpu, Shape, np.random.Generator], Pairs]

CASES: dict[Case, tuple[str, ...]] = {}
"""Each case, and the kernels that it runs."""

SHAPES = [(1, 1), (1, 40), (23, 1), (2, 3), (3, 2), (7, 5), (16, 32), (17, 33), (53, 37), (35, 70)]
"""One pixel, row and column, less than the reach of a window, a tile to the pixel and one more, and more
than a tile both ways."""


def case(*kernels: str) -> Callable[[Case], Case]:
    """Says which kernels a case runs."""

    def enter(function: Case) -> Case:
        CASES[function] = kernels
        return function

    return enter


def frame_of(generator: np.random.Generator, shape: tuple[int, ...], kind: PixelType) -> Array:
    """A frame of noise; float frames go beyond black and white."""
    if kind is PixelType.FLOAT32:
        return generator.uniform(-0.5, 1.5, shape).astype(F)
    return generator.integers(0, int(kind.white) + 1, shape).astype(kind.value)


def covering(generator: np.random.Generator, shape: Shape) -> Array:
    return generator.random(shape) < 0.7
