"""Carries the state of a fold from one backend to another, by way of host memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from gpustack.backend.protocol import Backend
from gpustack.model.canvas import Canvas


def fetched(state: Any, backend: Backend[Any]) -> Any:
    """The state with its arrays on the host; call it from the thread that works with `backend`."""
    return _changed(state, lambda leaf: backend.download(leaf) if backend.owns(leaf) else leaf)


def lent(state: Any, backend: Backend[Any]) -> Any:
    """A fetched state for another backend, to be merged there once; it takes no room on its device."""
    return _changed(state, lambda leaf: backend.lend(leaf) if isinstance(leaf, np.ndarray) else leaf)


def _changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same structure of dataclasses, lists and tuples with every leaf changed."""
    if isinstance(value, Canvas):
        return value
    if isinstance(value, list | tuple):
        return type(value)(_changed(part, change) for part in value)
    if not is_dataclass(value) or isinstance(value, type):
        return change(value)
    changed = change(value)  # a backend's array may be a dataclass itself
    if changed is not value:
        return changed
    return replace(
        value, **{field.name: _changed(getattr(value, field.name), change) for field in fields(value)}
    )
