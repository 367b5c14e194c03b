"""Where frames lie as they come: what the survey keeps of them, and a place for the preview."""

from __future__ import annotations

from typing import Any

from gpustack.align.brightness import tones
from gpustack.align.shake import detail_side, shaken
from gpustack.backend.protocol import Backend
from gpustack.engine.feed import Feed, Source
from gpustack.engine.links import LINK_STEPS
from gpustack.engine.price import LINK_REACH, survey_factor
from gpustack.engine.showing import cropped, levels
from gpustack.engine.sightings import Kept, Sightings
from gpustack.model.frame import Frame
from gpustack.model.stack import Stack
from gpustack.model.transform import Transform, normalise
from gpustack.settings import Brightness, Settings

JUDGED = LINK_REACH + 1
"""Frames, the latest ones, among which one that is shaken is looked for: it is told by its neighbours."""


class Places:
    """Looks at frames of one size as the survey does, and lays each onto the first by a link to one before.

    The survey solves for all links together in the end; until then a chain of the longest ones is as good as
    a preview needs.
    """

    def __init__(
        self, backend: Backend[Any], source: Source, settings: Settings, first: Frame, threads: int
    ) -> None:
        alone = Stack((first,))
        self._factor = survey_factor(alone)
        way, count = cropped(first, self._factor), levels(alone, self._factor)
        self._shrunk = max(way.size) / detail_side(way.size)
        self._backend, self._source, self._settings = backend, source, settings
        self._sightings = Sightings(backend, source, settings, lambda _: way, count, threads)
        self._found: list[Transform | None] = []
        self._names: list[str] = []

    def take(self, frame: Frame) -> Transform | None:
        """Look at the next frame. Its place, from pixels of the first one's plane to its own, with what
        brings it to the first one's brightness; None where no link leads to it. Raises DecodeError."""
        sightings = self._sightings
        feed = Feed(self._backend, [frame], self._source, slots=1, readers=1, reduction=sightings.reduction)
        with feed.open(sightings.look) as frames:
            for _, seen in frames:
                sightings.add(seen)
        self._names.append(frame.name)
        self._found.append(self._place(sightings.kept()))
        return self._found[-1]

    def _place(self, kept: Kept) -> Transform | None:
        """That of the last frame."""
        last = len(self._found)
        if last == 0:
            return Transform.identity()
        for edge in sorted(kept.edges[-len(LINK_STEPS) :], key=lambda edge: edge.here):
            before = self._found[edge.here] if edge.there == last else None
            if edge.link.trusted and before is not None:
                place = Transform(normalise(edge.link.matrix @ before.matrix))
                return self._toned(kept, place)
        return None

    def _toned(self, kept: Kept, place: Transform) -> Transform:
        wish = self._settings.brightness
        if wish is Brightness.NONE:
            return place
        lights, places = [kept.lights[0], kept.lights[-1]], [None, place.scaled(self._factor)]
        return place.with_tone(tones(lights, places, 0, colours=wish is Brightness.CHANNELS)[1])

    def shaken(self) -> str | None:
        """The name of the last frame but one, where it and its neighbours show that the camera shook."""
        lately = range(max(0, len(self._found) - JUDGED), len(self._found))
        known = {index: place for index in lately if (place := self._found[index]) is not None}
        details = self._sightings.kept().details
        found = shaken([details[index] for index in known], [*known.values()], self._shrunk)
        indices = [index for number, index in enumerate(known) if number in found]
        return self._names[-2] if len(self._names) - 2 in indices else None

    def close(self) -> Kept:
        """What the survey needs of all frames."""
        kept = self._sightings.kept()
        self._sightings.close()
        return kept
