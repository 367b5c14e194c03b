"""What is kept of the frames, in plain float32 NumPy with the kernels' order of operations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.kernels.reference import Array, F


@dataclass
class State:
    """A part on the host: energy (h, w), frame (h, w), kept (c, h, w); with `total` (h, w) a soft choice."""

    energy: Array
    frame: Array
    kept: Array
    total: Array | None
    noise: np.float32

    @staticmethod
    def empty(channels: int, height: int, width: int, noise: float | None) -> State:
        """Before the first frame."""
        plane = np.zeros((height, width), F)
        total = None if noise is None else plane.copy()
        frame = np.full((height, width), 65535, np.uint16)
        return State(plane - F(1), frame, np.zeros((channels, height, width), F), total, F(noise or 0))

    def fold(self, index: int, image: Array, energy: Array, covers: Array) -> None:
        """Fold one frame in; the lower of two frames wins a tie."""
        energy = np.where(covers, energy, F(-2))
        won = (energy > self.energy) | ((energy == self.energy) & (index < self.frame))
        if self.total is None:
            self.kept = np.where(won, image, self.kept)
        else:
            share = self._soften(energy)
            self.kept = np.where(share != 0, self.kept + (image - self.kept) * share, self.kept)
        self.energy = np.where(won, energy, self.energy)
        self.frame = np.where(won, np.uint16(index), self.frame)

    def _soften(self, energy: Array) -> Array:
        above = np.fmax(energy, -self.noise) + self.noise
        ratio = above / (np.fmax(self.energy, F(0)) + self.noise)
        gain = eighth_power(np.fmin(ratio, F(1)))
        self.total = self.total * eighth_power(F(1) / np.fmax(ratio, F(1))) + gain
        return np.asarray(gain / np.fmax(self.total, F(1e-30)))

    def merge(self, other: State) -> None:
        """Fold in what another run kept."""
        if self.total is not None and other.total is not None:
            a, b = (np.fmax(state.energy, F(0)) + self.noise for state in (self, other))
            mine, theirs = (self.total * eighth_power(np.fmin(F(1), a / b)),
                            other.total * eighth_power(np.fmin(F(1), b / a)))  # fmt: skip
            self.total = mine + theirs
            self.kept = self.kept + (theirs / np.fmax(self.total, F(1e-30))) * (other.kept - self.kept)
        tied = (other.energy == self.energy) & (other.frame < self.frame)
        won = (other.energy > self.energy) | tied
        if self.total is None:
            self.kept = np.where(won, other.kept, self.kept)
        self.energy = np.where(won, other.energy, self.energy)
        self.frame = np.where(won, other.frame, self.frame)


def eighth_power(base: Array) -> Array:
    """base^8 by squaring; the device takes subnormal numbers for 0."""
    for _ in range(3):
        base = base * base
        base = np.where(np.abs(base) < np.finfo(F).tiny, F(0), base)
    return base
