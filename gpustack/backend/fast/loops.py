"""The compiled loops that the backend calls, in one place: importing it imports numba."""

from __future__ import annotations

from gpustack.backend.fast.bands import fold_level, fold_sharpness, luma_rows, smoothed_curvature
from gpustack.backend.fast.debiasing import misfits, unblurred
from gpustack.backend.fast.lanczos import sampled
from gpustack.backend.fast.pixels import blend_in, separated, widen

__all__ = [
    "blend_in",
    "fold_level",
    "fold_sharpness",
    "luma_rows",
    "misfits",
    "sampled",
    "separated",
    "smoothed_curvature",
    "unblurred",
    "widen",
]
