"""The measure of photographs: displacements are found, and motions judged by places that they do not know."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

BENCH = Path(__file__).parents[2] / "bench"
MODULES = ("displaced", "corners", "corners_peers", "flat_copies")
SIDE = 64


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    """The modules of the bench."""
    before = set(sys.modules)
    sys.path.insert(0, str(BENCH))
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    finally:
        sys.path.remove(str(BENCH))
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(BENCH)):
                del sys.modules[name]


def texture(height: int, width: int) -> Any:
    """Fine detail in every direction, 0..255, with nothing finer than a few pixels."""
    noise = np.random.default_rng(1).normal(size=(height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return 128 + 40 * smooth / smooth.std()


@pytest.mark.parametrize(("across", "down"), [(0.3, -0.45), (2.6, 1.25), (0.0, 0.0)])
def test_a_displacement_is_found_to_a_fiftieth_of_a_pixel(
    bench: SimpleNamespace, across: float, down: float
) -> None:
    here = texture(300, 300)
    moved = cv2.warpAffine(
        here, np.array([[1, 0, across], [0, 1, down]]), (300, 300), flags=cv2.INTER_LANCZOS4
    )
    cut = (slice(50, 250), slice(50, 250))
    planes = [bench.displaced.band_passed(plane) for plane in (here, moved)]
    (patch,) = bench.displaced.compared(*planes, [cut])
    assert (patch.across, patch.down) == pytest.approx((across, down), abs=0.02)


def displaced_by(bench: SimpleNamespace, noise: float, seed: int = 0) -> list[Any]:
    """Patches side by side that a similarity moves, by up to two pixels, and that are measured with noise."""
    rng = np.random.default_rng(seed)
    places = [(x, y) for x in range(0, 6 * SIDE, SIDE) for y in range(0, 5 * SIDE, SIDE)]
    moves = [(0.7 + 0.003 * x - 0.002 * y, -0.2 + 0.002 * x + 0.003 * y) for x, y in places]
    found = np.array(moves) + rng.normal(0, noise, (len(moves), 2))
    return [bench.displaced.Patch(*place, *move, 1.0) for place, move in zip(places, found, strict=True)]


@pytest.mark.parametrize("model", ["similarity", "homography"])
def test_a_motion_that_is_there_is_told_of_places_that_it_was_not_fitted_to(
    bench: SimpleNamespace, model: str
) -> None:
    left = bench.displaced.unseen_by(displaced_by(bench, 0.0), model, SIDE)
    assert max(left) < 1e-3


def test_what_is_noise_is_not_fitted_away(bench: SimpleNamespace) -> None:
    every, exact = [displaced_by(bench, 0.1, seed) for seed in range(4)], displaced_by(bench, 0.0)
    errors = [
        np.hypot(found.across - true.across, found.down - true.down)
        for patches in every
        for found, true in zip(patches, exact, strict=True)
    ]
    fitted = np.mean([bench.displaced.left_by(patches, "homography") for patches in every])
    unseen = np.mean([bench.displaced.unseen_by(patches, "homography", SIDE) for patches in every])
    assert fitted < np.mean(errors) < unseen < 1.2 * np.mean(errors)


def test_patches_that_overlap_with_nearly_all_others_are_not_judged(bench: SimpleNamespace) -> None:
    patches = displaced_by(bench, 0.1)
    assert bench.displaced.unseen_by(patches, "similarity", 6 * SIDE) == [None] * len(patches)


def test_a_place_that_a_program_has_not_counts_as_beyond_reach(bench: SimpleNamespace) -> None:
    near, far = (
        bench.displaced.Patch(0.0, 0.0, px, 0.0, sharpness) for px, sharpness in ((0.1, 0.95), (3, 0.5))
    )
    ours, theirs = [[near, far, None], [near, near, None]], [[None, None, None], [None, far, None]]
    places, sharp = bench.corners_peers.places_of([ours, theirs])
    assert (places, sharp) == ([0, 1, 3, 4], [0, 3])
    assert bench.corners_peers.medians(ours, places) == {"reached": 4, "px": 0.1}
    assert bench.corners_peers.medians(theirs, places) == {"reached": 1, "px": None}


def test_copies_of_a_print_show_it_where_the_truth_says(bench: SimpleNamespace) -> None:
    coded = np.repeat(texture(240, 320)[..., None], 3, axis=2).clip(0, 255).astype(np.uint8)
    flat = bench.flat_copies.printed(coded, [np.eye(3), np.array([[1, 0, 5.0], [0, 1, -3.0], [0, 0, 1]])])
    first, second = flat.frames()
    assert flat.size == (320 - 2 * flat.margin, 240 - 2 * flat.margin)
    across, down = flat.truth()[1].matrix[:2, 2]
    assert (across, down) == (5, -3)
    # Both are blurred by the same disk, mirrored: in the middle of the sweep they are alike.
    middle = slice(flat.size[0] // 2 - 10, flat.size[0] // 2 + 10)
    seen = second[:-3, 5:][:, middle].astype(float)
    assert np.abs(seen - first[3:, :-5][:, middle]).mean() < 4
    assert np.abs(seen - first[:-3, 5:][:, middle]).mean() > 12
