"""What is kept of frames that were looked at before any is fused, in bytes: in spools, and in memory."""

from __future__ import annotations

from gpustack.align.brightness import SIDE as LIGHT_SIDE
from gpustack.align.shake import DETAIL_BYTES
from gpustack.backend.spool import IN_MEMORY_BYTES
from gpustack.fuse.veil import SIDE as GLOW_SIDE
from gpustack.ghosts.glance import cell_side
from gpustack.ghosts.resolve import MOST
from gpustack.ghosts.table import ROW_BYTES
from gpustack.model.stack import Stack
from gpustack.settings import Brightness, Model, Settings

GLOW_BYTES = 3.0
"""Bytes a cell of what tells where the blur of lamps lies: a value, and what is burnt out."""

LOOK_BYTES = 6_000
"""Bytes in memory of what else is known of a frame: its links to three others, and where in a spool its
pictures lie."""

TELLING_BYTES = 130.0
"""Bytes a cell while it is told what moved: two frames in cells of three sizes, and what is made of them."""


def looked_bytes(stack: Stack, settings: Settings) -> int:
    """What is in memory of all frames until the survey is done."""
    links = LOOK_BYTES if settings.align is not Model.NONE else 0
    return links * len(stack) + _in_memory(spooled_bytes(stack, settings))


def telling_bytes(stack: Stack, settings: Settings) -> int:
    """What is in memory while it is told what moved."""
    if not settings.removes_ghosts:
        return 0
    cells = _cells(stack)
    rows = _in_memory(len(stack) * cells * MOST * ROW_BYTES)
    return int(cells * TELLING_BYTES) + rows + 2 * _masks_bytes(stack) + looked_bytes(stack, settings)


def carried_bytes(stack: Stack, settings: Settings) -> int:
    """What is in memory of all frames through the passes: where each is left out, and where veils lie."""
    masks = _masks_bytes(stack) if settings.removes_ghosts else 0
    looks = settings.removes_ghosts or settings.lifts_veils
    return masks + (looked_bytes(stack, settings) if looks else 0)


def spooled_bytes(stack: Stack, settings: Settings) -> int:
    """What spools take of all frames that were looked at: what tells veils and things that moved; and where
    frames are aligned, their light in 16 bits, and their detail."""
    a_frame = GLOW_BYTES * GLOW_SIDE**2 if settings.lifts_veils else 0.0
    if settings.align is not Model.NONE:
        planes = 3 if settings.brightness is Brightness.CHANNELS else 1
        a_frame += DETAIL_BYTES + 2 * planes * LIGHT_SIDE**2
    if settings.removes_ghosts:
        a_frame += _cells(stack)
    return int(len(stack) * a_frame)


def _masks_bytes(stack: Stack) -> int:
    """A bit a cell and frame."""
    return _in_memory(len(stack) * _cells(stack) / 8)


def _in_memory(spooled: float) -> int:
    return int(min(spooled, IN_MEMORY_BYTES))


def _cells(stack: Stack) -> int:
    """Those of a frame."""
    side = cell_side((stack.width, stack.height))
    return (-(-stack.width // side)) * (-(-stack.height // side))
