"""The settings of a sidecar, each in the type and range that it has."""

from __future__ import annotations

from dataclasses import asdict, fields
from enum import StrEnum
from typing import Any

from gpustack.errors import UsageError
from gpustack.io.strict import Malformed, Node
from gpustack.settings import Settings, WhiteBalance

_MOST, _MOST_BYTES = 65_535, 1 << 50


def settings_of(node: Node) -> Settings:
    """The settings; those that a sidecar of an earlier version does not know have their defaults. Raises
    Malformed."""
    usual = asdict(Settings())
    unknown = sorted(set(node.fields()) - set(usual))
    if unknown:
        raise Malformed(f"{node.where}.{unknown[0]} is not known to this version")
    given = [name for name in (field.name for field in fields(Settings)) if name in node]
    try:
        return Settings(**{name: _setting(name, node[name], usual[name]) for name in given})
    except (UsageError, ValueError) as error:
        raise Malformed(str(error).rstrip(".")) from error


def _setting(name: str, node: Node, usual: Any) -> Any:
    """A value in the type that the setting has."""
    if name == "wb":
        return WhiteBalance(node.text()) if isinstance(node.value, str) else tuple(_numbers(node))
    if name in ("slab", "devices"):
        return tuple(one.whole(0, _MOST) for one in node.rows(64))
    if name in ("ram_bytes", "vram_bytes", "threads"):
        return node.whole(1, _MOST_BYTES)
    if isinstance(usual, StrEnum):
        return type(usual)(node.text())
    if isinstance(usual, bool):
        return node.flag()
    return node.number() if isinstance(usual, float) else node.text()


def _numbers(node: Node) -> list[float]:
    values = [one.number() for one in node.rows(3)]
    if len(values) != 3:
        raise Malformed(f"{node.where} is no list of three")
    return values
