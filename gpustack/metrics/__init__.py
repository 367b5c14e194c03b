"""How close a picture comes to another: figures that are the same for users, benches and tests."""

from gpustack.metrics.difference import GAIN, difference
from gpustack.metrics.likeness import OFF, Likeness, compare, psnr
from gpustack.metrics.regions import NEAR_PX, STEP_SHARE, depth_edges, textured
from gpustack.metrics.similarity import ssim

__all__ = [
    "GAIN",
    "NEAR_PX",
    "OFF",
    "STEP_SHARE",
    "Likeness",
    "compare",
    "depth_edges",
    "difference",
    "psnr",
    "ssim",
    "textured",
]
