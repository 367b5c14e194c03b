"""Frames that would harm the picture: named, and left out, or the end of the run."""

from __future__ import annotations

from collections.abc import Sequence

from gpustack.engine.progress import Progress
from gpustack.errors import AlignError
from gpustack.model.place import Place
from gpustack.model.stack import Stack
from gpustack.settings import BadFrame

NAMED = 3
"""Frames that are named in one sentence, at most."""

DOUBTFUL_SHARE = 0.01
"""Links that disagree by more than this share of a frame's longer side contradict each other: in real stacks
they do by less than a tenth of it."""


def settle(stack: Stack, places: Sequence[Place], wish: BadFrame, progress: Progress) -> None:
    """Warn of every frame that is not used, and of those that may lie wrong; or raise AlignError."""
    for frame, place in zip(stack, places, strict=True):
        if place.used:
            continue
        problem = f"{frame.name} {_problem(place)}"
        if wish is BadFrame.FAIL:
            raise AlignError(f"{problem}.", "Leave it out, or let it be skipped with --on-bad-frame skip.")
        progress.warn(f"{problem}, and is left out. Look at it; --on-bad-frame fail stops instead.")
    _tell_doubtful(stack, places, wish, progress)


def _tell_doubtful(stack: Stack, places: Sequence[Place], wish: BadFrame, progress: Progress) -> None:
    """Frames whose matches contradict each other, as where something repeats and frames between are missing.

    Which of the matches are right nobody knows, so the frames are not left out.
    """
    doubtful = [
        (frame.name, place.residual_px)
        for frame, place in zip(stack, places, strict=True)
        if place.used and place.residual_px > DOUBTFUL_SHARE * max(frame.size)
    ]
    if not doubtful:
        return
    names = ", ".join(name for name, _ in doubtful[:NAMED])
    more = f" and {len(doubtful) - NAMED} more" if len(doubtful) > NAMED else ""
    most = max(px for _, px in doubtful)
    problem = f"The matches of {names}{more} contradict each other by up to {most:.0f} pixels"
    if wish is BadFrame.FAIL:
        raise AlignError(f"{problem}.", "Leave frames out, or give their places with --transforms.")
    progress.warn(f"{problem}, so they may lie wrong. Look at the alignment with --save-steps.")


def _problem(place: Place) -> str:
    if place.shaken:
        return "is blurred all over, as if the camera had shaken"
    return "shows too little in common with its neighbours to be aligned"
