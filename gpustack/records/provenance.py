"""How a result was made: what `gpustack stack` notes in a sidecar beside each of its results."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack import libraries
from gpustack.io.fingerprint import Fingerprint, Fingerprints
from gpustack.io.sidecar import Input, Output, Sidecar, sidecar_of, write_sidecar
from gpustack.model.frame import Frame
from gpustack.model.stack import Stack
from gpustack.result import Result
from gpustack.settings import Settings

_ROWS = 256


@dataclass(frozen=True, slots=True)
class Written:
    """What a run wrote: the files of its picture, depth and confidence by these names, and of its slabs with
    the digests of their pixels. far: the names on object storage of files, inputs too, that stand for them
    here."""

    files: Mapping[str, Path]
    slabs: Sequence[tuple[Path, Digest]] = field(default_factory=tuple)
    far: Mapping[Path, str] = field(default_factory=dict)

    def name(self, path: Path) -> str:
        """A file as the sidecar beside the picture names it: as seen from its folder; the whole name where
        that is on another disk, or on object storage. Beside a picture there, a file of this machine has its
        name alone."""
        picture = self.files["picture"]
        if path in self.far and path.parent != picture.parent:
            return self.far[path]
        if picture in self.far:
            return path.name
        return named(path, picture.absolute().parent.resolve())


@dataclass(frozen=True, slots=True)
class Digest:
    """What identifies pixels: their shape, dtype and SHA-256."""

    shape: tuple[int, ...]
    dtype: str
    sha256: str

    @staticmethod
    def of(pixels: npt.NDArray[Any]) -> Digest:
        """That of an array: of its bytes row by row, the least byte of a sample first."""
        digest = hashlib.sha256()
        for first in range(0, len(pixels), _ROWS):
            rows = np.ascontiguousarray(pixels[first : first + _ROWS])
            digest.update(rows.astype(rows.dtype.newbyteorder("<"), copy=False).data)
        return Digest(pixels.shape, pixels.dtype.name, digest.hexdigest())

    def named(self, file: str) -> Output:
        """As a sidecar has it."""
        return Output(file, self.shape, self.dtype, self.sha256)


def record(
    frames: Stack,
    settings: Settings,
    result: Result,
    written: Written,
    fingerprints: Fingerprints,
    *,
    given: bool,
) -> Sidecar:
    """What is to be noted of a run; `given`: its transforms were not estimated.

    Waits for the fingerprints of its inputs. Raises InputError where one of them has gone meanwhile.
    """
    flat = None if settings.flat is None else Path(settings.flat)
    planes = {"picture": result.image, "depth": result.depth, "confidence": result.confidence}
    outputs = {
        name: Digest.of(plane).named(written.name(written.files[name]))
        for name, plane in planes.items()
        if plane is not None and name in written.files
    }
    return Sidecar(
        datetime.now(UTC).isoformat(timespec="seconds"),
        libraries.program(),
        libraries.machine(),
        settings,
        tuple(_input(frame, written, fingerprints) for frame in frames),
        frames.reference(settings.reference),
        result.places,
        given,
        outputs,
        _report(result),
        None if flat is None else _flat(flat, written, fingerprints),
        tuple(digest.named(written.name(path)) for path, digest in written.slabs),
    )


def save(sidecar: Sidecar, picture: Path, *, overwrite: bool) -> None:
    """Write it beside the picture. Raises WriteError."""
    write_sidecar(sidecar_of(picture), sidecar, overwrite=overwrite)


def _report(result: Result) -> dict[str, Any]:
    """The report, without what the alignment says of the frames, and how the run was interrupted."""
    rows = [
        {"file": row.file, "share": row.share, "shaken": row.place.shaken} for row in result.report.frames
    ]
    told = result.report.as_dict() | {"frames": rows}
    return {name: value for name, value in told.items() if name != "checkpoint"}  # a place on the machine


def _input(frame: Frame, written: Written, fingerprints: Fingerprints) -> Input:
    found, name = fingerprints.of(frame.path), written.name(frame.path)
    return Input(name, frame.page, frame.width, frame.height, found.size, found.sha256, frame.orientation)


def _flat(path: Path, written: Written, fingerprints: Fingerprints) -> Input:
    found: Fingerprint = fingerprints.of(path)
    return Input(written.name(path), 0, 1, 1, found.size, found.sha256)


def named(path: Path, home: Path) -> str:
    """A file as seen from a folder; its whole name where that is on another disk. Folders are resolved:
    `..` leads from where a link leads to."""
    whole = path.absolute().parent.resolve() / path.name
    try:
        return Path(os.path.relpath(whole, home)).as_posix()
    except ValueError:  # Windows, another drive
        return whole.as_posix()
