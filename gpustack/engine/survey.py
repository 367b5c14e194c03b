"""The survey pass: where each frame lies, how bright it is, and how noisy the stack is."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpustack.align.brightness import tones
from gpustack.align.choose import fitted
from gpustack.align.rest import at_rest, lies_still
from gpustack.align.series import in_series
from gpustack.align.shake import detail_side, shaken
from gpustack.align.solve import Edge, Solution, solve
from gpustack.backend.protocol import Backend
from gpustack.engine.feed import Source
from gpustack.engine.looking import Course
from gpustack.engine.price import survey_factor
from gpustack.engine.showing import Showing, in_frames, levels, showings
from gpustack.engine.sightings import Kept, Sightings
from gpustack.engine.spooled import Picked
from gpustack.engine.ties import ties
from gpustack.engine.veils import Toned
from gpustack.fuse.veil import Glow
from gpustack.ghosts.glance import Glance
from gpustack.model.frame import Frame
from gpustack.model.place import Place
from gpustack.model.stack import Stack
from gpustack.model.transform import Transform
from gpustack.settings import Brightness, Model, Settings


@dataclass(frozen=True, slots=True)
class Survey:
    """One place a frame, the noise of the luma, 0..1, and the model that the places follow; one glance a
    frame where things that moved are looked for, and one glow where veils are, both made when asked for."""

    places: tuple[Place, ...]
    noise: float
    model: Model = Model.NONE
    glances: Sequence[Glance] = ()
    glows: Sequence[Glow] = ()


@dataclass(frozen=True, slots=True)
class _Stack:
    """A stack whose frames have all been looked at."""

    stack: Stack
    reference: int
    settings: Settings
    kept: Kept

    @property
    def shown(self) -> Sequence[Showing]:
        """How each frame was seen."""
        return self.kept.shown

    @property
    def factor(self) -> int:
        """By how many times the planes are smaller than the frames."""
        return survey_factor(self.stack)


def still(backend: Backend[Any], stack: Stack, source: Source, reference: int) -> Survey:
    """The survey of frames that are not to be moved: only the reference is looked at, for its noise."""
    noise = noise_of(backend, source, stack.frames[reference])
    return Survey((Place(Transform.identity()),) * len(stack), noise)


def noise_of(backend: Backend[Any], source: Source, frame: Frame) -> float:
    """The noise of a whole frame's luma, 0..1: in a smaller one it has averaged out."""
    pixels = source.decoded(frame, backend, None).sent(backend)
    return backend.noise_level(pixels, frame.pixel_type)


def _noise_as_looked(backend: Backend[Any], source: Source, frame: Frame, factor: int) -> float:
    """The noise that the survey tells of its reference, in a reading of its own."""
    if source.shrink is None or source.reduction(frame, backend, factor) != 1:
        return noise_of(backend, source, frame)
    pixels = backend.upload(np.ascontiguousarray(source.shrink(frame, 1)))
    return backend.noise_level(pixels, frame.pixel_type)


def survey(
    backend: Backend[Any],
    stack: Stack,
    source: Source,
    reference: int,
    settings: Settings,
    course: Course,
) -> Survey:
    """Match every frame with frames before it and solve for all transforms together.

    What `course.keeps` has of an interrupted survey is not looked at again.
    Tones are estimated even where `settings.brightness` is none: shaken frames are told by their contrast.
    """
    factor, model = survey_factor(stack), settings.align
    shown = showings(backend, stack, source, Model.SIMILARITY if model is Model.AUTO else model, factor)
    ways, first = dict(zip(stack, shown, strict=True)), stack.frames[reference]
    smaller = source.reduction(first, backend, ways[first].factor)
    noise = noise_of(backend, source, first) if smaller > 1 else None
    threads = course.plan.threads
    with closing(
        Sightings(backend, source, settings, ways.__getitem__, levels(stack, factor), threads)
    ) as sightings:
        course.keeps.give_back(sightings, len(stack))
        sightings.through(stack.frames, course, first if noise is None else None)
        kept = sightings.kept()
    return _solved(_Stack(stack, reference, settings, kept), sightings.noise if noise is None else noise)


def recalled(
    backend: Backend[Any], stack: Stack, source: Source, reference: int, settings: Settings, kept: Kept
) -> Survey:
    """What `survey` gives, bit for bit, of frames of one size that were looked at before; the reference is
    read once more, for its noise."""
    frame, factor = stack.frames[reference], survey_factor(stack)
    noise = _noise_as_looked(backend, source, frame, factor)
    return _solved(_Stack(stack, reference, settings, kept), noise)


def _solved(seen: _Stack, noise: float) -> Survey:
    """Where the frames lie, once all were looked at."""
    places, found = _without_shaken(seen, tuple(seen.kept.edges))
    places = _in_series(seen, places)
    return Survey(places, noise, found, seen.kept.glances, Toned(seen.kept.glows, places))


def _without_shaken(seen: _Stack, edges: Sequence[Edge]) -> tuple[tuple[Place, ...], Model]:
    """Places of all frames, as if those that are shaken had not been there; and their model.

    The reference gives its geometry even then; so does a frame without which others were out of reach.
    """
    places, model = _places(seen, edges)
    bad = _shaken(seen, places)
    if not bad:
        return places, model
    others = [edge for edge in edges if not {edge.here, edge.there} & (bad - {seen.reference})]
    again, better = _places(seen, others)
    if all(new.used for index, new in enumerate(again) if places[index].used and index not in bad):
        places, model = tuple(places[i] if i in bad else new for i, new in enumerate(again)), better
    left = (replace(at, used=False, shaken=True) if i in bad else at for i, at in enumerate(places))
    return tuple(left), model


def _shaken(seen: _Stack, places: Sequence[Place]) -> set[int]:
    """The frames that are shaken, among those that are seen as the reference is."""
    usual = seen.shown[seen.reference]
    judged = [index for index, place in enumerate(places) if place.used and seen.shown[index] == usual]
    found = shaken(
        Picked(seen.kept.details, judged),
        [places[index].transform for index in judged],
        _detail_factor(seen),
    )
    return {judged[number] for number in found}


def _detail_factor(seen: _Stack) -> float:
    """How many times smaller than the reference the pictures of its detail are."""
    side = detail_side(seen.shown[seen.reference].size)
    return max(seen.stack.frames[seen.reference].size) / side


def _in_series(seen: _Stack, places: Sequence[Place]) -> tuple[Place, ...]:
    """The places, with what the stack says of the frames left out; nothing where frames of several sizes are
    mixed, whose detail cannot be compared."""
    if all(at.used for at in places) or any(way != seen.shown[seen.reference] for way in seen.shown):
        return tuple(places)
    found = in_series(
        seen.kept.details, [at.transform if at.used else None for at in places], _detail_factor(seen)
    )
    return tuple(replace(at, in_series=taken) for at, taken in zip(places, found, strict=True))


def _places(seen: _Stack, edges: Sequence[Edge]) -> tuple[tuple[Place, ...], Model]:
    """Where the frames lie and how bright they are, from their links; and the model that they follow."""
    stack, reference, shown = seen.stack, seen.reference, seen.shown
    given = edges, len(stack), reference, shown[reference].size
    model = seen.settings.align
    model, solution = fitted(*given) if model is Model.AUTO else (model, solve(*given))
    size = shown[reference].size
    if all(way == shown[reference] for way in shown) and lies_still(solution, reference, size):
        model, solution = Model.NONE, at_rest(solution, size)
    places = [_place(solution, index, reference, shown, seen.factor) for index in range(len(stack))]
    used = [place.transform if place.used else None for place in places]
    colours = seen.settings.brightness is Brightness.CHANNELS
    found = tones(seen.kept.lights, used, reference, colours=colours)
    toned = zip(places, found, strict=True)
    return tuple(replace(at, transform=at.transform.with_tone(tone)) for at, tone in toned), model


def _place(solution: Solution, index: int, reference: int, shown: Sequence[Showing], factor: int) -> Place:
    """What the solution says of one frame, in full-size pixels."""
    transform = solution.transforms[index]
    own = [edge for edge in solution.edges if index in (edge.here, edge.there)]
    confidence = 1.0 if index == reference else max((edge.link.confidence for edge in own), default=0.0)
    links = ties(solution, index, shown[reference].size, factor)
    if transform is None:
        return Place(Transform.identity(), used=False, confidence=confidence, links=links)
    transform = in_frames(transform, shown[reference], shown[index])
    residual = max((edge.residual_px for edge in own if edge.link.trusted), default=0.0)
    return Place(transform, True, confidence, residual * factor, links=links)
