"""Where a pixel sees two things equally sharp, the preferred end of the stack is taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from gpustack.backend.cpu import Cpu
from gpustack.backend.protocol import Backend
from gpustack.backend.values import Part
from gpustack.fuse.measure import preference
from gpustack.settings import Prefer
from tests.backend.parts import empty_part, mask

FLOOR = 0.01


def part_for(
    backend: Backend[Any],
    prefer: Prefer,
    shape: tuple[int, int],
    noise: float | None,
    *,
    spread: bool = False,
) -> Part[Any]:
    part = empty_part(backend, 1, *shape, noise, spread=spread)
    part.preference = preference(backend, prefer, *shape, FLOOR, afar=False)
    return part


def chosen(
    backend: Backend[Any], prefer: Prefer, energies: Sequence[float], noise: float | None
) -> tuple[int, float]:
    """The frame that is left of frames of such energies at a pixel, and the value kept: each frame's is its
    index."""
    part = part_for(backend, prefer, (1, 1), noise)
    for index, energy in enumerate(energies):
        image = backend.upload(np.full((1, 1, 1), index, np.float32))
        backend.fold_in(part, index, image, backend.upload(np.full((1, 1), energy, np.float32)), None)
    return int(backend.download(part.best.frame)[0, 0]), float(backend.download(part.kept)[0, 0, 0])


@pytest.mark.parametrize("noise", [None, 1e-6], ids=["hard", "soft"])
@pytest.mark.parametrize(
    ("energies", "none", "near", "far"),
    [
        ([1, 9, 1, 7, 1], 1, 1, 3),  # two peaks, the first a little higher
        ([1, 7, 1, 9, 1], 3, 1, 3),  # two peaks, the second a little higher
        ([1, 9, 1, 3, 1], 1, 1, 1),  # the second is far lower
        ([1, 3, 1, 9, 1], 3, 3, 3),  # the first is far lower
        ([1, 7, 6, 9, 1], 3, 3, 3),  # no valley between: one thing
        ([9, 1, 8, 1, 7], 0, 0, 4),  # three peaks
        ([0, 0.011, 0.002, 0.01, 0], 1, 1, 1),  # the ups and downs of noise
    ],
)
def test_of_two_peaks_the_preferred_one_stays(
    backend: Backend[Any], energies: list[float], none: int, near: int, far: int, noise: float | None
) -> None:
    for prefer, wanted in ((Prefer.NONE, none), (Prefer.NEAR, near), (Prefer.FAR, far)):
        frame, value = chosen(backend, prefer, energies, noise)
        assert frame == wanted
        if noise is None or (prefer is not Prefer.NONE and max(energies) > 1):
            assert abs(value - wanted) < 0.35  # in a mean, frames nearly as sharp have their share


def test_what_does_not_cover_a_pixel_is_no_valley(backend: Backend[Any]) -> None:
    part = part_for(backend, Prefer.FAR, (1, 1), None)
    for index, (energy, covers) in enumerate(((9.0, True), (0.0, False), (7.0, True))):
        image, plane = np.full((1, 1, 1), index, np.float32), np.full((1, 1), energy, np.float32)
        valid = backend.upload(mask(np.full((1, 1), covers)))
        backend.fold_in(part, index, backend.upload(image), backend.upload(plane), valid)
    assert backend.download(part.best.frame)[0, 0] == 0


@pytest.mark.parametrize("prefer", [Prefer.NEAR, Prefer.FAR])
@pytest.mark.parametrize("noise", [None, 1e-3], ids=["hard", "soft"])
def test_every_backend_prefers_alike(backend: Backend[Any], prefer: Prefer, noise: float | None) -> None:
    shape, spread = (19, 35), noise is not None
    plain = Cpu(1)
    parts = [part_for(each, prefer, shape, noise, spread=spread) for each in (plain, backend)]
    generator = np.random.default_rng(5)
    for index in range(12):
        image = generator.random((1, *shape), np.float32)
        energy = np.float32(10) ** generator.uniform(-4, 0, shape).astype(np.float32)
        valid = mask(generator.random(shape) < 0.8)
        for each, part in zip((plain, backend), parts, strict=True):
            each.fold_in(part, index, each.upload(image), each.upload(energy), each.upload(valid))
    ours, theirs = parts
    assert ours.preference is not None
    assert theirs.preference is not None
    for one, other in (
        (ours.best.energy, theirs.best.energy),
        (ours.best.frame, theirs.best.frame),
        (ours.preference.valley, theirs.preference.valley),
    ):
        np.testing.assert_array_equal(one, backend.download(other))
    np.testing.assert_allclose(ours.kept, backend.download(theirs.kept), atol=1e-6)
    if ours.mix is not None and theirs.mix is not None:
        assert ours.mix.spread is not None
        assert theirs.mix.spread is not None
        for name in ("depth", "variance", "sharpest"):
            found = backend.download(getattr(theirs.mix.spread, name))
            np.testing.assert_allclose(getattr(ours.mix.spread, name), found, atol=1e-4)
