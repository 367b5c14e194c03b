"""Frames as the survey sees them, one after the other: what is kept of each, and its links to those before
it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpustack.align.brightness import Light
from gpustack.align.shake import Detail
from gpustack.align.sight import Sight, see
from gpustack.align.solve import Edge
from gpustack.backend.protocol import Backend
from gpustack.engine.feed import Feed, Source
from gpustack.engine.ghosts import glance_at
from gpustack.engine.lights import light_at
from gpustack.engine.links import Links
from gpustack.engine.progress import Progress
from gpustack.engine.showing import Showing
from gpustack.engine.veils import glow_of
from gpustack.fuse.veil import Glow
from gpustack.ghosts.glance import Glance
from gpustack.model.frame import Frame, Kind
from gpustack.settings import Brightness, Settings


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame that was looked at; `noise` of its luma, 0..1, where that was asked for."""

    shown: Showing
    sight: Sight
    light: Light
    noise: float | None
    glance: Glance | None
    glow: Glow | None


@dataclass(slots=True)
class Kept:
    """What is kept of all frames, in stack order: how they were seen, their light, their detail and, where
    things that moved and veils are looked for, their glances and glows; and the links between them. All of it
    is small, and lies on the host."""

    shown: list[Showing] = field(default_factory=list)
    lights: list[Light] = field(default_factory=list)
    details: list[Detail] = field(default_factory=list)
    glances: list[Glance] = field(default_factory=list)
    glows: list[Glow] = field(default_factory=list)
    edges: Sequence[Edge] = ()


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
        self._kept = Kept()

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
        light = light_at(backend, pixels, frame, by, colours=settings.brightness is Brightness.CHANNELS)
        glance = glance_at(backend, pixels, frame, by) if settings.removes_ghosts else None
        glow = glow_of(backend, luma, light, frame, way) if settings.lifts_veils else None
        sight = see(backend, luma, way.size, self._levels, linear=frame.kind is Kind.RAW)
        return Seen(way, sight, light, noise, glance, glow)

    def add(self, seen: Seen) -> None:
        """The next frame of the stack."""
        kept = self._kept
        self._links.add(len(self), seen.sight)
        kept.shown.append(seen.shown)
        kept.lights.append(seen.light)
        kept.details.append(seen.sight.detail)
        if seen.glance is not None:
            kept.glances.append(seen.glance)
        if seen.glow is not None:
            kept.glows.append(seen.glow)

    def through(self, feed: Feed, progress: Progress, noisy: Frame | None) -> float:
        """Look at all frames of a feed; the noise of one of them, where that is asked for."""
        noise = 0.0
        with feed.open(lambda frame, pixels: self.look(frame, pixels, noisy=frame is noisy)) as frames:
            for _, seen in frames:
                self.add(seen)
                noise = seen.noise if seen.noise is not None else noise
                progress.advance(feed.waiting_share)
                del seen
        return noise

    def kept(self) -> Kept:
        """All that is known of the frames so far, once they are matched. Raises what matching raised."""
        self._kept.edges = self._links.edges()
        return self._kept

    def close(self) -> None:
        """Let the threads go."""
        self._links.close()
