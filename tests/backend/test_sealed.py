"""The sealed backend keeps its arrays shut; that every method runs on it, tests/fuse/test_laws.py shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gpustack.backend.cpu import Cpu
from tests.backend.parts import empty_part
from tests.backend.sealed import Sealed, SealedArray

PEEKS: dict[str, Callable[[Any], object]] = {
    "numpy function": np.mean,
    "asarray": np.asarray,
    "ufunc": lambda array: np.add(np.float32(1), array),
    "assignment into NumPy": lambda array: np.zeros((2, 3)).__setitem__(0, array),
    "comparison": lambda array: array == 0,
    "order": lambda array: array > 0,
    "truth": bool,
    "number": float,
    "length": len,
    "iteration": list,
    "rows by slice": lambda array: array[1:],
    "first of it": lambda array: array[0],
    "new axis": lambda array: array[None],
    "element": lambda array: array[0, 0],
    "shape": lambda array: array.shape,
    "method": lambda array: array.max(),
    "subtraction": lambda array: array - 1,
    "product": lambda array: 2 * array,
}


@pytest.mark.parametrize("peek", PEEKS.values(), ids=list(PEEKS))
def test_a_sealed_array_cannot_be_looked_into(peek: Callable[[Any], object]) -> None:
    array = Sealed(Cpu(1)).full((2, 3), 1.0, "float32")
    assert isinstance(array, SealedArray)
    with pytest.raises((TypeError, AttributeError)):
        peek(array)


def test_a_host_array_is_refused_where_one_of_the_backend_belongs() -> None:
    with pytest.raises(TypeError, match="NumPy"):
        Sealed(Cpu(1)).median(np.zeros((3, 3), np.float32))


def test_a_part_learns_which_frame_was_last() -> None:
    """The wrapped backend works on a copy of the carrier; a later frame may then win a tie that it must
    not."""
    backend = Sealed(Cpu(1))
    part = empty_part(backend, 1, 2, 3)
    image, energy = backend.full((1, 2, 3), 1.0, "float32"), backend.full((2, 3), 1.0, "float32")
    for frame, last in ((4, 4), (2, 4)):
        backend.fold_in(part, frame, image, energy, None)
        assert part.best.last == last
    assert (backend.download(part.best.frame) == 2).all()
