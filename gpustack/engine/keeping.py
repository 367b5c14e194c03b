"""States of folds and outcomes of the survey as the entries of a file, and back.

A state is filled in place: `start` makes its structure, and the file gives only values for arrays of the
same shape and dtype, and for numbers. So a file can put nothing but numbers into it, and a state lies on the
device as it always does. What the survey found is made anew, of the classes named here alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.align.brightness import Light
from gpustack.align.estimate import Link
from gpustack.align.solve import Edge
from gpustack.backend.protocol import Backend
from gpustack.backend.spool import Spool
from gpustack.engine.looking import PicturesPiece
from gpustack.engine.showing import Showing
from gpustack.engine.sightings import Piece
from gpustack.engine.spooled import Lazy, Spooled
from gpustack.engine.survey import Survey
from gpustack.fuse.veil import Glow
from gpustack.ghosts.glance import Glance
from gpustack.io.parts import DamagedError, PartReader, PartWriter
from gpustack.model.canvas import Canvas
from gpustack.model.place import Place, Tie
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform
from gpustack.settings import Model

_OF_PLACES = (Survey, Place, Tie, Transform, Tone, Model)
_OF_LOOKS = (Piece, PicturesPiece, Showing, Light, Edge, Link, Glance, Glow)
MADE_OF: dict[str, Any] = {kind.__name__: kind for kind in (*_OF_PLACES, *_OF_LOOKS)}

MOST_BEGUN = 1 << 16
"""Keys of a mapping in a state, at most: as many as there can be frames."""

Number = int | float
Keys = dict[str, list[int]]


@dataclass(slots=True)
class _Leaves:
    """What a state holds: arrays of the backend and numbers of mutable parts, by their paths; and the keys of
    its mappings."""

    backend: Backend[Any]
    arrays: dict[str, Any] = field(default_factory=dict)
    numbers: dict[str, tuple[Any, str]] = field(default_factory=dict)
    keys: Keys = field(default_factory=dict)

    def gather(self, value: Any, path: str, wanted: Keys | None = None) -> None:
        """Note what lies below a path; mappings are given the keys that are wanted."""
        if self.backend.owns(value):
            self.arrays[path] = value
        elif isinstance(value, dict):
            self.keys[path] = sorted(value if wanted is None else wanted.get(path, ()))
            for key in self.keys[path]:
                self.gather(value[key], f"{path}.{key}", wanted)
        elif isinstance(value, list | tuple):
            for number, part in enumerate(value):
                self.gather(part, f"{path}.{number}", wanted)
        elif is_dataclass(value) and not isinstance(value, Canvas):
            self._gather_fields(value, path, wanted)

    def _gather_fields(self, value: Any, path: str, wanted: Keys | None) -> None:
        frozen = value.__dataclass_params__.frozen
        for each in fields(value):
            held = getattr(value, each.name)
            if each.metadata.get("anew"):
                continue
            if isinstance(held, Number) and not frozen:
                self.numbers[f"{path}.{each.name}"] = value, each.name
            else:
                self.gather(held, f"{path}.{each.name}", wanted)


def write_states(part: PartWriter, backend: Backend[Any], states: list[Any]) -> None:
    """Write states piece by piece. Waits for the device. Raises OSError."""
    leaves = _Leaves(backend)
    leaves.gather(states, "state")
    numbers = {path: getattr(owner, name) for path, (owner, name) in leaves.numbers.items()}
    part.note("state", {"keys": leaves.keys, "numbers": numbers, "arrays": list(leaves.arrays)})
    for path, array in leaves.arrays.items():
        for rows, piece in backend.pieces(array):
            part.array(f"{path}.{rows.start}", piece)


def read_states(part: PartReader, backend: Backend[Any], states: list[Any]) -> None:
    """Fill states that have just been started. Raises DamagedError where a state is another one; those given
    are of no use then."""
    note = part.note("state")
    try:
        wanted = {str(path): [int(key) for key in keys] for path, keys in note["keys"].items()}
        numbers, paths = dict(note["numbers"]), list(note["arrays"])
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise DamagedError("the state has no structure") from error
    if sum(map(len, wanted.values())) > MOST_BEGUN:
        raise DamagedError("the state has too many parts")
    leaves = _Leaves(backend)
    leaves.gather(states, "state", wanted)
    if (leaves.keys, list(leaves.arrays), set(leaves.numbers)) != (wanted, paths, set(numbers)):
        raise DamagedError("the state has another structure")
    for path, (owner, name) in leaves.numbers.items():
        if type(numbers[path]) is not type(getattr(owner, name)):
            raise DamagedError(f"{path} is no number of its kind")
        setattr(owner, name, numbers[path])
    for path, array in leaves.arrays.items():
        for rows, piece in backend.pieces(array):
            part.into(f"{path}.{rows.start}", piece)
            backend.copy(backend.upload(piece), backend.rows(array, rows))


def write_value(part: PartWriter, value: Any) -> None:
    """Write what a survey found, one array at a time. Raises OSError."""
    part.note("value", _Plain(part).of(value))


def read_value(part: PartReader) -> Any:
    """What a survey found. Raises DamagedError."""
    try:
        return _made(part.note("value"), part, Spool())
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise DamagedError(f"the value has another structure ({error})") from error


class _Plain:
    """Makes plain values, and writes the arrays in them as it meets them."""

    def __init__(self, part: PartWriter) -> None:
        self._part, self._arrays = part, 0

    def of(self, value: Any) -> Any:
        """A value as JSON takes it."""
        if isinstance(value, StrEnum):
            return {"of": type(value).__name__, "value": value.value}
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, list | tuple):
            return [self.of(part) for part in value]
        if isinstance(value, Lazy):
            return {"each": [self.of(part) for part in value]}
        if is_dataclass(value):
            held = {each.name: self.of(getattr(value, each.name)) for each in fields(value)}
            return {"of": type(value).__name__, "fields": held}
        return value

    def _array(self, array: npt.NDArray[Any]) -> dict[str, int]:
        number, self._arrays = self._arrays, self._arrays + 1
        self._part.array(f"array.{number}", np.ascontiguousarray(array))
        return {"array": number}


def _made(plain: Any, part: PartReader, spool: Spool) -> Any:
    """The value of plain ones; what comes lazily goes into the spool."""
    if isinstance(plain, list):
        return tuple(_made(each, part, spool) for each in plain)
    if not isinstance(plain, dict):
        return plain
    if "array" in plain:
        return part.array(f"array.{int(plain['array'])}")
    if "each" in plain:
        return Spooled(spool, (_made(each, part, spool) for each in plain["each"]))
    kind = MADE_OF[plain["of"]]
    if "value" in plain:
        return kind(plain["value"])
    return kind(**{name: _made(each, part, spool) for name, each in plain["fields"].items()})
