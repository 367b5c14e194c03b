"""From the pixels of a run to those of its result: RAW colours developed, upright, with the reference's
metadata."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.io.colour import shown, srgb_profile
from gpustack.io.decode import sensor_of, working_colour
from gpustack.io.metadata import Metadata, read_metadata, without_gps
from gpustack.io.screen import Screen
from gpustack.io.write import oriented
from gpustack.model.frame import Frame, Kind
from gpustack.model.place import Place
from gpustack.settings import Settings

Pixels = npt.NDArray[Any]

_ALWAYS_TOLD = ("align", "brightness", "crop", "radius", "smoothing")
_TOLD_OF_RAW = ("wb", "exposure", "demosaic")


class Finishing:
    """What becomes of the pictures of one run; the reference's file is read once."""

    def __init__(self, reference: Frame, settings: Settings, every: int = 1) -> None:
        """`every`: of the frames of the files, so many-th are in the stack. Raises DecodeError where the
        file is no longer what it was."""
        self._settings, self._kind, self.orientation = settings, reference.kind, reference.orientation
        metadata = Metadata() if reference.kind is Kind.ARRAY else read_metadata(reference)
        if settings.strip_gps:
            metadata = without_gps(metadata)
        if metadata.voxel is not None:
            metadata = replace(metadata, voxel=metadata.voxel.every(every))
        colour = None if settings.linear else working_colour(reference)
        self._matrix = None if colour is None else colour.matrix * 2.0**settings.exposure
        if settings.linear:
            metadata = replace(metadata, sensor=sensor_of(reference, settings.wb, settings.exposure))
        elif colour is not None:
            metadata = replace(metadata, icc=srgb_profile())
        self.metadata = metadata
        """What the reference's file says of a picture as it is to be seen, or in linear camera RGB."""

    @property
    def screen(self) -> Screen:
        """How pixels as decoded are shown on a screen."""
        return Screen(None if self._matrix is not None else self.metadata.icc, self._matrix)

    def upright(self, pixels: Pixels) -> Pixels:
        """Pixels (h, w, c) as they are to be seen, or in linear camera RGB, turned as the EXIF says."""
        if self._matrix is not None:
            pixels = shown(pixels, self._matrix)
        return np.ascontiguousarray(oriented(pixels, self.orientation))

    def told(self, places: Sequence[Place]) -> Metadata:
        """The metadata with how the picture was made."""
        used, given, settings = sum(place.used for place in places), len(places), self._settings
        frames = f"{used} frames" if used == given else f"{used} of {given} frames"
        names = _ALWAYS_TOLD + _TOLD_OF_RAW if self._kind is Kind.RAW else _ALWAYS_TOLD
        chosen = ", ".join(f"{name} {_worded(getattr(settings, name))}" for name in names)
        if self._kind is Kind.DEVELOPED and settings.raw_developer is not None:
            chosen += f", developed by {shlex.split(settings.raw_developer)[0]}"
        return replace(self.metadata, history=f"{frames} fused by method {settings.method}, {chosen}")


def _worded(value: object) -> str:
    """A setting as it is written on the command line."""
    return ",".join(f"{part:g}" for part in value) if isinstance(value, tuple) else str(value)
