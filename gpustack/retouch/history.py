"""What was done to a list of strokes, to be undone and done again, without limit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Generic, Literal, TypeVar

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class History(Generic[S]):
    """Steps, of which the first `done` hold: a stroke was added, or all strokes were taken away."""

    steps: tuple[S | Literal["clear"], ...] = ()
    done: int = 0

    @staticmethod
    def of(strokes: Iterable[S]) -> History[S]:
        """That of a list that was opened: each of its strokes can be undone."""
        steps = tuple(strokes)
        return History(steps, len(steps))

    @property
    def strokes(self) -> tuple[S, ...]:
        """What there is now: all since the last time that all was taken away."""
        found: list[S] = []
        for step in reversed(self.steps[: self.done]):
            if isinstance(step, str):
                break
            found.append(step)
        return tuple(reversed(found))

    @property
    def undone(self) -> int:
        """How many steps can be done again."""
        return len(self.steps) - self.done

    def added(self, stroke: S) -> History[S]:
        """With one stroke more; what was undone is forgotten."""
        return self._with(stroke)

    def cleared(self) -> History[S]:
        """Without strokes, which can be undone; itself where there are none."""
        return self._with("clear") if self.strokes else self

    def undo(self) -> History[S]:
        """One step back; itself where there is none."""
        return replace(self, done=max(0, self.done - 1))

    def redo(self) -> History[S]:
        """One step on again; itself where none was undone."""
        return replace(self, done=min(len(self.steps), self.done + 1))

    def changed(self, other: History[S]) -> tuple[S, ...]:
        """The strokes that are in one of two histories and not in the other, as steps lead from one to the
        other."""
        mine, its = self.strokes, other.strokes
        same = next(
            (at for at, pair in enumerate(zip(mine, its, strict=False)) if pair[0] is not pair[1]), None
        )
        first = min(len(mine), len(its)) if same is None else same
        return (*mine[first:], *its[first:])

    def _with(self, step: S | Literal["clear"]) -> History[S]:
        steps = (*self.steps[: self.done], step)
        return History(steps, len(steps))
