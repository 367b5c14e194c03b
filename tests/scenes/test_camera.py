from __future__ import annotations

import cv2
import numpy as np
import pytest

from gpustack.errors import UsageError
from gpustack.model.frame import PixelType
from gpustack.scenes.camera import Rendered, Shoot, encode, photograph, with_noise
from gpustack.scenes.objects import plate
from gpustack.scenes.textures import Plane, fractal, mix

MOVING = Shoot(5, 200, 150, breathing=0.04, drift_px=5.0, jitter_px=1.0, rotation_deg=1.5, max_blur_px=6.0)


def _plane(shoot: Shoot, depth: float) -> Rendered:
    """A textured wall at one depth."""
    canvas = shoot.canvas()
    texture = fractal(canvas.box.shape, np.random.default_rng(3), 16.0, 2.0)
    colour = mix(0.5 + 0.2 * texture, (0.05, 0.05, 0.1), (0.7, 0.6, 0.5))
    return photograph((plate(canvas, colour, np.full(canvas.box.shape, depth, np.float32)),), shoot)


def test_a_wall_in_focus_is_the_truth_to_half_a_step() -> None:
    scene = _plane(Shoot(5, 120, 80), 0.5)
    assert np.abs(scene.frame(2) / 255.0 - scene.truth).max() <= 0.5001 / 255.0
    assert np.abs(scene.frame(0) / 255.0 - scene.truth).max() > 0.05
    np.testing.assert_allclose(scene.depth, 2.0)


def test_sixteen_bit_frames_are_the_truth_to_half_a_step() -> None:
    scene = _plane(Shoot(5, 120, 80, pixel_type=PixelType.UINT16), 0.5)
    frame = scene.frame(2)
    assert frame.dtype == np.uint16
    assert np.abs(frame / 65535.0 - scene.truth).max() <= 0.51 / 65535.0


def test_frames_are_the_same_whenever_and_in_whatever_order_they_are_asked_for() -> None:
    shoot = Shoot(4, 60, 40, noise=2.0, jitter_px=1.0, flicker=0.02)
    one, two = _plane(shoot, 0.5), _plane(shoot, 0.5)
    first = [one.frame(i) for i in range(4)]
    again = {i: two.frame(i) for i in (2, 0, 3, 1)}
    for index in range(4):
        np.testing.assert_array_equal(first[index], again[index])


def test_another_seed_gives_other_noise_and_other_movement() -> None:
    a, b = (Shoot(4, 60, 40, noise=2.0, jitter_px=1.0, seed=seed) for seed in (0, 1))
    assert not np.array_equal(_plane(a, 0.5).frame(1), _plane(b, 0.5).frame(1))
    assert not np.array_equal(a.transforms()[0].matrix, b.transforms()[0].matrix)


@pytest.mark.parametrize("frames", [1, 2, 4, 5])
def test_the_middle_frame_is_the_reference(frames: int) -> None:
    shoot = Shoot(frames, 64, 48, breathing=0.05, drift_px=4.0, jitter_px=1.0, rotation_deg=2.0, flicker=0.05)
    reference = shoot.transforms()[(frames - 1) // 2]
    assert not reference.moves
    assert reference.gain == 1.0


def test_movement_over_the_stack_is_as_asked() -> None:
    shoot = Shoot(9, 320, 240, breathing=0.04, drift_px=6.0, rotation_deg=2.0)
    first, last = (shoot.transforms()[i].matrix for i in (0, 8))
    scale = [float(np.sqrt(np.linalg.det(m[:2, :2]))) for m in (first, last)]
    turn = [float(np.degrees(np.arctan2(m[1, 0], m[0, 0]))) for m in (first, last)]
    centre = np.array([159.5, 119.5, 1.0])
    drift = float(np.linalg.norm((last - first) @ centre))
    assert scale[1] - scale[0] == pytest.approx(0.04, abs=1e-6)
    assert turn[1] - turn[0] == pytest.approx(2.0, abs=1e-6)
    assert drift == pytest.approx(6.0, abs=0.05)


def test_jitter_has_the_asked_deviation() -> None:
    shifts = np.array([t.matrix[:2, 2] for t in Shoot(400, 64, 48, jitter_px=1.5).transforms()])
    assert shifts.std(axis=0) == pytest.approx([1.5, 1.5], rel=0.15)


def _shift(picture: Plane, truth: Plane) -> float:
    """How far `picture` lies from `truth`, in pixels, by least squares on the gradient (Lucas and Kanade)."""
    down, right = np.gradient(truth)
    slopes = np.stack([right.ravel(), down.ravel()], axis=1)
    return float(np.hypot(*np.linalg.lstsq(slopes, (picture - truth).ravel())[0]))


@pytest.mark.parametrize("index", [0, 1, 3, 4])
def test_transforms_lead_from_the_reference_to_the_frame(index: int) -> None:
    scene = _plane(MOVING, index / 4.0)
    frame = scene.frame(index)
    matrix = scene.transforms[index].matrix[:2]
    back = cv2.warpAffine(frame, matrix, (200, 150), flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP)
    gray = [p.mean(axis=2).astype(np.float32) for p in (back / 255.0, scene.truth)]
    for rows, columns in ((slice(15, 75), slice(15, 100)), (slice(75, 135), slice(100, 185))):
        assert _shift(gray[0][rows, columns], gray[1][rows, columns]) < 0.02
    assert np.abs(gray[0] - gray[1])[15:-15, 15:-15].mean() < 0.4 / 255.0


def test_gain_undoes_the_flicker() -> None:
    scene = _plane(Shoot(7, 120, 80, flicker=0.04, max_blur_px=0.0), 0.5)
    gains = np.array([t.gain for t in scene.transforms])
    assert gains.std() > 0.01
    for index in (0, 6):
        frame = scene.frame(index) / 255.0 * gains[index]
        assert np.abs(frame - scene.truth).mean() < 0.4 / 255.0


@pytest.mark.parametrize("sigma", [0.5, 2.0])
def test_noise_has_the_asked_deviation_at_mid_gray(sigma: float) -> None:
    middle = ((0.5 + 0.055) / 1.055) ** 2.4
    light = np.full((200, 200, 3), middle, np.float32)
    coded = encode(with_noise(light, sigma, np.random.default_rng(5))) * 255.0
    assert coded.std() == pytest.approx(sigma, rel=0.02)
    assert coded.mean() == pytest.approx(127.5, abs=0.1)


def test_noise_variance_grows_evenly_with_light() -> None:
    def variance(light: float) -> float:
        even = np.full((300, 300, 3), light, np.float32)
        return float(with_noise(even, 2.0, np.random.default_rng(6)).astype(np.float64).var())

    dark, one, two = variance(0.0), variance(0.3), variance(0.6)
    assert two - one == pytest.approx(one - dark, rel=0.05)
    assert 0 < dark < 0.2 * one


def test_noise_differs_from_frame_to_frame() -> None:
    scene = _plane(Shoot(3, 60, 40, max_blur_px=0.0, noise=3.0), 0.5)
    difference = scene.frame(0).astype(float) - scene.frame(1)
    assert difference.std() > 3.0


def test_encode_is_the_srgb_curve() -> None:
    light = np.array([-1.0, 0.0, 0.001, 0.214041, 1.0, 7.0], np.float32)
    np.testing.assert_allclose(encode(light), [0.0, 0.0, 0.01292, 0.5, 1.0, 1.0], atol=1e-5)


def test_a_little_movement_leaves_the_scene_as_it_is() -> None:
    assert Shoot(5, 320, 240, max_blur_px=4.0).canvas() == Shoot(5, 320, 240, 4.0, drift_px=2.0).canvas()
    assert Shoot(5, 320, 240, drift_px=60.0).canvas().margin > Shoot(5, 320, 240).canvas().margin


@pytest.mark.parametrize("field", ["max_blur_px", "jitter_px", "flicker", "noise", "seed"])
def test_negative_values_are_refused(field: str) -> None:
    with pytest.raises(UsageError, match="negative"):
        Shoot(**{field: -1})  # type: ignore[arg-type]


def test_shoots_that_no_camera_does_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 1 frame"):
        Shoot(frames=0)
    with pytest.raises(UsageError, match="0x640"):
        Shoot(width=0)
    with pytest.raises(UsageError, match="uint16"):
        Shoot(pixel_type=PixelType.FLOAT32)
    with pytest.raises(UsageError, match="fraction"):
        Shoot(breathing=3.0)


@pytest.mark.parametrize("index", [-1, 3])
def test_a_frame_outside_the_stack_is_refused(index: int) -> None:
    with pytest.raises(UsageError, match="from 0 to 2"):
        _plane(Shoot(3, 32, 32), 0.5).frame(index)
