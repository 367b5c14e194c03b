"""Which of the frames that are left out took a step of the focus.

A frame may be missing from its series because it is shaken or the flash failed: then the focus moved on with
it, and its neighbours lie two steps apart. Or it never was of the series, and they lie one step apart. The
stack tells: what changes in detail from one frame to the next but one is nearly twice what changes to the
next, so the change across the gap is held against those beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from gpustack.align.shake import Detail, seen_from
from gpustack.model.transform import Transform

Logs = npt.NDArray[np.float64]

BESIDE = 4
"""Frames on each side of a gap that it is held against: far from it, other parts of the subject come into
focus, and change faster or slower."""

WEAK = 0.05
"""Blocks with less energy than this share of the median hold noise, which changes at random."""


def in_series(details: Sequence[Detail], transforms: Sequence[Transform | None], factor: float) -> list[bool]:
    """For each frame whether the focus moved on with it; of those left out, without a transform, as many in
    each gap as it has steps more than one.

    `factor` is how many times smaller than the pictures that the transforms speak of the pictures of the
    details were. Frames left out at either end, and in stacks too short to tell, do not count.
    """
    used = [index for index, transform in enumerate(transforms) if transform is not None]
    gaps = [(before, after) for before, after in pairwise(used) if after > before + 1]
    found = [transform is not None for transform in transforms]
    for before, after in gaps:
        near = [index for index in used if before - BESIDE <= index <= after + BESIDE]
        logs = _logs({i: details[i] for i in near}, transforms, factor)
        for index in range(before + 1, before + _steps(logs, before, after)):
            found[index] = True
    return found


def _steps(logs: dict[int, Logs], before: int, after: int) -> int:
    """How many steps of the focus lie between two frames: those whose usual change is nearest."""
    change = np.log(_change(logs, before, after))
    usual = {
        count: np.log(np.median(changes))
        for count in range(1, after - before + 1)
        if (changes := _changes(logs, before, after, count))
    }
    return min(usual, key=lambda count: abs(change - usual[count]), default=1)


def _changes(logs: dict[int, Logs], before: int, after: int, count: int) -> list[float]:
    """The changes over so many steps on either side of a gap, where no frame is left out."""
    firsts = [first for first in logs if all(first + step in logs for step in range(count + 1))]
    return [
        _change(logs, first, first + count) for first in firsts if first + count <= before or first >= after
    ]


def _change(logs: dict[int, Logs], here: int, there: int) -> float:
    """Mean change of the logarithm of the energy of detail; never quite nothing."""
    return float(np.mean(np.abs(logs[here] - logs[there]))) + 1e-9


def _logs(
    details: dict[int, Detail], transforms: Sequence[Transform | None], factor: float
) -> dict[int, Logs]:
    """Logarithms of the energy of detail in each block of the reference, of each frame."""
    energies = {}
    for index, detail in details.items():
        transform = transforms[index]
        assert transform is not None
        across, _, down = seen_from(detail, transform.scaled(1 / factor)).astype(np.float64)
        energies[index] = np.maximum((across + down) * transform.gain**2, 0)
    weak = WEAK * float(np.median(list(energies.values()))) + 1e-12
    return {index: np.log(energy + weak) for index, energy in energies.items()}
