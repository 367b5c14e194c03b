"""Local brightness: seams against truth, and what must not bleed in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpustack.model.layer import Box
from gpustack.retouch.blending import DARK, Gains, Seam
from gpustack.retouch.masks import Mask
from gpustack.retouch.painting import Area, Paint, brought, painted_over
from gpustack.retouch.sources import Whole
from gpustack.retouch.stroked import measured
from gpustack.retouch.strokes import Brush, Erase, Polygon, Stroke

Image = npt.NDArray[np.float32]

WIDTH, HEIGHT = 260, 200
AREA = Area(Box(0, 0, WIDTH, HEIGHT), 0, WIDTH, HEIGHT)
NOISE = 0.01


def brush(radius: float, hardness: float = 1.0) -> Stroke:
    return Brush(((90, 100), (130, 90), (170, 110)), radius, hardness, 1.0, Erase(), True)


PATCH = Polygon(((70, 50), (200, 60), (190, 150), (60, 140)), 6.0, 1.0, Erase(), True)
STROKES = [brush(8), brush(30), brush(30, 0.3), brush(60, 0.8), PATCH]
IDS = ["small", "hard", "soft", "large", "polygon"]


def texture(seed: int = 0) -> Image:
    """Something coloured with detail, 0.15 to 0.85."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    waves = [0.5 + 0.3 * np.sin(x / a + y / b) * np.cos(y / a) for a, b in ((9, 31), (13, 17), (21, 8))]
    return (np.stack(waves, axis=2) + 0.05 * rng.standard_normal((HEIGHT, WIDTH, 1))).astype(np.float32)


def noisy(image: Image, seed: int) -> Image:
    rng = np.random.default_rng(seed)
    return np.clip(image + NOISE * rng.standard_normal(image.shape), 0, 1).astype(np.float32)


def matched(stroke: Stroke, picture: Image, source: Image) -> tuple[Gains, Paint]:
    mask = Mask.of(stroke)
    seam = Seam.of(mask, WIDTH, HEIGHT)
    assert seam is not None
    paint = Paint(mask, stroke.source)
    return measured(seam, Whole(picture), Whole(source), paint), paint


def painted(stroke: Stroke, picture: Image, source: Image, gains: Gains | None) -> Image:
    paint = Paint(Mask.of(stroke), stroke.source)
    shown = lambda box: brought(Whole(source), gains, box, 0, clips=True)  # noqa: E731
    covered = paint.coverage(AREA.box, 0)[..., None]
    return picture + covered * (shown(AREA.box) - picture)


def rim(stroke: Stroke) -> npt.NDArray[np.bool_]:
    covered = Mask.of(stroke).coverage(AREA.box)
    return (covered > 0.02) & (covered < 0.98)


@pytest.mark.parametrize("stroke", STROKES, ids=IDS)
@pytest.mark.parametrize("error", [0.03, -0.03, 0.3])
def test_a_wrong_gain_is_undone(stroke: Stroke, error: float) -> None:
    truth = texture() * np.float32(0.7)
    source = noisy(truth / (1 + error), 1)
    gains, _ = matched(stroke, noisy(truth, 2), source)
    assert np.abs(gains.at(AREA.box, 0)[rim(stroke)] / (1 + error) - 1).max() < 0.012 + abs(error) / 30
    inside = Mask.of(stroke).coverage(AREA.box) > 0.99
    away = painted(stroke, noisy(truth, 2), source, gains)[inside] - truth[inside]
    assert abs(away.mean()) < 0.0015
    assert away.std() < NOISE * (1 + abs(error)) * 1.15


@pytest.mark.parametrize("stroke", STROKES, ids=IDS)
def test_no_step_is_left_at_the_seam(stroke: Stroke) -> None:
    """A gain that is 3 % off, and differs by 4 % more across the picture and between colours: what is left
    along the rim is far below the noise of a pixel; without matching it is above."""
    truth = texture() * np.float32(0.7)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    across, down = (x / WIDTH - 0.5)[..., None], (y / HEIGHT)[..., None]
    gain = 1.03 + 0.04 * across * np.array([1, -0.5, 0.7]) + 0.01 * down
    source = noisy(truth / gain, 1)
    gains, _ = matched(stroke, noisy(truth, 2), source)
    left, without = (
        brought(Whole((truth / gain).astype(np.float32)), how, AREA.box, 0, clips=True) - truth
        for how in (gains, None)
    )
    assert np.abs(left[rim(stroke)]).max() < 0.75 * NOISE
    assert np.sqrt(np.square(left[rim(stroke)]).mean()) < 0.2 * NOISE
    assert np.sqrt(np.square(without[rim(stroke)]).mean()) > NOISE


@pytest.mark.parametrize("stroke", STROKES[1:], ids=IDS[1:])
def test_what_is_out_of_focus_at_the_rim_changes_little(stroke: Stroke) -> None:
    """The picture is sharp where the source is not: detail, not light, differs."""
    import cv2

    truth = texture() * np.float32(0.8)
    source = cv2.GaussianBlur(truth, (0, 0), 3)
    gains, _ = matched(stroke, truth, source)
    assert np.abs(gains.at(AREA.box, 0)[Mask.of(stroke).coverage(AREA.box) > 0] - 1).mean() < 0.02


@pytest.mark.parametrize("stroke", STROKES[1:], ids=IDS[1:])
def test_another_thing_at_a_part_of_the_rim_does_not_bleed_in(stroke: Stroke) -> None:
    truth = np.full((HEIGHT, WIDTH, 3), 0.5, np.float32)
    picture = noisy(truth, 2)
    picture[:, 150:175] *= np.float32(0.4)  # a dark bar that the source does not show
    gains, _ = matched(stroke, picture, noisy(truth, 1))
    inside = Mask.of(stroke).coverage(AREA.box) > 0.99
    inside[:, 140:185] = False
    assert np.abs(gains.at(AREA.box, 0)[inside] - 1).mean() < 0.02


def test_what_is_burnt_tells_nothing() -> None:
    truth = np.full((HEIGHT, WIDTH, 3), 0.6, np.float32)
    picture, source = truth * np.float32(1.05), truth.copy()
    picture[:100], source[:100] = 1.0, 0.7
    gains, _ = matched(brush(30), picture, source)
    assert np.abs(gains.at(AREA.box, 0) - (0.63 + DARK) / (0.6 + DARK)).max() < 0.01


def test_black_stays_black() -> None:
    rng = np.random.default_rng(0)
    dark = [np.abs(0.002 * rng.standard_normal((HEIGHT, WIDTH, 3))).astype(np.float32) for _ in range(2)]
    gains, _ = matched(brush(30), dark[0], dark[1])
    assert np.abs(gains.at(AREA.box, 0) - 1).max() < 0.05


def test_gains_have_limits_and_are_one_where_nothing_is_known() -> None:
    bright, dark = np.full((HEIGHT, WIDTH, 1), 0.9, np.float32), np.full((HEIGHT, WIDTH, 1), 0.1, np.float32)
    assert matched(brush(30), bright, dark)[0].field.max() == 2.0
    assert matched(brush(30), dark, bright)[0].field.min() == 0.5
    burnt = np.ones((HEIGHT, WIDTH, 1), np.float32)
    assert np.allclose(matched(brush(30), burnt, burnt)[0].field, 1)


def test_alpha_is_left_alone() -> None:
    truth = np.dstack([texture() * np.float32(0.7), np.full((HEIGHT, WIDTH), 0.5, np.float32)])
    source = truth / np.array([1.1, 1.1, 1.1, 1], np.float32)
    gains, _ = matched(brush(30), truth, source)
    shown = brought(Whole(source), gains, AREA.box, 0, clips=True)
    assert (shown[..., 3] == 0.5).all()
    assert np.abs(shown - truth)[rim(brush(30))].max() < 0.01


@given(st.integers(0, len(STROKES) - 1), st.integers(0, 3), st.data())
def test_gains_are_the_same_in_any_piece(number: int, level: int, data: st.DataObject) -> None:
    gains = GAINS[number]
    high, wide = -(-HEIGHT >> level), -(-WIDTH >> level)
    left, top = data.draw(st.integers(0, wide - 1)), data.draw(st.integers(0, high - 1))
    box = Box(left, top, data.draw(st.integers(1, wide - left)), data.draw(st.integers(1, high - top)))
    whole = gains.at(Box(0, 0, wide, high), level)
    assert gains.at(box, level).tobytes() == np.ascontiguousarray(whole[box.rows, box.columns]).tobytes()


GAINS = [matched(stroke, texture(), noisy(texture() * np.float32(0.9), 1))[0] for stroke in STROKES]


def test_only_the_rim_is_looked_at() -> None:
    """In the middle of a large stroke the source may be anything: sources are read in blocks."""
    patch = Polygon(((100, 100), (1900, 100), (1900, 1900), (100, 1900)), 10.0, 1.0, Erase(), True)
    seam = Seam.of(Mask.of(patch), 2000, 2000)
    assert seam is not None
    looked = sum(box.pixels << (2 * seam.level) for box in seam.blocks(512))
    assert looked < 0.8 * 2000 * 2000
    assert not seam.weight[seam.weight.shape[0] // 2, seam.weight.shape[1] // 2]


def test_the_edge_of_the_picture_is_no_rim() -> None:
    corner = Brush(((0, 0),), 80.0, 1.0, 1.0, Erase(), True)
    seam = Seam.of(Mask.of(corner), WIDTH, HEIGHT)
    assert seam is not None
    assert not seam.weight[:2, :2].any()
    assert seam.weight[:2].any()


def test_a_stroke_more_changes_nothing_outside_of_it() -> None:
    picture = texture()
    paint = Paint(Mask.of(brush(20)), Erase())
    done = painted_over(picture, paint, AREA, lambda box: np.zeros((box.height, box.width, 3), np.float32))
    covered = paint.coverage(AREA.box, 0) > 0
    assert np.array_equal(done[~covered], picture[~covered])
    assert (done[covered] < picture[covered]).all()
