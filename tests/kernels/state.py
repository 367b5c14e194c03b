"""What is kept of the frames, in plain float32 NumPy with the kernels' order of operations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.kernels.reference import Array, F, luma


@dataclass
class State:
    """A part on the host: energy (h, w), frame (h, w), kept (c, h, w); with `total` (h, w) a soft choice,
    whose `spread` is depth, variance and sharpest luma (h, w)."""

    energy: Array
    frame: Array
    kept: Array
    total: Array | None
    noise: np.float32
    steep: bool = False
    spread: tuple[Array, Array, Array] | None = None

    @staticmethod
    def empty(
        channels: int,
        height: int,
        width: int,
        noise: float | None,
        *,
        spread: bool = False,
        steep: bool = False,
    ) -> State:
        """Before the first frame; with a spread the mean is of squared values."""
        plane = np.zeros((height, width), F)
        total = None if noise is None else plane.copy()
        frame = np.full((height, width), 65535, np.uint16)
        kept = np.zeros((channels, height, width), F)
        planes = (plane, plane, plane) if spread else None
        return State(plane - F(1), frame, kept, total, F(noise or 0), steep, planes)

    def fold(self, index: int, image: Array, energy: Array, covers: Array) -> None:
        """Fold one frame in; the lower of two frames wins a tie, and energy below nothing is none."""
        energy = np.where(covers, np.fmax(energy, F(0)), F(-2))
        won = (energy > self.energy) | ((energy == self.energy) & (index < self.frame))
        if self.total is None:
            self.kept = np.where(won, image, self.kept)
        else:
            share = self._soften(energy)
            value = image[: len(self.kept)]
            value = value if self.spread is None else value * value
            step = _flushed((value - self.kept) * share)
            self.kept = np.where(share != 0, self.kept + step, self.kept)
            if self.spread is not None:
                self.spread = _spread(
                    self.spread, F(index), share, np.where(won, luma(image), self.spread[2])
                )
        self.energy = np.where(won, energy, self.energy)
        self.frame = np.where(won, np.uint16(index), self.frame)

    def _soften(self, energy: Array) -> Array:
        ratio = self._above_noise(energy) / self._above_noise(np.fmax(self.energy, F(0)))
        gain = self._weight(np.fmin(ratio, F(1)))
        self.total = self.total * self._weight(F(1) / np.fmax(ratio, F(1))) + gain
        return np.asarray(gain / np.fmax(self.total, F(1e-30)))

    def _above_noise(self, energy: Array) -> Array:
        if self.steep:
            return np.where(energy < 0, F(0), np.sqrt(np.fmax(energy, F(0))) + self.noise)
        return np.fmax(energy, -self.noise) + self.noise

    def _weight(self, ratio: Array) -> Array:
        return eighth_power(eighth_power(ratio)) if self.steep else eighth_power(ratio)

    def merge(self, other: State) -> None:
        """Fold in what another run kept."""
        if self.total is not None and other.total is not None:
            a, b = (self._above_noise(np.fmax(state.energy, F(0))) for state in (self, other))
            mine = self.total * self._weight(np.fmin(F(1), a / b))
            theirs = other.total * self._weight(np.fmin(F(1), b / a))
            self.total = mine + theirs
            share = theirs / np.fmax(self.total, F(1e-30))
            self.kept = self.kept + share * (other.kept - self.kept)
        tied = (other.energy == self.energy) & (other.frame < self.frame)
        won = (other.energy > self.energy) | tied
        if self.total is None:
            self.kept = np.where(won, other.kept, self.kept)
        elif self.spread is not None and other.spread is not None:
            self.spread = _merged(self.spread, other.spread, share, won)
        self.energy = np.where(won, other.energy, self.energy)
        self.frame = np.where(won, other.frame, self.frame)


def _spread(
    before: tuple[Array, Array, Array], index: np.float32, share: Array, sharpest: Array
) -> tuple[Array, Array, Array]:
    depth, variance, _ = before
    away = index - depth
    step = _flushed(away * share)
    return depth + step, _flushed((variance + _flushed(step * away)) * (F(1) - share)), sharpest


def _merged(
    mine: tuple[Array, Array, Array], theirs: tuple[Array, Array, Array], share: Array, won: Array
) -> tuple[Array, Array, Array]:
    away = theirs[0] - mine[0]
    step = _flushed(share * away)
    nearer = _flushed(share * (theirs[1] - mine[1]))
    variance = mine[1] + (nearer + _flushed(_flushed(step * away) * (F(1) - share)))
    return mine[0] + step, variance, np.where(won, theirs[2], mine[2])


def eighth_power(base: Array) -> Array:
    """base^8 by squaring; the device takes subnormal numbers for 0."""
    for _ in range(3):
        base = _flushed(base * base)
    return base


def _flushed(values: Array) -> Array:
    return np.where(np.abs(values) < np.finfo(F).tiny, F(0), values)
