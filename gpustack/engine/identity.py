"""What a run is: two of the same identity give the same bits, and one may continue the other."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from gpustack.backend.choose import Choice
from gpustack.model.frame import Frame
from gpustack.model.place import Place
from gpustack.model.stack import Stack
from gpustack.settings import Settings

DISTRIBUTION = "gpustack-focus"

LIBRARIES = (
    "numpy",
    "opencv-python-headless",
    "tifffile",
    "imagecodecs",
    "simplejpeg",
    "rawpy",
    "pi-heif",
    "OpenEXR",
    "av",
    "numba",
)
"""Whose other versions may decode or compute other bits."""

RESOURCES = ("ram_bytes", "vram_bytes", "threads", "devices", "on_bad_frame")
"""Settings that do not change what is computed: how much of the machine is used, and what ends the run."""

Identity = dict[str, Any]


def identity_of(stack: Stack, settings: Settings, places: Sequence[Place] | None, choice: Choice) -> Identity:
    """What decides the bits of a run, as plain values. What the files hold is not looked at here."""
    chosen = {name: value for name, value in asdict(settings).items() if name not in RESOURCES}
    identity = {
        "gpustack": _version(DISTRIBUTION),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "machine": [platform.machine(), *(device.name for device in choice.devices)],
        "settings": chosen,
        "transforms": None if places is None else _digest(places),
        "frames": [_described(frame) for frame in stack],
    }
    return dict(json.loads(json.dumps(identity)))


def difference(before: Identity, now: Identity) -> str | None:
    """What tells a run from an earlier one, to end a sentence that begins with "it was made"; None where
    nothing does."""
    if before.get("gpustack") != now["gpustack"]:
        return f"by gpustack {before.get('gpustack')}, and this is {now['gpustack']}"
    if before.get("libraries") != now["libraries"]:
        return f"with other libraries ({_changes(before.get('libraries'), now['libraries'])})"
    if before.get("machine") != now["machine"]:
        names = (
            " and ".join(map(str, side)) for side in (before.get("machine") or ["another"], now["machine"])
        )
        return "on {}, and this is {}".format(*names)
    if before.get("settings") != now["settings"]:
        return f"with other settings ({_changes(before.get('settings'), now['settings'])})"
    if before.get("frames") != now["frames"]:
        return f"of other frames ({_frames(before.get('frames'), now['frames'])})"
    return "with other --transforms" if before.get("transforms") != now["transforms"] else None


def _described(frame: Frame) -> list[Any]:
    """A frame by its name and what its header says; the folder may have another name by now."""
    look = (frame.width, frame.height, frame.channels, frame.pixel_type.value, frame.kind.value)
    return [frame.name, *look, frame.orientation]


def _digest(places: Sequence[Place]) -> str:
    rows = [
        [at.transform.matrix.tolist(), at.transform.tone.as_dict(), at.used, at.in_series] for at in places
    ]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _changes(before: Any, now: dict[str, Any]) -> str:
    """Which values differ: 'method pyramid, not auto'."""
    if not isinstance(before, dict):
        return "they are not known"
    names = [name for name in now if before.get(name) != now[name]]
    return ", ".join(f"{name} {before.get(name)}, not {now[name]}" for name in names) or "of another version"


def _frames(before: Any, now: list[Any]) -> str:
    """Which frame is missing, new or different."""
    if not isinstance(before, list):
        return "they are not known"
    names = [[str(row[0]) if isinstance(row, list) and row else "" for row in rows] for rows in (before, now)]
    missing, new = [n for n in names[0] if n not in names[1]], [n for n in names[1] if n not in names[0]]
    if missing:
        return f"{missing[0]} is missing" + (f", and {len(missing) - 1} more" if len(missing) > 1 else "")
    if new:
        return f"{new[0]} is new" + (f", and {len(new) - 1} more" if len(new) > 1 else "")
    if sorted(map(str, before)) == sorted(map(str, now)):
        return "they are in another order"
    changed = [str(row[0]) for was, row in zip(before, now, strict=False) if was != row]
    return f"{changed[0]} has changed" if changed else f"{len(before)}, not {len(now)}"
