"""Outputs of other methods, to be compared with a result, or painted from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gpustack.errors import InputError
from gpustack.io.decode import probe
from gpustack.io.sidecar import beside
from gpustack.model.frame import Frame
from gpustack.records.shown import Shown, open_shown


@dataclass(frozen=True, slots=True)
class Other:
    """A picture, and where its first pixel lies in the result, (x, y)."""

    picture: Frame
    offset: tuple[int, int]


def open_other(path: Path, shown: Shown) -> Other:
    """A picture that lies in the same reference: as its own sidecar says, or since it has the result's size.

    Raises InputError for what lies elsewhere.
    """
    if beside(path).is_file():
        other = open_shown(path)
        mine, its = shown.reference, other.reference
        if (Path(mine.file).name, mine.page, mine.sha256) != (Path(its.file).name, its.page, its.sha256):
            raise InputError(
                f"{path.name} was stacked onto another reference, {its.file}, so its pixels lie elsewhere.",
                f"Stack it again with --reference {shown.sidecar.reference}.",
            )
        left, top = (there - here for there, here in zip(other.box[:2], shown.box[:2], strict=True))
        return Other(other.picture, (left, top))
    if not path.is_file():
        raise InputError(f"There is no picture {path}.", "Name an output of another method.")
    picture, *more = probe(path)
    wide, high = picture.size if picture.orientation < 5 else picture.size[::-1]
    if more or (wide, high) != shown.box[2:]:
        raise InputError(
            f"{path.name} has no sidecar, and {wide} x {high} pixels where the result has "
            "{} x {}.".format(*shown.box[2:]),
            "Compare pictures of one geometry: stack with --crop none, or keep sidecars.",
        )
    return Other(picture, (0, 0))
