"""What is kept of a frame, and how it lies on the reference's cells."""

from __future__ import annotations

import numpy as np
import pytest

from gpustack.ghosts.glance import Glance, aligned, cell_side, glance
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform
from gpustack.settings import GLANCE_SIDE

RAMP = np.linspace(0.05, 0.6, 64, dtype=np.float32)[None].repeat(48, 0)


def seen(light: np.ndarray = RAMP, *, linear: bool = False) -> Glance:
    height, width = light.shape
    return glance(light[None], 4, (4 * width, 4 * height), linear=linear)


def test_cells_are_as_many_as_are_kept() -> None:
    assert cell_side((GLANCE_SIDE, 10)) == 1
    assert cell_side((100, GLANCE_SIDE + 1)) == 2
    assert cell_side((6000, 4000)) == 12


def test_light_comes_back_within_a_byte() -> None:
    found = aligned(seen(), Transform.identity(), seen())
    assert found.known.all()
    np.testing.assert_allclose(np.sqrt(found.light), np.sqrt(RAMP), atol=0.5 / 254 + 1e-6)


def test_colours_are_weighed_as_luma() -> None:
    colours = np.stack([np.full((8, 8), value, np.float32) for value in (0.2, 0.4, 0.6)])
    found = aligned(glance(colours, 1, (8, 8), linear=True), Transform.identity(), seen(RAMP[:8, :8]))
    np.testing.assert_allclose(found.light, 0.299 * 0.2 + 0.587 * 0.4 + 0.114 * 0.6, atol=0.005)


def test_a_frame_is_moved_onto_the_reference() -> None:
    moved = Transform(np.array([[1.0, 0, 8], [0, 1, 0], [0, 0, 1]]))  # two cells of four pixels
    found = aligned(seen(np.roll(RAMP, 2, axis=1)), moved, seen())
    np.testing.assert_allclose(np.sqrt(found.light[:, :60]), np.sqrt(RAMP[:, :60]), atol=0.5 / 254 + 1e-6)
    assert not found.known[:, 62:].any()


@pytest.mark.parametrize("linear", [False, True])
def test_tones_are_undone(linear: bool) -> None:
    darker = RAMP * 0.5 if linear else (np.sqrt(RAMP) * 0.5) ** 2
    tone = Tone((2.0,))
    found = aligned(seen(darker, linear=linear), Transform.identity().with_tone(tone), seen(linear=linear))
    np.testing.assert_allclose(np.sqrt(found.light), np.sqrt(RAMP), atol=3 / 254)


def test_burnt_cells_are_not_known_nor_is_what_they_touch() -> None:
    burnt = RAMP.copy()
    burnt[20, 30] = np.inf
    whole = aligned(seen(burnt), Transform.identity(), seen())
    assert not whole.known[20, 30]
    assert whole.known.sum() == RAMP.size - 1
    half = aligned(seen(burnt), Transform(np.array([[1.0, 0, 2], [0, 1, 0], [0, 0, 1]])), seen())
    assert not half.known[20, 29:31].any()
