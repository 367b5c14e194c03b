"""What is a veil, and what is not: on rendered disks and bars whose light is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from gpustack.fuse.veil import SIDE, Glow, Veils, cells, veils
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform

HEIGHT, WIDTH, CELL = 320, 480, 8
SMALL = HEIGHT // CELL, WIDTH // CELL
GROUND = 0.004
LAMP = (160, 240)
MIDDLE = LAMP[0] // CELL, LAMP[1] // CELL

Light = npt.NDArray[np.float32]


def spread(light: Light, radius: float) -> Light:
    """Light blurred into disks."""
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
    return cv2.filter2D(light, cv2.CV_32F, disk / disk.sum(), borderType=cv2.BORDER_REFLECT)


def dark() -> Light:
    return np.full((HEIGHT, WIDTH), GROUND, np.float32)


def lamp(radius: float) -> Light:
    """A lamp far brighter than white on dark ground."""
    light = dark()
    cv2.circle(light, LAMP[::-1], 2, 60.0, -1)
    return spread(light, radius)


def bar(radius: float, brightness: float = 1.2) -> Light:
    """A bright bar on dark ground."""
    light = dark()
    light[:, LAMP[1] - 5 : LAMP[1] + 5] = brightness
    return spread(light, radius)


def glow(light: Light) -> Glow:
    coded = np.clip(light, 0, 1) ** np.float32(1 / 2.2)
    values = cv2.resize(coded, SMALL[::-1], interpolation=cv2.INTER_AREA)
    to_frame = np.array([[CELL, 0, (CELL - 1) / 2], [0, CELL, (CELL - 1) / 2], [0, 0, 1.0]])
    burnt = (light >= 1).reshape(SMALL[0], CELL, SMALL[1], CELL).any(axis=(1, 3))
    return Glow(values.astype(np.float16), to_frame, burnt, to_frame)


def found(glows: Sequence[Glow], absent: Any = lambda *_: None) -> Veils:
    count = len(glows)
    return veils(glows, [Transform.identity()] * count, range(count), 0, absent)


def energy(veil: Veils, index: int) -> Light:
    over = veil.over(index)
    return np.zeros(SMALL, np.float32) if over is None else over


def test_the_disk_of_a_lamp_is_a_veil_over_what_it_hides() -> None:
    seen = found([glow(lamp(radius)) for radius in (20.0, 12.0, 4.0)])
    assert seen.over(2) is None  # the sharpest has the least light everywhere
    edge = MIDDLE[0], MIDDLE[1] + 20 // CELL
    assert energy(seen, 0)[edge] > 0.27**2  # what a step from black to white gives
    far = np.s_[:, : MIDDLE[1] - 12]
    np.testing.assert_array_equal(energy(seen, 0)[far], 0)


@pytest.mark.parametrize("brightness", [0.5, 1.2])
def test_a_sharp_bar_is_no_veil_however_far_it_is_blurred_elsewhere(brightness: float) -> None:
    seen = found([glow(bar(radius, brightness)) for radius in (1.0, 12.0, 40.0)])
    assert energy(seen, 0).max() < 1e-4


def test_what_is_not_burnt_out_casts_no_veil() -> None:
    lamps = [glow(np.minimum(lamp(radius), 0.95)) for radius in (20.0, 4.0)]
    assert found(lamps).over(0) is None


def test_ground_that_is_not_dark_shows_no_veil() -> None:
    lamps = [glow(lamp(radius) + np.float32(0.3)) for radius in (20.0, 4.0)]
    assert found(lamps).over(0) is None


def test_brighter_frames_are_no_veils() -> None:
    scene = np.tile(np.linspace(0.01, 0.1, WIDTH, dtype=np.float32), (HEIGHT, 1))
    scene[40::80, 40::80] = 1.5
    seen = found([glow(scene), glow(scene * 1.2), glow(scene * 1.4)])
    assert all(energy(seen, index).max() < 1e-3 for index in range(3))


def test_a_bright_thing_in_a_brighter_frame_is_no_veil() -> None:
    """Its surroundings are brighter in that frame as everything is, and not by light from beside it."""
    sharp = np.tile(np.linspace(0.01, 0.1, WIDTH, dtype=np.float32), (HEIGHT, 1))
    sharp[148:172, 228:252] = 0.4
    elsewhere = spread(sharp, 30.0) / np.float32(1.2)
    sharp[40::80, 40::80] = elsewhere[40::80, 40::80] = 1.5
    sharp[150:153, 260:263] = elsewhere[150:153, 260:263] = 1.5
    seen = found([glow(sharp), glow(elsewhere)])
    assert seen.darkest.near_burnt[MIDDLE]
    assert energy(seen, 0)[MIDDLE] < 1e-4


def test_a_glow_takes_on_the_reference_brightness() -> None:
    toned = glow(bar(1.0)).toned(Tone((0.5,), (0.1,)))
    np.testing.assert_allclose(toned.values, 0.5 * glow(bar(1.0)).values + np.float32(0.1), atol=1e-3)


def test_a_frame_that_is_left_out_darkens_nothing() -> None:
    gone = lamp(4.0)
    gone[100:220, 300:420] = 0.0
    bright = lamp(4.0)
    bright[100:220, 300:420] = 0.3
    bright[150:160, 350:360] = gone[150:160, 350:360] = 1.5
    cells_left = np.zeros(SMALL, bool)
    cells_left[10:30, 34:56] = True
    glows = [glow(bright), glow(gone)]
    assert energy(found(glows), 0).max() > 0.01
    kept = found(glows, lambda index, _: cells_left if index == 1 else None)
    assert energy(kept, 0).max() < 1e-4


def test_a_veil_moves_with_its_frame() -> None:
    away = np.eye(3)
    away[0, 2] = 80
    moved = np.roll(lamp(20.0), 80, axis=1)
    glows = [glow(lamp(4.0)), glow(moved)]
    seen = veils(glows, [Transform.identity(), Transform(away)], [0, 1], 0, lambda *_: None)
    still = found([glow(lamp(4.0)), glow(lamp(20.0))])
    near = np.s_[:, 15:45]
    np.testing.assert_allclose(energy(seen, 1)[near], energy(still, 1)[near], atol=2e-3)


@pytest.mark.parametrize(("size", "count"), [((6000, 4000), SIDE), ((480, 360), 60), ((5, 3), 1)])
def test_cells_are_neither_too_many_nor_too_small(size: tuple[int, int], count: int) -> None:
    assert cells(size) == count
