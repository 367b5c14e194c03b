"""From what was written on the command line to settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from gpustack.errors import UsageError
from gpustack.settings import Settings, WhiteBalance

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def bytes_of(text: str | None) -> int | None:
    """8G, 500M, 1.5GiB -> bytes; a unit is a power of 1024. Raises UsageError."""
    if text is None:
        return None
    digits = text.strip().upper().removesuffix("B").removesuffix("I")
    number = digits[:-1] if digits[-1:] in _UNITS else digits
    try:
        size = int(float(number) * _UNITS.get(digits[-1:], 1))
    except (ValueError, OverflowError):
        size = 0
    if size <= 0:
        raise UsageError(f"'{text}' is no amount of memory.", "Write it as 8G or 500M.")
    return size


def devices_of(text: str) -> tuple[int, ...]:
    """0,1 -> (0, 1). Raises UsageError."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
        raise UsageError(
            f"'{text}' is no list of GPUs.", "Write their numbers, as doctor shows them: 0, or 0,1 for two."
        )
    numbers = tuple(int(part) for part in parts)
    if len(set(numbers)) < len(numbers):
        raise UsageError(f"--devices {text} names a GPU twice.", "Name each once.")
    return numbers


def slab_of(text: str | None) -> tuple[int, int] | None:
    """10,3 -> (10, 3). Raises UsageError."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
        raise UsageError(f"'{text}' is no size and overlap.", "Write --slab as two numbers of frames: 10,3.")
    return int(parts[0]), int(parts[1])


def balance_of(text: str) -> WhiteBalance | tuple[float, float, float]:
    """camera, daylight, auto-first, or 2.1,1,1.6 -> (2.1, 1.0, 1.6). Raises UsageError."""
    if text in list(WhiteBalance):
        return WhiteBalance(text)
    try:
        red, green, blue = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"'{text}' is no white balance.",
            "Write --wb as camera, daylight, auto-first, or three numbers: 2.1,1,1.6.",
        ) from None
    return red, green, blue


_READ: dict[str, Callable[[Any], Any]] = {
    "flat": lambda path: None if path is None else str(path),
    "slab": slab_of,
    "wb": balance_of,
    "devices": devices_of,
}

_MACHINE = ("ram", "vram", "devices", "threads", "raw_developer")


def settings_of(given: Mapping[str, Any], **more: Any) -> Settings:
    """The settings among a command's arguments, which bear the same names. Raises UsageError."""
    chosen = {field.name: given[field.name] for field in fields(Settings) if field.name in given}
    chosen |= {name: read(chosen[name]) for name, read in _READ.items() if name in chosen}
    memory = {f"{name}_bytes": bytes_of(given[name]) for name in ("ram", "vram") if name in given}
    return Settings(**chosen | memory | more)


def machine_of(given: Mapping[str, Any]) -> Settings:
    """What may be used of this machine, by a command that takes its other settings from elsewhere. Raises
    UsageError."""
    return settings_of({name: given[name] for name in _MACHINE if name in given})
