"""The survey pass: where each frame lies, how bright it is, and how noisy the stack is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpustack.align.brightness import with_gain
from gpustack.align.estimate import Sight, see
from gpustack.align.solve import Edge, Solution, solve
from gpustack.backend.protocol import Backend
from gpustack.engine.feed import Feed, Source
from gpustack.engine.links import Links
from gpustack.engine.plan import Plan
from gpustack.engine.price import survey_factor
from gpustack.engine.progress import Progress
from gpustack.engine.showing import Showing, levels, showings
from gpustack.model.frame import Frame
from gpustack.model.place import Place
from gpustack.model.stack import Stack
from gpustack.model.transform import Transform, corners, normalise
from gpustack.settings import Model

REST_PX = 0.05
"""A frame that moves less than this, in pixels of the survey, is taken to lie still: the estimate is no
better, and resampling it would cost more sharpness than so small a shift."""


@dataclass(frozen=True, slots=True)
class Survey:
    """One place a frame, and the noise of the luma, 0..1."""

    places: tuple[Place, ...]
    noise: float


@dataclass(frozen=True, slots=True)
class _Seen:
    sight: Sight
    noise: float | None


def still(backend: Backend[Any], stack: Stack, source: Source, reference: int) -> Survey:
    """The survey of frames that are not to be moved: only the reference is looked at, for its noise."""
    frame = stack.frames[reference]
    seen = source.decoded(frame, backend, None).sent(backend)
    noise = backend.noise_level(seen, frame.pixel_type)
    return Survey((Place(Transform.identity()),) * len(stack), noise)


def survey(
    backend: Backend[Any],
    stack: Stack,
    source: Source,
    reference: int,
    model: Model,
    plan: Plan,
    progress: Progress,
) -> Survey:
    """Match every frame with frames before it and solve for all transforms together."""
    factor = survey_factor(stack)
    shown = showings(backend, stack, source, model, factor)
    count, ways = levels(stack, factor), dict(zip(stack, shown, strict=True))

    def look(frame: Frame, pixels: Any) -> _Seen:
        luma = ways[frame].plane(backend, pixels, frame)
        is_reference = frame is stack.frames[reference]
        noise = backend.noise_level(pixels, frame.pixel_type) if is_reference else None
        return _Seen(see(backend, luma, ways[frame].size, count), noise)

    feed = Feed(backend, stack.frames, source, slots=plan.slots, readers=plan.readers)
    progress.begin("survey", len(stack), stack.frames[0].megapixels)
    links = Links(backend, model, plan.threads)
    edges, brightness, noise = _matched(feed, look, links, progress)
    solution = solve(edges, len(stack), reference, shown[reference].size)
    places = [_place(solution, index, reference, shown, factor) for index in range(len(stack))]
    ratios = [max(frame.size) / max(seen.shape) for frame, seen in zip(stack, brightness, strict=True)]
    for index, place in enumerate(places):
        if place.used and index != reference:
            gained = with_gain(
                place.transform,
                brightness[reference],
                brightness[index],
                ratios[reference],
                ratios[index] if stack.frames[index].size != stack.frames[reference].size else None,
            )
            places[index] = replace(place, transform=gained)
    return Survey(tuple(places), noise)


def _matched(
    feed: Feed,
    look: Callable[[Frame, Any], _Seen],
    links: Links,
    progress: Progress,
) -> tuple[list[Edge], list[Any], float]:
    """Edges between frames, brightness thumbnails, and the reference's noise."""
    brightness: list[Any] = []
    noise = 0.0
    with closing(links), feed.open(look) as seen_frames:
        for index, seen in seen_frames:
            links.add(index, seen.sight)
            brightness.append(seen.sight.brightness)
            noise = seen.noise if seen.noise is not None else noise
            progress.advance(feed.waiting_share)
            del seen
        return links.edges(), brightness, noise


def _place(
    solution: Solution, index: int, reference: int, shown: Sequence[Showing], factor: int
) -> Place:
    """What the solution says of one frame, in full-size pixels."""
    transform = solution.transforms[index]
    own = [edge for edge in solution.edges if index in (edge.here, edge.there)]
    confidence = 1.0 if index == reference else max((edge.link.confidence for edge in own), default=0.0)
    if transform is None:
        return Place(Transform.identity(), used=False, confidence=confidence)
    transform = _in_frames(transform, shown[reference], shown[index])
    residual = max((edge.residual_px for edge in own if edge.link.trusted), default=0.0)
    return Place(transform, True, confidence, residual * factor)


def _in_frames(transform: Transform, reference: Showing, frame: Showing) -> Transform:
    """A transform between planes as one between frames, at rest where it nearly is."""
    if reference == frame and transform.travel(*reference.size) < REST_PX:
        return Transform.identity()
    if not frame.like(reference):
        matrix = frame.to_frame @ transform.matrix @ np.linalg.inv(reference.to_frame)
        return Transform(normalise(matrix))
    found = transform.scaled(frame.factor)
    return found if reference.size == frame.size else _on_pixels(found, reference)


def _on_pixels(transform: Transform, reference: Showing) -> Transform:
    """The shift by whole pixels that is no further from a crop's transform than REST_PX, if there is one."""
    whole = np.eye(3)
    middle = (corners(*reference.size)[2:3] / 2) * reference.factor
    whole[:2, 2] = np.rint(transform.apply(middle) - middle)[0]
    away = Transform(np.linalg.inv(whole) @ transform.matrix)
    size = reference.size[0] * reference.factor, reference.size[1] * reference.factor
    return Transform(whole) if away.travel(*size) < REST_PX * reference.factor else transform
