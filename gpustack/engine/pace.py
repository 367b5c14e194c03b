"""How often a run keeps a checkpoint."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

WORK_TO_KEEPING = 20.0
"""Seconds of work for each second spent on checkpoints: these cost a run at most a twentieth."""

FIRST_RATE = 200e6
"""Bytes a second that a disk is taken to write before it has been measured: a slow solid-state disk."""


LOOKING_SECONDS = 5.0
"""Seconds of a survey that are worth keeping at least: less is sooner done again."""


@dataclass(slots=True)
class Pace:
    """When a checkpoint is worth its time: all of them together, the next one included, must have taken no
    more than their share of the time since the run began."""

    started: float = field(default_factory=time.perf_counter)
    spent: float = 0.0
    rate: float = FIRST_RATE
    last: float = field(default_factory=time.perf_counter)

    def worth(self, nbytes: float) -> float:
        """Seconds of work that earn a checkpoint of so many bytes."""
        return WORK_TO_KEEPING * nbytes / self.rate

    @property
    def worked(self) -> float:
        """Seconds of work since the last checkpoint."""
        return time.perf_counter() - self.last

    def due(self, nbytes: float) -> bool:
        """Whether there has been work enough for it, and for those before."""
        worked = time.perf_counter() - self.started - self.spent
        return worked >= WORK_TO_KEEPING * self.spent + self.worth(nbytes)

    def took(self, nbytes: float, seconds: float) -> None:
        """Note what one took, just now."""
        self.last = time.perf_counter()
        self.spent += seconds
        self.rate = max(1.0, nbytes / max(seconds, 1e-6))
