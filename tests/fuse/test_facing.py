"""Which end of a stack is nearer, and that stacks shot the other way come out alike."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

import gpustack
from gpustack.backend.cpu import Cpu
from gpustack.backend.protocol import Backend
from gpustack.fuse.facing import Order, nearer_first
from gpustack.scenes import Rendered, Shoot
from gpustack.scenes import render as rendered_scene
from gpustack.settings import BackendName, Model, Settings
from tests.strategies import Picture

FRAMES = 12
BACKEND: Backend[Any] = Cpu(2)


def shot(name: str) -> Rendered:
    return rendered_scene(name, Shoot(FRAMES, 320, 240, max_blur_px=8.0, noise=1.0))


def sharpest(frames: list[Picture]) -> tuple[Picture, Picture]:
    """The frame with the strongest detail at each pixel, and how strong it is."""
    lumas = [np.asarray(frame.mean(axis=2), np.float32) / 255 for frame in frames]
    energies = np.stack([cv2.GaussianBlur(np.square(cv2.Laplacian(luma, -1)), (0, 0), 2) for luma in lumas])
    return energies.argmax(axis=0).astype(np.uint16), energies.max(axis=0)


def stacked(frames: list[Picture]) -> Picture:
    return gpustack.stack(frames, Settings(align=Model.NONE, backend=BackendName.CPU)).image


@pytest.mark.parametrize("name", ["hairs", "cards", "wing"])
def test_the_nearer_end_is_found_from_either(name: str) -> None:
    scene = shot(name)
    frames = [scene.frame(index) for index in range(FRAMES)]
    assert nearer_first(BACKEND, *sharpest(frames), 1e-6)
    assert not nearer_first(BACKEND, *sharpest(frames[::-1]), 1e-6)


def test_where_nothing_steps_the_first_frame_is_taken_to_be_nearer() -> None:
    flat = np.full((40, 60), 3, np.uint16)
    assert nearer_first(BACKEND, flat, np.ones((40, 60), np.float32), 1e-3)
    assert nearer_first(BACKEND, flat, np.full((40, 60), -1, np.float32), 1e-3)


def test_counting_from_near_undoes_itself() -> None:
    numbers = np.arange(9)
    for order in (Order(8, nearer_first=True), Order(8, nearer_first=False)):
        np.testing.assert_array_equal(order.from_near(order.from_near(numbers)), numbers)
    assert Order(8, nearer_first=False).from_near(0) == 8


def test_a_stack_shot_from_far_to_near_gives_the_same_picture() -> None:
    scene = shot("hairs")
    frames = [scene.frame(index) for index in range(FRAMES)]
    near, far = stacked(frames), stacked(frames[::-1])
    assert np.abs(near.astype(int) - far).max() <= 1
    assert (near == far).mean() > 0.97  # sums are added up in another order
