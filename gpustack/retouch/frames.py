"""The frames that strokes paint with: looked for by what the sidecar noted, decoded one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.engine.feed import Source
from gpustack.errors import InputError
from gpustack.finishing import Finishing
from gpustack.io.decode import Decoder, probe_all
from gpustack.io.fingerprint import fingerprint
from gpustack.io.icc import fitting_profile
from gpustack.io.metadata import read_metadata
from gpustack.io.picture import Picture, same_profile, sane
from gpustack.io.write import oriented
from gpustack.model.frame import Frame
from gpustack.model.stack import Stack
from gpustack.records.shown import Shown
from gpustack.retouch.sources import Aligned, Beside
from gpustack.settings import BackendName, Settings
from gpustack.sources import opened

Pixels = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Frames of a result by their indices; `headers` are the reference's and theirs."""

    shown: Shown
    settings: Settings
    indices: tuple[int, ...]
    headers: tuple[Frame, ...]
    finishing: Finishing

    @staticmethod
    def open(shown: Shown, indices: tuple[int, ...], machine: Settings) -> Frames:
        """Look for frames and the reference, and read their headers. Raises InputError where one has gone or
        is not what it was; UsageError where a program developed them, and `machine` names none."""
        sidecar = shown.sidecar
        wanted = (sidecar.reference, *indices)
        for index in dict.fromkeys(wanted):
            _refuse_changed(shown, index)
        settings = shown.inputs.settings(BackendName.CPU, machine)
        headers = tuple(_header(shown, index, settings.raw_developer) for index in wanted)
        settings = replace(settings, reference="first", ram_bytes=None, slab=None)
        return Frames(shown, settings, indices, headers, Finishing(headers[0], settings))

    @property
    def history(self) -> str:
        """How the result was made."""
        return self.finishing.told(self.shown.sidecar.places).history or ""

    @contextmanager
    def decoding(self) -> Iterator[Decoding]:
        """What decodes them, for as long as it is needed."""
        _refuse_recoloured(self)
        stack, source, decoder = opened(Stack(self.headers), self.settings, colours=True, fuses=True)
        try:
            yield Decoding(self, stack, source)
        finally:
            if decoder is not None:
                decoder.close()


@dataclass(frozen=True, slots=True, eq=False)
class Decoding:
    """Decodes frames as the run did."""

    frames: Frames
    stack: Stack
    source: Source

    def aligned(self, index: int, backend: Backend[Any]) -> Aligned:
        """A frame by its index, decoded, on the result's pixels."""
        shown = self.frames.shown
        frame = self.stack.frames[1 + self.frames.indices.index(index)]
        array = self.source.read(frame, None)
        place = shown.sidecar.places[index].transform
        return Aligned(
            backend,
            array,
            place,
            frame.pixel_type,
            self.frames.settings.interpolation,
            self.frames.finishing,
            shown,
        )


def picture_source(other: Shown, shown: Shown, pixels: Pixels) -> Beside:
    """Another result beside one with these pixels. Raises InputError where its colours mean something
    else."""
    theirs = oriented(Decoder(other.picture)(other.picture), other.picture.orientation)
    sane(Picture(other.path.name, theirs))
    mine = Picture(shown.path.name, pixels, read_metadata(shown.picture).icc)
    its = Picture(other.path.name, theirs, read_metadata(other.picture).icc)
    if mine.colours.shape[2] != its.colours.shape[2] or not mine.coloured_as(its):
        raise InputError(
            f"{other.path.name} has other colours than {shown.path.name}.",
            "Write both in one colour profile.",
        )
    (left, top, width, height), (its_left, its_top, _, _) = shown.box, other.box
    return Beside(theirs, its_left - left, its_top - top, width, height)


def _refuse_changed(shown: Shown, index: int) -> None:
    one = shown.sidecar.inputs[index]
    problem = shown.inputs.problem(one)
    if problem is None and fingerprint(shown.inputs.path(one)).sha256 != one.sha256:
        problem = f"{shown.inputs.path(one)} has another content (SHA-256)"
    if problem is not None:
        raise InputError(
            f"A frame of {shown.path.name} is not what it was: {problem}.",
            "Name the folder where the frames lie with --frames.",
        )


def _header(shown: Shown, index: int, developer: str | None) -> Frame:
    """Raises InputError where a file holds no such page, or another size."""
    one = shown.sidecar.inputs[index]
    found = [frame for frame in probe_all([shown.inputs.path(one)], developer) if frame.page == one.page]
    if not found or found[0].size != (one.width, one.height):
        raise InputError(
            f"{PurePosixPath(one.file).name} does not hold the {one.width} x {one.height} pixels that were "
            "stacked.",
            "Give the file that was stacked.",
        )
    return found[0]


def _refuse_recoloured(frames: Frames) -> None:
    """Refuse a result that was converted to other colours than its frames have."""
    picture = frames.shown.picture
    mine = fitting_profile(read_metadata(picture).icc, picture.channels)
    its = fitting_profile(frames.finishing.metadata.icc, picture.channels)
    if mine and its and not same_profile(mine, its):
        raise InputError(
            f"{frames.shown.path.name} was converted to another colour profile than its frames have.",
            "Apply the strokes to the picture that gpustack wrote, and convert what comes of it.",
        )
