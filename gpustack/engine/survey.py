"""The survey pass: where each frame lies, how bright it is, and how noisy the stack is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gpustack.align.chain import chain, with_gain
from gpustack.align.estimate import Link, Sight, match, see
from gpustack.backend.protocol import Backend
from gpustack.engine.plan import Plan, survey_factor
from gpustack.engine.progress import Progress
from gpustack.engine.stream import Stream
from gpustack.model.frame import Frame
from gpustack.model.stack import Stack
from gpustack.model.transform import Transform
from gpustack.settings import Model

Read = Callable[[Frame], Any]


@dataclass(frozen=True, slots=True)
class Survey:
    """One transform a frame, how well each frame matched its neighbour (1 for the reference), and the noise
    0..1."""

    transforms: tuple[Transform, ...]
    confidence: tuple[float, ...]
    noise: float


@dataclass(frozen=True, slots=True)
class _Seen:
    sight: Sight
    noise: float | None


def still(backend: Backend[Any], stack: Stack, read: Read, reference: int) -> Survey:
    """The survey of frames that are not to be moved: only the reference is looked at, for its noise."""
    frame = stack.frames[reference]
    noise = backend.noise_level(backend.upload(read(frame)), frame.pixel_type)
    return Survey((Transform.identity(),) * len(stack), (1.0,) * len(stack), noise)


def survey(
    backend: Backend[Any],
    stack: Stack,
    read: Read,
    reference: int,
    model: Model,
    plan: Plan,
    progress: Progress,
) -> Survey:
    """Match every frame with its neighbour and chain the matches from the reference."""
    factor = survey_factor(stack)

    def look(frame: Frame) -> _Seen:
        pixels = backend.upload(read(frame))
        luma = backend.survey_luma(pixels, frame.pixel_type, factor)
        size = (max(1, frame.width // factor), max(1, frame.height // factor))
        is_reference = frame is stack.frames[reference]
        noise = backend.noise_level(pixels, frame.pixel_type) if is_reference else None
        return _Seen(see(backend, luma, size), noise)

    links, brightness, noise = _matched(backend, stack, look, model, plan, progress)
    # Links are in pixels of the survey's planes, which are `factor` times smaller than the frames.
    full = [Link(Transform(k.matrix).scaled(factor).matrix, k.confidence, k.trusted) for k in links]
    transforms = chain(full, reference)
    ratio = max(stack.width, stack.height) / max(brightness[0].shape)
    gained = [
        with_gain(t, brightness[reference], b, ratio) for t, b in zip(transforms, brightness, strict=True)
    ]
    gained[reference] = Transform.identity()
    for index in (i for i, link in enumerate(links) if not link.trusted):
        _warn(progress, stack, index)
    return Survey(tuple(gained), _confidences(links, reference), noise)


def _matched(
    backend: Backend[Any],
    stack: Stack,
    look: Callable[[Frame], _Seen],
    model: Model,
    plan: Plan,
    progress: Progress,
) -> tuple[list[Link], list[Any], float]:
    """Links between neighbours, brightness thumbnails, and the reference's noise; two frames are held at a
    time."""
    links: list[Link] = []
    brightness: list[Any] = []
    noise, previous = 0.0, None
    progress.begin("survey", len(stack), stack.frames[0].megapixels)
    stream = Stream(stack.frames, look, slots=plan.slots, readers=plan.readers)
    with stream.open() as seen_frames:
        for _, seen in seen_frames:
            if previous is not None:
                links.append(match(backend, previous, seen.sight, model))
            previous = seen.sight
            brightness.append(seen.sight.brightness)
            noise = seen.noise if seen.noise is not None else noise
            progress.advance(stream.waiting_share)
            del seen
    return links, brightness, noise


def _confidences(links: list[Link], reference: int) -> tuple[float, ...]:
    before = [link.confidence for link in links[:reference]]
    after = [link.confidence for link in links[reference:]]
    return (*before, 1.0, *after)


def _warn(progress: Progress, stack: Stack, index: int) -> None:
    here, there = stack.frames[index].name, stack.frames[index + 1].name
    progress.warn(
        f"{there} shows too little in common with {here} to be aligned with it, and was left where it is. "
        "Look at the two frames; leave one out, or give the alignment with --transforms."
    )
