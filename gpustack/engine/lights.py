"""The light of a frame, as it is kept of all frames."""

from __future__ import annotations

from typing import Any

from gpustack.align.brightness import Light, factor_of, seen_light
from gpustack.backend.protocol import Backend
from gpustack.model.frame import Frame, Kind


def light_at(
    backend: Backend[Any], pixels: Any, frame: Frame, reduction: int, *, colours: bool = False
) -> Light:
    """The light of a frame, decoded so many times smaller; a RAW file holds light as it is."""
    width, height = frame.size
    factor = factor_of((width // reduction, height // reduction))
    linear = frame.kind is Kind.RAW
    values = backend.light(pixels, frame.pixel_type, factor, linear)
    return seen_light(values, factor * reduction, frame.size, linear=linear, colours=colours)
