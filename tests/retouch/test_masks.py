"""What strokes cover, against a plain drawing of many samples a pixel; pieces against the whole."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpustack.model.layer import Box
from gpustack.retouch.masks import Mask
from gpustack.retouch.strokes import Brush, Erase, Points, Polygon, Stroke

Plane = npt.NDArray[np.float32]

WIDTH, HEIGHT = 150, 110
SAMPLES = 8
WAVE: Points = tuple((10 + 3.5 * step, 55 + 40 * float(np.sin(step / 6))) for step in range(38))
LOOP: Points = ((30, 20), (120, 25.5), (110, 90), (40, 95), (35.5, 30), (100, 40), (95, 70), (20, 60))


def brush(points: Points, radius: float, hardness: float = 1.0, opacity: float = 1.0) -> Brush:
    return Brush(points, radius, hardness, opacity, Erase(), False)


def polygon(points: Points, feather: float = 0.0, opacity: float = 1.0) -> Polygon:
    return Polygon(points, feather, opacity, Erase(), False)


def whole(stroke: Stroke, level: int = 0) -> Plane:
    return Mask.of(stroke).coverage(Box(0, 0, -(-WIDTH >> level), -(-HEIGHT >> level)), level)


def drawn(stroke: Stroke) -> Plane:
    """The stroke by OpenCV, many samples a pixel: round caps and joints, or a filled outline."""
    fine = np.zeros((HEIGHT * SAMPLES, WIDTH * SAMPLES), np.uint8)
    points = np.rint((np.asarray(stroke.points) * SAMPLES - 0.5) * 256).astype(np.int32)
    if isinstance(stroke, Brush):
        whole_points = np.asarray(stroke.points) * SAMPLES - 0.5
        yy, xx = np.mgrid[: HEIGHT * SAMPLES, : WIDTH * SAMPLES]
        for (ax, ay), (bx, by) in pairwise(whole_points):
            long = (bx - ax) ** 2 + (by - ay) ** 2
            way = np.clip(((xx - ax) * (bx - ax) + (yy - ay) * (by - ay)) / max(long, 1e-9), 0, 1)
            near = (xx - ax - way * (bx - ax)) ** 2 + (yy - ay - way * (by - ay)) ** 2
            fine[near <= (stroke.radius * SAMPLES) ** 2] = 255
    else:
        cv2.fillPoly(fine, [points], 255, shift=8)
    return cv2.resize(fine, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) / np.float32(255)


@pytest.mark.parametrize("radius", [2.0, 9.5])
def test_a_hard_brush_covers_what_is_drawn(radius: float) -> None:
    stroke = brush(WAVE[::6], radius)
    apart = np.abs(whole(stroke) - drawn(stroke))
    assert apart.max() < 0.2  # a path is straightened out by a hundredth of the radius; corners are coarser
    assert apart.mean() < 0.003


def test_a_polygon_covers_what_is_drawn() -> None:
    stroke = polygon(((20.5, 15), (130, 40), (70, 100), (30, 80)))
    apart = np.abs(whole(stroke) - drawn(stroke))
    assert apart.max() < 0.3  # at the tips
    assert apart.mean() < 0.002


def test_what_an_outline_goes_around_twice_is_inside() -> None:
    inside = whole(polygon(LOOP))
    assert inside[55, 60] == 1  # even-odd would leave it out: it is within both turns
    assert inside[5, 5] == 0
    eight: Points = ((20, 20), (100, 80), (100, 20), (20, 80))
    assert (whole(polygon(eight))[50, [25, 95]] == 1).all()
    assert whole(polygon(eight))[25, 60] == 0


def test_going_over_a_place_twice_adds_nothing() -> None:
    once: Points = ((20, 50), (120, 50))
    twice: Points = (*once, (20, 50), (120, 50))
    for hardness in (0.0, 0.5, 1.0):
        assert np.array_equal(whole(brush(once, 12, hardness, 0.6)), whole(brush(twice, 12, hardness, 0.6)))


@pytest.mark.parametrize("hardness", [0.0, 0.3, 0.9])
def test_it_is_full_up_to_its_hardness_and_falls_off_evenly(hardness: float) -> None:
    line = whole(brush(((75, -100), (75, 300)), 30, hardness, 0.8))[50]
    distance = np.abs(np.arange(WIDTH) + 0.5 - 75)
    assert np.allclose(line[distance <= 30 * hardness], 0.8, atol=1e-6)
    assert (line[distance >= 30] == 0).all()
    assert line[distance < 30].min() > 0
    right = line[75:]
    assert (np.diff(right) <= 0).all()
    assert right[np.argmin(np.abs(distance[75:] - 15 * (1 + hardness)))] == pytest.approx(0.4, abs=0.2)


def test_a_feather_is_centred_on_the_outline() -> None:
    line = whole(polygon(((50, -500), (500, -500), (500, 500), (50, 500)), 20))[50]
    assert line[49:51].mean() == pytest.approx(0.5, abs=0.01)
    assert (line[:40] == 0).all()
    assert (line[60:] == 1).all()


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize(
    "stroke",
    [brush(WAVE, 7), brush(WAVE, 1.5), brush(WAVE, 30, 0.2), polygon(LOOP), polygon(LOOP, 24)],
    ids=["hard", "thin", "soft", "polygon", "feathered"],
)
def test_a_smaller_level_is_the_mean_of_the_larger(stroke: Stroke, level: int) -> None:
    size = 1 << level
    full, small = whole(stroke), whole(stroke, level)
    high, wide = HEIGHT // size, WIDTH // size
    mean = full[: high * size, : wide * size].reshape(high, size, wide, size).mean(axis=(1, 3))
    apart = np.abs(small[:high, :wide] - mean)
    assert apart.mean() < (0.012 if level < 3 else 0.03)  # a picture of 19 x 14 pixels, of which most are rim
    assert small[:high, :wide].sum() == pytest.approx(mean.sum(), rel=0.06)


STROKES = st.sampled_from(
    [
        brush(WAVE, 6.3, 0.4),
        brush(WAVE, 40, 0.0, 0.5),
        brush(((40.2, 33.1),), 12.5, 0.7),
        brush(((5.5, 5.5), (5.5, 5.5)), 3, 1),
        brush(((-400.0, 1e4), (1e4, -300.0)), 2000, 0.9),
        polygon(LOOP, 11.5, 0.9),
        polygon(LOOP),
        polygon(WAVE),
        polygon(((10, 10), (10, 10), (10, 10)), 5),
        brush(((75.0, 55.0), (80.0, 50.0)), 1e6, 0.0),
        polygon(LOOP, 1e6),
    ]
)


@given(STROKES, st.integers(0, 3), st.data())
def test_a_piece_is_the_whole_bit_for_bit(stroke: Stroke, level: int, data: st.DataObject) -> None:
    full = whole(stroke, level)
    high, wide = full.shape
    left, top = data.draw(st.integers(0, wide - 1)), data.draw(st.integers(0, high - 1))
    box = Box(left, top, data.draw(st.integers(1, wide - left)), data.draw(st.integers(1, high - top)))
    piece = Mask.of(stroke).coverage(box, level)
    assert piece.dtype == np.float32
    assert piece.tobytes() == full[box.rows, box.columns].tobytes()
    assert np.isfinite(full).all()
    assert 0 <= full.min() <= full.max() <= stroke.opacity


@given(STROKES, st.integers(0, 3))
def test_outside_its_box_it_covers_nothing(stroke: Stroke, level: int) -> None:
    full, box = whole(stroke, level), Mask.of(stroke).box(WIDTH, HEIGHT, level)
    if box is not None:
        full[box.rows, box.columns] = 0
    assert not full.any()


def test_a_mouse_tells_of_every_pixel() -> None:
    steps = np.linspace(0, 1, 4000)
    dense: Points = tuple((10 + 130 * way, 55 + 40 * float(np.sin(9 * way))) for way in steps.tolist())
    mask = Mask.of(brush(dense, 10))
    assert len(mask.line.start) < 80
    centres = np.mgrid[:HEIGHT, :WIDTH][::-1, :, :, None] + 0.5
    away = np.hypot(*(centres - np.array(dense[::10]).T[:, None, None])).min(axis=2)
    apart = np.abs(mask.coverage(Box(0, 0, WIDTH, HEIGHT)) - (away <= 10))
    assert apart.mean() < 0.02
