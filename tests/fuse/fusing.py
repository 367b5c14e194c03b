"""Fusing the frames of a case, all in one run, in parts, or in another order: what the laws compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gpustack.backend.protocol import Backend
from gpustack.backend.values import Band
from gpustack.engine.path import Fused, Recipe, render
from gpustack.fuse.fold import Fold
from gpustack.model.rect import Rows
from gpustack.settings import Method
from tests.strategies import Case


def view(backend: Backend[Any], case: Case, index: int) -> Callable[[Rows], Band[Any]]:
    """Frame `index` of the case on its canvas."""
    canvas, frame = case.canvas, backend.upload(case.frames[index])
    place = canvas.place(case.places[index])
    return lambda rows: backend.load(frame, place, canvas.pixel_type, canvas.width, rows)


def fuse(
    backend: Backend[Any], method: Method, case: Case, *runs: Sequence[int], depth: bool = False
) -> Fused:
    """Fold each run of frame numbers into a state of its own, then merge the states in the order of the runs.

    Without `runs`, all frames in their own order.
    """

    def pass_over(name: str, folds: list[Fold[Any]]) -> list[Any]:
        del name
        return [folded(backend, fold, case, runs or [range(len(case.frames))]) for fold in folds]

    return render(backend, pass_over, Recipe(method, case.noise, depth))


def folded(backend: Backend[Any], fold: Fold[Any], case: Case, runs: Sequence[Sequence[int]]) -> Any:
    """The state of a fold after all runs, merged."""
    states = []
    for run in runs:
        states.append(fold.start(backend, case.canvas))
        for index in run:
            fold.add(backend, states[-1], index, view(backend, case, index))
    for other in states[1:]:
        fold.merge(backend, states[0], other)
    return states[0]
