"""What was seen so far of frames that are looked at before any is fused, kept piece by piece beside the
checkpoints of the passes.

    look-0, look-1, ...   what the survey saw of the next frames, and their links
    glow-0, glow-1, ...   what was seen of them to tell veils, where no survey looks at them

Pieces are added and never rewritten, so that they cost the same however long the stack is. Once all frames
were looked at, what was found is kept as a whole, and they go.
"""

from __future__ import annotations

from itertools import count

from gpustack.engine import pace
from gpustack.engine.checkpoint import Checkpoint, Warn
from gpustack.engine.keeping import read_value, write_value
from gpustack.engine.looking import Looking
from gpustack.io.parts import DamagedError

LANE = -1
"""The number of the pace of looking; those of the passes count from 0."""


class Pieces:
    """Keeps what is seen while frames are looked at, and gives back what an interrupted run has kept;
    `name` is that of the pieces, and `of` what is resumed with them."""

    def __init__(self, checkpoint: Checkpoint, warn: Warn, name: str, of: str) -> None:
        self._checkpoint, self._warn, self._begins, self._of = checkpoint, warn, f"{name}-", of
        self._pace = checkpoint.pace(LANE)
        self._written = 0
        self._frames = 0

    def give_back(self, seen: Looking, frames: int) -> None:
        """See `Keeps`; a damaged piece and those after it are dropped."""
        while self._checkpoint.noted(self._name) is not None:
            try:
                with self._checkpoint.read(self._name) as part:
                    seen.recall(read_value(part), frames)
            except DamagedError as error:
                self._warn(f"The frames after the first {len(seen)} are looked at again: {error}.")
                self._drop(self._written)
                break
            self._written += 1
        self._frames = len(seen)
        if self._frames:
            self._checkpoint.report.resumed.append(f"{self._of}: {self._frames} of {frames} frames")

    def offer(self, seen: Looking) -> None:
        """See `Keeps`: if what was seen since the last piece is worth it."""
        if self._pace.worked >= pace.LOOKING_SECONDS and self._pace.due(seen.nbytes(self._frames)):
            self.keep(seen)

    def keep(self, seen: Looking) -> None:
        """Keep what was seen since the last piece."""
        if len(seen) == self._frames:
            return
        piece = seen.piece(self._frames)
        before = self._checkpoint.report.seconds
        nbytes = self._checkpoint.write(self._name, {}, lambda part: write_value(part, piece), self._warn)
        if nbytes is not None:
            self._pace.took(nbytes, self._checkpoint.report.seconds - before)
            self._written, self._frames = self._written + 1, len(seen)

    def forget(self) -> None:
        """Let them go: all frames were looked at."""
        self._drop(0)

    @property
    def _name(self) -> str:
        """That of the next piece."""
        return f"{self._begins}{self._written}"

    def _drop(self, first: int) -> None:
        for name in (f"{self._begins}{number}" for number in count(first)):
            if self._checkpoint.noted(name) is None:
                return
            self._checkpoint.forget(name)
