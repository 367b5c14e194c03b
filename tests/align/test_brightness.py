"""Tones are measured against the reference, where the transform says, and not mistaken for anything else."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from gpustack.align import brightness
from gpustack.align.brightness import LEAST, SIDE, Light, factor_of, seen_light, tones
from gpustack.align.tone_fit import SMALLEST_GAIN_STEP
from gpustack.backend.cpu import Cpu
from gpustack.model.frame import PixelType
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform
from gpustack.scenes.camera import encode
from tests.align.textures import Texture, about_the_centre, turned

Pixels = npt.NDArray[Any]
WIDTH, HEIGHT = 384, 256
TEXTURES = [Texture(seed) for seed in (3, 4, 5)]
CPU = Cpu(1)
STILL = np.eye(3)


def seen(matrix: Pixels = STILL, blur: float = 2.0, width: int = WIDTH, height: int = HEIGHT) -> Pixels:
    """Coded values (h, w, 3) of three colours, each with a texture of its own; blurred as light is."""
    planes = [texture.seen(width, height, matrix, blur=blur) for texture in TEXTURES]
    return encode(0.3 + 0.8 * (np.stack(planes, axis=2) - np.float32(0.5)))


REFERENCE = seen()


def light(pixels: Pixels, *, linear: bool = False, colours: bool = True) -> Light:
    height, width = pixels.shape[:2]
    factor = factor_of((width, height))
    values = CPU.light(pixels.astype(np.float32), PixelType.FLOAT32, factor, linear)
    return seen_light(values, factor, (width, height), linear=linear, colours=colours)


def found(
    frame: Pixels, transform: Transform | None = None, *, colours: bool = False, linear: bool = False
) -> Tone:
    """The tone of a frame beside the reference."""
    lights = [light(pixels, linear=linear, colours=colours) for pixels in (REFERENCE, frame)]
    still = Transform.identity()
    first, second = tones(lights, [still, transform or still], 0, colours=colours)
    assert set(first.gain) == {1.0}
    assert not any(first.offset)
    return second


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("times", [0.7, 0.9, 1.1])
def test_the_gain_undoes_a_change_of_brightness(times: float, linear: bool) -> None:
    assert found(REFERENCE * times, linear=linear).gain == pytest.approx((1 / times,), rel=3e-3)


def test_the_gain_is_measured_where_the_transform_says() -> None:
    motion = about_the_centre(WIDTH, HEIGHT, turned(1.5, 1.03), (16.0, -9.0))
    tone = found(seen(motion) * 0.8, Transform(motion))
    assert tone.gain == pytest.approx((1.25,), rel=2e-3)


@pytest.mark.parametrize("blur", [0.0, 8.0])
def test_blur_is_not_taken_for_brightness(blur: float) -> None:
    assert found(seen(blur=blur) * 0.9).gain == pytest.approx((1 / 0.9,), rel=3e-3)


def test_sharp_contrast_is_not_taken_for_darkness() -> None:
    """A fine pattern has the same light as its blur, and a coded mean that is far darker."""
    lines = np.where(np.arange(WIDTH) % 2 < 1, 0.9, 0.05).astype(np.float32)
    sharp = np.repeat(np.tile(lines, (HEIGHT, 1))[..., None], 3, axis=2)
    bright, dark = (((value + 0.055) / 1.055) ** 2.4 for value in (0.9, 0.05))
    even = encode(np.full_like(sharp, (bright + dark) / 2))
    tone = tones([light(even), light(sharp)], [Transform.identity()] * 2, 0, colours=False)[1]
    assert even.mean() > 1.3 * sharp.mean()
    assert tone.gain == pytest.approx((1.0,), abs=5e-3)


def test_a_gain_too_small_to_see_is_left_at_one() -> None:
    assert found(REFERENCE * (1 + SMALLEST_GAIN_STEP / 2)).gain == (1.0,)


@pytest.mark.parametrize("value", [0.0, 0.99], ids=["black", "burnt out"])
@pytest.mark.parametrize("colours", [False, True])
def test_frames_without_a_usable_pixel_keep_their_brightness(value: float, colours: bool) -> None:
    assert set(found(np.full_like(REFERENCE, value), colours=colours).gain) == {1.0}


def test_a_part_that_is_burnt_out_or_moves_does_not_change_the_gain() -> None:
    there = REFERENCE * 0.9
    there[:40] = 1.0
    there[60:100, 60:200] = 0.1
    assert found(there).gain == pytest.approx((1 / 0.9,), rel=2e-3)


@pytest.mark.parametrize("colours", [False, True])
def test_a_frame_that_lies_elsewhere_keeps_its_brightness(colours: bool) -> None:
    away = Transform(np.array([[1.0, 0, 900], [0, 1, 0], [0, 0, 1]]))
    assert set(found(REFERENCE * 0.5, away, colours=colours).gain) == {1.0}


@pytest.mark.parametrize("side", [1, 2, 5])
def test_frames_of_a_few_pixels_keep_their_brightness(side: int) -> None:
    """They have fewer than LEAST averages."""
    assert side**2 <= 4 * LEAST
    lights = [light(np.full((side, side, 3), value)) for value in (0.5, 0.4)]
    tone = tones(lights, [Transform.identity()] * 2, 0, colours=True)[1]
    assert tone == Tone((1.0,) * 3, (0.0,) * 3)


def test_frames_of_other_sizes_are_compared_where_they_show_the_same() -> None:
    half = Transform(np.array([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1.0]]))
    small = seen(half.matrix, width=WIDTH // 2, height=HEIGHT // 2, blur=4.0)
    assert found(small * 0.8, half).gain == pytest.approx((1.25,), rel=3e-3)
    crop = np.eye(3)
    crop[:2, 2] = -100, -70
    cut = REFERENCE[70:200, 100:300] * 0.8
    assert found(cut, Transform(crop)).gain == pytest.approx((1.25,), rel=3e-3)


def test_colours_have_gains_and_offsets_of_their_own() -> None:
    gain, offset = np.array([1.08, 0.95, 0.9]), np.array([-0.02, 0.03, 0.015])
    tone = found(REFERENCE * gain + offset, colours=True)
    np.testing.assert_allclose(tone.gain, 1 / gain, rtol=3e-3)
    np.testing.assert_allclose(tone.offset, -offset / gain, atol=0.5 / 255)


def test_an_offset_is_taken_only_where_the_values_spread() -> None:
    offset = np.array([0.0, 0.02, 0.02])
    there = REFERENCE * 0.9 + offset
    reference, narrow = REFERENCE.copy(), there.copy()
    reference[..., 2], narrow[..., 2] = 0.5, 0.47  # an even colour: gain and offset cannot be told apart
    lights = [light(pixels) for pixels in (reference, narrow)]
    tone = tones(lights, [Transform.identity()] * 2, 0, colours=True)[1]
    assert tone.offset[0] == 0.0
    assert tone.offset[1] == pytest.approx(-0.02 / 0.9, abs=0.5 / 255)
    assert tone.offset[2] == 0.0
    assert tone.gain[2] == pytest.approx(0.5 / 0.47, rel=2e-3)


def test_light_has_no_offset() -> None:
    tone = found(REFERENCE * [1.1, 0.9, 0.95] + 0.01, colours=True, linear=True)
    assert tone.offset == (0.0,) * 3
    assert tone.gain[0] < 1 < tone.gain[1]


def test_a_colour_that_is_black_takes_the_gain_of_the_luma() -> None:
    lights = [light(REFERENCE * [1, 1, 0] * times) for times in (1.0, 0.8)]
    tone = tones(lights, [Transform.identity()] * 2, 0, colours=True)[1]
    np.testing.assert_allclose(tone.gain, 1.25, rtol=3e-3)


def test_gray_frames_have_one_tone() -> None:
    lights = [light(pixels[..., :1]) for pixels in (REFERENCE, REFERENCE * 0.9 + 0.03)]
    tone = tones(lights, [Transform.identity()] * 2, 0, colours=True)[1]
    assert tone.gain == pytest.approx((1 / 0.9,), rel=3e-3)
    assert tone.offset == pytest.approx((-0.03 / 0.9,), abs=0.5 / 255)


def falloff(corner: float) -> Pixels:
    """(h, w, 1): 1 in the middle, `corner` in the corners, not of the form that is solved for."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    middle = (WIDTH - 1) / 2, (HEIGHT - 1) / 2
    radius = np.hypot(x - middle[0], y - middle[1]) / np.hypot(*middle)
    return np.asarray(1 - (1 - corner) * radius**2.4)[..., None]


@pytest.mark.parametrize("colours", [False, True])
def test_dark_corners_are_not_taken_for_flicker(colours: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture grows by 5 %: compared at the same places of the subject, frames look brighter by 1 %."""
    dark, flicker = falloff(0.7), [1.0, 0.97, 1.02, 1.0, 0.99, 1.03]
    motions = [about_the_centre(WIDTH, HEIGHT, turned(0, 1 + 0.01 * step), (step, 0)) for step in range(6)]
    lights = [
        light(seen(motion) * dark * times, colours=colours)
        for motion, times in zip(motions, flicker, strict=True)
    ]
    transforms = [Transform(motion) for motion in motions]

    def worst() -> float:
        found = tones(lights, transforms, 0, colours=colours)
        return max(
            float(np.abs(np.array(tone.gain) * times - 1).max())
            for tone, times in zip(found, flicker, strict=True)
        )

    assert worst() < 0.004
    monkeypatch.setattr(brightness, "_falloff", lambda *_: np.zeros(2))
    assert worst() > 0.006


def test_tones_do_not_depend_on_how_many_frames_there_are() -> None:
    few = tones([light(REFERENCE), light(REFERENCE * 0.9)], [Transform.identity()] * 2, 0, colours=False)
    frames = [light(REFERENCE * times) for times in (1.0, 0.9, *np.linspace(0.8, 1.1, 40))]
    many = tones(frames, [Transform.identity()] * len(frames), 0, colours=False)
    assert many[1].gain == pytest.approx(few[1].gain, rel=1e-3)
    assert tones(frames, [Transform.identity(), *[None] * 41], 0, colours=False)[1] == Tone()


def test_blocks_are_as_large_as_needed() -> None:
    for size in ((1, 1), (96, 64), (97, 10), (6000, 4000)):
        assert -(-max(size) // factor_of(size)) <= SIDE
