"""How loops are compiled: by numba, once for each kind of arguments, and kept on disk for later processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

Loop = TypeVar("Loop", bound=Callable[..., Any])

F = np.float32


def compiled(loop: Loop) -> Loop:
    """The loop as machine code, which lets other threads run meanwhile.

    Without `fastmath`: sums keep their order and nothing is contracted, so a pixel's value does not depend on
    where it lies in a vector, nor on the processor.
    """
    return cast(Loop, njit(nogil=True, cache=True, error_model="numpy")(loop))
