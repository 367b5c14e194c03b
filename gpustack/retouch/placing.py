"""Strokes on the pixels of a result: where the positions of an edit list lie in it, and what frames and other
results cover of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from gpustack.errors import InputError
from gpustack.model.turn import Turn
from gpustack.records.shown import Shown, open_shown, orientation_of
from gpustack.retouch.edits import EditList, Reference
from gpustack.retouch.masks import Mask
from gpustack.retouch.painting import Paint, Reach
from gpustack.retouch.strokes import Erase, FrameSource, Matrix, PictureSource, Stroke, shifted

_HALF = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
"""From pixels whose centres are at whole numbers to such that cover 0 to 1."""


@dataclass(frozen=True, slots=True)
class Place:
    """A result, and where its edit list lies or will lie: names in the list count from there."""

    shown: Shown
    home: Path

    def paints(self, edits: EditList) -> tuple[Paint, ...]:
        """The strokes of a list over the result. Raises InputError where they do not belong to it."""
        matrix = self._to_result(edits.reference)
        return tuple(self.paint(stroke.moved(matrix)) for stroke in edits.strokes)

    def paint(self, stroke: Stroke) -> Paint:
        """A stroke in pixels of the result. Raises InputError for a source that does not belong to it."""
        match stroke.source:
            case Erase():
                reach = None
            case FrameSource():
                reach = self._reach(self.index(stroke.source))
            case PictureSource():
                reach = self._other_reach(self.other(stroke.source))
        _, _, width, height = self.shown.box
        hides = reach is not None and reach.whole(width, height)
        return Paint(Mask.of(stroke), stroke.source, None if hides else reach)

    def adopted(self, edits: EditList) -> tuple[Stroke, ...]:
        """The strokes of a list in positions of the result's own reference. Raises as `paints`."""
        matrix = np.linalg.inv(self.from_reference) @ self._to_result(edits.reference)
        same = np.array_equal(matrix, np.eye(3))
        return edits.strokes if same else tuple(stroke.moved(matrix) for stroke in edits.strokes)

    @property
    def reference(self) -> Reference:
        """The reference as an edit list names it."""
        own, (width, height) = self.shown.reference, self.shown.turn.size
        return Reference(own.file, own.page, width, height)

    @property
    def from_reference(self) -> Matrix:
        """3x3: positions of the upright reference to those of the result."""
        left, top, _, _ = self.shown.box
        return shifted(left, top)

    def index(self, source: FrameSource) -> int:
        """Which of the frames is meant. Raises InputError where none is, or several could be."""
        found = self._named(source.file, source.page)
        if found is None:
            page = f", page {source.page}," if source.page else ""
            raise InputError(
                f"{PurePosixPath(source.file).name}{page} is not one of the frames of "
                f"{self.shown.path.name}.",
                "Stack it with the others, or take its strokes away.",
            )
        return found

    def other(self, source: PictureSource) -> Shown:
        """Another result of the same reference. Raises InputError for what is none."""
        other = open_shown(self.home / source.file)
        mine, its = self.shown, other
        if (mine.reference.sha256, mine.reference.page) != (its.reference.sha256, its.reference.page):
            raise InputError(
                f"{source.file} was stacked on another reference than {mine.path.name}.",
                f"Stack it again with --reference {mine.sidecar.reference}.",
            )
        return other

    def _reach(self, index: int) -> Reach:
        """What a frame covers."""
        sidecar = self.shown.sidecar
        frame, transform = sidecar.inputs[index], sidecar.places[index].transform
        matrix = _HALF @ transform.matrix @ self.shown.to_stored @ np.linalg.inv(_HALF)
        return Reach(matrix, frame.width, frame.height)

    def _other_reach(self, other: Shown) -> Reach:
        (left, top, _, _), (its_left, its_top, width, height) = self.shown.box, other.box
        return Reach(shifted(its_left - left, its_top - top), width, height)

    def _to_result(self, reference: Reference) -> Matrix:
        """3x3: positions of a list to those of the result, also where the list's reference is now a frame
        like the others. Raises InputError where that is not known."""
        index = self._named(reference.file, reference.page)
        name, sidecar = PurePosixPath(reference.file).name, self.shown.sidecar
        if index is None:
            raise InputError(
                f"The strokes were made over {name}, which is not one of the frames of "
                f"{self.shown.path.name}.",
                "Name the picture that they were made over with --picture.",
            )
        turn = self.shown.turn if index == sidecar.reference else self._turn(index)
        if turn.size != (reference.width, reference.height):
            raise InputError(
                f"The strokes were made over {reference.width} x {reference.height} pixels, and {name} has "
                "{} x {}.".format(*turn.size),
                "Name the picture that they were made over with --picture.",
            )
        if index == sidecar.reference:
            return self.from_reference
        back = np.linalg.inv(sidecar.places[index].transform.matrix @ self.shown.to_stored)
        return np.asarray(_HALF @ back @ turn.to_stored @ np.linalg.inv(_HALF))

    def _turn(self, index: int) -> Turn:
        """How a frame is turned. Raises InputError where it is not there to tell."""
        one = self.shown.sidecar.inputs[index]
        orientation = orientation_of(self.shown.inputs, one)
        if orientation is None:
            raise InputError(
                f"How {PurePosixPath(one.file).name} is turned is not known, as it is not there.",
                "Name the folder where the frames lie with --frames.",
            )
        return Turn(orientation, one.width, one.height)

    def _named(self, file: str, page: int) -> int | None:
        """The only frame of that name, else the only one whose name ends so."""
        inputs = self.shown.sidecar.inputs
        kinds: list[Callable[[str], object]] = [lambda one: one, lambda one: PurePosixPath(one).name]
        for told in kinds:
            found = [
                index for index, one in enumerate(inputs) if one.page == page and told(one.file) == told(file)
            ]
            if len(found) == 1:
                return found[0]
        return None


def inverse_turn(turn: Turn) -> Turn:
    """The turn back: of the upright picture to the stored one."""
    return Turn({6: 8, 8: 6}.get(turn.orientation, turn.orientation), *turn.size)
