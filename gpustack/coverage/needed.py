"""Which frames a stack needs: what each shows that no other does, and which could be left out together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gpustack.coverage.curves import Curves, Mask, Plane, Values

Levels = npt.NDArray[np.float32]

SPARED_DB = 1.5
"""Detail that another frame shows but so much is not missed: a sixth of the contrast of what is finest."""

SPARED_SHARE = 0.01
"""Share of the clear cells that may miss more than that when frames are left out."""

CLEAR_NOISE = 20.0
"""Cells whose focus measure is less than this multiple of noise change by a decibel from frame to frame by
noise alone, and by how frames are resampled."""


def clear(curves: Curves, seen: Mask) -> Mask:
    """Cells with detail that stands far above noise."""
    return np.asarray(seen & (curves.peaks > CLEAR_NOISE * curves.floor))


def shares(curves: Curves, seen: Mask) -> Values:
    """(n,) the share of the cells with detail that each frame shows best, 0..1."""
    best = curves.top[seen]
    return np.asarray(np.bincount(best, minlength=len(curves.frames)) / max(1, seen.sum()))


def alone(curves: Curves, seen: Mask) -> Values:
    """(n,) the share of the clear cells that would lose a notable part without each frame."""
    count, cells = len(curves.frames), clear(curves, seen)
    if count < 2:
        return np.ones(count)
    signal = _Signal(curves, cells)
    lost = signal.of(curves.seconds) < signal.most * _KEPT
    return np.asarray(np.bincount(curves.top[cells][lost], minlength=count) / max(1, lost.size))


def spare(curves: Curves, seen: Mask) -> tuple[int, ...]:
    """Indices of frames that could be left out all together: what is left shows nearly every clear cell
    nearly as well.

    From the first frame on, the next that is kept is the farthest that still lets those between be left out:
    focus passes each cell once, so what two neighbours both miss no other frame makes good.
    """
    count, cells = len(curves.frames), clear(curves, seen)
    if count < 3 or not cells.any():
        return ()
    sieve = _Sieve(_Signal(curves, cells))
    while sieve.kept[-1] < count - 1:
        sieve.go_on()
    return tuple(curves.frames[index] for index in sorted(set(range(count)) - set(sieve.kept)))


_KEPT = 10 ** (-SPARED_DB / 10)


class _Signal:
    """Measures of some cells (c,) less that of noise, frame by frame; nothing where one does not cover the
    cell."""

    def __init__(self, curves: Curves, cells: Mask) -> None:
        self._curves, self._cells = curves, cells

    def __len__(self) -> int:
        return len(self._curves.frames)

    def of(self, plane: Plane) -> Levels:
        """(c,) what a plane of measures holds of it."""
        return np.asarray(np.maximum(plane[self._cells] - np.float32(self._curves.floor), 0))

    def __getitem__(self, number: int) -> Levels:
        return self.of(self._curves.energies[number])

    @property
    def most(self) -> Levels:
        """(c,) the largest of all frames."""
        return self.of(self._curves.peaks)


class _Sieve:
    """The frames kept so far, what they show of each cell, and the cells that lose something."""

    def __init__(self, signal: _Signal) -> None:
        self.kept = [0]
        self._signal, self._enough = signal, signal.most * _KEPT
        self._shown = signal[0]
        self._lost = np.zeros(len(self._shown), bool)

    def go_on(self) -> None:
        """Keep the farthest frame that lets those before it be left out."""
        step, between = self.kept[-1] + 1, np.zeros_like(self._lost)
        lost = self._lost
        while step + 1 < len(self._signal):
            between |= self._signal[step] >= self._enough
            shown = np.maximum(self._shown, self._signal[step + 1])
            more = self._lost | (between & (shown < self._enough))
            if more.sum() > self._allowed(step + 1):
                break
            step, lost = step + 1, more
        self.kept.append(step)
        self._lost = lost
        np.maximum(self._shown, self._signal[step], out=self._shown)

    def _allowed(self, frame: int) -> float:
        """How many cells may lose something up to a frame: its part of all, so that the first ones do not use
        it up."""
        return float(SPARED_SHARE * len(self._lost) * (frame + 1) / len(self._signal))
