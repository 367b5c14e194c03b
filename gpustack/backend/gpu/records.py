"""Structs that kernels take by value, as NumPy records of the same layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.filters import gaussian
from gpustack.backend.gpu.tensor import Tensor
from gpustack.backend.values import Part

Record = npt.NDArray[np.void]

TAPS = np.dtype([("radius", "i4"), ("tap", "f4", 18)], align=True)
_PART = np.dtype(
    [
        ("energy", "u8"),
        ("frame", "u8"),
        ("kept", "u8"),
        ("total", "u8"),
        ("depth", "u8"),
        ("variance", "u8"),
        ("sharpest", "u8"),
        ("plane", "i4"),
        ("noise", "f4"),
        ("index", "i4"),
        ("ties", "i4"),
        ("squared", "i4"),
        ("steep", "i4"),
        ("valley", "u8"),
        ("floor", "f4"),
        ("far", "i4"),
    ],
    align=True,
)


def record(dtype: np.dtype[Any], **values: Any) -> Record:
    """A 0-d record of a struct's dtype; tensors become addresses, None the null address, what is not named
    0."""
    out = np.zeros((), dtype)
    for name, value in values.items():
        if isinstance(value, Tensor):
            out[name] = value.address
        elif value is not None:
            out[name] = value
    return out


def taps(sigma: float, reach: int) -> Record:
    """`Taps` of common.cuh: the right half of the Gaussian that the CPU backend uses.

    `reach` is the largest radius that the kernel has shared memory for, REACH of its file.
    """
    whole = gaussian(sigma)
    radius = len(whole) // 2
    assert radius <= reach, f"a blur of {sigma} pixels reaches {radius}, its kernel {reach}"
    return half_of(whole)


def half_of(whole: Sequence[float] | npt.NDArray[np.float32]) -> Record:
    """`Taps` of common.cuh: the right half of a symmetric blur."""
    radius = len(whole) // 2
    out = record(TAPS, radius=radius)
    out["tap"][: radius + 1] = whole[radius:]
    return out


def part_record(part: Part[Tensor], index: int = 0) -> Record:
    """`Part` of common.cuh, for folding frame `index` in."""
    kept, mix, wish = part.kept, part.mix, part.preference
    if kept is not None and not kept.channels:
        kept = None  # only the spread of the mean is wanted
    spread = None if mix is None else mix.spread
    return record(
        _PART,
        energy=part.best.energy,
        frame=part.best.frame,
        kept=kept,
        total=None if mix is None else mix.total,
        depth=None if spread is None else spread.depth,
        variance=None if spread is None else spread.variance,
        sharpest=None if spread is None else spread.sharpest,
        plane=0 if kept is None else kept.plane,
        noise=part.noise,
        index=index,
        ties=int(index < part.best.last),
        squared=int(mix is not None and mix.squared),
        steep=int(part.steep),
        valley=None if wish is None else wish.valley,
        floor=0.0 if wish is None else wish.floor,
        far=int(wish is not None and wish.far),
    )
