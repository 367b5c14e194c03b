"""Where one stack ends and the next begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gpustack.batching.splitting import LIKENESS, Shot, look, split
from gpustack.io.discover import discover
from gpustack.io.taken import Taken
from gpustack.model.frame import Frame, Kind, PixelType


def icon(seed: int) -> np.ndarray:
    plane = np.random.default_rng(seed).normal(size=(48, 48)).astype(np.float32)
    return plane / np.linalg.norm(plane)


TAKEN = Taken(0.0, "Olympus E-M1", 1 / 60, 4.0, 200.0, 60.0, None)
SHOT = Shot(Frame(Path("a.jpg"), 400, 300, 3, PixelType.UINT8, Kind.JPEG), TAKEN, icon(0))


def row(*changes: dict[str, object], every: float = 1.0) -> list[Shot]:
    """Shots `every` so many seconds; changes hold from their frame on."""
    shots, taken, picture = [], TAKEN, 0
    seconds = 0.0
    for change in changes:
        picture = int(change.get("picture", picture))  # type: ignore[call-overload]
        seconds += float(change.get("after", every))  # type: ignore[arg-type]
        fields = {name: value for name, value in change.items() if name not in ("picture", "after")}
        taken = replace(taken, **fields)  # type: ignore[arg-type]
        shots.append(replace(SHOT, taken=replace(taken, seconds=seconds), icon=icon(picture)))
    return shots


def sizes(shots: Sequence[Shot]) -> list[int]:
    return [len(group.shots) for group in split(shots)]


SAME: dict[str, object] = {}


def test_one_stack_stays_one() -> None:
    assert sizes(row(*[SAME] * 9)) == [9]
    assert sizes([]) == []


@pytest.mark.parametrize("every", [0.2, 1.0, 14.0])
def test_a_pause_is_long_against_the_usual_step(every: float) -> None:
    shots = row(*[SAME] * 4, {"after": max(6.0, 5 * every)}, *[SAME] * 3, every=every)
    assert sizes(shots) == [4, 4]
    assert split(shots)[1].reason.startswith("after")
    assert sizes(row(*[SAME] * 4, {"after": 3 * every}, *[SAME] * 3, every=every)) == [8]


def test_bursts_and_frames_focused_by_hand_on_one_card() -> None:
    burst: list[dict[str, object]] = [{"after": 0.1}] * 20
    by_hand: list[dict[str, object]] = [{"after": step} for step in (5.5, 6.0, 5.2, 6.3, 4.1)]
    pause: dict[str, object] = {"after": 40.0}
    assert sizes(row(SAME, *burst, pause, *by_hand, pause, *burst)) == [21, 6, 21]
    assert sizes(row(SAME, *by_hand, pause, *burst, pause, *by_hand)) == [6, 21, 6]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"picture": 1}, "another picture"),
        ({"camera": "Nikon Z 8"}, "camera Nikon Z 8"),
        ({"focal_mm": 90.0}, "focal length 90 mm"),
        ({"iso": 400.0}, "exposure +1.0 stops"),
        ({"shutter_s": 1 / 125}, "exposure -1.1 stops"),
        ({"aperture": 5.6}, "exposure -1.0 stops"),
    ],
)
def test_what_parts(change: dict[str, object], reason: str) -> None:
    groups = split(row(*[SAME] * 3, change, *[SAME] * 2))
    assert [len(group.shots) for group in groups] == [3, 3]
    assert groups[1].reason.startswith(reason)


@pytest.mark.parametrize("change", [{"iso": 220.0}, {"focal_mm": 60.5}, {"shutter_s": None}])
def test_what_does_not(change: dict[str, object]) -> None:
    assert sizes(row(*[SAME] * 3, change, *[SAME] * 2)) == [6]


def test_focus_that_jumps_back_begins_anew() -> None:
    there = [{"distance_m": 0.3 + 0.01 * step} for step in range(5)]
    assert sizes(row(*there, *there)) == [5, 5]
    wobbling = [{"distance_m": value} for value in (0.3, 0.31, 0.32, 0.315, 0.33)]
    assert sizes(row(*wobbling)) == [5]


def test_another_size_parts() -> None:
    shots = row(*[SAME] * 4)
    turned = replace(shots[3], frame=replace(SHOT.frame, width=300, height=400))
    assert sizes([*shots[:3], turned]) == [3, 1]


@pytest.mark.parametrize("name", ["amber_flies", "damselfly", "mineral", "vignetted", "wall_panels", "pcb"])
def test_photographed_stacks_stay_whole(data: Path, name: str) -> None:
    shots, unread = look(
        [path for path in discover([data / "stacks" / name]).paths if "expected" not in path.name]
    )
    assert not unread
    assert len(split(shots)) == 1


def test_two_photographed_stacks_are_parted(data: Path) -> None:
    first, second = (look(discover([data / "stacks" / name]).paths)[0] for name in ("damselfly", "vignetted"))
    assert float(np.vdot(first[-1].icon, second[0].icon)) < LIKENESS
