"""What `pyramid` makes of noise: it chooses where there is detail, and averages where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpustack.backend.cpu import Cpu
from gpustack.backend.protocol import Backend
from gpustack.fuse.pyramid import pyramid, root_spread
from gpustack.fuse.scales import level_noise
from gpustack.model.canvas import Canvas
from gpustack.model.frame import PixelType
from gpustack.model.rect import cut
from gpustack.model.transform import Transform
from tests.backend import parts
from tests.fuse.fusing import folded
from tests.strategies import Case, Picture

SIDE, NOISE, FRAMES = 96, 0.01, 12


def fused(backend: Backend[Any], clean: list[Picture], smoothing: float) -> Picture:
    """The picture of frames (h, w), with noise put on them."""
    generator = np.random.default_rng(3)
    frames = [
        (frame + generator.normal(0, NOISE, frame.shape))[..., None].astype(np.float32) for frame in clean
    ]
    canvas = Canvas(0, 0, SIDE, SIDE, 1, PixelType.FLOAT32, cut(SIDE, SIDE))
    case = Case(frames, [Transform.identity()] * len(frames), canvas, NOISE)
    fold = pyramid(NOISE, smoothing=smoothing)
    return fold.finish(backend, folded(backend, fold, case, [range(len(frames))]))[..., 0]


@pytest.mark.parametrize("sigma", [1.0, 1.5, 3.0])
def test_the_spread_of_energies_of_noise_is_as_stated(sigma: float) -> None:
    backend, evidence = Cpu(), None
    image = np.random.default_rng(9).normal(0, 1, (1, 2048, 2048)).astype(np.float32)
    for level in range(4):
        _, energy = parts.level(backend, image, sigma, evidence)
        root = np.sqrt(energy[16:-16, 16:-16] / level_noise(1.0, level))
        assert float(np.mean(root**2)) == pytest.approx(1, rel=0.02)
        assert float(root.std()) == pytest.approx(root_spread(sigma, level), rel=0.1)
        evidence, image = backend.reduce(energy), backend.reduce(image)


def test_noise_averages_out_where_no_frame_has_detail(backend: Backend[Any]) -> None:
    plain = [np.full((SIDE, SIDE), 0.5)] * FRAMES
    left = fused(backend, plain, 3.0).std()
    assert left < 1.3 * NOISE / np.sqrt(FRAMES)
    assert fused(backend, plain, 0.0).std() > 2 * left


def test_the_one_sharp_frame_is_taken_alone(backend: Backend[Any]) -> None:
    """What is left of the others, which lack the texture, is less than the noise."""
    texture = 0.5 + 0.2 * np.sign(np.random.default_rng(1).normal(size=(SIDE, SIDE)))
    clean = [np.full((SIDE, SIDE), 0.5)] * FRAMES
    clean[5] = texture
    off = fused(backend, clean, 3.0) - texture
    assert off.std() < 1.1 * NOISE
