"""The survey pass: where each frame lies, how bright it is, and how noisy the stack is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from gpustack.align.brightness import Light, tones
from gpustack.align.choose import fitted
from gpustack.align.series import in_series
from gpustack.align.shake import DETAIL_SIDE, Detail, shaken
from gpustack.align.sight import Sight, see
from gpustack.align.solve import Edge, Solution, solve
from gpustack.backend.protocol import Backend
from gpustack.engine.feed import Feed, Source
from gpustack.engine.ghosts import glance_at
from gpustack.engine.lights import light_at
from gpustack.engine.links import Links
from gpustack.engine.plan import Plan
from gpustack.engine.price import survey_factor
from gpustack.engine.progress import Progress
from gpustack.engine.showing import Showing, in_frames, levels, showings
from gpustack.engine.veils import glow_of
from gpustack.fuse.veil import Glow
from gpustack.ghosts.glance import Glance
from gpustack.model.frame import Frame, Kind
from gpustack.model.place import Place
from gpustack.model.stack import Stack
from gpustack.model.transform import Transform
from gpustack.settings import Brightness, Model, Settings


@dataclass(frozen=True, slots=True)
class Survey:
    """One place a frame, the noise of the luma, 0..1, and the model that the places follow; one glance a
    frame where things that moved are looked for, and one glow where veils are."""

    places: tuple[Place, ...]
    noise: float
    model: Model = Model.NONE
    glances: tuple[Glance, ...] = ()
    glows: tuple[Glow, ...] = ()


@dataclass(frozen=True, slots=True)
class _Seen:
    sight: Sight
    light: Light
    noise: float | None
    glance: Glance | None
    glow: Glow | None


@dataclass(frozen=True, slots=True)
class _Stack:
    """What the survey keeps of all frames: how they were seen, their light, their detail and, where things
    that moved and veils are looked for, their glances and glows."""

    stack: Stack
    reference: int
    factor: int
    settings: Settings
    shown: Sequence[Showing]
    lights: list[Light]
    details: list[Detail]
    glances: list[Glance]
    glows: list[Glow]


def still(backend: Backend[Any], stack: Stack, source: Source, reference: int) -> Survey:
    """The survey of frames that are not to be moved: only the reference is looked at, for its noise."""
    noise = _noise(backend, source, stack.frames[reference])
    return Survey((Place(Transform.identity()),) * len(stack), noise)


def _noise(backend: Backend[Any], source: Source, frame: Frame) -> float:
    """The noise of a whole frame: in a smaller one it has averaged out."""
    pixels = source.decoded(frame, backend, None).sent(backend)
    return backend.noise_level(pixels, frame.pixel_type)


def survey(
    backend: Backend[Any],
    stack: Stack,
    source: Source,
    reference: int,
    settings: Settings,
    plan: Plan,
    progress: Progress,
) -> Survey:
    """Match every frame with frames before it and solve for all transforms together.

    Tones are estimated even where `settings.brightness` is none: shaken frames are told by their contrast.
    """
    factor, model = survey_factor(stack), settings.align
    shown = showings(backend, stack, source, Model.SIMILARITY if model is Model.AUTO else model, factor)
    count, ways = levels(stack, factor), dict(zip(stack, shown, strict=True))
    smaller = {frame: source.reduction(frame, backend, way.factor) for frame, way in ways.items()}
    known = _noise(backend, source, stack.frames[reference]) if smaller[stack.frames[reference]] > 1 else None

    def look(frame: Frame, pixels: Any) -> _Seen:
        way, by = ways[frame], max(1, smaller[frame])
        luma = way.plane(backend, pixels, frame, by)
        noise = known
        if noise is None and frame is stack.frames[reference]:
            noise = backend.noise_level(pixels, frame.pixel_type)
        light = light_at(backend, pixels, frame, by, colours=settings.brightness is Brightness.CHANNELS)
        kept = glance_at(backend, pixels, frame, by) if settings.removes_ghosts else None
        glow = glow_of(backend, luma, light, frame, way) if settings.lifts_veils else None
        sight = see(backend, luma, way.size, count, linear=frame.kind is Kind.RAW)
        return _Seen(sight, light, noise, kept, glow)

    feed = Feed(
        backend,
        stack.frames,
        source,
        slots=plan.slots,
        readers=plan.readers,
        reduction=lambda frame: smaller[frame],
    )
    progress.begin("survey", len(stack), stack.frames[0].megapixels)
    links = Links(backend, model, plan.threads)
    edges, small, noise = _matched(feed, look, links, progress)
    kept = _Stack(stack, reference, factor, settings, shown, *small)
    places, found = _without_shaken(kept, edges)
    places = _in_series(kept, places)
    glows = (glow.toned(place.transform.tone) for glow, place in zip(kept.glows, places, strict=False))
    return Survey(places, noise, found, tuple(kept.glances), tuple(glows))


def _without_shaken(seen: _Stack, edges: list[Edge]) -> tuple[tuple[Place, ...], Model]:
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
        [seen.details[index] for index in judged],
        [places[index].transform for index in judged],
        _detail_factor(seen),
    )
    return {judged[number] for number in found}


def _detail_factor(seen: _Stack) -> float:
    """How many times smaller than the reference the pictures of its detail are."""
    side = min(DETAIL_SIDE, max(seen.shown[seen.reference].size))
    return max(seen.stack.frames[seen.reference].size) / side


def _in_series(seen: _Stack, places: Sequence[Place]) -> tuple[Place, ...]:
    """The places, with what the stack says of the frames left out; nothing where frames of several sizes are
    mixed, whose detail cannot be compared."""
    if all(at.used for at in places) or any(way != seen.shown[seen.reference] for way in seen.shown):
        return tuple(places)
    found = in_series(
        seen.details, [at.transform if at.used else None for at in places], _detail_factor(seen)
    )
    return tuple(replace(at, in_series=taken) for at, taken in zip(places, found, strict=True))


def _places(seen: _Stack, edges: list[Edge]) -> tuple[tuple[Place, ...], Model]:
    """Where the frames lie and how bright they are, from their links; and the model that they follow."""
    stack, reference, shown = seen.stack, seen.reference, seen.shown
    given = edges, len(stack), reference, shown[reference].size
    model = seen.settings.align
    model, solution = fitted(*given) if model is Model.AUTO else (model, solve(*given))
    places = [_place(solution, index, reference, shown, seen.factor) for index in range(len(stack))]
    used = [place.transform if place.used else None for place in places]
    colours = seen.settings.brightness is Brightness.CHANNELS
    found = tones(seen.lights, used, reference, colours=colours)
    toned = zip(places, found, strict=True)
    return tuple(replace(at, transform=at.transform.with_tone(tone)) for at, tone in toned), model


def _matched(
    feed: Feed,
    look: Callable[[Frame, Any], _Seen],
    links: Links,
    progress: Progress,
) -> tuple[list[Edge], tuple[list[Light], list[Detail], list[Glance], list[Glow]], float]:
    """Edges between frames, their light, detail, glances and glows, and the reference's noise."""
    lights: list[Light] = []
    details: list[Detail] = []
    glances: list[Glance] = []
    glows: list[Glow] = []
    noise = 0.0
    with closing(links), feed.open(look) as seen_frames:
        for index, seen in seen_frames:
            links.add(index, seen.sight)
            lights.append(seen.light)
            details.append(seen.sight.detail)
            if seen.glance is not None:
                glances.append(seen.glance)
            if seen.glow is not None:
                glows.append(seen.glow)
            noise = seen.noise if seen.noise is not None else noise
            progress.advance(feed.waiting_share)
            del seen
        return links.edges(), (lights, details, glances, glows), noise


def _place(solution: Solution, index: int, reference: int, shown: Sequence[Showing], factor: int) -> Place:
    """What the solution says of one frame, in full-size pixels."""
    transform = solution.transforms[index]
    own = [edge for edge in solution.edges if index in (edge.here, edge.there)]
    confidence = 1.0 if index == reference else max((edge.link.confidence for edge in own), default=0.0)
    if transform is None:
        return Place(Transform.identity(), used=False, confidence=confidence)
    transform = in_frames(transform, shown[reference], shown[index])
    residual = max((edge.residual_px for edge in own if edge.link.trusted), default=0.0)
    return Place(transform, True, confidence, residual * factor)
