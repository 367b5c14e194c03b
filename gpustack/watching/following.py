"""The loop: frames are taken as they come, until nothing comes any more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gpustack.errors import InputError, StackError
from gpustack.watching.arrivals import Arrivals

POLL_S = 0.5
"""Between two looks at the folder: shorter than it takes to settle, and next to no work."""


@dataclass(frozen=True, slots=True)
class Until:
    """When to stop: `idle_s` seconds after the last frame, if given, or once `asked`."""

    idle_s: float | None
    asked: Callable[[], bool]


def follow(
    arrivals: Arrivals,
    take: Callable[[Path], None],
    until: Until,
    *,
    sleep: Callable[[float], None],
    warn: Callable[[str], None],
) -> None:
    """Give every file that has settled to `take`, which raises InputError for one that cannot be read (yet).

    Once asked to stop, files that are being written are waited for. Raises InputError where the folder goes.
    """
    while True:
        asked = until.asked()
        for path in arrivals.look():
            _offer(arrivals, take, path)
            if arrivals.holds_up(path):
                break
        for problem in arrivals.given_up():
            warn(f"{problem} It is left out unless it changes.")
        if asked:
            arrivals.close()
        idle = until.idle_s is not None and arrivals.idle_s >= until.idle_s
        if (asked or idle) and not arrivals.coming:
            return
        sleep(POLL_S)


def _offer(arrivals: Arrivals, take: Callable[[Path], None], path: Path) -> None:
    if not arrivals.unchanged(path):
        return
    try:
        take(path)
    except InputError as error:
        arrivals.refuse(path, error.message, hopeful=not isinstance(error, StackError))
    else:
        arrivals.take(path)
