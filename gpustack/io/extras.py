"""Libraries that only some files need; they come with extras of the package, and are imported late."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from gpustack.errors import DecodeError


def library(module: str, extra: str, name: str, what: str) -> Any:
    """The module that reads the file `name`, which is `what`. Raises: DecodeError where it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        raise DecodeError(
            name,
            f"{what} need a library that is not installed.",
            f"{installing(extra)}, or convert it to TIFF.",
        ) from error


def installing(extra: str) -> str:
    """How an extra is installed, as a remedy begins."""
    return f"Run pip install 'gpustack-focus[{extra}]'"
