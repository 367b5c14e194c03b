"""The CPU backend's occlusion preference: which of two frames that a pixel sees sharp is taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.values import EQUALLY_SHARP, VALLEY, Part, Preference

Array = npt.NDArray[Any]


def stood_aside(part: Part[Array], kept: Preference[Array], energy: Array) -> Array:
    """The energies (h, w) with which a frame is to be folded in, -2 where it has to stand aside for an
    earlier one; where an earlier one has to, `part` forgets it."""
    floor, best = np.float32(kept.floor), part.best.energy
    level = energy + floor
    # A frame between this one and the sharpest so far shows less than either: they see two things.
    apart = (best >= 0) & (energy >= 0) & (level > np.float32(VALLEY) * (kept.valley + floor))
    if kept.far:
        yields = apart & (np.float32(EQUALLY_SHARP) * level >= best + floor)
        best[yields] = -1
        if part.mix is not None:
            part.mix.total[yields] = 0
    else:
        yields = apart & (level <= np.float32(EQUALLY_SHARP) * (best + floor))
        energy = np.where(yields, np.float32(-2), energy)
    lower = np.where(energy >= 0, np.minimum(kept.valley, energy), kept.valley)
    np.copyto(kept.valley, np.where(energy > best, energy, lower))
    return energy
