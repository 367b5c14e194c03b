"""Frames as the survey sees them, one after the other: what is kept of each, and its links to those before
it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpustack.align.brightness import Light
from gpustack.align.shake import Detail, detail, detail_side
from gpustack.align.sight import Sight, see
from gpustack.align.solve import Edge
from gpustack.backend.protocol import Backend
from gpustack.backend.spool import Spool
from gpustack.engine.feed import Feed, Source
from gpustack.engine.lights import lit
from gpustack.engine.links import Links
from gpustack.engine.looking import Course
from gpustack.engine.price import LINK_REACH
from gpustack.engine.showing import Showing
from gpustack.engine.spooled import Spooled
from gpustack.engine.veils import glow_of
from gpustack.errors import InputError
from gpustack.fuse.veil import Glow
from gpustack.ghosts.glance import Glance
from gpustack.io.parts import DamagedError
from gpustack.model.frame import Frame, Kind
from gpustack.settings import Brightness, Settings


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame that was looked at; `noise` of its luma, 0..1, where that was asked for."""

    shown: Showing
    sight: Sight
    light: Light
    detail: Detail
    noise: float | None
    glance: Glance | None
    glow: Glow | None


@dataclass(slots=True)
class Kept:
    """What is kept of all frames, in stack order: how they were seen, their light, their detail and, where
    things that moved and veils are looked for, their glances and glows; and the links between them. Pictures
    lie in one spool, the rest in memory."""

    lights: Spooled[Light]
    details: Spooled[Detail]
    glances: Spooled[Glance]
    glows: Spooled[Glow]
    shown: list[Showing] = field(default_factory=list)
    edges: Sequence[Edge] = ()

    @staticmethod
    def nothing() -> Kept:
        """Of no frame yet."""
        spool = Spool()
        return Kept(Spooled(spool), Spooled(spool), Spooled(spool), Spooled(spool))


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of `Kept` that is of some frames in a row, with their links to frames before; `noise` is that
    of the reference, if it was among all frames up to them and asked for."""

    shown: Sequence[Showing]
    lights: Sequence[Light]
    details: Sequence[Detail]
    glances: Sequence[Glance]
    glows: Sequence[Glow]
    edges: Sequence[Edge]
    noise: float | None


class Sightings:
    """Looks at frames as they come, and matches each with those before it.

    `shown` tells how a frame is seen; all have as many `levels`.
    """

    def __init__(
        self,
        backend: Backend[Any],
        source: Source,
        settings: Settings,
        shown: Callable[[Frame], Showing],
        levels: int,
        threads: int,
    ) -> None:
        self._backend, self._source, self._settings = backend, source, settings
        self._shown, self._levels = shown, levels
        self._links = Links(backend, settings.align, threads)
        self._kept = Kept.nothing()
        self._noise: float | None = None

    def __len__(self) -> int:
        return len(self._kept.shown)

    def reduction(self, frame: Frame) -> int:
        """How many times smaller a frame is decoded to be looked at; 0: as always."""
        return self._source.reduction(frame, self._backend, self._shown(frame).factor)

    def look(self, frame: Frame, pixels: Any, *, noisy: bool = False) -> Seen:
        """See a frame, decoded at its `reduction`, on the backend; in any thread of it. `noisy`: tell its
        noise."""
        backend, settings = self._backend, self._settings
        way, by = self._shown(frame), max(1, self.reduction(frame))
        luma = way.plane(backend, pixels, frame, by)
        noise = backend.noise_level(pixels, frame.pixel_type) if noisy else None
        cells = lit(backend, pixels, frame, by)
        light = cells.light(colours=settings.brightness is Brightness.CHANNELS)
        glance = cells.glance() if settings.removes_ghosts else None
        small = backend.thumbnail(luma, detail_side(way.size))
        glow = glow_of(small, light, frame, way) if settings.lifts_veils else None
        sight = see(backend, luma, way.size, self._levels, linear=frame.kind is Kind.RAW)
        return Seen(way, sight, light, detail(small), noise, glance, glow)

    def add(self, seen: Seen) -> None:
        """The next frame of the stack."""
        kept = self._kept
        self._noise = self._noise if seen.noise is None else seen.noise
        self._links.add(len(self), seen.sight)
        kept.shown.append(seen.shown)
        kept.lights.append(seen.light)
        kept.details.append(seen.detail)
        if seen.glance is not None:
            kept.glances.append(seen.glance)
        if seen.glow is not None:
            kept.glows.append(seen.glow)

    @property
    def noise(self) -> float:
        """That of the frame of which it was asked; 0 where that was not seen."""
        return self._noise or 0.0

    def through(self, frames: Sequence[Frame], course: Course, noisy: Frame | None) -> None:
        """Look at all frames of a stack that were not recalled, and at those that they are matched with; at
        one of them for its noise. Raises what reading and matching raise."""
        known, first = len(self), max(0, len(self) - LINK_REACH)
        if known == len(frames):
            return
        plan, left = course.plan, frames[first:]
        feed = Feed(
            self._backend,
            left,
            self._source,
            slots=plan.slots,
            readers=plan.readers,
            reduction=self.reduction,
        )
        course.progress.begin("survey", len(left), frames[0].megapixels)
        try:
            with feed.open(lambda frame, pixels: self.look(frame, pixels, noisy=frame is noisy)) as coming:
                for number, seen in coming:
                    if first + number < known:
                        self._links.see_again(first + number, seen.sight)
                    else:
                        self.add(seen)
                        course.keeps.offer(self)
                    course.progress.advance(feed.waiting_share)
                    del seen
        except InputError:  # of reading: all frames before were seen
            course.keeps.keep(self)
            raise

    def piece(self, first: int) -> Piece:
        """See `Looking`; of frames that are matched. Raises what matching raised."""
        kept, edges = self._kept, self._links.edges(first)
        return Piece(
            kept.shown[first:],
            kept.lights[first:],
            kept.details[first:],
            kept.glances[first:],
            kept.glows[first:],
            edges,
            self._noise,
        )

    def recall(self, piece: object, frames: int) -> None:
        """See `Looking`."""
        piece, kept = _checked(piece, len(self), frames), self._kept
        for name in ("shown", "lights", "details", "glances", "glows"):
            getattr(kept, name).extend(getattr(piece, name))
        self._links.recall(piece.edges)
        self._noise = piece.noise

    def nbytes(self, first: int) -> int:
        """See `Looking`."""
        kept = self._kept
        pictures: Sequence[Spooled[Any]] = (kept.lights, kept.details, kept.glances, kept.glows)
        return sum(each.nbytes(first) for each in pictures if each)

    def kept(self) -> Kept:
        """All that is known of the frames so far, once they are matched. Raises what matching raised."""
        self._kept.edges = self._links.edges()
        return self._kept

    def close(self) -> None:
        """Let the threads go."""
        self._links.close()


def _checked(piece: object, known: int, frames: int) -> Piece:
    """The piece, if it goes on where those before it end. Raises DamagedError."""
    if not isinstance(piece, Piece) or not piece.shown:
        raise DamagedError("what was kept of them is something else")
    last = known + len(piece.shown)
    if last > frames or any(not known <= edge.there < last for edge in piece.edges):
        raise DamagedError("what was kept of them is of other frames")
    return piece
