"""What is done where memory does not hold the state: it lies in a file, and the frames come in several turns.

While the frames come once, only as many bands are folded as memory holds; then they come again for the next
ones. So state is written to the file once and read once, however many frames there are, and what is paid for
is decoding. What has to be folded whole, the coarser levels of a pyramid, belongs to the first turn; where
that alone is more than memory holds, it goes out and in again with every frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gpustack.engine.duration import LOOK_SECONDS, decode_seconds
from gpustack.engine.price import holding, passes
from gpustack.fuse.fold import Footprint
from gpustack.model.band_turn import WHOLE, Turn
from gpustack.model.stack import Stack
from gpustack.settings import Settings

LEAST_RESIDENT = 64 << 20
"""Bytes of the file that must fit into memory: a few bands of everything."""

SPARE = 0.85
"""Share of what may be in memory that the bands of a turn take: what lies between them in the file, and what
else is touched on the way, needs some."""

DISK_BYTES_S = 1e9
"""Bytes a second of a disk, written or read: of a common one of a laptop. What stays in the system's cache
takes less."""

DISK_SPARE = 128 << 20
"""Room on the disk that is taken in pieces before it is used."""

Turns = Mapping[str, tuple[Turn, ...]]


@dataclass(frozen=True, slots=True)
class Paging:
    """How a run is done with so many bytes of its state in memory: the turns of each pass, room on the disk,
    and the seconds that all that costs besides."""

    turns: Turns
    disk_bytes: int
    seconds: float


def paging(
    stack: Stack, settings: Settings, band_rows: int, resident: int, *, threads: int, slots: int
) -> Paging:
    """What is done with `resident` bytes of state in memory."""
    names = [name for name in passes(settings, settings.method) if name not in ("survey", "layers")]
    kinds = holding(stack, settings)
    held = kinds.passing
    count = -(-stack.height // band_rows)
    band = stack.width * band_rows
    pixels = stack.width * stack.height
    once = settings.slab is not None  # a slab is finished, and fused in turn, while the frames come
    turns = {
        name: (WHOLE,) if once else _turns(size, pixels, band, count, int(resident * SPARE))
        for name, size in zip(names, held, strict=True)
    }
    disk = int(pixels * max(size.total for size in kinds.all))
    frames = len(stack) * stack.largest.megapixels
    decoding = decode_seconds(stack, settings) * frames
    again = sum(len(each) - 1 for each in turns.values())
    looks = sum(len(each) > 1 for each in turns.values()) * LOOK_SECONDS * frames
    alone = decoding * (1 - 1 / threads) * (again + len(names)) if slots == 1 else 0.0
    moved = sum(
        _moved(size, turns[name], pixels, resident, len(stack))
        for name, size in zip(names, held, strict=True)
    )
    seconds = (decoding * again + looks) / threads + alone + moved / DISK_BYTES_S
    return Paging(turns, disk + DISK_SPARE, seconds)


def _turns(held: Footprint, pixels: int, band: int, count: int, room: int) -> tuple[Turn, ...]:
    """As many bands a turn as there is room for, beside what is folded whole in the first one."""
    whole, each = int(held.near * pixels), max(1, int(held.afar * band))
    stops = [min(count, max(0, room - whole) // each)]
    while stops[-1] < count:
        stops.append(min(count, stops[-1] + max(1, room // each)))
    starts = [0, *stops[:-1]]
    cuts = enumerate(zip(starts, stops, strict=True))
    return tuple(Turn(start, stop, first=number == 0) for number, (start, stop) in cuts)


def _moved(held: Footprint, turns: tuple[Turn, ...], pixels: int, resident: int, frames: int) -> float:
    """Bytes that are written and read: once what of the state is not in memory, and with every frame what of
    that which is wanted with every frame."""
    wanted = held.near if len(turns) > 1 else held.near + held.afar
    outside, paged = (max(0.0, each * pixels - resident) for each in (held.total, wanted))
    return 2 * (outside + (wanted * pixels * frames if paged else 0.0))
