"""Pairs of frames whose motion is known exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpustack.align.estimate import match
from gpustack.align.sight import Sight, see
from gpustack.backend.protocol import Backend
from gpustack.model.transform import normalise
from gpustack.settings import Model
from tests.align.textures import Plane, Texture, about_the_centre, corner_error, turned

WIDTH, HEIGHT = 320, 240
ERROR_PX = 0.05
"""Root mean square over the corners; measured errors are a fifth of it."""

SHARP, NOISE = 0.5, 0.01


def sight(backend: Backend[Any], plane: Plane, noise: float = 0.0, seed: int = 0) -> Sight:
    grain = noise * np.random.default_rng(seed).normal(size=plane.shape)
    held = backend.upload((plane + grain).astype(np.float32))
    # The textures are blurred as they are: as light.
    return see(backend, held, (plane.shape[1], plane.shape[0]), linear=True)


def pair(
    backend: Backend[Any],
    seed: int,
    motion: Plane,
    *,
    blur: float = SHARP,
    gain: float = 1.0,
    noise: float = 0.0,
) -> tuple[Sight, Sight]:
    texture = Texture(seed)
    here = texture.seen(WIDTH, HEIGHT, np.eye(3), blur=SHARP)
    there = gain * texture.seen(WIDTH, HEIGHT, motion, blur=blur)
    return sight(backend, here, noise, 2 * seed), sight(backend, there, noise, 2 * seed + 1)


def test_few_samples_are_some_of_all_that_a_level_has_when_they_are_asked_for(backend: Backend[Any]) -> None:
    seen = sight(backend, Texture(1).seen(WIDTH, HEIGHT, np.eye(3), blur=SHARP))
    for level in range(len(seen.sizes)):
        few, every = (
            [backend.download(getattr(seen.samples(backend, level, few=some), axis)) for axis in "xy"]
            for some in (True, False)
        )
        step = round(len(every[0]) / len(few[0]))
        assert (step > 1) == seen.thins(level)
        np.testing.assert_array_equal(few, [axis[::step] for axis in every])


MOTIONS = {
    "none": (turned(0), (0.0, 0.0)),
    "half a pixel": (turned(0), (0.5, -0.5)),
    "breathing": (turned(0.3, 1.02), (3.0, -2.0)),
    "5 % shift": (turned(1, 1.01), (16.0, -12.0)),
    "2 degrees": (turned(2), (8.0, 3.0)),
    "much smaller": (turned(0, 0.9), (0.0, 0.0)),
    "much larger": (turned(0, 1.1), (0.0, 0.0)),
    "all at once": (turned(-2, 1.05), (-16.0, 12.0)),
}


@pytest.mark.parametrize("motion", MOTIONS.values(), ids=list(MOTIONS))
@pytest.mark.parametrize("seed", [0, 1])
def test_a_similarity_is_found(backend: Backend[Any], motion: Any, seed: int) -> None:
    wanted = about_the_centre(WIDTH, HEIGHT, *motion)
    link = match(backend, *pair(backend, seed, wanted), Model.SIMILARITY)
    assert link.trusted
    assert link.confidence > 0.95
    assert corner_error(link.matrix, wanted, WIDTH, HEIGHT) < ERROR_PX


CONDITIONS = {
    "blurred": {"blur": 2.0},
    "darker": {"gain": 0.9},
    "brighter": {"gain": 1.1},
    "noisy": {"noise": NOISE},
    "all": {"blur": 1.5, "gain": 1.1, "noise": NOISE},
}


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=list(CONDITIONS))
@pytest.mark.parametrize("seed", [2, 3])
def test_blur_gain_and_noise_do_not_mislead_it(
    backend: Backend[Any], condition: dict[str, float], seed: int
) -> None:
    wanted = about_the_centre(WIDTH, HEIGHT, turned(0.5, 1.02), (4.0, 3.0))
    link = match(backend, *pair(backend, seed, wanted, **condition), Model.SIMILARITY)
    assert link.trusted
    assert corner_error(link.matrix, wanted, WIDTH, HEIGHT) < ERROR_PX


SHEARED = np.array([[1.01, 0.008], [-0.004, 0.99]])
LEANING = np.array([[1.0, 0, 0], [0, 1, 0], [3e-5, -2e-5, 1]])
OF_MODEL = {
    Model.SHIFT: about_the_centre(WIDTH, HEIGHT, np.eye(2), (5.3, -2.7)),
    Model.RIGID: about_the_centre(WIDTH, HEIGHT, turned(1.2), (5.3, -2.7)),
    Model.SIMILARITY: about_the_centre(WIDTH, HEIGHT, turned(1.2, 1.015), (5.3, -2.7)),
    Model.AFFINE: about_the_centre(WIDTH, HEIGHT, SHEARED, (5.3, -2.7)),
    Model.HOMOGRAPHY: normalise(about_the_centre(WIDTH, HEIGHT, SHEARED, (5.3, -2.7)) @ LEANING),
}
MODELS = list(OF_MODEL)


def assert_keeps_to(model: Model, matrix: Plane) -> None:
    """The matrix is one that the model allows."""
    linear = matrix[:2, :2]
    assert matrix[2, 2] == 1.0
    if model is not Model.HOMOGRAPHY:
        np.testing.assert_allclose(matrix[2, :2], 0, atol=1e-12)
    if model in (Model.SHIFT, Model.RIGID, Model.SIMILARITY):
        assert linear[0, 0] == pytest.approx(linear[1, 1], abs=1e-9)
        assert linear[0, 1] == pytest.approx(-linear[1, 0], abs=1e-9)
    if model in (Model.SHIFT, Model.RIGID):
        assert np.linalg.det(linear) == pytest.approx(1.0, abs=1e-9)
    if model is Model.SHIFT:
        np.testing.assert_allclose(linear, np.eye(2), atol=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_each_model_finds_its_own_motion(backend: Backend[Any], model: Model) -> None:
    link = match(backend, *pair(backend, 4, OF_MODEL[model]), model)
    assert link.trusted
    assert_keeps_to(model, link.matrix)
    assert corner_error(link.matrix, OF_MODEL[model], WIDTH, HEIGHT) < ERROR_PX


@pytest.mark.parametrize("model", MODELS)
def test_each_model_keeps_to_itself_where_the_motion_is_another(backend: Backend[Any], model: Model) -> None:
    link = match(backend, *pair(backend, 5, OF_MODEL[Model.HOMOGRAPHY]), model)
    assert_keeps_to(model, link.matrix)


def test_no_model_moves_nothing(backend: Backend[Any]) -> None:
    link = match(backend, *pair(backend, 5, OF_MODEL[Model.SHIFT]), Model.NONE)
    np.testing.assert_allclose(link.matrix, np.eye(3), atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_unrelated_pictures_are_not_trusted(backend: Backend[Any], seed: int) -> None:
    generator = np.random.default_rng(seed)
    here, there = (sight(backend, generator.random((HEIGHT, WIDTH))) for _ in range(2))
    link = match(backend, here, there, Model.SIMILARITY)
    assert not link.trusted
    assert link.confidence < 0.2
    np.testing.assert_array_equal(link.matrix, np.eye(3))


@pytest.mark.parametrize("blank_first", [True, False])
def test_a_blank_frame_is_not_trusted(backend: Backend[Any], blank_first: bool) -> None:
    blank = sight(backend, np.full((HEIGHT, WIDTH), 0.3))
    textured = sight(backend, Texture(6).seen(WIDTH, HEIGHT, np.eye(3)))
    here, there = (blank, textured) if blank_first else (textured, blank)
    link = match(backend, here, there, Model.SIMILARITY)
    assert not link.trusted
    np.testing.assert_array_equal(link.matrix, np.eye(3))


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (3, 40), (40, 1), (20, 17), (33, 64)])
@pytest.mark.parametrize("model", [Model.SIMILARITY, Model.HOMOGRAPHY])
def test_tiny_pictures_give_a_finite_motion(
    backend: Backend[Any], size: tuple[int, int], model: Model
) -> None:
    generator = np.random.default_rng(1)
    here, there = (sight(backend, generator.random(size[::-1])) for _ in range(2))
    link = match(backend, here, there, model)
    assert np.isfinite(link.matrix).all()
    assert np.isfinite(link.confidence)


def test_levels_halve_until_the_shorter_side_is_small(backend: Backend[Any]) -> None:
    seen = sight(backend, Texture(7).seen(301, 150, np.eye(3)))
    assert seen.sizes == [(76, 38), (151, 75), (301, 150)]
    shapes = [backend.download(plane).shape for plane in seen.planes]
    assert shapes == [(38, 76), (75, 151), (150, 301)]
