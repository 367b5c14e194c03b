"""What the backend's coarse operations do inside, looked at through a part that has seen one frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpustack.backend.protocol import Backend
from gpustack.backend.values import Band, Best, Extent, LevelBand, Mix, Part, Spread
from gpustack.model.frame import PixelType
from tests.strategies import Picture


def empty_part(
    backend: Backend[Any],
    channels: int,
    height: int,
    width: int,
    noise: float | None = None,
    *,
    afar: bool = False,
    spread: bool = False,
    steep: bool = False,
) -> Part[Any]:
    """A part that no frame was folded into: a soft choice where `noise` is given, else a hard one; no
    channels, no image. `spread`: with the spread of the mean, which is then of squared values. `steep`: a
    soft choice by roots of energies."""

    def full(shape: tuple[int, ...], value: float, dtype: str = "float32") -> Any:
        return backend.full(shape, value, dtype, afar=afar)

    best = Best(full((height, width), -1.0), full((height, width), 65535, "uint16"))
    if noise is not None:
        mix = Mix(full((channels, height, width), 0.0), full((height, width), 0.0), squared=spread)
        if spread:
            mix.spread = Spread(*(full((height, width), 0.0) for _ in range(3)))
        return Part(best, mix, noise, steep)
    best.image = full((channels, height, width), 0.0) if channels else None
    return Part(best)


def empty_extent(
    backend: Backend[Any], channels: int, height: int, width: int, kind: PixelType
) -> Extent[Any]:
    """The range of no values."""
    top, bottom = (np.inf, -np.inf) if kind is PixelType.FLOAT32 else (kind.white, 0)
    shape = (channels, height, width)
    return Extent(backend.full(shape, top, kind.value), backend.full(shape, bottom, kind.value))


def mask(covers: Picture) -> Picture:
    """A mask as backends have it, from booleans."""
    return np.where(covers, 255, 0).astype(np.uint8)


def sharpness(backend: Backend[Any], image: Picture, sigma: float) -> Picture:
    """The focus measure (h, w) of an image (c, h, w): what a fresh part has as its energy after one
    frame."""
    _, height, width = image.shape
    part = empty_part(backend, 0, height, width)
    backend.fold_sharpness(part, 0, Band(backend.upload(image)), sigma, slice(0, height))
    return backend.download(part.best.energy)


def level(
    backend: Backend[Any], image: Picture, sigma: float, evidence: Picture | None = None
) -> tuple[Picture, Picture]:
    """Detail (c, h, w) and energy (h, w) of one level: what a fresh hard part keeps, and what is
    returned."""
    channels, height, width = image.shape
    part = empty_part(backend, channels, height, width)
    energy = backend.fold_level(part, 0, level_band(backend, image, evidence), sigma, None)
    return backend.download(part.kept), backend.download(energy)


def level_band(
    backend: Backend[Any], image: Picture, evidence: Picture | None = None, covers: Picture | None = None
) -> LevelBand[Any]:
    """All of a level in one band; `covers` are booleans."""
    held = backend.upload(image)
    heard = None if evidence is None else backend.upload(evidence)
    valid = None if covers is None else backend.upload(mask(covers))
    return LevelBand(held, backend.reduce(held), heard, valid, slice(0, image.shape[1]))
