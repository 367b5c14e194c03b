"""Frames that would harm the picture: named, and left out, or the end of the run."""

from __future__ import annotations

from collections.abc import Sequence

from gpustack.engine.progress import Progress
from gpustack.errors import AlignError
from gpustack.model.place import Place
from gpustack.model.stack import Stack
from gpustack.settings import BadFrame


def settle(stack: Stack, places: Sequence[Place], wish: BadFrame, progress: Progress) -> None:
    """Warn of every frame that is not used; or raise AlignError for the first."""
    for frame, place in zip(stack, places, strict=True):
        if place.used:
            continue
        problem = f"{frame.name} {_problem(place)}"
        if wish is BadFrame.FAIL:
            raise AlignError(f"{problem}.", "Leave it out, or let it be skipped with --on-bad-frame skip.")
        progress.warn(f"{problem}, and is left out. Look at it; --on-bad-frame fail stops instead.")


def _problem(place: Place) -> str:
    if place.shaken:
        return "is blurred all over, as if the camera had shaken"
    return "shows too little in common with its neighbours to be aligned"
