"""What a state still holds when no frame comes any more is what the plan is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

from gpustack.backend.cpu import Cpu
from gpustack.fuse.auto import Auto
from gpustack.fuse.levels import LaplacianFold
from gpustack.fuse.pyramid import pyramid
from gpustack.model.canvas import Canvas
from gpustack.model.frame import PixelType
from gpustack.model.rect import Rows, cut
from gpustack.model.transform import Transform

HEIGHT, WIDTH, NOISE = 384, 512, 0.004


def arrays(value: Any) -> Iterator[np.ndarray[Any, Any]]:
    """All arrays of a state."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from arrays(each)
    elif is_dataclass(value):
        for field in fields(value):
            yield from arrays(getattr(value, field.name))


def held(state: Any) -> float:
    """Bytes a pixel."""
    return sum({id(array): array.nbytes for array in arrays(state)}.values()) / (HEIGHT * WIDTH)


def folded(backend: Cpu, fold: Auto | LaplacianFold) -> Any:
    canvas = Canvas(0, 0, WIDTH, HEIGHT, 3, PixelType.UINT8, cut(HEIGHT, 64))
    frame = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    state = fold.start(backend, canvas)

    def view(rows: Rows) -> Any:
        return backend.load(frame, Transform.identity(), canvas.pixel_type, WIDTH, rows)

    for index in range(2):
        fold.add(backend, state, index, view)
    return state


@pytest.mark.parametrize("fold", [Auto(NOISE), pyramid(NOISE)], ids=["auto", "pyramid"])
def test_states_hold_what_is_planned_before_and_after_the_last_frame(fold: Auto | LaplacianFold) -> None:
    backend = Cpu(1)
    state = folded(backend, fold)
    planned = fold.footprint(3, 1)
    assert held(state) == pytest.approx(planned.near + planned.afar, rel=0.02)
    fold.let_go(backend, state)
    left = fold.left(3, 1)
    kept, *_ = left if isinstance(left, tuple) else (left,)
    assert held(state) == pytest.approx(kept.total, rel=0.02)


def test_a_finished_picture_needs_no_winners() -> None:
    backend, fold = Cpu(1), Auto(NOISE)
    state = folded(backend, fold)
    fold.let_go(backend, state)
    fold.finished(backend, state)
    assert held(state) == pytest.approx(fold.left(3, 1)[1].total, rel=0.02)
