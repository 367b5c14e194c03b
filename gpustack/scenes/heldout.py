"""Scenes held back: rendered as the others are, but neither offered nor looked at while anything is tuned.

They exist so that what was tuned on the scenes of the catalogue can be tried on others, of another nature.
"""

from __future__ import annotations

from gpustack.scenes.circuit import circuit
from gpustack.scenes.coin import coin
from gpustack.scenes.fern import fern
from gpustack.scenes.layer import Builder
from gpustack.scenes.petals import petals

HELD_OUT: dict[str, Builder] = {"fern": fern, "coin": coin, "petals": petals, "circuit": circuit}


def heldout_names() -> tuple[str, ...]:
    """The scenes held back; `render` knows them beside those of `names()`."""
    return tuple(HELD_OUT)
