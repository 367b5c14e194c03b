"""Looking at all frames of a stack before any is fused, and who keeps what was seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from gpustack.backend.protocol import Backend
from gpustack.engine.feed import Feed, Source
from gpustack.engine.planned import Plan
from gpustack.engine.progress import Progress
from gpustack.engine.spooled import Spooled
from gpustack.errors import InputError
from gpustack.io.parts import DamagedError
from gpustack.model.frame import Frame

T = TypeVar("T")


class Looking(Protocol):
    """Frames that were looked at, in stack order, as far as one has come."""

    def __len__(self) -> int: ...

    def piece(self, first: int) -> object:
        """What is known of the frames from an index on."""

    def recall(self, piece: object, frames: int) -> None:
        """Take what is known of the next of so many frames. Raises DamagedError."""

    def nbytes(self, first: int) -> int:
        """About what a piece from an index on takes."""


class Keeps(Protocol):
    """Who keeps what was seen, so that another process can go on."""

    def give_back(self, seen: Looking, frames: int) -> None:
        """Tell who begins to look what is kept of the first of so many frames."""

    def offer(self, seen: Looking) -> None:
        """A frame was seen: keep what was seen if it is time."""

    def keep(self, seen: Looking) -> None:
        """Keep what was seen: no more can be."""


class KeepsNothing:
    """For looks that are not to be gone on from."""

    def give_back(self, seen: Looking, frames: int) -> None:
        """See `Keeps`."""

    def offer(self, seen: Looking) -> None:
        """See `Keeps`."""

    def keep(self, seen: Looking) -> None:
        """See `Keeps`."""


@dataclass(frozen=True, slots=True)
class Course:
    """How all frames are looked at: by which plan, who is told, and who keeps what was seen."""

    plan: Plan
    progress: Progress
    keeps: Keeps


@dataclass(frozen=True, slots=True)
class Look(Generic[T]):
    """What is kept of each frame, one small picture of a `kind`: how it is `made` of a frame and its pixels
    on the backend, decoded as many times smaller as `reduction` says (0: as always)."""

    kind: type[T]
    made: Callable[[Frame, Any], T]
    reduction: Callable[[Frame], int]


@dataclass(frozen=True, slots=True)
class PicturesPiece:
    """What is kept of some frames in a row."""

    values: Sequence[Any]


class Pictures(Generic[T]):
    """`Looking` that keeps one small picture of each frame, and nothing else."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self.found: Spooled[T] = Spooled()

    def __len__(self) -> int:
        return len(self.found)

    def piece(self, first: int) -> PicturesPiece:
        """See `Looking`."""
        return PicturesPiece(self.found[first:])

    def recall(self, piece: object, frames: int) -> None:
        """See `Looking`."""
        if not isinstance(piece, PicturesPiece) or not piece.values:
            raise DamagedError("what was kept of them is something else")
        if len(self) + len(piece.values) > frames:
            raise DamagedError("what was kept of them is of other frames")
        if not all(isinstance(value, self._kind) for value in piece.values):
            raise DamagedError("what was kept of them is of another kind")
        self.found.extend(piece.values)

    def nbytes(self, first: int) -> int:
        """See `Looking`."""
        return self.found.nbytes(first)


def pictures_of(
    backend: Backend[Any], frames: Sequence[Frame], source: Source, course: Course, look: Look[T]
) -> Spooled[T]:
    """One picture of each frame, in a reading of their own; what `course.keeps` has of an interrupted one is
    not looked at again. Raises what reading raises."""
    seen = Pictures(look.kind)
    course.keeps.give_back(seen, len(frames))
    left, plan = frames[len(seen) :], course.plan
    if not left:
        return seen.found
    feed = Feed(backend, left, source, slots=plan.slots, readers=plan.readers, reduction=look.reduction)
    course.progress.begin("survey", len(left), left[0].megapixels)
    try:
        with feed.open(look.made) as coming:
            for _, one in coming:
                seen.found.append(one)
                course.keeps.offer(seen)
                course.progress.advance(feed.waiting_share)
    except InputError:  # all frames before the one that cannot be read were seen
        course.keeps.keep(seen)
        raise
    return seen.found
