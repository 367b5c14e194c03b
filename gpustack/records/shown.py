"""What `gpustack view` shows: a result, what its sidecar says of it, and where it lies in the reference."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gpustack.errors import GpustackError, InputError
from gpustack.io.decode import probe
from gpustack.io.sidecar import ENDING, Input, Sidecar, beside, read_sidecar
from gpustack.model.frame import Frame
from gpustack.model.transform import Matrix
from gpustack.model.turn import Box, Turn
from gpustack.records.recorded import Inputs

_AGAIN = "Name a picture that gpustack stack wrote, unchanged, with the sidecar beside it."


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """An opened result.

    path: its file, `picture` what its header says. box: where it lies in the upright reference, in pixels;
    stored_box: the same as frames are stored; turn: of the reference, guessed where neither the sidecar nor
    frames tell. warnings: sentences.
    """

    path: Path
    sidecar_path: Path
    sidecar: Sidecar
    picture: Frame
    inputs: Inputs
    turn: Turn
    turn_known: bool
    stored_box: Box
    warnings: list[str] = field(default_factory=list)

    @property
    def box(self) -> Box:
        """left, top, width, height of the result in the upright reference."""
        return self.turn.upright(self.stored_box)

    @property
    def reference(self) -> Input:
        """The frame that gave the geometry."""
        return self.sidecar.inputs[self.sidecar.reference]

    @property
    def to_stored(self) -> Matrix:
        """3x3: pixels of the result to those of the reference as stored."""
        left, top, _, _ = self.box
        shift = np.array([[1.0, 0, left], [0, 1, top], [0, 0, 1]])
        return np.asarray(self.turn.to_stored @ shift)

    def name_of(self, index: int) -> str:
        """A frame's file name, with its page where the file holds several."""
        one = self.sidecar.inputs[index]
        several = sum(other.file == one.file for other in self.sidecar.inputs) > 1
        return f"{Path(one.file).name}[{one.page}]" if several else Path(one.file).name


def open_shown(path: Path, folder: Path | None = None) -> Shown:
    """Open a result by its name or its sidecar's; `folder`: where the inputs lie, if not where they lay.

    Reads headers only. Raises InputError where one of the two is missing or does not fit the other.
    """
    sidecar_path = beside(path)
    if not sidecar_path.is_file():
        raise InputError(f"There is no {sidecar_path.name} beside {path.name}.", _AGAIN)
    sidecar = read_sidecar(sidecar_path)
    named = path.name.endswith(ENDING)
    picture_path = sidecar_path.parent / sidecar.outputs["picture"].file if named else path
    if not picture_path.is_file():
        raise InputError(f"There is no picture {picture_path}.", _AGAIN)
    picture, *more = probe(picture_path)
    wanted = sidecar.outputs["picture"].shape[1::-1]
    if more or picture.size != wanted:
        found = f"{len(more) + 1} pictures" if more else "{} x {} pixels".format(*picture.size)
        raise InputError(
            f"{picture_path.name} has {found}, and its sidecar tells of {wanted[0]} x {wanted[1]}.", _AGAIN
        )
    inputs = Inputs(sidecar, sidecar_path, folder)
    warnings = list(sidecar.report["warnings"])
    box = _box(sidecar, sidecar_path.name)
    turn, known = _turn(sidecar, inputs, box)
    if not known:
        warnings.append(
            "The frames are not there to tell how the camera was held: boxes and retouching may be turned."
        )
    return Shown(picture_path, sidecar_path, sidecar, picture, inputs, turn, known, box, warnings)


def _box(sidecar: Sidecar, name: str) -> Box:
    """The part of the reference, as stored, that was kept. Raises InputError for none that is possible."""
    told: Any = sidecar.report.get("box")
    reference = sidecar.inputs[sidecar.reference]
    if isinstance(told, list) and len(told) == 4 and all(type(side) is int for side in told):
        left, top, width, height = told
        inside = min(left, top) >= 0 and left + width <= reference.width and top + height <= reference.height
        if inside and sorted((width, height)) == sorted(sidecar.outputs["picture"].shape[:2]):
            return left, top, width, height
    raise InputError(f"{name} is damaged: its box is no part of the reference.", _AGAIN)


def _turn(sidecar: Sidecar, inputs: Inputs, box: Box) -> tuple[Turn, bool]:
    """How the reference is turned, and whether that is known: as the sidecar or its header says, or the
    header of another frame; else as the size of the picture lets it."""
    reference = sidecar.inputs[sidecar.reference]
    size, high, wide = (reference.width, reference.height), *sidecar.outputs["picture"].shape[:2]
    first = [reference, *sidecar.inputs]
    for one in first[: 1 + _TRIED]:
        found = orientation_of(inputs, one)
        if found is not None and Turn(found, *size).upright(box)[2:] == (wide, high):
            return Turn(found, *size), True
    lies = Turn(1, *size).upright(box)[2:] == (wide, high)
    return Turn(1 if lies else 6, *size), False


_TRIED = 16


def orientation_of(inputs: Inputs, one: Input) -> int | None:
    """How an input is turned: what the sidecar says, else its header; None where it is not there, either."""
    if one.orientation is not None:
        return one.orientation
    if inputs.problem(one) is not None:
        return None
    try:
        return next((frame.orientation for frame in probe(inputs.path(one)) if frame.page == one.page), None)
    except GpustackError:
        return None
