"""Runs that are ended in their middle."""

from __future__ import annotations


class Cut(BaseException):
    """The end of a process, as far as the engine can tell."""


class Cutting:
    """A progress that ends the run after some frames of the passes."""

    def __init__(self, after: int) -> None:
        self._left, self._surveys = after, True

    def begin(self, stage: str, frames: int, megapixels: float) -> None:
        del frames, megapixels
        self._surveys = stage == "survey"

    def advance(self, waiting_share: float) -> None:
        del waiting_share
        self._left -= not self._surveys
        if self._left == 0:
            raise Cut

    def warn(self, sentence: str) -> None:
        del sentence
