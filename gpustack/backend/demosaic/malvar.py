"""Demosaicking by fixed filters of 5x5: bilinear, corrected by the curvature of the pixel's own colour.

Source: H. S. Malvar, L. He, R. Cutler, "High-quality linear interpolation for demosaicing of Bayer-patterned
color images", ICASSP 2004. All weights are sixteenths and all samples whole numbers, so every sum is exact in
float32, in whatever order it is made.
"""

from __future__ import annotations

import cv2
import numpy as np

from gpustack.backend.demosaic.phases import DIAGONALS, SITES, Phases, Plane, Rounded, Step, times
from gpustack.model.mosaic import BLUE, GREEN, RED, Sites

MARGIN = 1
"""Cells that are read around."""


def colours_of(light: Phases, colours: Sites, white: int) -> list[list[Rounded]]:
    """Red, green and blue (m, n) uint16 at each site, of light in whole numbers up to `white`."""
    found = []
    for site in SITES:
        here = _at_green(light, colours, site) if colours[site] == GREEN else _at_other(light, colours, site)
        found.append([np.minimum(here[colour], np.uint16(white)) for colour in (RED, GREEN, BLUE)])
    return found


def _at_green(light: Phases, colours: Sites, site: int) -> dict[int, Rounded]:
    """Of red, when it lies beside: 8 R = 5 G - diagonal greens - greens two away that way + half of the
    others two away + 4 reds."""
    own, diagonal = light.at(site), _diagonal(light, site)
    across, down = _beside(light, site, (0, 2)), _beside(light, site, (2, 0))
    found = {GREEN: own.astype(np.uint16)}
    for other, step, along, over in ((site ^ 1, (0, 1), across, down), (site ^ 2, (1, 0), down, across)):
        curve = cv2.subtract(cv2.addWeighted(own, 5, over, 0.5, 0), cv2.add(diagonal, along))
        found[colours[other]] = _mixed(curve, 1 / 8, _beside(light, site, step), 4 / 8)
    return found


def _at_other(light: Phases, colours: Sites, site: int) -> dict[int, Rounded]:
    """At red: 8 G = 4 R - reds two away + 2 greens; 8 B = 6 R - 1.5 reds two away + 2 diagonal blues."""
    own = light.at(site)
    far = cv2.add(_beside(light, site, (0, 2)), _beside(light, site, (2, 0)))
    greens = cv2.add(_beside(light, site, (0, 1)), _beside(light, site, (1, 0)))
    curve = cv2.addWeighted(own, 4 / 8, far, -1 / 8, 0)
    return {
        colours[site]: own.astype(np.uint16),
        GREEN: _mixed(curve, 1, greens, 2 / 8),
        RED + BLUE - colours[site]: _mixed(curve, 1.5, _diagonal(light, site), 2 / 8),
    }


def _beside(light: Phases, site: int, step: Step) -> Plane:
    """The sum of both neighbours along a step."""
    return cv2.add(light.at(site, step), light.at(site, times(step, -1)))


def _diagonal(light: Phases, site: int) -> Plane:
    """The sum of the four diagonal neighbours."""
    a, b, c, d = (light.at(site, step) for step in DIAGONALS)
    return cv2.add(cv2.add(a, b), cv2.add(c, d))


def _mixed(a: Rounded, weight: float, b: Plane, other: float) -> Rounded:
    """a * weight + b * other, rounded half to even, 0 to 65535."""
    return cv2.addWeighted(a, weight, b, other, 0, dtype=cv2.CV_16U)
