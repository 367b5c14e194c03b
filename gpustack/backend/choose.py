"""Which backend works, chosen once and with the reason."""

from __future__ import annotations

from typing import Any

from gpustack.backend.cpu import Cpu
from gpustack.backend.protocol import Backend
from gpustack.settings import BackendName


def choose(wish: BackendName, threads: int) -> tuple[Backend[Any], str]:
    """The backend for a wish, and one sentence why."""
    if wish is BackendName.CPU:
        return Cpu(threads), "The CPU was asked for."
    return Cpu(threads), "This version has the CPU backend only."
