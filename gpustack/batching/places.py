"""How this machine is shared out among the stacks of a batch that are made at a time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from gpustack.backend.driver import driver
from gpustack.backend.memory import free_bytes
from gpustack.batching.work import Task
from gpustack.engine.plan import make_plan
from gpustack.engine.planned import Budget
from gpustack.errors import GpustackError
from gpustack.io.decode import probe
from gpustack.io.scratch import free_bytes as free_scratch
from gpustack.io.storage import is_url
from gpustack.model.frame import Frame
from gpustack.model.stack import Stack
from gpustack.settings import RAM_SHARE, BackendName, Settings

_LOOKED_AT = 200
"""Stacks, evenly spread, of which the first frame tells how large they are: a header takes about a
millisecond."""

_SLOTS = 2
"""Decoded frames that a stack must have at a time: with one, decoding and folding wait for each other."""


@dataclass(frozen=True, slots=True)
class Share:
    """What is to be shared out: the backend wished for, GPUs by their numbers (None: all there are), bytes of
    memory (None: a share of what is free), how many stacks are wished for at a time (None: as many as that
    allows), and bytes of disk for frames that are fetched (None: a share of what is free)."""

    backend: BackendName
    devices: tuple[int, ...] | None = None
    ram_bytes: int | None = None
    jobs: int | None = None
    scratch_bytes: int | None = None


def places(share: Share, tasks: Sequence[Task]) -> list[tuple[str, ...]]:
    """Options of `gpustack stack` for each of the stacks at a time: a GPU of its own, or as many on the CPU
    as the memory allows, at most one a core; memory and cores are shared out evenly."""
    devices = _devices(share)
    cores = os.cpu_count() or 1
    ram = int(free_bytes() * RAM_SHARE) if share.ram_bytes is None else share.ram_bytes
    count = share.jobs or len(devices) or _most(tasks, ram, cores)
    given = ("--ram", f"{max(1, ram // count >> 20)}M") if count > 1 or share.ram_bytes is not None else ()
    threads = ("--threads", str(max(1, cores // count))) if count > 1 else ()
    words = ("--backend", share.backend.value, *given, *threads, *_scratch(share, tasks, count))
    device = [
        ("--devices", str(devices[number % len(devices)])) if devices else () for number in range(count)
    ]
    return [(*words, *mine) for mine in device]


def _scratch(share: Share, tasks: Sequence[Task], count: int) -> tuple[str, ...]:
    """The option for frames that are fetched, where there are any."""
    if not any(is_url(name) for task in tasks for name in task.frames):
        return ()
    room = free_scratch() if share.scratch_bytes is None else share.scratch_bytes
    return ("--scratch", f"{room // count >> 10}K")


def _devices(share: Share) -> tuple[int, ...]:
    """The GPUs that take stacks. The driver is asked, and no GPU is opened: that would take memory there for
    as long as the batch runs."""
    if share.backend is BackendName.CPU:
        return ()
    found = driver()
    there = tuple(range(len(found.cards))) if found is not None else ()
    if share.devices is not None and (there or share.backend is BackendName.CUDA):
        return share.devices
    return there


def _most(tasks: Sequence[Task], ram: int, cores: int) -> int:
    """How many stacks at a time the memory allows, going by the one with the largest frames."""
    frame = _largest(tasks)
    if frame is None:
        return 1
    stack = Stack((frame,) * max(len(task.frames) for task in tasks))
    for count in range(min(cores, len(tasks)), 1, -1):
        with suppress(GpustackError):
            if make_plan(stack, Settings(), Budget(ram // count, max(1, cores // count))).slots >= _SLOTS:
                return count
    return 1


def _largest(tasks: Sequence[Task]) -> Frame | None:
    """The first frame of the stack with the largest frames; None where none can be looked at."""
    frames = []
    for task in islice(tasks, 0, None, max(1, len(tasks) // _LOOKED_AT)):
        with suppress(GpustackError):
            frames += [probe(Path(name))[0] for name in task.frames[:1] if not is_url(name)]
    return max(frames, key=lambda frame: frame.nbytes, default=None)
