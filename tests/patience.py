"""Waiting for what comes, and bounds on work, that hold on a machine with much else to do.

A hang is what takes minutes. How much work something is, processor time tells: seconds of a clock tell of
what else the machine does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LONG_S = 120.0
"""Nothing that a test waits for takes so long, however loaded the machine is."""


def until(true: Callable[[], object], every_s: float = 0.01) -> None:
    """Wait until something holds; a failure where it does not come."""
    given_up = time.monotonic() + LONG_S
    while not true():
        assert time.monotonic() < given_up, "it has not come"
        time.sleep(every_s)


@contextmanager
def processor_seconds(most: float) -> Iterator[None]:
    """What is done within takes less processor time of this process, all its threads together."""
    started = time.process_time()
    yield
    spent = time.process_time() - started
    assert spent < most, f"{spent:.1f} s of {most:g}"
