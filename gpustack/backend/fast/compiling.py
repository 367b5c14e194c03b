"""`python -m gpustack.backend.fast.compiling`: have numba compile the loops for this processor, and keep
them."""

from __future__ import annotations

import sys
from typing import Any

from gpustack.backend.fast.ready import keep
from gpustack.backend.fast.signatures import SIGNATURES


def code() -> bytes:
    """The machine code of all of them; for a process of its own, as numba is not to look for coverage.py."""
    modules: dict[str, Any] = sys.modules
    modules["coverage"] = None  # else it takes any module of that name for it, as that of bench/
    from gpustack.backend.fast.compiled import machine_code
    from gpustack.backend.fast.loops import FUNCTIONS

    return machine_code(
        {name: (FUNCTIONS[name.partition(".")[0]], kinds) for name, kinds in SIGNATURES.items()}
    )


if __name__ == "__main__":
    keep(code())
