"""The colours between a mosaic's filters, beside the formulas of the methods, pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from gpustack.backend.cpu import Cpu
from gpustack.backend.demosaic import develop
from gpustack.backend.demosaic.develop import developed
from gpustack.model.mosaic import BLUE, GREEN, PATTERNS, RED, Mosaic, Sites
from gpustack.settings import Demosaic

Picture = npt.NDArray[Any]
OWN = sorted(develop.WAYS)
BLACK, GAIN = (100, 200, 300, 400), (2.5, 1.25, 1.5, 1.75)

every_phase = pytest.mark.parametrize("colours", sorted(PATTERNS))
every_way = pytest.mark.parametrize("way", OWN)


def plain(colours: Sites, way: Demosaic) -> Mosaic:
    """No black, no gain."""
    return Mosaic(colours, (0, 0, 0, 0), (1.0, 1.0, 1.0, 1.0), way)


def colours_of(colours: Sites, shape: tuple[int, ...]) -> Picture:
    """The filter of each pixel."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.asarray(np.array(colours)[y % 2 * 2 + x % 2])


def mosaic_of(picture: Picture, colours: Sites) -> Picture:
    """What a sensor sees of a picture (h, w, 3)."""
    filters = colours_of(colours, picture.shape)
    return np.take_along_axis(picture, filters[..., None], axis=2)[..., 0].astype(np.uint16)


def scene(height: int, width: int) -> Picture:
    """Smooth colours, a disk, slanted stripes of two pixels and noise; (h, w, 3), some of it burnt out."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    light = np.stack([9000 + 300 * x, 12000 + 250 * y, 20000 - 100 * x + 90 * y], axis=-1)
    light[(y - height / 2) ** 2 + (x - width / 3) ** 2 < height] = (50000, 20000, 9000)
    light *= 1 + 0.5 * (np.sin((x + 0.4 * y) * 1.6) > 0.3)[..., None]
    light[:5, -9:] = 70000
    light += np.random.default_rng(3).normal(0, 60, light.shape)
    return np.asarray(np.clip(np.rint(light), 0, 65535))


def by_malvar(light: Picture, colours: Sites) -> Picture:
    """The paper's filters, in float64 over the whole mosaic."""
    green = np.array(
        [[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]]
    )
    across = np.array(
        [[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0], [0, 0, 0.5, 0, 0]]
    )
    opposite = np.array(
        [[0, 0, -1.5, 0, 0], [0, 2, 0, 2, 0], [-1.5, 0, 6, 0, -1.5], [0, 2, 0, 2, 0], [0, 0, -1.5, 0, 0]]
    )
    filters = colours_of(colours, light.shape)
    plane = light.astype(np.float64)

    def filtered(weights: Picture) -> Picture:
        return np.asarray(cv2.filter2D(plane, -1, weights / 8, borderType=cv2.BORDER_REFLECT_101))

    out = np.empty((*light.shape, 3))
    out[..., GREEN] = np.where(filters == GREEN, light, filtered(green.astype(float)))
    for colour in (RED, BLUE):
        in_row = (filters == colour).any(axis=1)[:, None]
        beside = np.where(in_row, filtered(across), filtered(across.T))
        other = np.where(filters == GREEN, beside, filtered(opposite))
        out[..., colour] = np.where(filters == colour, light, other)
    return np.clip(np.rint(out), 0, 65535)


class Rcd:
    """Ratio corrected demosaicing of one pixel at a time, in Python's floats."""

    def __init__(self, light: Picture, colours: Sites) -> None:
        self.height, self.width = light.shape
        self.reach = 12
        self.light = np.pad(light.astype(float), self.reach, "reflect")
        self.colours = colours
        self.kept: dict[Any, float] = {}

    def filter_at(self, y: int, x: int) -> int:
        return self.colours[y % 2 * 2 + x % 2]

    def at(self, y: int, x: int) -> float:
        return float(self.light[y + self.reach, x + self.reach])

    def once(self, what: Callable[..., float], *where: Any) -> float:
        key = (what.__name__, *where)
        if key not in self.kept:
            self.kept[key] = what(*where)
        return self.kept[key]

    def power(self, y: int, x: int, v: int, u: int) -> float:
        weights = {-3: 1, -2: -3, -1: -1, 0: 6, 1: -1, 2: -3, 3: 1}
        return sum(weight * self.at(y + k * v, x + k * u) for k, weight in weights.items()) ** 2

    def share(self, y: int, x: int, first: tuple[int, int], second: tuple[int, int]) -> float:
        sums = [
            max(0.42, sum(self.once(self.power, y + k * v, x + k * u, v, u) for k in (-1, 0, 1)))
            for v, u in (first, second)
        ]
        return sums[0] / sum(sums)

    def surer(self, y: int, x: int, first: tuple[int, int], second: tuple[int, int]) -> float:
        own = self.once(self.share, y, x, first, second)
        diagonal = [self.once(self.share, y + v, x + u, first, second) for v in (-1, 1) for u in (-1, 1)]
        around = sum(diagonal) / 4
        return around if abs(own - 0.5) < abs(around - 0.5) else own

    def low(self, y: int, x: int) -> float:
        near = {0: 2, 1: 1, -1: 1}
        return sum(a * b * self.at(y + v, x + u) for v, a in near.items() for u, b in near.items()) / 4

    def blend(self, sides: list[list[tuple[float, float]]], share: float) -> float:
        """Sides of each axis: how much changes, and a value."""
        axes = [(a[0] * b[1] + b[0] * a[1]) / (a[0] + b[0]) for a, b in sides]
        return share * axes[1] + (1 - share) * axes[0]

    def green(self, y: int, x: int) -> float:
        if self.filter_at(y, x) == GREEN:
            return self.at(y, x)
        sides = []
        for v, u in ((1, 0), (0, 1)):
            line = {k: self.at(y + k * v, x + k * u) for k in range(-4, 5)}
            here = self.once(self.low, y, x)
            axis = []
            for way in (-1, 1):
                steps = ((-way, way), (0, 2 * way), (way, 3 * way), (2 * way, 4 * way))
                change = 0.65 + sum(abs(line[a] - line[b]) for a, b in steps)
                there = self.once(self.low, y + 2 * way * v, x + 2 * way * u)
                axis.append((change, line[way] * 2 * here / (0.65 + here + there)))
            sides.append(axis)
        return min(max(self.blend(sides, self.surer(y, x, (1, 0), (0, 1))), 0.0), 65535.0)

    def colour(self, y: int, x: int, colour: int) -> float:
        own = self.filter_at(y, x)
        if colour == GREEN:
            return self.once(self.green, y, x)
        if own == colour:
            return self.at(y, x)
        axes = ((1, 0), (0, 1)) if own == GREEN else ((1, 1), (1, -1))
        here, sides = self.once(self.green, y, x), []
        for v, u in axes:
            line = {k: self.once(self.colour, y + k * v, x + k * u, colour) for k in (-3, -1, 1, 3)}
            axis = []
            for way in (-1, 1):
                change = 0.65 + abs(here - self.once(self.green, y + 2 * way * v, x + 2 * way * u))
                change += abs(line[-1] - line[1]) + abs(line[way] - line[3 * way])
                axis.append((change, line[way] - self.once(self.green, y + way * v, x + way * u)))
            sides.append(axis)
        return here + self.blend(sides, self.surer(y, x, *axes))

    def picture(self) -> Picture:
        rows = [
            [[self.colour(y, x, colour) for colour in range(3)] for x in range(self.width)]
            for y in range(self.height)
        ]
        return np.clip(np.rint(rows), 0, 65535)


@every_phase
@pytest.mark.parametrize("size", [(20, 26), (21, 33)])
def test_malvar_is_that_of_the_paper(colours: Sites, size: tuple[int, int]) -> None:
    mosaic = mosaic_of(scene(*size), colours)
    found = developed(mosaic, plain(colours, Demosaic.MALVAR))
    np.testing.assert_array_equal(found, by_malvar(mosaic, colours))


@every_phase
def test_ratio_correction_is_that_of_its_formulas(colours: Sites) -> None:
    mosaic = mosaic_of(scene(26, 23), colours)
    found = developed(mosaic, plain(colours, Demosaic.RCD)).astype(int)
    away = np.abs(found - Rcd(mosaic, colours).picture())
    # Where two choices are equally good, rounding may tip the balance.
    assert np.mean(away > 1) < 0.002
    assert np.median(away) == 0


@every_way
@every_phase
def test_measured_colours_stay_and_levels_are_taken_off(way: Demosaic, colours: Sites) -> None:
    samples = np.random.default_rng(1).integers(0, 30000, (34, 41)).astype(np.uint16)
    found = developed(samples, Mosaic(colours, BLACK, GAIN, way))
    y, x = np.mgrid[:34, :41]
    site = y % 2 * 2 + x % 2
    light = np.maximum(samples.astype(int) - np.array(BLACK)[site], 0) * np.array(GAIN)[site]
    own = np.take_along_axis(found, colours_of(colours, samples.shape)[..., None], axis=2)[..., 0]
    np.testing.assert_array_equal(own, np.minimum(np.rint(light), 65535))


@every_way
@every_phase
def test_even_colours_stay_even_up_to_the_edge(way: Demosaic, colours: Sites) -> None:
    even = np.empty((24, 31, 3))
    even[:] = (40000, 9000, 21000)
    found = developed(mosaic_of(even, colours), plain(colours, way))
    assert np.abs(found - even).max() <= 1


@every_way
def test_a_gray_slope_stays_gray(way: Demosaic) -> None:
    y, x = np.mgrid[:40, :60]
    slope = np.repeat((5000 + 300 * y + 500 * x)[..., None], 3, axis=2)
    found = developed(mosaic_of(slope, (0, 1, 1, 2)), plain((0, 1, 1, 2), way)).astype(float)
    assert np.abs(found - slope)[6:-6, 6:-6].max() <= 0.001 * slope.max()


@every_way
def test_burnt_out_light_is_white_and_its_rim_has_no_colour(way: Demosaic) -> None:
    """A gray lamp behind filters that let through a half, all, and three fifths, then balanced."""
    y, x = np.mgrid[:64, :64]
    gray = 70000 * np.exp(-(((y - 32) ** 2 + (x - 31) ** 2) / 300.0)) * 2 + 500
    sensed = np.minimum(gray[..., None] * (0.5, 1.0, 0.6), 65535)
    samples = mosaic_of(sensed, (0, 1, 1, 2))
    found = developed(samples, Mosaic((0, 1, 1, 2), (0,) * 4, (2.0, 1.0, 1.0, 1 / 0.6), way)).astype(float)
    assert (found[gray > 1.4 * 65535] == 65535).all()
    assert np.ptp(found, axis=2).max() < 0.02 * 65535


@every_way
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2), (3, 7), (50, 37)])
def test_tiles_do_not_show(way: Demosaic, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.random.default_rng(2).integers(0, 65536, size).astype(np.uint16)
    whole = developed(samples, plain((1, 0, 2, 1), way))
    assert whole.shape == (*size, 3)
    monkeypatch.setattr(develop, "TILE", (16, 24))
    np.testing.assert_array_equal(developed(samples, plain((1, 0, 2, 1), way)), whole)


@every_way
def test_the_cpu_backend_develops(way: Demosaic) -> None:
    samples = np.random.default_rng(2).integers(0, 65536, (12, 14)).astype(np.uint16)
    mosaic = Mosaic((1, 2, 0, 1), BLACK, GAIN, way)
    np.testing.assert_array_equal(Cpu(1).develop(samples[..., None], mosaic), developed(samples, mosaic))
