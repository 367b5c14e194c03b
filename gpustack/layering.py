"""A result as a file of layers: `gpustack.stack(frames, layers=LayerFile("result.psd"))`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.engine.layers import Layer, Opening
from gpustack.finishing import Finishing
from gpustack.io.layers import check_layers, layered_file
from gpustack.io.psd.files import Base, opaque
from gpustack.io.psd.layers import Picture, Record
from gpustack.io.write import oriented
from gpustack.model.stack import Stack

Pixels = npt.NDArray[Any]

FUSED = "Fused"
"""Name of the lowest layer."""


@dataclass(slots=True)
class LayerFile:
    """A file that is to hold the fused picture and one masked layer for each frame that it is made of: .psd,
    .psb or .tif.

    `written` is the name that it has in the end: .psb, where a .psd would be too large.
    """

    path: Path
    overwrite: bool = False
    threads: int | None = None
    written: Path | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.path = Path(self.path)

    def check(self, stack: Stack) -> None:
        """Refuse before any work what could not be written. Raises UsageError, WriteError."""
        check_layers(self.path, self.overwrite, stack)

    @contextmanager
    def open(
        self, finishing: Finishing, software: str, opening: Opening
    ) -> Iterator[Callable[[Layer], None]]:
        """Begin the file with the picture; gives what takes the layers, in order."""
        height, width = opening.picture.shape[:2]
        turn = finishing.orientation
        base = Base(finishing.upright(opening.picture), finishing.told(opening.places), software, FUSED)
        records = [
            Record(layer.name, layer.box.turned(turn, width, height), masked=True, clipped=base.has_alpha)
            for layer in opening.outlines
        ]
        threads = self.threads or os.cpu_count() or 1
        with layered_file(
            self.path, base, records, overwrite=self.overwrite, threads=threads, warn=opening.warn
        ) as (path, write):
            yield lambda layer: write(_shown(layer, finishing, base.colours))
        self.written = path


def _shown(layer: Layer, finishing: Finishing, colours: int) -> Picture:
    """A layer as it is to be seen."""
    pixels = finishing.upright(layer.pixels)
    covers = layer.covers
    alpha = opaque(pixels.shape[:2]) if covers is None else oriented(covers, finishing.orientation)
    mask: npt.NDArray[np.uint8] = oriented(layer.mask, finishing.orientation)
    return Picture(pixels[..., :colours], alpha, mask)
