from __future__ import annotations

import inspect
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from gpustack.cli import demo
from gpustack.errors import UsageError
from gpustack.model.frame import PixelType
from gpustack.scenes import Rendered, Shoot, names, render
from gpustack.scenes.heldout import heldout_names
from gpustack.scenes.textures import Plane

SMALL = Shoot(5, 160, 120, max_blur_px=4.0)
ALL = names() + heldout_names()
FAINT = {"skin": 0.015}
"""Local deviation of texture where it is not that of the other scenes."""


def _texture(picture: Plane) -> Plane:
    """Where there is detail: the local deviation, as coded values."""
    gray = picture.mean(axis=2)
    variance = cv2.blur(gray * gray, (5, 5)) - cv2.blur(gray, (5, 5)) ** 2
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)), np.float32)


def _in_focus(scene: Rendered, index: int) -> npt.NDArray[np.bool_]:
    """Pixels that lie in the focus of a frame, away from anything at another depth."""
    off = (np.abs(scene.depth - index) > 0.2).astype(np.uint8)
    return np.asarray(cv2.dilate(off, np.ones((13, 13), np.uint8)) == 0)


def test_names_are_those_of_the_catalogue() -> None:
    assert names() == ("macro", "hairs", "cards", "dome", "print", "crystal", "wing", "lights", "skin")


def test_scenes_held_out_are_not_offered() -> None:
    assert len(heldout_names()) >= 3
    assert not set(heldout_names()) & set(names())


def test_an_unknown_scene_is_refused_with_the_names() -> None:
    with pytest.raises(UsageError, match=r"'moon'.*macro, hairs"):
        render("moon", SMALL)


def test_the_command_line_and_its_page_name_every_scene() -> None:
    help_ = get_args(inspect.signature(demo.demo, eval_str=True).parameters["scene"].annotation)[1].help
    assert re.findall(r"\w+", help_.split(":")[1].replace(" or ", " ")) == list(names())
    page = (Path(__file__).parents[2] / "docs/cli.md").read_text("utf-8")
    line = page.split("| `--scene NAME` |")[1].split("|")[0]
    assert re.findall(r"`(\w+)`", line) == list(names())


@pytest.mark.parametrize("name", ALL)
def test_a_scene_is_what_it_promises(name: str) -> None:
    scene = render(name, SMALL)
    assert scene.truth.shape == (120, 160, 3)
    assert scene.truth.dtype == scene.depth.dtype == np.float32
    assert 0.0 <= scene.truth.min() < scene.truth.max() <= 1.0
    assert scene.depth.shape == (120, 160)
    assert scene.depth.min() == pytest.approx(0.12, abs=0.02)
    # The night and its lamps lie behind the range.
    assert scene.depth.max() == (4.0 if name == "lights" else pytest.approx(3.88, abs=0.02))
    assert len(scene) == len(scene.transforms) == 5
    assert (scene.truth > 0.995).mean() < (0.15 if name == "lights" else 0.02)
    assert (_texture(scene.truth) > FAINT.get(name, 0.02)).mean() > 0.3


@pytest.mark.parametrize("name", ALL)
def test_detail_is_nearest_the_truth_in_the_frame_that_focuses_on_it(name: str) -> None:
    scene = render(name, SMALL)
    errors = np.stack(
        [cv2.blur(np.abs(scene.frame(i) / 255.0 - scene.truth).mean(axis=2), (7, 7)) for i in range(5)]
    )
    even = cv2.morphologyEx(scene.depth, cv2.MORPH_GRADIENT, np.ones((11, 11), np.uint8)) < 1.0
    found = (_texture(scene.truth) > FAINT.get(name, 0.04)) & even
    assert found.mean() > 0.02
    best = np.abs(errors.argmin(axis=0) - scene.depth)[found]
    assert np.mean(best < 0.75) > 0.9


@pytest.mark.parametrize("name", [name for name in ALL if name != "macro"])
def test_what_hides_something_is_nearer(name: str) -> None:
    scene = render(name, replace(SMALL, frames=24))
    canvas = scene.layers[0].box
    front = np.full(canvas.shape, np.inf, np.float32)
    worst = []
    for layer in scene.layers:
        shared = layer.box.clip(canvas)
        part, own = shared.within(canvas), shared.within(layer.box)
        covers = layer.alpha[own] > 0.5
        worst.append(float((layer.depth[own] - front[part])[covers].max(initial=-np.inf)))
        np.copyto(front[part], layer.depth[own], where=covers)
    # Hairs that cross are laid in the order of their middles.
    assert max(worst) < (0.1 if name == "hairs" else 0.06)


@pytest.mark.parametrize("name", ["wing", "lights", "skin", *heldout_names()])
def test_another_seed_is_another_layout(name: str) -> None:
    one, other = (render(name, replace(SMALL, seed=seed)) for seed in (0, 1))
    differs = cv2.blur((np.abs(one.depth - other.depth) > 0.1).astype(np.float32), (9, 9))
    assert (differs > 0.2).mean() > 0.1


def test_a_scene_is_the_same_whenever_it_is_rendered() -> None:
    for name in ("wing", "lights", "skin"):
        np.testing.assert_array_equal(render(name, SMALL).truth, render(name, SMALL).truth)


def test_sixteen_bits_and_noise_do_not_change_the_truth() -> None:
    plain, fine = render("lights", SMALL), render("lights", replace(SMALL, pixel_type=PixelType.UINT16))
    noisy = render("lights", replace(SMALL, noise=3.0))
    np.testing.assert_array_equal(plain.truth, fine.truth)
    np.testing.assert_array_equal(plain.truth, noisy.truth)
    assert np.abs(plain.frame(2) / 255.0 - fine.frame(2) / 65535.0).max() < 0.5001 * (1 / 255 + 1 / 65535)
    dark = (plain.truth.max(axis=2) < 0.1) & (plain.depth == 4.0)
    assert (noisy.frame(4)[dark] - plain.frame(4)[dark].astype(float)).std() > 2.0


def test_lamps_are_clipped_discs_out_of_focus() -> None:
    scene = render("lights", Shoot(5, 480, 360, max_blur_px=8.0))
    near, far = ((scene.frame(i)[scene.depth == 4.0] > 254).any(axis=1).mean() for i in (0, 4))
    truth = (scene.truth[scene.depth == 4.0] > 0.999).any(axis=1).mean()
    assert near > 1.5 * far
    assert far == pytest.approx(truth, rel=0.2)
    assert truth > 0.002


def test_the_truth_shows_the_lamps_as_the_last_frame_does() -> None:
    scene = render("lights", Shoot(5, 480, 360, max_blur_px=8.0))
    # Away from the gravel and the stout parts of the twigs, which the last frame blurs.
    beyond = cv2.erode((scene.depth == 4.0).astype(np.uint8), np.ones((25, 25), np.uint8)) == 1
    assert beyond.mean() > 0.1
    first, last = (np.abs(scene.frame(i) / 255.0 - scene.truth)[beyond].mean() for i in (0, 4))
    assert last < 0.5 / 255.0
    assert first > 5.0 * last


def test_the_ground_is_seen_through_the_wing() -> None:
    scene = render("wing", Shoot(5, 480, 360, max_blur_px=6.0))
    ground, *wings = scene.layers
    taken = np.concatenate([wing.alpha[wing.alpha > 0] for wing in wings])
    film = (taken > 0.1) & (taken < 0.35)
    assert film.mean() > 0.3
    assert (taken > 0.9).mean() > 0.03
    assert len(ground.alpha[ground.alpha < 1]) == 0


@pytest.mark.parametrize(("name", "index"), [("cards", 4), ("dome", 4), ("hairs", 4)])
def test_a_frame_is_the_truth_where_it_is_in_focus(name: str, index: int) -> None:
    scene = render(name, Shoot(5, 240, 180, max_blur_px=2.0))
    where = _in_focus(scene, index)
    assert where.sum() > 50
    error = np.abs(scene.frame(index) / 255.0 - scene.truth).max(axis=2)[where]
    assert error.mean() < 1.0 / 255.0


def test_frames_of_a_moving_shoot_align_with_the_truth_where_in_focus() -> None:
    shoot = Shoot(9, 320, 240, max_blur_px=4.0, breathing=0.03, drift_px=3.0, jitter_px=0.8, rotation_deg=0.5)
    scene = render("print", shoot)
    for index in (1, 6, 7):
        map_x, map_y = _to_frame(scene, index)
        back = cv2.remap(scene.frame(index), map_x, map_y, cv2.INTER_LANCZOS4) / 255.0
        rows = np.flatnonzero((np.abs(scene.depth[:, 60:260] - index) < 0.9).all(axis=1))
        rows = rows[(rows > 12) & (rows < 228)]
        part = (slice(rows[0], rows[-1] + 1), slice(60, 260))
        assert _shift(back[part].mean(axis=2), scene.truth[part].mean(axis=2)) < 0.05


def _shift(picture: Plane, truth: Plane) -> float:
    """How far `picture` lies from `truth`, in pixels, by least squares on the gradient (Lucas and Kanade)."""
    down, right = np.gradient(truth)
    slopes = np.stack([right.ravel(), down.ravel()], axis=1)
    return float(np.hypot(*np.linalg.lstsq(slopes, (picture - truth).ravel())[0]))


def _to_frame(scene: Rendered, index: int) -> tuple[Plane, Plane]:
    """Where each reference pixel lies in a frame: x and y, (h, w) float32."""
    y, x = np.mgrid[:240, :320]
    points = scene.transforms[index].apply(np.stack([x.ravel(), y.ravel()], axis=1))
    return points[:, 0].reshape(240, 320).astype(np.float32), points[:, 1].reshape(240, 320).astype(
        np.float32
    )


def test_scenes_do_not_depend_on_how_the_camera_moves() -> None:
    still, moving = (
        render("macro", SMALL),
        render("macro", Shoot(5, 160, 120, 4.0, drift_px=0.5, jitter_px=0.1)),
    )
    np.testing.assert_array_equal(still.truth, moving.truth)
    assert not np.array_equal(still.frame(0), moving.frame(0))


def test_hairs_are_veils_when_out_of_focus() -> None:
    scene = render("hairs", Shoot(5, 240, 180, max_blur_px=8.0))
    hair = scene.depth < 0.4
    assert 0.001 < hair.mean() < 0.2
    sharp, far = (scene.frame(i)[hair].astype(float) for i in (0, 4))
    truth = scene.truth[hair] * 255.0
    assert np.abs(far - truth).mean() > 2.0 * np.abs(sharp - truth).mean()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(("frames", "width", "height"), [(1, 16, 16), (2, 40, 100), (3, 100, 40)])
def test_any_size_and_number_of_frames_is_rendered(name: str, frames: int, width: int, height: int) -> None:
    scene = render(name, Shoot(frames, width, height, max_blur_px=3.0, jitter_px=2.0, noise=1.0))
    assert scene.frame(frames - 1).shape == (height, width, 3)
    assert np.isfinite(scene.depth).all()
    assert (scene.depth >= 0).all()
    assert (scene.depth <= frames - 1).all()
