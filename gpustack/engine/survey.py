"""The survey pass: where each frame lies, how bright it is, and how noisy the stack is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpustack.align.brightness import with_gain
from gpustack.align.estimate import Link, Sight, match, see
from gpustack.align.solve import Edge, Solution, solve
from gpustack.backend.protocol import Backend
from gpustack.engine.plan import LINK_REACH, Plan, survey_factor
from gpustack.engine.progress import Progress
from gpustack.engine.stream import Stream
from gpustack.model.frame import Frame
from gpustack.model.place import Place
from gpustack.model.stack import Stack
from gpustack.model.transform import Matrix, Transform
from gpustack.settings import Model

Read = Callable[[Frame], Any]

LINK_STEPS = (1, 2, LINK_REACH)
"""How far back each frame is matched: the neighbour, which shows most of the same; the second, which
bridges a frame that fails; the fourth, which keeps the stack from drifting."""


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


def still(backend: Backend[Any], stack: Stack, read: Read, reference: int) -> Survey:
    """The survey of frames that are not to be moved: only the reference is looked at, for its noise."""
    frame = stack.frames[reference]
    noise = backend.noise_level(backend.upload(read(frame)), frame.pixel_type)
    return Survey((Place(Transform.identity()),) * len(stack), noise)


def survey(
    backend: Backend[Any],
    stack: Stack,
    read: Read,
    reference: int,
    model: Model,
    plan: Plan,
    progress: Progress,
) -> Survey:
    """Match every frame with frames before it and solve for all transforms together."""
    factor = survey_factor(stack)

    def look(frame: Frame) -> _Seen:
        pixels = backend.upload(read(frame))
        luma = backend.survey_luma(pixels, frame.pixel_type, factor)
        size = (max(1, frame.width // factor), max(1, frame.height // factor))
        is_reference = frame is stack.frames[reference]
        noise = backend.noise_level(pixels, frame.pixel_type) if is_reference else None
        return _Seen(see(backend, luma, size), noise)

    edges, brightness, noise = _matched(backend, stack, look, model, plan, progress)
    size = (max(1, stack.width // factor), max(1, stack.height // factor))
    solution = solve(edges, len(stack), reference, size)
    places = [_place(solution, index, reference, factor, size) for index in range(len(stack))]
    ratio = max(stack.width, stack.height) / max(brightness[0].shape)
    for index, place in enumerate(places):
        if place.used and index != reference:
            gained = with_gain(place.transform, brightness[reference], brightness[index], ratio)
            places[index] = replace(place, transform=gained)
    return Survey(tuple(places), noise)


def _matched(
    backend: Backend[Any],
    stack: Stack,
    look: Callable[[Frame], _Seen],
    model: Model,
    plan: Plan,
    progress: Progress,
) -> tuple[list[Edge], list[Any], float]:
    """Edges between frames, brightness thumbnails, and the reference's noise; LINK_REACH frames are held
    back."""
    edges: dict[tuple[int, int], Edge] = {}
    sights: dict[int, Sight] = {}
    brightness: list[Any] = []
    noise = 0.0
    progress.begin("survey", len(stack), stack.frames[0].megapixels)
    stream = Stream(stack.frames, look, slots=plan.slots, readers=plan.readers)
    with stream.open() as seen_frames:
        for index, seen in seen_frames:
            sights[index] = seen.sight
            sights.pop(index - LINK_REACH - 1, None)
            for here in (index - step for step in LINK_STEPS if step <= index):
                link = _link(backend, sights, edges, here, index, model)
                edges[here, index] = Edge(here, index, link)
            brightness.append(seen.sight.brightness)
            noise = seen.noise if seen.noise is not None else noise
            progress.advance(stream.waiting_share)
            del seen
    return list(edges.values()), brightness, noise


def _link(
    backend: Backend[Any],
    sights: dict[int, Sight],
    edges: dict[tuple[int, int], Edge],
    here: int,
    there: int,
    model: Model,
) -> Link:
    """Match two frames, from what shorter links say where those can be trusted."""
    guess = _guess(edges, here, there)
    link = match(backend, sights[here], sights[there], model, guess)
    if guess is not None and not link.trusted:
        return match(backend, sights[here], sights[there], model)
    return link


def _guess(edges: dict[tuple[int, int], Edge], here: int, there: int) -> Matrix | None:
    """The motion by way of the frame halfway, if both its links are trusted."""
    half = (here + there) // 2
    first, second = edges.get((here, half)), edges.get((half, there))
    if first is None or second is None or not (first.link.trusted and second.link.trusted):
        return None
    return np.asarray(second.link.matrix @ first.link.matrix)


def _place(solution: Solution, index: int, reference: int, factor: int, size: tuple[int, int]) -> Place:
    """What the solution says of one frame, in full-size pixels."""
    transform = solution.transforms[index]
    own = [edge for edge in solution.edges if index in (edge.here, edge.there)]
    confidence = 1.0 if index == reference else max((edge.link.confidence for edge in own), default=0.0)
    if transform is None:
        return Place(Transform.identity(), used=False, confidence=confidence)
    if transform.travel(*size) < REST_PX:
        transform = Transform.identity()
    residual = max((edge.residual_px for edge in own if edge.link.trusted), default=0.0)
    return Place(transform.scaled(factor), True, confidence, residual * factor)
