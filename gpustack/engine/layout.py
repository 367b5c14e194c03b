"""How a pass is laid out: the rows of its bands, and where state lies on a GPU."""

from __future__ import annotations

from gpustack.engine.price import Layout, band_halo, device_bytes
from gpustack.errors import PlanError
from gpustack.model.stack import Stack
from gpustack.settings import Settings

BAND_PIXELS = 1 << 18
"""Pixels of a band: with about a dozen float planes at work this stays near the cache (12 MP, ms of CPU a
frame by rows of 4000: 32: 215, 64: 152, 96: 181, 128: 217)."""

LEAST_BAND_ROWS = 48
"""Fewer rows would be mostly halo (100 MP, `auto`, CPU seconds by rows: 16: 22.9, 48: 19.4, 64: 20.5)."""

LEAST_DEVICE_ROWS = 256
"""On a GPU a band costs some dozen launches; with 256 rows the halos of `auto` are a tenth of the work."""


def _band_rows(stack: Stack, settings: Settings) -> int:
    return max(LEAST_BAND_ROWS, 2 * band_halo(settings), BAND_PIXELS // stack.width // 2 * 2)


def layout_of(stack: Stack, settings: Settings, vram_bytes: int | None) -> Layout:
    """That of a run on the CPU, or within a GPU's budget. Raises PlanError."""
    if vram_bytes is None:
        return Layout(_band_rows(stack, settings))
    return _device_layout(stack, settings, vram_bytes)


def _device_layout(stack: Stack, settings: Settings, vram_bytes: int) -> Layout:
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
        if needed <= vram_bytes:
            return layout
    raise PlanError(
        f"This stack needs {needed >> 20} MiB of GPU memory, and {vram_bytes >> 20} MiB are allowed.",
        "Allow more with --vram, close programs that use the GPU, or take --backend cpu.",
    )
