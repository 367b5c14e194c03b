"""Making a result again from its sidecar: `gpustack.replay(path) -> Replay`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack import libraries
from gpustack.api import stack
from gpustack.engine.progress import Progress
from gpustack.errors import GpustackError, InputError
from gpustack.io.picture import read_picture
from gpustack.io.sidecar import Input, Output, Sidecar, read_sidecar
from gpustack.model.place import Place
from gpustack.model.stack import Stack
from gpustack.model.transform import corners
from gpustack.records.provenance import Digest
from gpustack.records.recorded import Inputs
from gpustack.result import Result
from gpustack.settings import BackendName, Settings

_ROWS = 256


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """A result that was made again.

    same: names of the outputs whose pixels are the same bit for bit; other: of those that are not, and how
    they differ, as sentences. changes: what else is not as it was: versions, backend, inputs, alignment.
    """

    result: Result
    frames: Stack
    settings: Settings
    sidecar: Sidecar
    same: tuple[str, ...]
    other: dict[str, str]
    changes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"same": list(self.same), "other": self.other, "changes": list(self.changes)}


def replay(
    path: str | Path,
    *,
    folder: str | Path | None = None,
    fetched: Mapping[str, Path] | None = None,
    anyway: bool = False,
    backend: BackendName | None = None,
    depth: bool = False,
    machine: Settings | None = None,
    progress: Progress | None = None,
) -> Replay:
    """Make the result of a sidecar again, and compare its pixels with those that were made then.

    `folder`: where the inputs lie now, by the names that they had, if not where they lay. `fetched`: where
    those that lay on object storage do, by their names there. `anyway`: go on where inputs have changed.
    `backend`: another than was asked for then. `depth`: make the depth where none was made then, too, as a
    report shows it; the picture does not depend on it. `machine`: memory, threads and devices are those of
    these settings, on which no pixel depends, and so is the command that develops RAW files, where one did:
    what a file says is never run.

    Raises InputError for a sidecar that cannot be read, for one of a picture that was retouched, and for
    inputs that are missing or have changed; UsageError where that command is wanted.
    """
    path = Path(path)
    home = path.absolute().parent.resolve()
    recorded = read_sidecar(path)
    _refuse_retouched(recorded)
    found = Inputs(recorded, path, None if folder is None else Path(folder), fetched)
    if not anyway:
        found.refuse_changed(", or go on --anyway")
    settings = found.settings(backend or recorded.settings.backend, machine or Settings())
    settings = replace(settings, depth=settings.depth or depth)
    frames = found.stack(settings.raw_developer)
    slabs: dict[int, Digest] = {}
    result = stack(
        frames,
        settings,
        transforms=recorded.places if recorded.given else None,
        progress=progress,
        keep_slab=lambda made: slabs.update({made.slab.number: Digest.of(made.image)}),
    )
    same, other = _compared(recorded, result, home)
    other |= _other_slabs(recorded, slabs)
    changes = (*found.changed, *_versions(recorded), *_surroundings(recorded, result))
    return Replay(result, frames, settings, recorded, same, other, (*changes, *_moved(recorded, result)))


def _refuse_retouched(recorded: Sidecar) -> None:
    """Raise InputError for a picture that was painted on: its strokes are in a file of their own."""
    if recorded.edits is not None:
        raise InputError(
            f"{recorded.outputs['picture'].file} was retouched with the {recorded.edits.strokes} strokes of "
            f"{recorded.edits.file}, which replay does not paint.",
            "Replay the picture that was painted on, and give that list to gpustack apply with --picture.",
        )


def _versions(recorded: Sidecar) -> Iterator[str]:
    here = libraries.program()
    for name in {**recorded.program, **here}:
        then, now = (known.get(name, libraries.MISSING) for known in (recorded.program, here))
        if then != now:
            yield f"{name} was {then} and is {now}"
    if recorded.machine != libraries.machine():
        yield f"the machine was {recorded.machine} and is {libraries.machine()}"


def _surroundings(recorded: Sidecar, result: Result) -> Iterator[str]:
    then, now = recorded.report, result.report
    if then["backend"] != now.backend:
        yield f"the backend was {then['backend']} and is {now.backend}"
    elif then["backend_reason"] != now.backend_reason and now.backend == "cuda":
        yield f"then: {then['backend_reason']} Now: {now.backend_reason}".rstrip(".")
    box = recorded.report.get("box")
    if box != list(now.box):
        yield f"the part that is kept was {box} and is {list(now.box)}"


def _moved(recorded: Sidecar, result: Result) -> Iterator[str]:
    """How far the alignment is from that of then."""
    worst, at = 0.0, 0
    for index, (then, now) in enumerate(zip(recorded.places, result.places, strict=True)):
        if then.used != now.used:
            yield f"frame {index} was {'used' if then.used else 'left out'} and is not any more"
        away = _apart(then, now, recorded.inputs[index])
        worst, at = max((worst, at), (away, index))
    if worst > 0:
        yield f"frames lie elsewhere, by {worst:.2g} pixels at most (frame {at})"


def _apart(then: Place, now: Place, of: Input) -> float:
    points = corners(of.width, of.height)
    return float(np.abs(then.transform.apply(points) - now.transform.apply(points)).max())


def _compared(recorded: Sidecar, result: Result, home: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    """The outputs that are the same, and how the others differ."""
    made = {"picture": result.image, "depth": result.depth, "confidence": result.confidence}
    same, other = [], {}
    for name, then in recorded.outputs.items():
        pixels = made.get(name)
        if pixels is None:
            other[name] = "it was not made"
        elif Digest.of(pixels).named(then.file) == then:
            same.append(name)
        else:
            other[name] = _difference(pixels, then, home)
    return tuple(same), other


def _difference(pixels: npt.NDArray[Any], then: Output, home: Path) -> str:
    """How pixels differ from those of a file, if it is still there."""
    if pixels.shape != then.shape or pixels.dtype.name != then.dtype:
        return f"it was {_size(then.shape)} of {then.dtype} and is {_size(pixels.shape)} of {pixels.dtype}"
    try:
        before = read_picture(home / then.file).pixels
    except (GpustackError, OSError):
        return f"its pixels differ; by how much cannot be told, as {then.file} cannot be read"
    before = before.reshape(pixels.shape) if before.size == pixels.size else before
    if before.shape != pixels.shape:
        return f"its pixels differ; by how much cannot be told, as {then.file} is another picture now"
    exact = Digest.of(before).sha256 == then.sha256
    return f"{_by_how_much(pixels, before)}{'' if exact else f', against {then.file} as it is now'}"


def _by_how_much(pixels: npt.NDArray[Any], before: npt.NDArray[Any]) -> str:
    """The share of the pixels that differ, and the largest difference; by bands, as copies are large."""
    unequal, most = 0, 0.0
    for first in range(0, len(pixels), _ROWS):
        now, then = (plane[first : first + _ROWS] for plane in (pixels, before))
        unequal += int(np.count_nonzero(np.atleast_3d(now != then).any(axis=2)))
        most = max(most, float(np.abs(now.astype(np.float64) - then).max()))
    white = f" of {np.iinfo(pixels.dtype).max:,}" if pixels.dtype.kind == "u" else ""
    share = unequal / (pixels.shape[0] * pixels.shape[1])
    return f"{share:.3%} of its pixels differ, by {most:g}{white} at most"


def _other_slabs(recorded: Sidecar, made: Mapping[int, Digest]) -> dict[str, str]:
    """The slabs whose pixels are not those of then, of those that the sidecar knows: a resumed run knows only
    what it wrote itself."""
    other = {}
    for then in recorded.slabs:
        found = re.search(r"_slab_(\d+)$", PurePosixPath(then.file).stem)
        now = made.get(int(found[1])) if found else None
        if now is None or now.named(then.file) != then:
            how = "was not made" if now is None else "has other pixels"
            other[then.file] = f"this slab {how}"
    return other


def _size(shape: Sequence[int]) -> str:
    return f"{shape[1]}x{shape[0]}" if len(shape) > 1 else str(shape)
