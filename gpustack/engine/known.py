"""What is known of a stack's frames before its run: from looking at them, and folding them, as they came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpustack.backend.protocol import Backend
from gpustack.backend.values import Band
from gpustack.engine.planned import Budget
from gpustack.engine.sightings import Kept
from gpustack.fuse.fold import Fold
from gpustack.model.canvas import Canvas
from gpustack.model.place import Place
from gpustack.model.rect import Rows
from gpustack.model.tone import AS_IT_IS
from gpustack.model.transform import Transform


class Ahead:
    """The states of a pass, into which frames at rest are folded before all of them are there.

    The backend is lent until a run takes it over (`taken`); it is that run's to close then.
    """

    def __init__(
        self, backend: Backend[Any], name: str, folds: Sequence[Fold[Any]], canvas: Canvas, allowed: Budget
    ) -> None:
        """`allowed`: what the backend was opened within."""
        self.backend, self.allowed = backend, allowed
        self._name, self._folds, self._canvas = name, tuple(folds), canvas
        self._states: list[Any] | None = [fold.start(backend, canvas) for fold in folds]
        self._count = 0

    def add(self, frame: Any) -> None:
        """Fold the next frame in, (h, w, c) on the backend."""
        canvas, backend = self._canvas, self.backend
        assert self._states is not None

        def view(rows: Rows) -> Band[Any]:
            return backend.load(frame, Transform.identity(), canvas.pixel_type, canvas.width, rows)

        for fold, state in zip(self._folds, self._states, strict=True):
            fold.add(backend, state, self._count, view)
        self._count += 1

    def taken(
        self, name: str, folds: Sequence[Fold[Any]], canvas: Canvas | None, places: Sequence[Place]
    ) -> list[Any] | None:
        """The states, once, if a pass over frames at these places would give just them, bit for bit."""
        same = (name, tuple(folds), canvas) == (self._name, self._folds, self._canvas)
        still = all(at.used and not at.transform.moves and at.transform.tone == AS_IT_IS for at in places)
        states, self._states = self._states, None  # their memory is wanted where they are not
        return states if same and still and len(places) == self._count else None


@dataclass(frozen=True, slots=True)
class Known:
    """What was kept of the frames of the stack, all of one size, in its order; and the states that they were
    folded into."""

    kept: Kept | None = None
    ahead: Ahead | None = None
