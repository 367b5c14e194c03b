"""What a survey has seen so far, kept piece by piece beside the checkpoints of the passes.

    look-0, look-1, ...   what was seen of the next frames, and their links

Pieces are added and never rewritten, so that they cost the same however long the stack is. Once the survey is
done it is kept as a whole, and they go.
"""

from __future__ import annotations

from itertools import count

from gpustack.engine import pace
from gpustack.engine.checkpoint import Checkpoint, Warn
from gpustack.engine.keeping import read_value, write_value
from gpustack.engine.sightings import Piece, Sightings
from gpustack.io.parts import DamagedError

LANE = -1
"""The number of the survey's own pace; those of the passes count from 0."""


class Pieces:
    """Keeps what `Sightings` see while they do, and gives back what an interrupted survey has kept."""

    def __init__(self, checkpoint: Checkpoint, warn: Warn) -> None:
        self._checkpoint, self._warn = checkpoint, warn
        self._pace = checkpoint.pace(LANE)
        self._written = 0
        self._frames = 0

    def give_back(self, sightings: Sightings, frames: int) -> None:
        """Tell new sightings what was seen; a damaged piece and those after it are dropped."""
        while self._checkpoint.noted(self._name) is not None:
            try:
                with self._checkpoint.read(self._name) as part:
                    piece = _checked(read_value(part), len(sightings), frames)
            except DamagedError as error:
                self._warn(f"The frames after the first {len(sightings)} are looked at again: {error}.")
                self._drop(self._written)
                break
            sightings.recall(piece)
            self._written += 1
        self._frames = len(sightings)
        if self._frames:
            self._checkpoint.report.resumed.append(f"survey: {self._frames} of {frames} frames")

    def offer(self, sightings: Sightings) -> None:
        """Keep what was seen since the last piece, if that is worth it."""
        if self._pace.worked >= pace.LOOKING_SECONDS and self._pace.due(sightings.nbytes(self._frames)):
            self.keep(sightings)

    def keep(self, sightings: Sightings) -> None:
        """Keep what was seen since the last piece."""
        if len(sightings) == self._frames:
            return
        piece = sightings.piece(self._frames)
        before = self._checkpoint.report.seconds
        nbytes = self._checkpoint.write(self._name, {}, lambda part: write_value(part, piece), self._warn)
        if nbytes is not None:
            self._pace.took(nbytes, self._checkpoint.report.seconds - before)
            self._written, self._frames = self._written + 1, len(sightings)

    def forget(self) -> None:
        """Let them go: the survey is done."""
        self._drop(0)

    @property
    def _name(self) -> str:
        """That of the next piece."""
        return f"look-{self._written}"

    def _drop(self, first: int) -> None:
        for name in map("look-{}".format, count(first)):
            if self._checkpoint.noted(name) is None:
                return
            self._checkpoint.forget(name)


def _checked(piece: object, known: int, frames: int) -> Piece:
    """The piece, if it goes on where those before it end. Raises DamagedError."""
    if not isinstance(piece, Piece) or not piece.shown:
        raise DamagedError("what was kept of them is something else")
    last = known + len(piece.shown)
    if last > frames or any(not known <= edge.there < last for edge in piece.edges):
        raise DamagedError("what was kept of them is of other frames")
    return piece
