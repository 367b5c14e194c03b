"""The pass that measures the focus of every frame by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gpustack.coverage.curves import curves_bytes
from gpustack.engine.feed import Source
from gpustack.engine.focus import measure_focus
from gpustack.engine.plan import make_plan
from gpustack.engine.planned import Budget
from gpustack.errors import PlanError
from gpustack.model.place import Place
from gpustack.model.transform import Transform
from gpustack.settings import BackendName, Crop, Model, Settings
from tests.engine.shots import Shelf, frames_of, headers, macro, patchwork

STILL = Settings(backend=BackendName.CPU, align=Model.NONE, threads=2)


def test_each_cell_is_sharp_where_its_frame_is() -> None:
    shelf = Shelf(patchwork(4, 64, 96))
    heard: list[tuple[Any, Any]] = []

    def keep(pixels: Any, cells: Any) -> None:
        heard.append((pixels.copy(), cells))

    found = measure_focus(shelf.stack, Source(shelf.read), STILL, keep=keep)
    assert np.stack(found.curves.energies).shape == (4, 8, 12)
    assert found.curves.frames == (0, 1, 2, 3)
    assert found.curves.top[4].tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    for index, (pixels, cells) in enumerate(heard):
        assert np.array_equal(pixels, patchwork(4, 64, 96)[index])
        assert np.array_equal(cells, found.curves.energies[index])


def test_frames_left_out_have_no_curve() -> None:
    shelf = Shelf(patchwork(3, 64, 96))
    places = [Place(Transform.identity(), used=index != 1) for index in range(3)]
    found = measure_focus(shelf.stack, Source(shelf.read), STILL, places=places)
    assert found.curves.frames == (0, 2)
    assert found.places == tuple(places)


def test_frames_are_aligned_first() -> None:
    scene = macro()
    shelf = Shelf(frames_of(scene))
    found = measure_focus(shelf.stack, Source(shelf.read), replace(STILL, align=Model.SIMILARITY))
    for place, truth in zip(found.places, scene.transforms, strict=True):
        assert place.transform.matrix == pytest.approx(truth.matrix, abs=0.5)
    assert found.report.box != (0, 0, 240, 160)
    uncropped = measure_focus(
        shelf.stack, Source(shelf.read), replace(STILL, crop=Crop.NONE), places=found.places
    )
    assert uncropped.report.box == (0, 0, 240, 160)
    assert all((plane[2:-2, 2:-2] >= 0).all() for plane in uncropped.curves.energies)


def test_what_is_kept_is_planned_for() -> None:
    stack = headers(1000, width=6000, height=4000)
    kept = curves_bytes(6000, 4000, 1000)
    plain, more = (make_plan(stack, STILL, Budget(1 << 36, 4), kept_bytes=size) for size in (0, kept))
    assert more.total_bytes == plain.total_bytes + kept
    shelf = Shelf(patchwork(3, 64, 96))
    with pytest.raises(PlanError):
        measure_focus(shelf.stack, Source(shelf.read), replace(STILL, ram_bytes=1 << 20))
