"""A plan before any pixel: passes, bands, frames in flight, bytes and seconds. Pure; printed by `gpustack
plan`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from gpustack.engine.path import PASSES, footprint
from gpustack.errors import PlanError
from gpustack.model.frame import Kind
from gpustack.model.rect import Rows, cut
from gpustack.model.stack import Stack
from gpustack.settings import SURVEY_SIDE, Method, Model, Settings

BAND_PIXELS = 1 << 18
"""Pixels of a band: with about a dozen float planes at work this stays near the cache (12 MP, ms of CPU a
frame by rows of 4000: 32: 215, 64: 152, 96: 181, 128: 217)."""

LEAST_BAND_ROWS = 48
"""Fewer rows would be mostly halo (100 MP, `auto`, CPU seconds by rows: 16: 22.9, 48: 19.4, 64: 20.5)."""

BASE_BYTES = 110 << 20
"""The interpreter with NumPy, OpenCV and the codecs loaded, and a stack of a few pixels (measured: 98 MB)."""

BAND_PLANES = 30
"""Float planes of band size that one thread has alive at most, halos included (pyramid, RGB)."""

SURVEY_PLANES = 9
"""Float planes of survey size that one reader has alive at most: luma, band-pass, gradients, strength."""

LINK_REACH = 4
"""How many frames back a frame is matched, at most; so many wait as sights in the survey."""

SIGHT_PLANES = 2
"""The same, of one frame that waits to be matched: its band-passed levels, and the samples of each."""

DECODE_FACTOR = {Kind.JPEG: 0.35, Kind.PNG: 1.0, Kind.TIFF: 1.1, Kind.RAW: 2.7, Kind.ARRAY: 0.0}
"""Bytes that decoding needs besides its result, as a share of it: the file, and the codec's own buffers."""

DECODE_SECONDS = {Kind.JPEG: 0.006, Kind.PNG: 0.030, Kind.TIFF: 0.030, Kind.RAW: 0.060, Kind.ARRAY: 0.0}
"""CPU seconds to decode a megapixel, on one core of a 2023 server."""

PASS_SECONDS = {
    "survey": 0.060,
    "measure": 0.009,
    "average": 0.014,
    "pyramid": 0.018,
    "auto": 0.028,
    "blend": 0.006,
}
"""CPU seconds a megapixel and frame of each pass, without decoding, on the same core. For orientation, not
a promise."""

WARP_SECONDS = 0.017
"""CPU seconds to resample a megapixel, in every pass but the survey."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may use: bytes of RAM in all, and threads."""

    ram_bytes: int
    threads: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How a stack will be worked through.

    `passes` name what each reading of the frames is for; `slots` decoded frames exist at a time, filled by
    `readers` threads; the bytes are peaks, `budget_bytes` the contract they stay within.
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

    @property
    def bands(self) -> tuple[Rows, ...]:
        """The bands of a canvas of the full height."""
        return cut(self.height, self.band_rows)

    @property
    def total_bytes(self) -> int:
        """Predicted peak."""
        later = self.frame_bytes + self.state_bytes + self.work_bytes
        return self.base_bytes + max(self.survey_bytes, later)

    def as_dict(self) -> dict[str, Any]:
        """Everything, for `--json`."""
        return asdict(self) | {"bands": len(self.bands), "total_bytes": self.total_bytes}


def make_plan(stack: Stack, settings: Settings, budget: Budget) -> Plan:
    """The fastest plan that fits the budget: as many frames in flight as are useful, fewer where memory is
    short.

    Raises PlanError with the bytes needed and the bytes allowed where not even one frame at a time fits.
    """
    method = settings.method
    for threads in sorted({budget.threads, 1}, reverse=True):
        for slots in range(threads + 2, 0, -1):
            plan = _priced(stack, settings, method, budget, threads, slots)
            if plan.total_bytes <= budget.ram_bytes:
                return plan
    raise PlanError(
        f"This stack needs {plan.total_bytes >> 20} MiB, and {budget.ram_bytes >> 20} MiB are allowed.",
        "Allow more with --ram, or stack smaller frames; --method average needs least.",
    )


def _priced(
    stack: Stack, settings: Settings, method: Method, budget: Budget, threads: int, slots: int
) -> Plan:
    frame = stack.frames[0]
    readers = min(threads, slots)
    band_rows = max(LEAST_BAND_ROWS, BAND_PIXELS // stack.width // 2 * 2)
    decoding = int(frame.nbytes * DECODE_FACTOR[frame.kind]) * readers
    pixels = stack.width * stack.height
    return Plan(
        method=method,
        passes=_passes(settings, method),
        frames=len(stack),
        width=stack.width,
        height=stack.height,
        band_rows=band_rows,
        slots=slots,
        readers=readers,
        threads=threads,
        base_bytes=BASE_BYTES,
        frame_bytes=frame.nbytes * slots + decoding,
        state_bytes=int(pixels * footprint(method, stack.channels, stack.pixel_type, settings.depth)),
        work_bytes=min(band_rows + 14, stack.height) * stack.width * 4 * BAND_PLANES * threads,
        survey_bytes=_survey_bytes(stack, settings, readers, slots),
        budget_bytes=budget.ram_bytes,
        seconds=predict(stack, settings, method, threads),
    )


def _survey_bytes(stack: Stack, settings: Settings, readers: int, slots: int) -> int:
    """Peak of the survey pass: each reader holds a frame and its planes, the others wait as sights."""
    frame = stack.frames[0]
    decoded = int(frame.nbytes * (1 + DECODE_FACTOR[frame.kind])) * readers
    if settings.align is Model.NONE:
        return decoded
    plane = 4 * (stack.width // survey_factor(stack)) * (stack.height // survey_factor(stack))
    return decoded + plane * (SURVEY_PLANES * readers + SIGHT_PLANES * (slots + 1 + LINK_REACH))


def survey_factor(stack: Stack) -> int:
    """By how many times the survey's planes are smaller than the frames."""
    return max(1, round(max(stack.width, stack.height) / SURVEY_SIDE))


def _passes(settings: Settings, method: Method) -> tuple[str, ...]:
    survey = ("survey",) if settings.align is not Model.NONE else ()
    return survey + PASSES[method]


def predict(stack: Stack, settings: Settings, method: Method, threads: int) -> float:
    """Seconds a run will take, roughly."""
    passes = _passes(settings, method)
    work = sum(PASS_SECONDS[name] + DECODE_SECONDS[stack.kind] for name in passes)
    if settings.align is not Model.NONE:
        work += WARP_SECONDS * (len(passes) - 1)
    return work * len(stack) * stack.frames[0].megapixels / threads
