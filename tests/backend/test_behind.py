"""Looking behind the veil of nearer things: where depth steps, and what is put in beside them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from gpustack.backend.cpu import Cpu
from gpustack.backend.disks import disk
from gpustack.backend.protocol import Backend
from gpustack.backend.values import (
    DISK_RADII,
    FRONT,
    GROUND,
    STEP_REACH_PX,
    Beside,
    Mix,
    Optics,
    Steps,
    behind_halo,
    steps_halo,
)
from gpustack.metrics.likeness import psnr
from tests.strategies import Picture

HEIGHT, WIDTH = 190, 200
NEAR, FAR, RADIUS, NOISE = 2.0, 18.0, 0.4, 0.002
HAIR = slice(98, 102)
FLOOR = 1e-5
WHOLE = slice(0, HEIGHT)


def texture(channels: int) -> Picture:
    """The ground (c, h, w) 0.2..0.8, fine detail."""
    noise = np.random.default_rng(3).normal(0, 1, (channels, HEIGHT, WIDTH)).astype(np.float32)
    return np.clip(
        np.float32(0.5) + np.stack([cv2.GaussianBlur(p, (0, 0), 1.2) for p in noise]) * 0.4, 0.2, 0.8
    )


def blurred(image: Picture, radius: float) -> Picture:
    return np.stack(
        [cv2.filter2D(plane, -1, disk(radius), borderType=cv2.BORDER_REFLECT_101) for plane in image]
    )


def hair() -> Picture:
    """How much of each pixel a bright hair covers, (1, h, w)."""
    alpha = np.zeros((1, HEIGHT, WIDTH), np.float32)
    alpha[..., HAIR] = 1
    return np.stack([cv2.GaussianBlur(alpha[0], (0, 0), 0.7)])


def frames(channels: int, squared: bool) -> tuple[Picture, Picture, Picture]:
    """The truth, the frame focused on the hair, and the frame focused on the ground."""
    ground, alpha = texture(channels), hair()
    light = ground * ground if squared else ground
    away = RADIUS * (FAR - NEAR)
    veil = blurred(alpha, away)
    truth, front, back = (
        share * np.float32(0.9) + (1 - share) * under
        for share, under in ((alpha, light), (alpha, blurred(light, away)), (veil, light))
    )
    return tuple(np.sqrt(each) if squared else each for each in (truth, front, back))  # type: ignore[return-value]


def seen_depth(reach: int = 5) -> tuple[Picture, Picture]:
    """Depth as a focus measure sees it, fat around the hair, and its energy."""
    depth = np.full((HEIGHT, WIDTH), FAR, np.float32)
    depth[:, HAIR.start - reach : HAIR.stop + reach] = NEAR
    energy = np.full((HEIGHT, WIDTH), 100 * FLOOR, np.float32)
    energy[depth == NEAR] = 1000 * FLOOR
    return depth, energy


def stepped(backend: Backend[Any], depth: Picture, energy: Picture, inner: slice = WHOLE) -> Steps[Picture]:
    found = backend.steps(backend.upload(depth), backend.upload(energy), FLOOR, inner)
    return Steps(*(backend.download(plane) for plane in (found.near, found.far, found.side)))


def given(backend: Backend[Any], channels: int, squared: bool, fitting: Picture | None = None) -> Beside[Any]:
    """The hair's frames; the picture is soft beside it."""
    truth, front, back = frames(channels, squared)
    if fitting is not None:
        back = fitting
    steps = stepped(backend, *seen_depth())
    picture = np.where(steps.side == FRONT, front, truth)
    ones = np.ones((HEIGHT, WIDTH), np.float32)
    near, far = (Mix(backend.upload(each), backend.upload(ones)) for each in (front, back))
    planes = Steps(*(backend.upload(plane) for plane in (steps.near, steps.far, steps.side)))
    return Beside(backend.upload(np.ascontiguousarray(picture, np.float32)), near, far, planes)


@pytest.mark.parametrize("radius", [radius for radius in DISK_RADII if radius])
def test_a_disk_has_the_variance_of_its_radius(radius: float) -> None:
    kernel = disk(radius)
    across = np.arange(len(kernel)) - len(kernel) // 2
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert (kernel.sum(axis=0) * across**2).sum() == pytest.approx(radius**2 / 4, rel=0.03)


def test_a_step_is_found_from_both_sides(backend: Backend[Any]) -> None:
    depth, energy = seen_depth()
    steps = stepped(backend, depth, energy)
    assert (steps.side[depth == NEAR] == FRONT).all()
    beside = steps.side == GROUND
    assert beside.any()
    assert (depth[beside] == FAR).all()
    assert (steps.near[steps.side > 0] == NEAR).all()
    assert (steps.far[steps.side > 0] == FAR).all()
    assert not steps.side[:, : HAIR.start - 5 - STEP_REACH_PX - 2].any()


def test_a_slope_is_no_step(backend: Backend[Any]) -> None:
    depth = np.broadcast_to(np.linspace(0, 20, WIDTH, dtype=np.float32), (HEIGHT, WIDTH))
    assert not stepped(backend, np.ascontiguousarray(depth), np.full_like(depth, 100 * FLOOR)).side.any()


def test_what_is_hardly_seen_is_no_ground(backend: Backend[Any]) -> None:
    """The rim of a blurred edge has little energy beside the edge itself."""
    depth, energy = seen_depth()
    energy[depth == FAR] = 9 * FLOOR
    energy[depth == NEAR] = 2000 * FLOOR
    assert not stepped(backend, depth, energy).side.any()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("squared", [False, True], ids=["linear", "coded"])
def test_the_ground_appears_beside_a_hair(backend: Backend[Any], channels: int, squared: bool) -> None:
    beside = given(backend, channels, squared)
    truth = frames(channels, squared)[0]
    looked = backend.look_behind(beside, Optics(RADIUS, NOISE, squared), WHOLE)
    found, before = backend.download(looked.picture), backend.download(beside.picture)
    assert psnr(found, truth) > psnr(before, truth) + 6
    share = backend.download(looked.bare)
    assert share[:, HAIR.start + 1 : HAIR.stop - 1].max() < 0.2
    assert share[:, HAIR.stop + 2 : HAIR.stop + 4].mean() > 0.7


@pytest.mark.parametrize("kept", [0.5, 1.0], ids=["shunned", "taken as it is"])
def test_on_the_grounds_side_the_veil_goes_where_the_picture_shuns_it(
    backend: Backend[Any], kept: float
) -> None:
    """A picture that is half the veiled frame becomes the ground; one that is that frame stays."""
    truth, front, back = frames(3, False)
    steps = stepped(backend, *seen_depth(reach=1))
    beside = replace(
        given(backend, 3, False), steps=Steps(*map(backend.upload, (steps.near, steps.far, steps.side)))
    )
    picture = np.where(steps.side == FRONT, front, kept * back + (1 - kept) * truth).astype(np.float32)
    optics = Optics(RADIUS, NOISE, coded=False)
    found = backend.download(
        backend.look_behind(replace(beside, picture=backend.upload(picture)), optics, WHOLE).picture
    )
    veiled = slice(HAIR.stop + 3, HAIR.stop + 6)
    gained = psnr(found[..., veiled], truth[..., veiled]) - psnr(picture[..., veiled], truth[..., veiled])
    assert gained > 5 if kept < 1 else abs(gained) < 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("squared", [False, True], ids=["linear", "coded"])
def test_every_backend_gives_the_cpus_picture(backend: Backend[Any], channels: int, squared: bool) -> None:
    """Planes of steps to the bit; the picture within rounding, and what follows from ratios nearly so."""
    cpu, optics = Cpu(1), Optics(RADIUS, NOISE, squared)
    for name in Steps.__slots__:
        mine, theirs = (getattr(stepped(each, *seen_depth()), name) for each in (backend, cpu))
        np.testing.assert_array_equal(mine, theirs)
    found, wanted = (
        each.look_behind(given(each, channels, squared), optics, WHOLE) for each in (backend, cpu)
    )
    for name, bound in (("picture", 1e-6), ("bare", 1e-5), ("fits", 1e-5)):
        mine = backend.download(getattr(found, name))
        np.testing.assert_allclose(mine, getattr(wanted, name), rtol=0, atol=bound)


def test_the_picture_stays_where_nothing_fits(backend: Backend[Any]) -> None:
    """A frame that is not the ground's shows something else."""
    other = np.clip(texture(1)[:, ::-1] * 0.3, 0, 1)
    beside = given(backend, 1, False, fitting=np.ascontiguousarray(other))
    before = backend.download(beside.picture)
    found = backend.download(backend.look_behind(beside, Optics(RADIUS, NOISE, coded=False), WHOLE).picture)
    assert np.abs(found - before).mean() < 1e-3


def test_nothing_is_put_in_where_frames_are_missing(backend: Backend[Any]) -> None:
    beside = given(backend, 1, False)
    none = Mix(beside.far.mean, backend.full((HEIGHT, WIDTH), 0.0, "float32"))
    found = backend.look_behind(replace(beside, far=none), Optics(RADIUS, NOISE, coded=False), WHOLE).picture
    np.testing.assert_array_equal(backend.download(found), backend.download(beside.picture))


def test_rows_with_their_halo_are_those_of_the_whole(backend: Backend[Any]) -> None:
    rows = slice(86, 100)
    depth, energy = seen_depth()
    cut = slice(rows.start - steps_halo(), rows.stop + steps_halo())
    inner = slice(steps_halo(), steps_halo() + 14)
    part = stepped(backend, depth[cut].copy(), energy[cut].copy(), inner)
    np.testing.assert_array_equal(part.side, stepped(backend, depth, energy).side[rows])
    beside, optics = given(backend, 3, True), Optics(RADIUS, NOISE, coded=True)
    whole = backend.download(backend.look_behind(beside, optics, WHOLE).picture)
    cut = slice(rows.start - behind_halo(), rows.stop + behind_halo())
    planes = beside.steps.near, beside.steps.far, beside.steps.side
    few = [backend.rows(each, cut) for each in (beside.picture, *planes)]
    front, back = (
        Mix(backend.rows(mix.mean, cut), backend.rows(mix.total, cut)) for mix in (beside.near, beside.far)
    )
    inner = slice(behind_halo(), behind_halo() + 14)
    found = backend.look_behind(Beside(few[0], front, back, Steps(*few[1:])), optics, inner).picture
    np.testing.assert_array_equal(backend.download(found), whole[:, rows])
