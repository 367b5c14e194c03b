"""Masks of many frames, a bit a cell, in a spool: there is one for every frame of a stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from gpustack.backend.spool import Spool, Stored
from gpustack.ghosts.glance import Mask


class Masks(Mapping[int, Mask]):
    """Masks (h, w) of some frames by their index; each is a copy. Where nothing is set there is none."""

    def __init__(self, spool: Spool | None = None) -> None:
        self._spool = spool or Spool()
        self._stored: dict[int, tuple[Stored, tuple[int, ...]]] = {}

    def note(self, index: int, mask: Mask) -> None:
        """That of a frame, if anything is set."""
        if mask.any():
            self._stored[index] = self._spool.put(np.packbits(mask)), mask.shape

    def __getitem__(self, index: int) -> Mask:
        bits, shape = self._stored[index]
        return np.unpackbits(self._spool.get(bits), count=int(np.prod(shape))).reshape(shape).astype(bool)

    def __contains__(self, index: object) -> bool:
        return index in self._stored

    def __iter__(self) -> Iterator[int]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)
