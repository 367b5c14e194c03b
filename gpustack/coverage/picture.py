"""The map of a stack: where gaps lie, which frame shows what, and what each frame gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.coverage.frames import Look

Picture = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

BEFORE, BETWEEN, AFTER = (255, 170, 0), (255, 40, 90), (60, 140, 255)
"""Colours of gaps before the first frame, between two and after the last."""

_GAPS: dict[int, tuple[Colour, str]] = {
    -1: (BEFORE, "before the first frame"),
    1: (BETWEEN, "between frames"),
    2: (AFTER, "after the last frame"),
}
_PAPER, _INK, _FAINT, _BAD = (250, 250, 250), (30, 30, 30), (190, 190, 190), (200, 40, 40)
_STRENGTH, _TINT = 0.8, 0.55
_EDGE, _BARS, _LINE = 16, 120, 22


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """What the map shows, upright: preview (h, w, 3) uint8; and by cells (rows, columns) the frame that shows
    each best, whether it is seen, and the `sides` of `Coverage`, None where gaps cannot be told."""

    preview: Picture
    best: npt.NDArray[np.intp]
    seen: npt.NDArray[np.bool_]
    sides: npt.NDArray[np.int8] | None


def focus_map(views: Views, looks: Sequence[Look]) -> Picture:
    """(h, w, 3) uint8: two views of the preview, the gaps and the frame that shows each place best, above
    bars of what each frame gives; what would be missed without a frame is dark."""
    gray = _gray(views.preview)
    left = gray if views.sides is None else _with_gaps(gray, views.sides)
    right = _by_frame(gray, views, len(looks))
    gap = np.full((len(gray), _EDGE, 3), _PAPER, np.uint8)
    both = np.hstack([gap, left, gap, right, gap])
    return np.vstack([_legend(both.shape[1], views), both, _bars(looks, both.shape[1])])


def _gray(preview: Picture) -> Picture:
    """The picture in pale gray, on which colours show."""
    plane = cv2.cvtColor(preview, cv2.COLOR_RGB2GRAY).astype(np.float32) * 0.75 + 40
    return np.repeat(plane.astype(np.uint8)[..., None], 3, axis=2)


def _with_gaps(gray: Picture, sides: npt.NDArray[np.int8]) -> Picture:
    out = gray.astype(np.float32)
    for side, (colour, _) in _GAPS.items():
        share = _stretched((sides == side).astype(np.float32), gray)[..., None] * np.float32(_STRENGTH)
        out += share * (np.array(colour, np.float32) - out)
    return out.astype(np.uint8)


def _by_frame(gray: Picture, views: Views, frames: int) -> Picture:
    """Each place in the colour of the frame that shows it best; pale where nothing is seen."""
    colours = palette(frames)[views.best]
    tint = cv2.resize(colours, gray.shape[1::-1], interpolation=cv2.INTER_NEAREST).astype(np.float32)
    share = _stretched(views.seen.astype(np.float32), gray)[..., None] * np.float32(_TINT)
    return (gray + share * (tint - gray)).astype(np.uint8)


def palette(count: int) -> Picture:
    """(count, 3) a colour for each frame, from blue (first) to red (last)."""
    ramp = np.linspace(20, 235, max(count, 2)).astype(np.uint8)[:count, None]
    return np.ascontiguousarray(cv2.applyColorMap(ramp, cv2.COLORMAP_TURBO).reshape(-1, 3)[:, ::-1])


def _stretched(plane: npt.NDArray[np.float32], like: Picture) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.resize(plane, like.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _legend(width: int, views: Views) -> Picture:
    """What the colours of the gaps stand for, and how much of the detail is covered."""
    strip = np.full((2 * _LINE, width, 3), _PAPER, np.uint8)
    if views.sides is None or not views.seen.any():
        _write(strip, "too few frames or too little detail to tell gaps", _EDGE, 28)
        return strip
    sides = views.sides[views.seen]
    x = _write(strip, f"in focus {(sides == 0).mean():.1%} of the detail", _EDGE, 28)
    for side, (colour, name) in _GAPS.items():
        cv2.rectangle(strip, (x + 14, 17), (x + 26, 29), colour, -1)
        x = _write(strip, f"{(sides == side).mean():.1%} {name}", x + 32, 28)
    return strip


def _bars(looks: Sequence[Look], width: int) -> Picture:
    """A bar a frame in its colour: the share that it shows best; dark within it what would be missed."""
    strip = np.full((_BARS + 3 * _LINE, width, 3), _PAPER, np.uint8)
    inner, base = width - 2 * _EDGE, _BARS + _LINE
    top = max(1e-6, *(look.share for look in looks)) if looks else 1.0
    colours = palette(len(looks)).tolist()
    for number, look in enumerate(looks):
        x0, x1 = (_EDGE + inner * place // len(looks) for place in (number, number + 1))
        right = max(x0, x1 - 2)
        cv2.rectangle(strip, (x0, base - _height(look.share, top)), (right, base), colours[number], -1)
        if look.alone:
            cv2.rectangle(strip, (x0, base - _height(look.alone, top)), (right, base), _INK, -1)
        if look.verdicts:
            cv2.rectangle(strip, (x0, base + 2), (right, base + 7), BEFORE if look.used else _BAD, -1)
        if number % max(1, -(-len(looks) * 34 // inner)) == 0:
            _write(strip, str(look.index), x0, base + 22)
    cv2.line(strip, (_EDGE, base + 1), (width - _EDGE, base + 1), _FAINT, 1)
    _write(
        strip, "share each frame shows best; dark: missed without it; marks: see the table", _EDGE, base + 44
    )
    return strip


def _height(share: float, top: float) -> int:
    return round(_BARS * min(1.0, share / top))


def _write(strip: Picture, text: str, x: int, y: int) -> int:
    """Write a line; where it ends."""
    cv2.putText(strip, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)
    return x + int(width)
