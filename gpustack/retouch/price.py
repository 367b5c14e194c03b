"""What painting strokes takes, in bytes, worked out from sizes alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gpustack.backend.memory import free_bytes
from gpustack.engine.price import BASE_BYTES, DECODE_FACTOR
from gpustack.errors import PlanError
from gpustack.model.frame import Frame
from gpustack.retouch.blending import seam_place
from gpustack.retouch.painting import Paint
from gpustack.retouch.stroked import TILE
from gpustack.settings import RAM_SHARE, Settings

WORK_TILES = 24
"""Tiles of float32 pixels at work beside the sums: coverage, resampling, gains, and their parts."""

LAYER_PICTURES = 3
"""Pictures held while layers are made: the fused one, and a layer as large as it, packed, too."""

LIST_FACTOR = 16
"""Bytes that are held for each byte of an edit list, while it is read: as text, as JSON, and as strokes."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be done: the header of the picture that is painted on, those of what is read, the bytes of
    the gains and of the edit list; whether layers are written, and whether a flat field or another profile
    changes the frames."""

    picture: Frame
    read: tuple[Frame, ...]
    gains: int
    edits: int
    layered: bool = False
    changed: bool = False

    @property
    def tile(self) -> int:
        """Bytes of what is added to one tile."""
        return TILE * TILE * 4 * self.picture.channels

    @property
    def fixed(self) -> int:
        """What is held, tiles aside, while the largest picture is decoded."""
        own = self.picture.nbytes
        decoding = max(int(frame.nbytes * (1 + DECODE_FACTOR[frame.kind])) for frame in self.read)
        decoding += self.changed * max(frame.nbytes for frame in self.read)
        held = BASE_BYTES + own * (1 + self.layered * LAYER_PICTURES) + self.gains + self.edits * LIST_FACTOR
        return held + max(decoding, int(own * DECODE_FACTOR[self.picture.kind])) + WORK_TILES * self.tile


def most_tiles(load: Load, machine: Settings) -> int:
    """How many tiles may be in memory at a time. Raises PlanError for none."""
    budget = machine.ram_bytes if machine.ram_bytes is not None else int(free_bytes() * RAM_SHARE)
    needed = load.fixed + load.tile
    if needed > budget:
        raise PlanError(
            f"Applying the strokes takes {needed >> 20} MiB, and {budget >> 20} MiB are allowed.",
            "Allow more with --ram, or close other programs.",
        )
    return (budget - load.fixed) // load.tile


def gains_bytes(paints: Sequence[Paint], picture: Frame) -> int:
    """What strokes over a picture are multiplied by takes."""
    width, height = picture.size if picture.orientation < 5 else picture.size[::-1]
    places = (seam_place(paint.mask, width, height) for paint in paints if paint.matches)
    cells = sum(place[1].pixels for place in places if place is not None)
    return cells * 4 * min(3, picture.channels)
