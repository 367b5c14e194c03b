"""What goes on behind the page, and what went wrong with it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gpustack.errors import GpustackError

_NICE = 10
"""By how much the work behind gives way to the tiles."""


class ClosedError(GpustackError):
    """The page was closed while work went on."""


class Work:
    """The work at hand, and what failed; told by one thread, asked by all. It is also an engine's
    `Progress`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._what: str | None = None
        self._count, self._of = 0, 1
        self._errors: list[str] = []
        self._closed = False

    def say(self, what: str | None) -> None:
        """What is worked on now; None: nothing."""
        with self._lock:
            self._what, self._count, self._of = what, 0, 1

    def begin(self, stage: str, frames: int, megapixels: float) -> None:
        """A pass over so many frames begins."""
        del stage, megapixels
        with self._lock:
            self._count, self._of = 0, max(1, frames)

    def advance(self, waiting_share: float) -> None:
        """One more frame is through. Raises ClosedError where the page was closed: nobody waits for it."""
        del waiting_share
        with self._lock:
            self._count += 1
        self.check()

    def check(self) -> None:
        """Raise ClosedError where the page was closed."""
        if self._closed:
            raise ClosedError("The page was closed.")

    def warn(self, sentence: str) -> None:
        """Something the user should know."""
        with self._lock:
            if sentence not in self._errors:
                self._errors.append(sentence)

    def attempt(self, work: Callable[[], None]) -> None:
        """Do something; where it fails, say so and go on."""
        try:
            self.check()
            work()
        except ClosedError:
            raise
        except GpustackError as error:
            self.warn(str(error))
        except MemoryError:
            self.warn("There is not enough memory for a part of this. Close other programs, or allow more.")

    def close(self) -> None:
        """End what goes on at its next step."""
        self._closed = True

    @property
    def now(self) -> dict[str, Any] | None:
        """As the page has it."""
        with self._lock:
            return None if self._what is None else {"what": self._what, "done": self._count / self._of}

    @property
    def errors(self) -> list[str]:
        """What failed, as sentences."""
        with self._lock:
            return list(self._errors)


def give_way() -> None:
    """Let this thread, and those that it starts, come after others where the system knows of that."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
