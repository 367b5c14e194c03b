"""A plan before any pixel: passes, bands, frames in flight, bytes and seconds. Pure; printed by `gpustack
plan`."""

from __future__ import annotations

from dataclasses import replace

from gpustack.backend.values import PIECE_BYTES
from gpustack.engine.duration import predict
from gpustack.engine.layout import layout_of
from gpustack.engine.looked import carried_bytes
from gpustack.engine.planned import Budget, Plan
from gpustack.engine.price import (
    DEVICE_BASE_BYTES,
    KEEPING_PIECES,
    LLVM_BYTES,
    LOOPS_BYTES,
    Layout,
    base_bytes,
    checkpoint_bytes,
    covers,
    decoding_bytes,
    device_bytes,
    device_finishing_bytes,
    finishing_bytes,
    holding,
    layers_bytes,
    looking_bytes,
    passes,
    pays_to_compile,
    slabs,
    staging_bytes,
    survey_bytes,
    work_bytes,
)
from gpustack.engine.turns import LEAST_RESIDENT, paging
from gpustack.errors import PlanError
from gpustack.fuse.fold import Footprint
from gpustack.fuse.slabs import open_at_once
from gpustack.model.canvas import Canvas
from gpustack.model.stack import Stack
from gpustack.settings import Settings

BESIDE, DEVICE_BESIDE = 1, 2
"""Decoded frames beside one for each thread that decodes: the one that is folded. One more would only wait
where folding takes longer, and never be there where decoding does. A GPU has another on its way."""


def make_plan(
    stack: Stack, settings: Settings, budget: Budget, *, checkpoints: bool = False, kept_bytes: int = 0
) -> Plan:
    """The fastest plan that fits the budget: as many frames in flight as are useful, fewer where memory is
    short. `kept_bytes` are kept besides.

    `checkpoints`: the states are kept on disk now and then. Raises PlanError with the bytes needed and the
    bytes allowed where not even one frame at a time fits.
    """
    layout = layout_of(stack, settings, budget.vram_bytes if budget.devices else None)
    plans = []
    for threads in sorted({budget.threads, 1}, reverse=True):
        for slots in range(threads + (BESIDE if budget.devices == 0 else DEVICE_BESIDE), 0, -1):
            plan = _priced(stack, settings, budget, layout, threads, slots)
            plan = _with_checkpoints(plan, stack, settings) if checkpoints else plan
            plan = plan.keeping(kept_bytes)
            if plan.total_bytes <= budget.ram_bytes:
                return plan
            plans.append(plan)
    if not _may_page(settings, budget):
        raise _refusal(plans[-1], settings)
    fitting = [plan for plan in (_paged(plan, stack, settings, budget) for plan in plans) if plan.turns]
    if not fitting:
        raise _refusal(
            plans[-1], settings, min(_paged_least(plan, stack, settings, budget) for plan in plans)
        )
    best = min(fitting, key=lambda plan: plan.seconds)
    if best.disk_bytes > budget.disk_bytes:
        raise PlanError(
            f"This stack needs {plans[-1].total_bytes >> 20} MiB, and {budget.ram_bytes >> 20} MiB are "
            f"allowed; with those it needs {best.disk_bytes >> 20} MiB on the disk of {budget.folder}, where "
            f"{budget.disk_bytes >> 20} MiB may be taken.",
            "Allow more with --ram, free some of the disk, or set TMPDIR to a folder on another one.",
        )
    return best


def _refusal(least: Plan, settings: Settings, paged: int | None = None) -> PlanError:
    """What is said where nothing fits; `paged`: what is needed even with state in a file."""
    needed = f"{least.total_bytes >> 20} MiB"
    if paged is not None:
        needed += f", or {(paged >> 20) + 1} MiB and more time"
    return PlanError(
        f"This stack needs {needed}, and {least.budget_bytes >> 20} MiB are allowed.",
        "Allow more with --ram, or stack smaller frames; --method average needs least"
        + (", and --slab less with a smaller overlap." if settings.slab else "."),
    )


def _may_page(settings: Settings, budget: Budget) -> bool:
    """Whether state may lie in a file: on the CPU, and not where layers are made of the whole picture."""
    return budget.devices == 0 and budget.disk_bytes > 0 and not settings.layers


def _beside(plan: Plan, stack: Stack, settings: Settings, budget: Budget) -> int:
    """What has to be in memory beside state that lies in a file."""
    given = stack, settings, plan.band_rows, plan.threads
    finishing = max(each(*given, scattered=budget.scattered) for each in (finishing_bytes, looking_bytes))
    return plan.fusing_bytes + plan.kept_bytes + max(plan.frame_bytes + plan.work_bytes, finishing)


def _paged_least(plan: Plan, stack: Stack, settings: Settings, budget: Budget) -> int:
    """Bytes that are needed with state in a file."""
    beside = _beside(plan, stack, settings, budget)
    return max(beside + LEAST_RESIDENT, plan.surveying_bytes)


def _paged(plan: Plan, stack: Stack, settings: Settings, budget: Budget) -> Plan:
    """The same with state in a file, and as much of it in memory as there is room for; as it is, where that
    is too little."""
    resident = budget.ram_bytes - _beside(plan, stack, settings, budget)
    if resident < LEAST_RESIDENT or plan.surveying_bytes > budget.ram_bytes:
        return plan
    how = paging(stack, settings, plan.band_rows, resident, threads=plan.threads, slots=plan.slots)
    return replace(
        plan,
        folder=budget.folder,
        state_bytes=resident + plan.kept_bytes,
        finish_bytes=budget.ram_bytes - plan.fusing_bytes,
        resident_bytes=resident,
        disk_bytes=how.disk_bytes,
        turns=how.turns,
        seconds=plan.seconds + how.seconds,
        slowdown=1 + how.seconds / plan.seconds,
    )


def _with_checkpoints(plan: Plan, stack: Stack, settings: Settings) -> Plan:
    """The plan of a run that keeps checkpoints: a piece of the state in memory, and all of it on the disk."""
    lanes = max(1, plan.devices)
    return replace(
        plan,
        work_bytes=plan.work_bytes + lanes * KEEPING_PIECES * PIECE_BYTES,
        checkpoint_bytes=lanes * checkpoint_bytes(stack, settings),
    )


def _device_host_state(held: Footprint, layout: Layout, devices: int) -> float:
    """Bytes per pixel in host memory where GPUs work: results, spilled state, and states on their way to be
    merged, with one more copy of the one that is."""
    fetched = devices * (held.near + held.afar) if devices > 1 else 0.0
    return held.result + (devices * held.afar if layout.spill else 0.0) + fetched


def _held_bytes(stack: Stack, settings: Settings, devices: int, layout: Layout) -> tuple[int, int]:
    """What is held of the picture's size in host memory, at most: while frames come, and while none does."""
    held, pixels = (
        holding(stack, settings, covered=covers(settings), device=devices > 0),
        stack.width * stack.height,
    )
    during, after = (
        max(_device_host_state(one, layout, devices) if devices else one.total for one in those)
        for those in (held.passing, held.between)
    )
    return max(int(pixels * during), layers_bytes(stack, settings)), int(pixels * after)


def settled(plan: Plan, stack: Stack, settings: Settings, canvas: Canvas) -> Plan:
    """The plan once it is known what is rendered, and whether all frames cover that; on the CPU, where all of
    it is in memory."""
    if plan.devices or plan.folder:
        return plan
    held = holding(stack, settings, covered=canvas.covered)
    during, after = (
        int(canvas.pixels * max(one.total for one in those)) for those in (held.passing, held.between)
    )
    planned, finishing = _held_bytes(stack, settings, 0, Layout(plan.band_rows))
    finish = plan.finish_bytes - finishing + after
    looking = looking_bytes(stack, settings, plan.band_rows, plan.threads, scattered=False)
    if looking:
        finish = max(finish, int(canvas.pixels * held.looking.total) + looking + plan.kept_bytes)
    return replace(
        plan,
        state_bytes=plan.state_bytes - planned + max(during, layers_bytes(stack, settings)),
        finish_bytes=finish,
    )


def _priced(
    stack: Stack, settings: Settings, budget: Budget, layout: Layout, threads: int, slots: int
) -> Plan:
    in_slabs, kept = slabs(stack, settings), carried_bytes(stack, settings)
    during, after = _held_bytes(stack, settings, budget.devices, layout)
    loops = budget.loops and pays_to_compile(stack)
    frame, method, on_device = stack.largest, settings.method, budget.devices > 0
    readers = min(threads, slots)
    working, finishing = (
        (0, device_finishing_bytes(stack, settings))
        if on_device
        else (
            each(stack, settings, layout.band_rows, threads, scattered=budget.scattered)
            for each in (work_bytes, finishing_bytes)
        )
    )
    looking = 0
    if not on_device and "behind" in passes(settings, method):
        held = holding(stack, settings, covered=covers(settings)).looking.total * stack.width * stack.height
        strips = looking_bytes(stack, settings, layout.band_rows, threads, scattered=budget.scattered)
        looking = int(held) + strips
    flying = slots + 1 if on_device else slots  # one more is being copied to the device
    return Plan(
        method=method,
        passes=passes(settings, method),
        frames=len(stack),
        width=stack.width,
        height=stack.height,
        band_rows=layout.band_rows,
        slots=slots,
        readers=readers,
        threads=threads,
        base_bytes=base_bytes(budget.mapped_bytes) + (DEVICE_BASE_BYTES if on_device else 0),
        frame_bytes=(
            frame.nbytes * flying + decoding_bytes(stack, settings, readers) + staging_bytes(stack, settings)
        )
        * max(1, budget.devices),
        state_bytes=during + kept,
        finish_bytes=max(after + finishing, looking) + kept,
        kept_bytes=kept,
        work_bytes=working,
        survey_bytes=survey_bytes(stack, settings, readers, slots, on_device),
        budget_bytes=budget.ram_bytes,
        seconds=predict(stack, settings, method, threads),
        devices=budget.devices,
        spill=layout.spill,
        device_bytes=device_bytes(stack, settings, layout) if on_device else 0,
        device_budget_bytes=budget.vram_bytes,
        slabs=len(in_slabs),
        open_slabs=open_at_once(in_slabs),
        loops=loops,
        loops_bytes=LOOPS_BYTES if loops else 0,
        llvm_bytes=LLVM_BYTES if loops else 0,
    )
