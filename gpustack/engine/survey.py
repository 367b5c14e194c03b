"""The survey pass: where each frame lies, how bright it is, and how noisy the stack is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from gpustack.align.brightness import Light, factor_of, seen_light, tones
from gpustack.align.choose import fitted
from gpustack.align.shake import DETAIL_SIDE, Detail, shaken
from gpustack.align.sight import Sight, see
from gpustack.align.solve import Edge, Solution, solve
from gpustack.backend.protocol import Backend
from gpustack.engine.feed import Feed, Source
from gpustack.engine.links import Links
from gpustack.engine.plan import Plan
from gpustack.engine.price import survey_factor
from gpustack.engine.progress import Progress
from gpustack.engine.showing import Showing, in_frames, levels, showings
from gpustack.model.frame import Frame, Kind
from gpustack.model.place import Place
from gpustack.model.stack import Stack
from gpustack.model.transform import Transform
from gpustack.settings import Brightness, Model, Settings


@dataclass(frozen=True, slots=True)
class Survey:
    """One place a frame, the noise of the luma, 0..1, and the model that the places follow."""

    places: tuple[Place, ...]
    noise: float
    model: Model = Model.NONE


@dataclass(frozen=True, slots=True)
class _Seen:
    sight: Sight
    light: Light
    noise: float | None


@dataclass(frozen=True, slots=True)
class _Stack:
    """What the survey keeps of all frames: how they were seen, their light and their detail."""

    stack: Stack
    reference: int
    factor: int
    settings: Settings
    shown: Sequence[Showing]
    lights: list[Light]
    details: list[Detail]


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
        light = _light(backend, pixels, frame, by, colours=settings.brightness is Brightness.CHANNELS)
        return _Seen(see(backend, luma, way.size, count), light, noise)

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
    places, found = _without_shaken(_Stack(stack, reference, factor, settings, shown, *small), edges)
    return Survey(places, noise, found)


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
    side = min(DETAIL_SIDE, max(usual.size))
    found = shaken(
        [seen.details[index] for index in judged],
        [places[index].transform for index in judged],
        max(seen.stack.frames[seen.reference].size) / side,
    )
    return {judged[number] for number in found}


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
) -> tuple[list[Edge], tuple[list[Light], list[Detail]], float]:
    """Edges between frames, their light and detail, and the reference's noise."""
    lights: list[Light] = []
    details: list[Detail] = []
    noise = 0.0
    with closing(links), feed.open(look) as seen_frames:
        for index, seen in seen_frames:
            links.add(index, seen.sight)
            lights.append(seen.light)
            details.append(seen.sight.detail)
            noise = seen.noise if seen.noise is not None else noise
            progress.advance(feed.waiting_share)
            del seen
        return links.edges(), (lights, details), noise


def _light(backend: Backend[Any], pixels: Any, frame: Frame, reduction: int, *, colours: bool) -> Light:
    """The light of a frame, decoded so many times smaller; a RAW file holds light as it is."""
    width, height = frame.size
    factor = factor_of((width // reduction, height // reduction))
    linear = frame.kind is Kind.RAW
    values = backend.light(pixels, frame.pixel_type, factor, linear)
    return seen_light(values, factor * reduction, frame.size, linear=linear, colours=colours)


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
