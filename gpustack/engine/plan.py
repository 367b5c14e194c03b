"""A plan before any pixel: passes, bands, frames in flight, bytes and seconds. Pure; printed by `gpustack
plan`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from gpustack.backend.values import PIECE_BYTES
from gpustack.engine.path import moments
from gpustack.engine.price import (
    BAND_HALO,
    BAND_PLANES,
    BASE_BYTES,
    DEVICE_BASE_BYTES,
    KEEPING_PIECES,
    LEFT_OUT_BYTES,
    LOOPS_BYTES,
    Layout,
    band_halo,
    cells_bytes,
    checkpoint_bytes,
    decoding_bytes,
    device_bytes,
    layers_bytes,
    passes,
    pays_to_compile,
    predict,
    slabs,
    staging_bytes,
    survey_bytes,
    traits,
)
from gpustack.errors import PlanError
from gpustack.fuse.fold import Footprint
from gpustack.fuse.slabs import open_at_once
from gpustack.model.rect import Rows, cut
from gpustack.model.stack import Stack
from gpustack.settings import Method, Settings

BAND_PIXELS = 1 << 18
"""Pixels of a band: with about a dozen float planes at work this stays near the cache (12 MP, ms of CPU a
frame by rows of 4000: 32: 215, 64: 152, 96: 181, 128: 217)."""

LEAST_BAND_ROWS = 48
"""Fewer rows would be mostly halo (100 MP, `auto`, CPU seconds by rows: 16: 22.9, 48: 19.4, 64: 20.5)."""

LEAST_DEVICE_ROWS = 256
"""On a GPU a band costs some dozen launches; with 256 rows the halos of `auto` are a tenth of the work."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may use: bytes of RAM in all, threads, and bytes of each of `devices` GPUs (0: the CPU
    works, with compiled `loops` where these can be had)."""

    ram_bytes: int
    threads: int
    vram_bytes: int = 0
    devices: int = 0
    loops: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """How a stack will be worked through.

    `passes` name what each reading of the frames is for; `slots` decoded frames exist at a time, filled by
    `readers` threads; the bytes are peaks, `budget_bytes` the contract they stay within. On GPUs: `devices`
    share the frames, each holds `device_bytes` at most; `spill`: state of the frames' size lies in host
    memory. Where a stack is fused in `slabs`, `open_slabs` of them have begun at a time. `checkpoint_bytes`:
    room on the disk that checkpoints take at most, 0 where none are kept. `loops`: the CPU's are compiled.
    """

    method: Method
    passes: tuple[str, ...]
    frames: int
    width: int
    height: int
    band_rows: int
    slots: int
    readers: int
    threads: int
    base_bytes: int
    frame_bytes: int
    state_bytes: int
    work_bytes: int
    survey_bytes: int
    budget_bytes: int
    seconds: float
    devices: int = 0
    spill: bool = False
    device_bytes: int = 0
    device_budget_bytes: int = 0
    slabs: int = 0
    open_slabs: int = 0
    checkpoint_bytes: int = 0
    loops: bool = False

    @property
    def bands(self) -> tuple[Rows, ...]:
        """The bands of a canvas of the full height."""
        return cut(self.height, self.band_rows)

    @property
    def renders(self) -> tuple[str, ...]:
        """The passes that make the picture."""
        return tuple(name for name in self.passes if name != "survey")

    @property
    def total_bytes(self) -> int:
        """Predicted peak."""
        later = self.frame_bytes + self.state_bytes + self.work_bytes
        return self.base_bytes + max(self.survey_bytes, later)

    def as_dict(self) -> dict[str, Any]:
        """Everything, for `--json`."""
        return asdict(self) | {"bands": len(self.bands), "total_bytes": self.total_bytes}


def make_plan(
    stack: Stack, settings: Settings, budget: Budget, *, checkpoints: bool = False, kept_bytes: int = 0
) -> Plan:
    """The fastest plan that fits the budget: as many frames in flight as are useful, fewer where memory is
    short. `kept_bytes` are kept besides.

    `checkpoints`: the states are kept on disk now and then. Raises PlanError with the bytes needed and the
    bytes allowed where not even one frame at a time fits.
    """
    layout = (
        _device_layout(stack, settings, budget) if budget.devices else Layout(_band_rows(stack, settings))
    )
    for threads in sorted({budget.threads, 1}, reverse=True):
        for slots in range(threads + 2, 0, -1):
            plan = _priced(stack, settings, budget, layout, threads, slots)
            plan = _with_checkpoints(plan, stack, settings) if checkpoints else plan
            plan = replace(plan, state_bytes=plan.state_bytes + kept_bytes)
            if plan.total_bytes <= budget.ram_bytes:
                return plan
    raise PlanError(
        f"This stack needs {plan.total_bytes >> 20} MiB, and {budget.ram_bytes >> 20} MiB are allowed.",
        "Allow more with --ram, or stack smaller frames; --method average needs least"
        + (", and --slab less with a smaller overlap." if settings.slab else "."),
    )


def _with_checkpoints(plan: Plan, stack: Stack, settings: Settings) -> Plan:
    """The plan of a run that keeps checkpoints: a piece of the state in memory, and all of it on the disk."""
    lanes = max(1, plan.devices)
    return replace(
        plan,
        work_bytes=plan.work_bytes + lanes * KEEPING_PIECES * PIECE_BYTES,
        checkpoint_bytes=lanes * checkpoint_bytes(stack, settings),
    )


def _band_rows(stack: Stack, settings: Settings) -> int:
    return max(LEAST_BAND_ROWS, 2 * band_halo(settings), BAND_PIXELS // stack.width // 2 * 2)


def _device_layout(stack: Stack, settings: Settings, budget: Budget) -> Layout:
    """The largest bands that a GPU's budget holds; state goes to host memory only where no bands fit
    otherwise.

    Whole frames are one band; then bands of half, a quarter, ... of the rows: their halos cost little, and
    the result is the same bit for bit.
    """
    layouts = []
    for spill in (False, True):
        rows = stack.height
        while rows > LEAST_DEVICE_ROWS:
            layouts.append(Layout(rows, spill))
            rows = -(-rows // 2 // 2) * 2
        layouts.append(Layout(min(LEAST_DEVICE_ROWS, stack.height), spill))
    for layout in layouts:
        needed = device_bytes(stack, settings, layout)
        if needed <= budget.vram_bytes:
            return layout
    raise PlanError(
        f"This stack needs {needed >> 20} MiB of GPU memory, and {budget.vram_bytes >> 20} MiB are allowed.",
        "Allow more with --vram, close programs that use the GPU, or take --backend cpu.",
    )


def _device_host_state(held: Footprint, layout: Layout, devices: int) -> float:
    """Bytes per pixel in host memory where GPUs work: results, spilled state, and states on their way to be
    merged, with one more copy of the one that is."""
    fetched = devices * (held.near + held.afar) if devices > 1 else 0.0
    return held.result + (devices * held.afar if layout.spill else 0.0) + fetched


def _priced(
    stack: Stack, settings: Settings, budget: Budget, layout: Layout, threads: int, slots: int
) -> Plan:
    in_slabs = slabs(stack, settings)
    loops = budget.loops and pays_to_compile(stack)
    frame, method, on_device = stack.largest, settings.method, budget.devices > 0
    readers = min(threads, slots)
    state = max(
        _device_host_state(held, layout, budget.devices) if on_device else held.total
        for held in moments(*traits(stack, settings))
    )
    pixels = stack.width * stack.height
    flying = slots + 1 if on_device else slots  # one more is being copied to the device
    rows = layout.band_rows + 2 * band_halo(settings) - BAND_HALO
    work = min(rows, stack.height) * stack.width * 4 * BAND_PLANES * threads
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
        base_bytes=BASE_BYTES + (DEVICE_BASE_BYTES if on_device else 0) + (LOOPS_BYTES if loops else 0),
        frame_bytes=(frame.nbytes * flying + decoding_bytes(stack, readers) + staging_bytes(stack, settings))
        * max(1, budget.devices),
        state_bytes=max(int(pixels * state), layers_bytes(stack, settings))
        + cells_bytes(stack, settings, LEFT_OUT_BYTES),
        work_bytes=0 if on_device else work,
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
    )
