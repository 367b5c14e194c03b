"""Looking behind nearer things, on the device (`Backend.steps`, `Backend.look_behind`).

The same steps as `gpustack.backend.behind` has, on whole strips: what is far from any step costs little, as
blocks of pixels that nothing is spread over do nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gpustack.backend.disks import disk
from gpustack.backend.gpu.core import Core
from gpustack.backend.gpu.launch import Value
from gpustack.backend.gpu.records import TAPS, Record, record, taps
from gpustack.backend.gpu.tensor import Tensor
from gpustack.backend.values import (
    BEHIND_MISFIT,
    BEHIND_NOISE,
    BEHIND_SIGMA_PX,
    BEHIND_TRUST_PX,
    CONTRAST_NOISE,
    CONTRAST_PX,
    DISK_RADII,
    FILL_SIGMA_PX,
    FLOOD,
    FLOOD_PX,
    MOST_COVERED,
    SEEN_NOISE,
    SEEN_SHARE,
    STEP_FRAMES,
    STEP_REACH_PX,
    VEIL_SHUNNED,
    Beside,
    Looked,
    Optics,
    Steps,
)

_TILE_ROWS = 16  # TILE_Y of window.cuh and steps.cu
_STEP_REACH = 12  # REACH of steps.cu
_FILL_REACH, _CONTRAST, _ROUNDS = 15, 5, 10  # of cover.cu
_RUNGS, _SOFT_REACH, _DISK_REACH = 9, 17, 11  # of veil.cu
_BEHIND_REACH = 6  # REACH of behind.cu

assert (STEP_REACH_PX, CONTRAST_PX, FLOOD_PX, len(DISK_RADII)) == (_STEP_REACH, _CONTRAST, _ROUNDS, _RUNGS)

_POINTERS = ("picture", "front", "back", "front_total", "back_total", "near_depth", "far_depth", "side")
_INTEGERS = ("picture_plane", "front_plane", "back_plane", "height", "width", "channels", "coded")
_BESIDE = np.dtype([(name, "u8") for name in _POINTERS] + [(name, "i4") for name in _INTEGERS], align=True)
_FOUND = np.dtype(
    [(name, "u8") for name in ("side", "clear", "blurred", "cover", "blocked")] + [("opaque", "f4")],
    align=True,
)
_SOFTLY = np.dtype([("radius", "f4", _RUNGS), ("taps", TAPS, _RUNGS)], align=True)
_DISKS = np.dtype([("radius", "f4", _RUNGS), ("reach", "i4", _RUNGS), ("start", "i4", _RUNGS)], align=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Ground:
    """What was worked out of a strip, (c, h, w) and (h, w), as behind.cu takes it."""

    side: Tensor
    clear: Tensor
    blurred: Tensor
    cover: Tensor
    blocked: Tensor

    def record(self) -> Record:
        """`Found` of behind.cu."""
        planes = {name: getattr(self, name) for name in _Ground.__slots__}
        return record(_FOUND, **planes, opaque=MOST_COVERED + 0.1)


class Looking(Core):
    """What lies beside depth steps."""

    def steps(self, depth: Tensor, energy: Tensor, floor: float, inner: slice, /) -> Steps[Tensor]:
        size = height, width = depth.height, depth.width
        first, last, _ = inner.indices(height)
        seen = self.new(size, "uint8")
        limits = (SEEN_NOISE * floor, SEEN_SHARE, STEP_FRAMES / 2)
        self._tiles("steps", "surely_seen", size, (depth, energy, *limits, seen, *size))
        rows = last - first, width
        found = Steps(self.new(rows), self.new(rows), self.new(rows, "uint8"))
        values = (depth, seen, STEP_FRAMES, *size, first, found.near, found.far, found.side, rows[0])
        self._tiles("steps", "step_sides", rows, values)
        return found

    def look_behind(self, beside: Beside[Tensor], optics: Optics, inner: slice, /) -> Looked[Tensor]:
        given, size = _given(beside, optics), (beside.picture.height, beside.picture.width)
        channels, noise = beside.picture.channels, optics.noise
        sums = self.new((channels + 1, *size))
        found = self._ground(given, size, channels, optics, sums)
        known, window = found.record(), taps(BEHIND_SIGMA_PX, _BEHIND_REACH)
        self._tiles("behind", "compare", size, (given, known, sums, window), channels=channels + 1)
        fits, trust, bare, power, taken, veil = (self.new(size) for _ in range(6))
        judged = (given, known, sums, 1 / BEHIND_MISFIT, fits, trust, bare, power, taken, veil)
        self._launch.picture("behind", "judge", size, judged)
        zone, (none, full) = self.new(size), VEIL_SHUNNED
        values = (found.side, taken, veil, none, 1 / (full - none), trust, zone, *size, window)
        self._tiles("behind", "lay_zone", size, values)
        first, last, _ = inner.indices(size[0])
        out = self.new((channels, last - first, size[1]))
        blurs = taps(BEHIND_TRUST_PX, _BEHIND_REACH), window
        put = (given, known, trust, zone, power, BEHIND_NOISE * noise * noise, first, out, out.height, *blurs)
        self._tiles("behind", "put_in", (out.height, size[1]), put)
        return Looked(out, bare.rows(inner), fits.rows(inner))

    def _ground(
        self, given: Record, size: tuple[int, int], channels: int, optics: Optics, sums: Tensor
    ) -> _Ground:
        """The ground behind what covers it; `sums` (c + 1, h, w) is room to work in."""
        side, disk_of = self.new(size, "uint8"), self.new(size)
        self._launch.picture(
            "cover", "lay_sides", size, (given, float(optics.radius), DISK_RADII[-1], side, disk_of)
        )
        cover = self._cover(given, size, channels, optics.noise, side, sums)
        blocked, softly = self.new(size), self._softly
        self._tiles("veil", "block_light", size, (side, disk_of, cover, blocked, *size, softly))
        clear, blurred = self.new((channels, *size)), self.new((channels, *size))
        values = (given, side, disk_of, sums, cover, blocked, MOST_COVERED, *self._disks, clear)
        self._tiles("veil", "unveil", size, values, channels=channels)
        refocused = (given, side, disk_of, clear, blurred, softly)
        self._tiles("veil", "refocus", size, refocused, channels=channels)
        return _Ground(side, clear, blurred, cover, blocked)

    def _cover(
        self, given: Record, size: tuple[int, int], channels: int, noise: float, side: Tensor, sums: Tensor
    ) -> Tensor:
        """How much of each pixel the nearer thing covers; leaves the sums of the plain ground."""
        window = taps(FILL_SIGMA_PX, _FILL_REACH)
        self._tiles("cover", "plain_sums", size, (given, side, sums, window), channels=channels + 1)
        like, cover = self.new(size), self.new(size)
        low, high = FLOOD
        least = np.float32(CONTRAST_NOISE * noise) + np.float32(1e-6)
        self._tiles("cover", "liken", size, (given, side, sums, least, low, 1 / (high - low), like))
        self._tiles("cover", "flood", size, (like, side, cover, *size))
        return cover

    @cached_property
    def _softly(self) -> Record:
        """`Softly` of veil.cu: a Gaussian for each radius but the first."""
        out = record(_SOFTLY)
        out["radius"] = DISK_RADII
        for rung, radius in enumerate(DISK_RADII[1:], 1):
            out["taps"][rung] = taps(radius / 2, _SOFT_REACH)
        return out

    @cached_property
    def _disks(self) -> tuple[Tensor, Record]:
        """The taps of all disks, row by row, and `Disks` of veil.cu."""
        kernels = [disk(radius) for radius in DISK_RADII[1:]]
        assert max(len(kernel) // 2 for kernel in kernels) <= _DISK_REACH
        sizes = [0, *(kernel.size for kernel in kernels)]
        out = record(_DISKS)
        out["radius"] = DISK_RADII
        out["reach"][1:] = [len(kernel) // 2 for kernel in kernels]
        out["start"] = np.cumsum(sizes) - sizes
        return self.upload(np.concatenate([kernel.ravel() for kernel in kernels])), out

    def _tiles(
        self, stage: str, name: str, size: tuple[int, int], values: Sequence[Value], *, channels: int = 1
    ) -> None:
        """A launch of blocks that make tiles of _TILE_ROWS rows."""
        self._launch.picture(stage, name, size, values, channels=channels, rows=_TILE_ROWS)


def _given(beside: Beside[Tensor], optics: Optics) -> Record:
    """`Beside` of beside.cuh."""
    picture, steps = beside.picture, beside.steps
    return record(
        _BESIDE,
        picture=picture,
        front=beside.near.mean,
        back=beside.far.mean,
        front_total=beside.near.total,
        back_total=beside.far.total,
        near_depth=steps.near,
        far_depth=steps.far,
        side=steps.side,
        picture_plane=picture.plane,
        front_plane=beside.near.mean.plane,
        back_plane=beside.far.mean.plane,
        height=picture.height,
        width=picture.width,
        channels=picture.channels,
        coded=int(optics.coded),
    )
