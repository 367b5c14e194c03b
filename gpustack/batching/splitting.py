"""A card full of frames as stacks: where one ends and the next begins, and why.

Frames are looked at in the order in which they were taken. A new stack begins where the camera, the frame's
size or the focal length changes, the exposure by half a stop or more, much more time passes than between
the frames of this stack, the focus jumps back against the way it went, or the picture is another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from math import log2
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.errors import InputError
from gpustack.io.decode import Decoder, probe
from gpustack.io.developer import developer_of
from gpustack.io.discover import natural_key
from gpustack.io.metadata import read_metadata
from gpustack.io.taken import Taken, of_exif
from gpustack.model.frame import Frame

LIKENESS = 0.6
"""Correlation of two small pictures below which they show different things. Of 17 photographed stacks
neighbours had 0.79 and more, and first frames of different stacks 0.47 and less."""

PAUSE_S = 5.0
"""Seconds that pass between stacks at least: time to go to the next thing."""

PAUSE_TIMES = 4.0
"""How many times longer than between the frames of a stack, in the middle, that must be: rails and flashes
may be slow, and one card may hold bursts beside frames that were focused by hand."""

FEWEST_STEPS, AHEAD = 2, 5
"""Steps that tell how fast a stack is shot; while it has fewer, those of so many frames ahead tell, too."""

STOPS = 0.5
FOCAL = 1.02

_ICON = 48


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One frame as it is looked at: its file, how it was taken, and a small picture (48, 48) without mean,
    of length 1."""

    frame: Frame
    taken: Taken
    icon: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Frames that belong together, and why they do not belong to those before."""

    shots: tuple[Shot, ...]
    reason: str

    @property
    def seconds(self) -> float | None:
        """From the first to the last frame."""
        times = [shot.taken.seconds for shot in self.shots]
        known = [time for time in times if time is not None]
        return known[-1] - known[0] if len(known) == len(times) else None


@dataclass(frozen=True, slots=True)
class Unread:
    """A file that could not be looked at, and why."""

    path: Path
    problem: str


def look(paths: Sequence[Path], developer: str | None = None) -> tuple[list[Shot], list[Unread]]:
    """Look at the only frame of each file, in the order in which they were taken (by name, where no time is
    known); at RAW ones as the program of the command `developer` makes them. Raises UsageError."""
    shots, unread = [], []
    for path in paths:
        try:
            shots.append(_shot(path, developer))
        except InputError as error:
            unread.append(Unread(path, str(error)))
    timed = all(shot.taken.seconds is not None for shot in shots)
    names = sorted(shots, key=lambda shot: natural_key(shot.frame.path))
    return (sorted(names, key=lambda shot: shot.taken.seconds or 0.0) if timed else names), unread


def _shot(path: Path, developer: str | None) -> Shot:
    """Look at the first frame of a file. What a program makes of it is held for as long."""
    with closing(developer_of(developer)) if developer is not None else nullcontext() as program:
        frame, *_ = probe(path, program)
        with closing(Decoder(frame, developer=developer)) as decoder:
            return Shot(frame, of_exif(read_metadata(frame).exif), _icon(frame, decoder))


def _icon(frame: Frame, decoder: Decoder) -> npt.NDArray[np.float32]:
    by = max(by for by in frame.kind.reductions if min(frame.size) // by >= _ICON or by == 1)
    pixels = decoder.reduced(frame, by)
    gray: npt.NDArray[Any] = pixels[..., :3].mean(axis=2, dtype=np.float32)
    small = np.asarray(cv2.resize(gray, (_ICON, _ICON), interpolation=cv2.INTER_AREA), np.float32)
    small = np.sqrt(np.maximum(small, 0))  # highlights would decide alone
    small -= small.mean()
    return np.asarray(small / max(float(np.linalg.norm(small)), 1e-6), np.float32)


def split(shots: Sequence[Shot], pause: float | None = None, likeness: float = LIKENESS) -> list[Group]:
    """The stacks, in order. `pause`: seconds that part them, None to go by the frames themselves."""
    groups: list[Group] = []
    current: list[Shot] = []
    reason = "the first"
    for number, shot in enumerate(shots):
        longest = _usual_pause(current, shots[number : number + AHEAD]) if pause is None else pause
        parted = _parted(current, shot, longest, likeness) if current else None
        if parted:
            groups.append(Group(tuple(current), reason))
            current, reason = [], parted
        current.append(shot)
    return [*groups, Group(tuple(current), reason)] if current else groups


def _usual_pause(stack: Sequence[Shot], ahead: Sequence[Shot]) -> float:
    """Seconds that part a stack from what is ahead."""
    steps = _steps(stack)
    steps += _steps(ahead) if len(steps) < FEWEST_STEPS else []
    return max(PAUSE_S, PAUSE_TIMES * median(steps)) if steps else PAUSE_S


def _steps(shots: Sequence[Shot]) -> list[float]:
    """Seconds between frames, where they are known."""
    times = [shot.taken.seconds for shot in shots if shot.taken.seconds is not None]
    return [after - before for before, after in pairwise(times)]


def _parted(stack: Sequence[Shot], shot: Shot, pause: float, likeness: float) -> str | None:
    """Why a frame does not belong to the stack so far; None where it does."""
    last = stack[-1]
    if shot.frame.size != last.frame.size or shot.frame.kind is not last.frame.kind:
        return f"{shot.frame.width}x{shot.frame.height} pixels, {shot.frame.kind.value}"
    if shot.taken.camera != last.taken.camera:
        return f"camera {shot.taken.camera or 'not known'}"
    return (
        _exposed(last.taken, shot.taken)
        or _paused(last.taken, shot.taken, pause)
        or _refocused(stack, shot)
        or _other(last, shot, likeness)
    )


def _exposed(last: Taken, now: Taken) -> str | None:
    focal = _ratio(last.focal_mm, now.focal_mm)
    if max(focal, 1 / focal) > FOCAL:
        return f"focal length {now.focal_mm:g} mm"
    stops = log2(_ratio(last.shutter_s, now.shutter_s) * _ratio(last.iso, now.iso))
    stops -= 2 * log2(_ratio(last.aperture, now.aperture))
    return f"exposure {stops:+.1f} stops" if abs(stops) >= STOPS else None


def _ratio(before: float | None, now: float | None) -> float:
    return 1.0 if before is None or now is None else now / before


def _paused(last: Taken, now: Taken, pause: float) -> str | None:
    if last.seconds is None or now.seconds is None:
        return None
    passed = now.seconds - last.seconds
    return f"after {passed:.0f} s" if passed > pause else None


def _refocused(stack: Sequence[Shot], shot: Shot) -> str | None:
    """Focus that went one way and jumps back by three steps or more: the camera began anew."""
    distances = [one.taken.distance_m for one in (*stack, shot)]
    known = [distance for distance in distances if distance is not None]
    if len(known) < len(distances) or len(known) < 4:
        return None
    steps = np.diff(known)
    way = float(np.median(steps[:-1]))
    return f"focus back at {known[-1]:g} m" if way * steps[-1] < 0 and abs(steps[-1]) > 3 * abs(way) else None


def _other(last: Shot, shot: Shot, likeness: float) -> str | None:
    found = float(np.vdot(last.icon, shot.icon))
    return f"another picture (likeness {found:.2f})" if found < likeness else None
