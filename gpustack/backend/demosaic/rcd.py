"""Demosaicking by ratio correction, along the direction in which the mosaic is smooth.

Source: L. Sanz Rodriguez, "Ratio corrected demosaicing" (RCD, 2017), version 2.3; written anew from what the
method does:

1. The power of a high-pass (1 -3 -1 6 -1 -3 1) along columns and along rows tells in which direction the
   mosaic is smooth; where the mean of the diagonal neighbours is surer of that, it decides.
2. Green at red and blue: in each of four directions the green beside, times the ratio of low-passed light
   here and two pixels away. Opposite directions are weighted by the inverse of their gradients, and the two
   axes by what 1 says.
3. Red at blue and blue at red: by their difference to green, in the same way along the two diagonals.
4. Red and blue at green: by their difference to green, in the same way along columns and rows.

Light is in whole numbers, so that sums of it are exact; all other sums are made in the order of
kernels/rcd.cu, and both give the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from gpustack.backend.demosaic.phases import DIAGONALS, SITES, Phases, Plane, Rounded, Step, times
from gpustack.model.mosaic import BLUE, GREEN, RED, Sites

MARGIN = 7
"""Cells that are read around."""

LEAST = np.float32(0.65)
"""Added to gradients and to light, of 65535: what is smaller is no difference. 1e-5, as in the original."""

LEAST_POWER = np.float32(0.42)
"""The same of the power of a high-pass: its square."""

_STRAIGHT: tuple[Step, Step] = ((1, 0), (0, 1))
_OBLIQUE: tuple[Step, Step] = ((1, 1), (1, -1))
_QUARTER, _HALF = np.float32(0.25), np.float32(0.5)

_Side = tuple[Plane, Plane]
"""On one side of a pixel: how much changes there, and what a colour would be by it."""


def colours_of(light: Phases, colours: Sites, white: int) -> list[list[Rounded]]:
    """Red, green and blue (m, n) uint16 at each site, of light in whole numbers up to `white`."""
    odd = [site for site in SITES if colours[site] != GREEN]
    straight = _unrest(light, SITES, _STRAIGHT, 4)
    green = _green(light, odd, straight, white)
    oblique = _unrest(light, odd, _OBLIQUE, 3)
    opposite = Phases.of(odd, lambda at: _by_difference(light, _Spot.of(at, green, oblique, _OBLIQUE, 2)), 2)
    found = [{GREEN: green.at(site)} for site in SITES]
    known = {colour: _known(light, opposite, colours, colour) for colour in (RED, BLUE)}
    for site in SITES:
        spot = None if site in odd else _Spot.of(site, green, straight, _STRAIGHT, 0)
        for colour, there in known.items():
            found[site][colour] = there.at(site) if spot is None else _by_difference(there, spot)
    return [[_rounded(here[colour], white) for colour in (RED, GREEN, BLUE)] for here in found]


def _unrest(light: Phases, sites: Sequence[int], axes: tuple[Step, Step], margin: int) -> Phases:
    """The share of the first axis in the power of high-passes along both, 0 to 1."""

    def powers(step: Step) -> Phases:
        return Phases.of(sites, lambda at: _power(light, at, step, margin + 1), margin + 1)

    one, other = (powers(step) for step in axes)

    def share(site: int) -> Plane:
        first, second = _summed(one, site, axes[0], margin), _summed(other, site, axes[1], margin)
        second += first
        return np.divide(first, second, out=first)

    return Phases.of(sites, share, margin)


def _power(light: Phases, site: int, step: Step, margin: int) -> Plane:
    """The square of a high-pass."""
    one, two, three = (  # pixels away
        light.at(site, times(step, -k), margin) + light.at(site, times(step, k), margin) for k in (1, 2, 3)
    )
    three -= one
    three -= np.multiply(two, np.float32(3), out=two)
    three += np.multiply(light.at(site, margin=margin), np.float32(6), out=one)
    three *= three
    return three


def _summed(power: Phases, site: int, step: Step, margin: int) -> Plane:
    """The power here and on both sides."""
    total = power.at(site, times(step, -1), margin) + power.at(site, margin=margin)
    total += power.at(site, step, margin)
    np.maximum(total, LEAST_POWER, out=total)
    return total


def _surer(share: Phases, site: int, margin: int) -> Plane:
    """A share, or the mean of those of the diagonal neighbours, whichever is farther from a half."""
    a, b, c, d = (share.at(site, step, margin) for step in DIAGONALS)
    around, own = a + b, share.at(site, margin=margin)
    around += c + d
    around *= _QUARTER
    np.copyto(around, own, where=_apart_from_half(around) <= _apart_from_half(own))
    return around


def _apart_from_half(share: Plane) -> Plane:
    apart = share - _HALF
    return np.abs(apart, out=apart)


def _green(light: Phases, odd: Sequence[int], straight: Phases, white: int) -> Phases:
    """Green at all sites, where it is the mosaic's as the light is; three cells around."""
    low = Phases.of(odd, lambda site: _low(light, site, 4), 4)

    def found(site: int) -> Plane:
        if site not in odd:
            return light.at(site, margin=3)
        down, across = (_between(*_by_ratio(light, low, site, step, 3)) for step in _STRAIGHT)
        green = _blended(down, across, _surer(straight, site, 3))
        return np.clip(green, 0, white, out=green)

    return Phases.of(SITES, found, 3)


def _low(light: Phases, site: int, margin: int) -> Plane:
    """Low-passed light, four times: 1 2 1 along columns and rows, over 4; exact."""
    beside = [light.at(site, step, margin) for step in ((-1, 0), (1, 0), (0, -1), (0, 1))]
    diagonal = [light.at(site, step, margin) for step in DIAGONALS]
    total: Plane = (beside[0] + beside[1]) + (beside[2] + beside[3])
    total *= _HALF
    corners = (diagonal[0] + diagonal[1]) + (diagonal[2] + diagonal[3])
    corners *= _QUARTER
    total += corners
    total += light.at(site, margin=margin)
    return total


def _by_ratio(light: Phases, low: Phases, site: int, step: Step, margin: int) -> tuple[_Side, _Side]:
    """Green on both sides along a step: the green beside, times how much brighter it is here."""
    line = {k: light.at(site, times(step, k), margin) for k in range(-4, 5)}
    across = _apart(line[-1], line[1])
    here = low.at(site, margin=margin)
    twice, base = here + here, here + LEAST

    def side(way: int) -> _Side:
        change = _apart(line[0], line[2 * way])
        change += _apart(line[way], line[3 * way])
        change += _apart(line[2 * way], line[4 * way])
        change += across
        change += LEAST
        green = line[way] * twice
        green /= base + low.at(site, times(step, 2 * way), margin)
        return change, green

    return side(-1), side(1)


@dataclass(frozen=True, slots=True)
class _Spot:
    """A site where a colour is looked for, with so many cells around: green there and nearby, the share of
    the first of two axes, and how much green changes on each side along them."""

    site: int
    margin: int
    green: Phases
    axes: tuple[Step, Step]
    share: Plane
    changes: Mapping[tuple[Step, int], Plane]

    @classmethod
    def of(cls, site: int, green: Phases, unrest: Phases, axes: tuple[Step, Step], margin: int) -> _Spot:
        own = green.at(site, margin=margin)
        changes = {
            (step, way): _apart(own, green.at(site, times(step, 2 * way), margin))
            for step in axes
            for way in (-1, 1)
        }
        return cls(site, margin, green, axes, _surer(unrest, site, margin), changes)

    def on(self, plane: Phases, step: Step, count: int) -> Plane:
        """So many steps away."""
        return plane.at(self.site, times(step, count), self.margin)


def _known(light: Phases, opposite: Phases, colours: Sites, colour: int) -> Phases:
    """A colour at red and blue."""
    return Phases(
        {at: (light if colours[at] == colour else opposite).at(at, margin=2) for at in opposite.planes}, 2
    )


def _by_difference(known: Phases, spot: _Spot) -> Plane:
    """A colour that is known on both sides along two axes, by how it differs from green there."""

    def side(step: Step, way: int, across: Plane) -> _Side:
        beside = spot.on(known, step, way)
        change = _apart(beside, spot.on(known, step, 3 * way))
        change += across
        change += spot.changes[step, way]
        change += LEAST
        return change, beside - spot.on(spot.green, step, way)

    def along(step: Step) -> Plane:
        across = _apart(spot.on(known, step, -1), spot.on(known, step, 1))
        return _between(side(step, -1, across), side(step, 1, across))

    difference = _blended(along(spot.axes[0]), along(spot.axes[1]), spot.share)
    difference += spot.green.at(spot.site, margin=spot.margin)
    return difference


def _between(before: _Side, after: _Side) -> Plane:
    """The mean of two sides, each weighted by the change on the other."""
    total = before[0] * after[1]
    total += after[0] * before[1]
    total /= before[0] + after[0]
    return total


def _blended(first: Plane, second: Plane, share: Plane) -> Plane:
    """From the first to the second, by the share of the first axis in the unrest."""
    second -= first
    second *= share
    first += second
    return first


def _apart(a: Plane, b: Plane) -> Plane:
    return np.asarray(cv2.absdiff(a, b))


def _rounded(plane: Plane, white: int) -> Rounded:
    return np.clip(np.rint(plane), 0, white).astype(np.uint16)
