"""What happens before what: lanes, events and the host, and the memory that they touch.

Every piece of work has a number on its lane. A clock says how far each lane is known to have come; each lane
has one, the host has one, and an event takes that of its lane along. Two touches of the same bytes, one of
them a write, must be ordered by such knowledge: else their order is chance, even if it went well once.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from typing import Any

from gpustack.backend.gpu.device import Lane

Clock = dict[Lane, int]


class OrderError(Exception):
    """The host asked for work whose result depends on chance, or that a device would fault on."""


@dataclass(frozen=True, slots=True)
class Touch:
    """Bytes `start` to `stop` that a piece of work reads or writes."""

    lane: Lane
    write: bool
    start: int
    stop: int


@dataclass(slots=True, eq=False)
class Memory:
    """A block of memory, and who touched it since the host last waited: number and name of the work."""

    owner: ctypes.Array[Any]
    address: int
    nbytes: int
    pinned: bool = False
    touches: dict[Touch, tuple[int, str]] = field(default_factory=dict)

    @property
    def stop(self) -> int:
        return self.address + self.nbytes


class Order:
    """The clocks of two lanes and of the host."""

    def __init__(self) -> None:
        self._host: Clock = dict.fromkeys(Lane, 0)
        self._lanes: dict[Lane, Clock] = {lane: dict.fromkeys(Lane, 0) for lane in Lane}

    def step(self, lane: Lane) -> int:
        """The number of new work on a lane; the host asks, so it knows what the host knows."""
        self._learn(self._lanes[lane], self._host)
        self._lanes[lane][lane] += 1
        return self._lanes[lane][lane]

    def clock(self, lane: Lane) -> Clock:
        """What is known on a lane now."""
        return dict(self._lanes[lane])

    def wait(self, lane: Lane, clock: Clock) -> None:
        """The lane has waited for an event."""
        self._learn(self._lanes[lane], clock)

    def finish(self, clock: Clock) -> None:
        """The host has waited for an event."""
        self._learn(self._host, clock)

    def finished(self, lane: Lane, number: int) -> bool:
        """Whether the host knows that this work is done."""
        return number <= self._host[lane]

    def touch(self, memory: Memory, touch: Touch, number: int, what: str) -> None:
        """Work `number` touches memory. Raises OrderError."""
        known = self._lanes[touch.lane]
        for other, (when, name) in list(memory.touches.items()):
            if self.finished(other.lane, when):
                del memory.touches[other]
            elif (
                (touch.write or other.write)
                and other.start < touch.stop
                and touch.start < other.stop
                and when > known[other.lane]
            ):
                raise OrderError(
                    f"{what} on the {touch.lane} lane {'writes' if touch.write else 'reads'} memory that "
                    f"{name} on the {other.lane} lane {'writes' if other.write else 'reads'}; "
                    "no event orders the two"
                )
        memory.touches[touch] = (number, what)

    @staticmethod
    def _learn(clock: Clock, other: Clock) -> None:
        for lane, number in other.items():
            clock[lane] = max(clock[lane], number)
