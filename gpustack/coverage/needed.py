"""Which frames a stack needs: what each shows that no other does, and which could be left out together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gpustack.coverage.curves import Curves, Mask, Values

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
    best = curves.energies[:, seen].argmax(axis=0)
    return np.asarray(np.bincount(best, minlength=len(curves.frames)) / max(1, seen.sum()))


def alone(curves: Curves, seen: Mask) -> Values:
    """(n,) the share of the clear cells that would lose a notable part without each frame."""
    signal = _signal(curves, clear(curves, seen))
    if len(signal) < 2:
        return np.ones(len(signal))
    order = np.argpartition(signal, -2, axis=0)[-2:]
    second, first = np.take_along_axis(signal, order, axis=0)
    lost = second < first * _KEPT
    return np.asarray(np.bincount(order[1][lost], minlength=len(signal)) / max(1, lost.size))


def spare(curves: Curves, seen: Mask) -> tuple[int, ...]:
    """Indices of frames that could be left out all together: what is left shows nearly every clear cell
    nearly as well.

    From the first frame on, the next that is kept is the farthest that still lets those between be left out:
    focus passes each cell once, so what two neighbours both miss no other frame makes good.
    """
    signal = _signal(curves, clear(curves, seen))
    if len(signal) < 3 or not signal.size:
        return ()
    sieve = _Sieve(signal, signal.max(axis=0) * _KEPT)
    while sieve.kept[-1] < len(signal) - 1:
        sieve.go_on()
    return tuple(curves.frames[index] for index in sorted(set(range(len(signal))) - set(sieve.kept)))


_KEPT = 10 ** (-SPARED_DB / 10)


def _signal(curves: Curves, seen: Mask) -> Levels:
    """(n, c) measures less that of noise; nothing where the frame does not cover the cell."""
    return np.asarray(np.maximum(curves.energies[:, seen] - np.float32(curves.floor), 0))


class _Sieve:
    """The frames kept so far, what they show of each cell, and the cells that lose something."""

    def __init__(self, signal: Levels, enough: Levels) -> None:
        self.kept = [0]
        self._signal, self._enough = signal, enough
        self._shown = signal[0].copy()
        self._lost = np.zeros(signal.shape[1], bool)

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
        frames, cells = self._signal.shape
        return float(SPARED_SHARE * cells * (frame + 1) / frames)
