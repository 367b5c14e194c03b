"""What alignment keeps of a frame: band-passed levels, and their strongest pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from gpustack.backend.protocol import Backend
from gpustack.backend.values import Samples

COARSEST = 32
"""Shorter side of the coarsest level, in pixels: a shift of a sixth of the picture is then a few pixels."""

BAND_SIGMA_PX = 4.0
"""Width of the band-pass on each level: wider than the blur difference of neighbours, narrower than
vignetting."""

EVEN_SIGMA_PX = 2 * BAND_SIGMA_PX
"""Window in which contrast is evened out: wide enough to hold some of the band's widest waves."""

SAMPLES = 25_000
"""Pixels looked at on a level, at most, and never more than a quarter of it: a motion has at most eight
parameters, and the strongest edges hold nearly all that is known of them
(bench/results/choices-alignment.json: twice as many cost more and are hardly better)."""


FEW = 3000
"""So many of the samples are looked at, about, until a match settles; and then all of them once. A level on
the way to a finer one need not be better than that."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One frame as alignment sees it: band-passed levels, coarsest first, and samples of each, which are
    chosen when they are first asked for. `sizes` are those of the levels, (width, height)."""

    planes: list[Any]
    sizes: list[tuple[int, int]]
    _chosen: dict[tuple[int, int], Samples[Any]] = field(default_factory=dict)

    def samples(self, backend: Backend[Any], level: int, *, few: bool) -> Samples[Any]:
        """All samples of a level, or a `few` of them; in any thread."""
        count = self._count(level)
        every = max(1, round(count / FEW)) if few else 1
        found = self._chosen.get((level, every))
        if found is None:
            found = self._chosen[level, every] = backend.samples(self.planes[level], count, every)
        return found

    def _count(self, level: int) -> int:
        width, height = self.sizes[level]
        return max(1, min(SAMPLES, width * height // 4))

    def thins(self, level: int) -> bool:
        """Whether the few samples of a level are fewer than all."""
        return round(self._count(level) / FEW) > 1


def see(
    backend: Backend[Any],
    luma: Any,
    size: tuple[int, int],
    levels: int | None = None,
    *,
    linear: bool = False,
) -> Sight:
    """Prepare a frame's luma plane, of `size` (width, height), for alignment.

    Frames that are matched need as many `levels`; without, they are as many as the size allows. They are
    matched as light, which values are already if `linear`. Lenses blur light: there an edge stays in the
    middle of its blur; coded, it moves to its dark side, the further, the more it is blurred.

    As light, bright places have more contrast than dark ones, and would drown them: it is evened out, as
    the eye does (local contrast normalisation; Heeger, "Normalization of cell responses in cat striate
    cortex", Visual Neuroscience 9, 1992).
    """
    light = luma if linear else backend.to_light(luma)
    planes, sizes = [light, backend.reduce(light)], [size]
    while len(sizes) < levels if levels is not None else min(sizes[-1]) >= 2 * COARSEST:
        planes.append(backend.reduce(planes[-1]))
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    pairs = list(pairwise(planes))
    passed = [backend.band_pass(plane, coarse, BAND_SIGMA_PX) for plane, coarse in reversed(pairs)]
    sight = Sight([backend.even_out(plane, EVEN_SIGMA_PX) for plane in passed], sizes[::-1])
    for level in range(len(sizes)):  # what every match asks for, while other frames are matched
        sight.samples(backend, level, few=level < len(sizes) - 1)
    return sight
