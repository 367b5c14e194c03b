"""How a run tells the outside where it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told by the main thread only."""

    def begin(self, stage: str, frames: int, megapixels: float) -> None:
        """A pass over `frames` frames of `megapixels` each begins."""
        ...

    def advance(self, waiting_share: float) -> None:
        """One more frame is through; `waiting_share` 0..1 of the pass was spent waiting for the decoder."""
        ...

    def warn(self, sentence: str) -> None:
        """Something the user should know, although the run goes on."""
        ...


class Silent:
    """Says nothing."""

    def begin(self, stage: str, frames: int, megapixels: float) -> None:
        """Nothing."""

    def advance(self, waiting_share: float) -> None:
        """Nothing."""

    def warn(self, sentence: str) -> None:
        """Nothing."""
