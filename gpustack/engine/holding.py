"""What a run holds of the picture's size, in bytes a pixel: while frames come, and while none does.

It follows `gpustack.engine.path` step by step; whoever changes what is alive there changes it here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gpustack.engine.path import Recipe, picture_fold, sharpest_fold
from gpustack.fuse.auto import Auto
from gpustack.fuse.behind import Behind
from gpustack.fuse.depthmap import Blend
from gpustack.fuse.fold import Footprint
from gpustack.fuse.levels import LaplacianFold
from gpustack.fuse.slabs import InSlabs
from gpustack.model.frame import PixelType
from gpustack.model.slab import Slab
from gpustack.settings import Method, Settings

SIGHT = Footprint(0.0, 0.0, 16.0)
"""What a depth map is made from, on the host: four planes."""

PLAIN_SURFACE = Footprint(5.0, 0.0, 12.0)
"""What making the surface takes at its peak beside them, along which a picture is blended: three planes, and
what is filled in at half size and below."""

SURFACE = Footprint(5.0, 0.0, 21.0)
"""The same of one whose depths are settled: two ballots, what may be feigned, and who is asked."""

FOUND = Footprint(0.0, 0.0, 8.0)
"""The surface itself: depth and confidence."""

WINNERS = Footprint(0.0, 0.0, 2.0)
ENERGIES = Footprint(0.0, 0.0, 4.0)

STEPS = Footprint(0.0, 0.0, 9.0)
"""Where depth steps: two planes, and a side."""

NOTHING = Footprint(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Holding:
    """What decides how much is held: `covered`, that every frame is known to cover the canvas; `device`, that
    the work is done on a GPU, which has copies of what lies on the host."""

    settings: Settings
    channels: int
    pixel_type: PixelType
    slabs: tuple[Slab, ...] = ()
    covered: bool = False
    device: bool = False

    @property
    def passing(self) -> tuple[Footprint, ...]:
        """While the frames of each pass come."""
        state, sharpest = self._state, self._sharpest
        match self.settings.method:
            case _ if self.slabs:
                return (_sum(state, sharpest, self._collapsed),)
            case Method.DEPTHMAP:
                return sharpest, _sum(state, FOUND, self._found)
            case Method.AUTO:
                return state, _sum(self._behind, self._picture, self._sight)
            case Method.PYRAMID if self.settings.depth:
                return (state.beside(sharpest),)
            case _:
                return (state,)

    @property
    def between(self) -> tuple[Footprint, ...]:
        """While no frame is there: the surface is made, or the picture."""
        state, sharpest = self._state, self._sharpest
        depth = self.settings.depth
        made = _sum(state, self._picture, WINNERS, self._found)
        match self.settings.method:
            case _ if self.slabs:
                beside = _sum(state, sharpest, SIGHT, SURFACE if depth else NOTHING)
                return (beside, _sum(made, self._collapsed))
            case Method.DEPTHMAP:
                return (
                    sharpest.beside(SIGHT),
                    SIGHT.beside(PLAIN_SURFACE),
                    _sum(SIGHT, SURFACE, FOUND) if depth else NOTHING,
                    _sum(state, FOUND, self._found, self._picture, WINNERS),
                )
            case Method.AUTO:
                return self._between_both
            case Method.PYRAMID:
                _, left = self._left
                kept = left.beside(WINNERS)
                surface = (_sum(kept, sharpest, SIGHT), _sum(kept, SIGHT, SURFACE)) if depth else ()
                told = _sum(state, sharpest if depth else NOTHING, WINNERS)
                return told, *surface, _sum(kept, self._collapsed, self._picture, self._found)
            case Method.AVERAGE:
                return (_sum(state, SIGHT, SURFACE), made) if depth else (made,)

    @property
    def _between_both(self) -> tuple[Footprint, ...]:
        """The same of `auto`: steps are found, the picture is made, the ground put in, the surface made."""
        told, left = self._left
        steps = _sum(WINNERS, self._sight, STEPS)
        surface = _sum(SIGHT, SURFACE, WINNERS, self._picture) if self.settings.depth else NOTHING
        heard = steps if self.settings.depth else steps.beside(ENERGIES)
        picture = _sum(left, steps, self._collapsed, self._picture)
        return told.beside(heard), picture, self.looking, surface

    @property
    def looking(self) -> Footprint:
        """While the second pass of `auto` puts the ground in: the picture before, and after."""
        return _sum(self._behind, self._picture, self._picture, self._sight)

    @property
    def all(self) -> tuple[Footprint, ...]:
        """Every moment that may be the peak."""
        return *self.passing, *self.between

    @property
    def _recipe(self) -> Recipe:
        return Recipe.of(self.settings, 0.0)

    @property
    def _state(self) -> Footprint:
        """That of the fold which makes the picture."""
        fold = picture_fold(self._recipe)
        if self.slabs:
            fold = InSlabs(fold, self.slabs, frozenset(), lambda *_: None)
        held = fold.footprint(self.channels, self.pixel_type.itemsize)
        if isinstance(fold, Blend):
            spare = Footprint(0.0, 0.0 if self.covered else Blend.spare_bytes(self.channels), 0.0)
            held = held.beside(spare) if self.device else replace(held, near=0.0).beside(spare)
        return held if self.slabs else replace(held, result=0.0)

    @property
    def _left(self) -> tuple[Footprint, Footprint]:
        """Of that, once all frames were there: while depth is told, and while the picture is made."""
        given = self.channels, self.pixel_type.itemsize
        fold = picture_fold(self._recipe)
        if isinstance(fold, Auto):
            return fold.left(*given)
        left = fold.left(*given) if isinstance(fold, LaplacianFold) else self._state
        return left, left

    @property
    def _sharpest(self) -> Footprint:
        held = sharpest_fold(self._recipe).footprint(self.channels, self.pixel_type.itemsize)
        return replace(held, result=0.0)

    @property
    def _behind(self) -> Footprint:
        """The second pass of `auto`; its steps are the host's where that does the work."""
        held = Behind.footprint(self.channels, self.pixel_type.itemsize)
        return _sum(replace(held, near=held.near if self.device else 0.0, result=1.0), STEPS, WINNERS)

    @property
    def _picture(self) -> Footprint:
        return Footprint(0.0, 0.0, float(self.channels * self.pixel_type.itemsize))

    @property
    def _sight(self) -> Footprint:
        return SIGHT if self.settings.depth else NOTHING

    @property
    def _found(self) -> Footprint:
        return FOUND if self.settings.depth else NOTHING

    @property
    def _collapsed(self) -> Footprint:
        """The picture at half size and below, while a pyramid is put together."""
        return (
            NOTHING if self.settings.method is Method.AVERAGE else Footprint(4 * self.channels / 3, 0.0, 0.0)
        )


def _sum(first: Footprint, *others: Footprint) -> Footprint:
    """All of them at the same time."""
    for other in others:
        first = first.beside(other)
    return first
