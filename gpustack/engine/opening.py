"""Opening a run: what was asked, what it may take, and the job that does it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from gpustack.backend.choose import Choice
from gpustack.backend.fast.ready import compiled_before, have_compiled
from gpustack.backend.memory import arena_is_shared, free_bytes, mapped_bytes
from gpustack.backend.paged import CAN_PAGE, Paged, disk_room, temporary_folder
from gpustack.engine.checkpoint import Checkpoint
from gpustack.engine.feed import Source
from gpustack.engine.job import Job, Keep
from gpustack.engine.known import Known
from gpustack.engine.layers import KeepLayers
from gpustack.engine.plan import make_plan
from gpustack.engine.planned import Budget
from gpustack.engine.price import pays_to_compile
from gpustack.engine.progress import Progress, Silent
from gpustack.engine.report import Report
from gpustack.errors import DeviceFullError
from gpustack.fuse.slabs import KeepSlab
from gpustack.model.place import Place
from gpustack.model.stack import Stack
from gpustack.settings import RAM_SHARE, VRAM_SHARE, Model, Settings

T = TypeVar("T")

SMALLER = 0.8
"""What is tried next where a device was full before its budget was reached, as a share of what it held."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a run; `places` replace the survey's, and so does what is `known` of the frames;
    `kept_bytes` are kept of all frames together, beside what the method keeps."""

    stack: Stack
    source: Source
    settings: Settings
    places: tuple[Place, ...] | None = None
    progress: Progress | None = None
    keep_aligned: Keep | None = None
    keep_slab: KeepSlab | None = None
    known: Known = field(default_factory=Known)
    keep_layers: KeepLayers | None = None
    checkpoint: Checkpoint | None = None
    kept_bytes: int = 0


def budget(settings: Settings, choice: Choice) -> Budget:
    """The user's limits, or a share of what this machine and its devices have free."""
    ram = settings.ram_bytes if settings.ram_bytes is not None else int(free_bytes() * RAM_SHARE)
    free = choice.free_bytes()
    vram = int(free * VRAM_SHARE) if settings.vram_bytes is None else min(settings.vram_bytes, free)
    folder = temporary_folder()
    disk = disk_room(folder) if CAN_PAGE else 0
    return Budget(
        ram,
        settings.threads or os.cpu_count() or 1,
        vram,
        len(choice.devices),
        disk,
        str(folder),
        not arena_is_shared(),
        choice.loops,
        mapped_bytes(),
    )


def with_loops(allowed: Budget, stack: Stack, tell: Callable[[str], None]) -> Budget:
    """The same, with the loops compiled where they pay for frames like these: in a process of its own, before
    any frame is in memory. Without loops where they cannot be; `tell` is told why, and of the wait."""
    if not allowed.loops or not pays_to_compile(stack) or compiled_before():
        return allowed
    tell("The loops for large frames are compiled now, once on this machine: about a quarter of a minute.")
    problem = have_compiled()
    if problem is None:
        return allowed
    tell(f"numba is installed, but the loops cannot be compiled ({problem}), so they are not used.")
    return replace(allowed, loops=False)


def within_device(work: Callable[[Choice, Request, Budget], T], choice: Choice, request: Request) -> T:
    """Do it; where a device is full after all, plan for less and do it again."""
    ahead = request.known.ahead
    allowed = budget(request.settings, choice) if ahead is None else ahead.allowed
    while True:
        try:
            return work(choice, request, allowed)
        except DeviceFullError as error:
            request = replace(
                request, known=replace(request.known, ahead=None)
            )  # it has gone with its device
            held = min(error.limit, allowed.vram_bytes)
            # Where even the smallest plan does not fit, making it raises PlanError with both numbers.
            allowed = replace(allowed, vram_bytes=int(held * SMALLER))


def open_job(choice: Choice, request: Request, allowed: Budget) -> Job:
    """Plan, and open the backends."""
    stack, settings = request.stack, request.settings
    stack.reference(settings.reference)  # what does not exist is told before any work
    if settings.align is Model.NONE and request.places is None:
        stack.refuse_sizes()
    allowed = with_loops(allowed, stack, (request.progress or Silent()).warn)
    plan = make_plan(
        stack,
        settings,
        allowed,
        checkpoints=request.checkpoint is not None,
        kept_bytes=request.kept_bytes,
    )
    ahead = request.known.ahead
    if ahead is None:
        paged = Paged(Path(plan.folder), plan.resident_bytes) if plan.folder else None
        backends = choice.open(
            plan.threads, allowed.vram_bytes, spill=plan.spill, loops=plan.loops, paged=paged
        )
    else:
        backends = (ahead.backend,)
    info = backends[0].info
    report = Report(plan.method.value, info.name, choice.reason, plan.as_dict())
    report.checkpoint = None if request.checkpoint is None else request.checkpoint.report
    noted = _Noted(request.progress or Silent(), report)
    if plan.folder:
        noted.warn(plan.paging_sentence)
    return Job(
        backends,
        stack,
        request.source,
        plan,
        noted,
        report,
        request.keep_aligned,
        interpolation=settings.interpolation,
        ahead=ahead,
        checkpoint=request.checkpoint,
    )


class _Noted:
    """Passes progress on and keeps the warnings for the report."""

    def __init__(self, inner: Progress, report: Report) -> None:
        self._inner, self._report = inner, report
        self.begin, self.advance = inner.begin, inner.advance

    def warn(self, sentence: str) -> None:
        """Note it and pass it on."""
        self._report.warnings.append(sentence)
        self._inner.warn(sentence)
