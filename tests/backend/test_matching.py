"""What alignment asks of a backend: strong samples, sums that are derivatives, and whole shifts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpustack.align.motion import small_motion
from gpustack.backend.cpu import CPU
from gpustack.backend.protocol import Backend
from gpustack.backend.values import Samples
from tests.align.textures import Texture

WIDTH, HEIGHT = 96, 80
TEXTURE = Texture(11)


def plane(matrix: Any = None, blur: float = 2.0) -> Any:
    """The texture, as smooth as alignment's band-passed planes, moved by `matrix`."""
    return TEXTURE.seen(WIDTH, HEIGHT, np.eye(3) if matrix is None else matrix, blur=blur) - np.float32(0.5)


def test_samples_are_values_at_strong_gradients_away_from_the_border(backend: Backend[Any]) -> None:
    values = plane()
    found = backend.samples(backend.upload(values), 500)
    x, y = (backend.download(axis).astype(int) for axis in (found.x, found.y))
    assert 300 < len(x) <= 1000
    assert x.min() >= 2
    assert y.min() >= 2
    assert x.max() < WIDTH - 2
    assert y.max() < HEIGHT - 2
    np.testing.assert_array_equal(backend.download(found.value), values[y, x])
    strength = np.hypot(*np.gradient(values))
    assert strength[y, x].mean() > 1.5 * strength.mean()


@pytest.mark.parametrize("every", [1, 3, 1000])
def test_thinned_samples_are_every_so_manieth(backend: Backend[Any], every: int) -> None:
    samples = backend.samples(backend.upload(plane()), 500)
    few = backend.samples(backend.upload(plane()), 500, every)
    for name in ("x", "y", "value", "jacobian"):
        kept = backend.download(getattr(few, name))
        np.testing.assert_array_equal(kept, backend.download(getattr(samples, name))[::every])
    sums = backend.alignment_sums(few, backend.upload(plane()), np.eye(3), 1.0)
    assert np.isfinite(sums.hessian).all()


@pytest.mark.parametrize("motion", range(8))
def test_the_jacobian_is_the_derivative_of_a_samples_value(backend: Backend[Any], motion: int) -> None:
    samples = backend.samples(backend.upload(plane()), 400)
    x, y = (backend.download(axis).astype(float) for axis in (samples.x, samples.y))
    step = np.zeros(8)
    step[motion] = 1e-4

    def moved(sign: float) -> Any:
        w = small_motion(sign * step, WIDTH, HEIGHT) @ np.stack([x, y, np.ones_like(x)])
        return TEXTURE.at(w[0] / w[2], w[1] / w[2], blur=2.0)

    derivative = (moved(1) - moved(-1)) / 2e-4
    found = backend.download(samples.jacobian)[:, motion]
    # A Sobel filter blurs by about 0.7 px and so sees a little less slope than there is.
    assert np.corrcoef(found, derivative)[0, 1] > 0.99
    assert float(found @ derivative / (derivative @ derivative)) == pytest.approx(0.95, abs=0.08)


def test_the_sums_are_the_normal_equations_of_the_weighted_difference(backend: Backend[Any]) -> None:
    there = backend.upload(plane(small_motion(np.full(8, 2e-4), WIDTH, HEIGHT)))
    samples = backend.samples(backend.upload(plane()), 400)
    sums = backend.alignment_sums(samples, there, np.eye(3), 0.9)
    x, y = (backend.download(axis).astype(int) for axis in (samples.x, samples.y))
    found, value = backend.download(there)[y, x], backend.download(samples.value)
    difference = value - 0.9 * found
    weight = np.minimum(1, 1.345 * sums.spread / np.maximum(np.abs(difference), 1e-12))
    assert (weight < 1).any()
    columns = np.column_stack([backend.download(samples.jacobian), found]).astype(float)
    np.testing.assert_allclose(sums.gradient, columns.T @ (weight * difference), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(sums.hessian, (columns * weight[:, None]).T @ columns, rtol=1e-3, atol=1e-4)
    assert sums.spread == pytest.approx(1.4826 * np.median(np.abs(difference)), rel=1e-3)
    assert sums.correlation == pytest.approx(np.corrcoef(value, found)[0, 1], abs=1e-4)
    assert sums.share == 1.0


@pytest.mark.parametrize("motion", range(8))
def test_one_step_of_the_sums_finds_a_small_motion(backend: Backend[Any], motion: int) -> None:
    wanted = np.zeros(8)
    wanted[motion] = 3e-3
    samples = backend.samples(backend.upload(plane()), 2000)
    there = backend.upload(plane(small_motion(wanted, WIDTH, HEIGHT)))
    sums = backend.alignment_sums(samples, there, np.eye(3), 1.0)
    step = np.linalg.solve(sums.hessian, sums.gradient)[:8]
    np.testing.assert_allclose(step, wanted, atol=4e-4)


def test_outliers_count_less(backend: Backend[Any]) -> None:
    values = plane()
    broken = values.copy()
    broken[:, :12] += 5.0
    samples = backend.samples(backend.upload(values), 400)
    clean = backend.alignment_sums(samples, backend.upload(values + np.float32(0.01)), np.eye(3), 1.0)
    dirty = backend.alignment_sums(samples, backend.upload(broken + np.float32(0.01)), np.eye(3), 1.0)
    assert dirty.spread < 2 * clean.spread
    assert np.abs(dirty.gradient[:8]).max() < 3 * np.abs(clean.gradient[:8]).max()


@pytest.mark.parametrize("strips", [1, 3, 8])
def test_strips_are_runs_of_the_samples_by_themselves(backend: Backend[Any], strips: int) -> None:
    values, there = plane(), plane(small_motion(np.full(8, 2e-4), WIDTH, HEIGHT))
    samples = backend.samples(backend.upload(values), 600)
    fields = [backend.download(each) for each in (samples.x, samples.y, samples.value, samples.jacobian)]
    found = backend.strip_sums(samples, backend.upload(there), np.eye(3), 0.9, strips)
    assert len(found) == strips
    ends = np.linspace(0, len(fields[0]), strips + 1).astype(int)
    for sums, first, stop in zip(found, ends[:-1], ends[1:], strict=True):
        alone = CPU().strip_sums(Samples(*(each[first:stop] for each in fields)), there, np.eye(3), 0.9, 1)[0]
        np.testing.assert_allclose(sums.hessian, alone.hessian, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(sums.gradient, alone.gradient, rtol=1e-3, atol=1e-5)
        assert sums.share == 1.0
    assert np.sort(fields[1]).tolist() == fields[1].tolist()  # from the top to the bottom


def test_the_share_says_how_much_lies_in_the_other_frame(backend: Backend[Any]) -> None:
    samples = backend.samples(backend.upload(plane()), 400)
    x = backend.download(samples.x)
    away = np.array([[1.0, 0, WIDTH / 2], [0, 1, 0], [0, 0, 1]])
    sums = backend.alignment_sums(samples, backend.upload(plane()), away, 1.0)
    assert sums.share == pytest.approx((x <= WIDTH / 2 - 1).mean())
    away[0, 2] = 2 * WIDTH
    nothing = backend.alignment_sums(samples, backend.upload(plane()), away, 1.0)
    assert (nothing.share, nothing.correlation) == (0.0, 0.0)
    assert not nothing.gradient.any()


@given(dx=st.integers(-12, 12), dy=st.integers(-10, 10))
def test_the_best_shift_is_found_to_the_pixel(backend: Backend[Any], dx: int, dy: int) -> None:
    large = np.random.default_rng(4).normal(size=(HEIGHT + 20, WIDTH + 24)).astype(np.float32)
    here = large[10 : 10 + HEIGHT, 12 : 12 + WIDTH]
    there = large[10 - dy : 10 - dy + HEIGHT, 12 - dx : 12 - dx + WIDTH]
    assert backend.best_shift(backend.upload(here), backend.upload(there)) == (dx, dy)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 5), (4, 4), (5, 5)])
def test_planes_too_small_to_align_do_no_harm(backend: Backend[Any], shape: tuple[int, int]) -> None:
    held = backend.upload(np.random.default_rng(0).random(shape, np.float32))
    sums = backend.alignment_sums(backend.samples(held, 3), held, np.eye(3), 1.0)
    assert np.isfinite(sums.hessian).all()
    assert 0 <= sums.share <= 1
    assert np.isfinite(backend.best_shift(held, held)).all()
