"""The layers of a file: a record for each, then the channels of each, written as they come.

The lengths of channels stand in the records, which come first: they are filled in when they are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from gpustack.io.psd.channels import Packer
from gpustack.io.psd.form import Form, patch
from gpustack.model.layer import Box

ALPHA, MASK = -1, -2
"""The numbers of channels that are no colours."""

_OPAQUE, _NOT_CLIPPED, _CLIPPED, _FLAGS = 255, 0, 1, 8  # 8: the flags are those of Photoshop 5 and later
_HIDDEN_OUTSIDE = 0


@dataclass(frozen=True, slots=True)
class Record:
    """A layer to come: its name, its box, whether it has a mask, and whether it shows only where the lowest
    layer does."""

    name: str
    box: Box
    masked: bool = False
    clipped: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """The pixels of a layer, upright: colours (h, w, 1 or 3), and where it is opaque, (h, w); and its mask
    (h, w) uint8, None where it has none."""

    colours: npt.NDArray[Any]
    alpha: npt.NDArray[Any]
    mask: npt.NDArray[np.uint8] | None = None

    @property
    def channels(self) -> list[npt.NDArray[Any]]:
        """In the order of a record."""
        planes = [self.alpha, *(self.colours[..., number] for number in range(self.colours.shape[2]))]
        return planes if self.mask is None else [*planes, self.mask]


class LayerInfo:
    """Writes the layer info of a file at its present end: the records now, layers one by one."""

    def __init__(
        self, file: BinaryIO, form: Form, packer: Packer, colours: int, records: Sequence[Record], alpha: bool
    ) -> None:
        """`colours` are channels without alpha; `alpha`: the picture is not opaque everywhere."""
        self._file, self._form, self._packer = file, form, packer
        file.write(form.pack("h", -len(records) if alpha else len(records)))
        self._lengths = [self._announce(record, colours) for record in records]
        self._next = 0

    def write(self, picture: Picture) -> None:
        """The next layer."""
        for at, plane in zip(self._lengths[self._next], picture.channels, strict=True):
            patch(self._file, at, self._form.length(self._packer.write(plane)))
        self._next += 1

    def _announce(self, record: Record, colours: int) -> list[int]:
        """Write a record; returns where the lengths of its channels belong."""
        file, form, box = self._file, self._form, record.box
        numbers = [ALPHA, *range(colours), *([MASK] if record.masked else [])]
        sides = form.pack("4i", box.top, box.left, box.top + box.height, box.left + box.width)
        file.write(sides + form.pack("H", len(numbers)))
        lengths = []
        for number in numbers:
            file.write(form.pack("h", number))
            lengths.append(file.tell())
            file.write(form.length(0))
        clipping = _CLIPPED if record.clipped else _NOT_CLIPPED
        file.write(form.key(b"8BIM") + form.key(b"norm") + bytes([_OPAQUE, clipping, _FLAGS, 0]))
        mask = sides + bytes([_HIDDEN_OUTSIDE, 0, 0, 0]) if record.masked else b""
        extra = form.pack("I", len(mask)) + mask + form.pack("I", 0) + _names(record.name, form)
        file.write(form.pack("I", len(extra)) + extra)
        return lengths


def _names(name: str, form: Form) -> bytes:
    """The name as a Pascal string, for old readers, and in Unicode."""
    plain = name.encode("mac_roman", "replace")[:255]
    short = bytes([len(plain)]) + plain
    text = form.text(name)
    text += bytes(-len(text) % 4)
    return (
        short
        + bytes(-len(short) % 4)
        + form.key(form.signature)
        + form.key(b"luni")
        + form.pack("I", len(text))
        + text
    )
