"""Cases of steps.cu, cover.cu, veil.cu and behind.cu."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gpustack.backend.gpu.backend import Gpu
from gpustack.backend.gpu.tensor import Tensor
from gpustack.backend.values import DISK_RADII, FRONT, GROUND, SEEN_NOISE, Beside, Mix, Optics, Steps
from tests.kernels import reference
from tests.kernels import reference_beside as plain
from tests.kernels.reference import Array, F
from tests.kernels.registry import Pairs, Shape, case

FLOOR = 1e-3
FARTHEST = 18.0


def patches(generator: np.random.Generator, shape: Shape, values: tuple[float, ...], side: int) -> Array:
    """A plane of squares, each of one of the values."""
    few = generator.choice(np.array(values, F), [-(-length // side) for length in shape])
    return np.ascontiguousarray(np.repeat(np.repeat(few, side, axis=0), side, axis=1)[: shape[0], : shape[1]])


@case("surely_seen", "step_sides")
def steps(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    """Depths in squares with a slope over them; some pixels are no more than noise, or beside stronger
    ones."""
    for side in (5, 9, 14):
        slope = np.linspace(0, 1, shape[1], dtype=F)
        depth = patches(generator, shape, (2.0, 9.0, FARTHEST), side) + slope
        energy = patches(generator, shape, (5.0, 20.0, 20.0, 4000.0), 7) * F(FLOOR)
        energy *= generator.uniform(0.9, 1.1, shape).astype(F)
        energy[generator.random(shape) < 0.01] = F(SEEN_NOISE * FLOOR)
        inner = slice(shape[0] // 3, shape[0])
        found = gpu.steps(gpu.upload(depth), gpu.upload(energy), FLOOR, inner)
        wanted = plain.stepped(depth, energy, FLOOR)
        assert min(shape) < 35 or set(np.unique(wanted.side)) == {0, GROUND, FRONT}
        for name in Steps.__slots__:
            yield gpu.download(getattr(found, name)), getattr(wanted, name)[inner]


def strip(generator: np.random.Generator, channels: int, shape: Shape, optics: Optics) -> Beside[Array]:
    """Bright things of three pixels before a soft ground, with zones around them where they may be; in the
    frame that has the ground in focus their blur lies over it, by a distance that changes from place to
    place, and in the picture as well, here and there. A corner does not fit that, one was seen by no
    frame."""
    code = plain.Code(optics.coded)
    thing = patches(generator, shape, (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.7, 1.0), 3)
    near = patches(generator, shape, (0.0, 2.0), 11)
    away = patches(generator, shape, (0.4, 2.5, 4.0, 7.0, FARTHEST, 40.0), 13)
    radius = np.clip(F(optics.radius) * away, F(0), F(DISK_RADII[-1]))
    side = np.where(plain.largest(thing, 2) > 0, FRONT, np.where(plain.largest(thing, 9) > 0, GROUND, 0))
    ground = F(0.5) + reference.blur_each(generator.random((channels, *shape), F) - F(0.5), 1.0) * F(0.3)
    light, bright = code.light(ground), F(0.9)
    veil = plain.spread(thing, radius, plain.disk_blur)
    front = thing * bright + (1 - thing) * np.stack([reference.blur(plane, 2.0) for plane in light])
    back = light + veil * (bright - light)
    shunned = patches(generator, shape, (0.0, 0.2, 0.5, 1.0), 4)
    mixed = shunned * ground + (1 - shunned) * code.coded_of(back)
    picture = np.where(side == FRONT, code.coded_of(front), mixed).astype(F)
    front[:, : shape[0] // 3, : shape[1] // 4] += F(0.2)
    totals = [generator.choice(np.array([0.9, 1.0], F), shape) for _ in range(2)]
    totals[1][: shape[0] // 5, -(shape[1] // 5) :] = 0
    images = (code.coded_of(each).astype(F) for each in (front, back))
    mixes = (Mix(image * total, total) for image, total in zip(images, totals, strict=True))
    return Beside(picture, *mixes, Steps(near, near + away, side.astype(np.uint8)))


def sent(gpu: Gpu, given: Beside[Array]) -> Beside[Tensor]:
    near, far = (Mix(gpu.upload(mix.mean), gpu.upload(mix.total)) for mix in (given.near, given.far))
    planes = (gpu.upload(getattr(given.steps, name)) for name in Steps.__slots__)
    return Beside(gpu.upload(given.picture), near, far, Steps(*planes))


@case(
    *("lay_sides", "plain_sums", "liken", "flood", "block_light", "unveil", "refocus"),
    *("compare", "judge", "lay_zone", "put_in"),
)
def look_behind(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    """Radii from a small one to more than the largest disk; images that are rows of larger ones."""
    for channels, optics in (
        (1, Optics(0.45, 0.002, coded=False)),
        (3, Optics(0.3, 0.002, coded=True)),
        (4, Optics(1.1, 0.01, coded=True)),
    ):
        given = strip(generator, channels, shape, optics)
        held = sent(gpu, given)
        inner = slice(shape[0] // 3, shape[0])
        wanted = plain.looked(given, optics)
        assert min(shape) < 16 or np.mean(wanted.picture != given.picture) > 0.05, "nothing is put in"
        found = gpu.look_behind(held, optics, inner)
        for name in ("picture", "bare", "fits"):
            yield gpu.download(getattr(found, name)), getattr(wanted, name)[..., inner, :]
        taller = gpu.upload(np.pad(given.picture, ((0, 0), (2, 1), (0, 0))))
        view = replace(held, picture=taller.rows(slice(2, 2 + shape[0])))
        yield gpu.download(gpu.look_behind(view, optics, inner).picture), wanted.picture[:, inner]
