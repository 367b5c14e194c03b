"""What a run holds does not grow with the number of frames: counted object by object where most is held.

Frames hold all that makes runs keep things: texture, a burnt-out lamp, and something that moves.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from gpustack import Crop, Model, Settings, api
from gpustack.backend import spool
from gpustack.engine import survey
from gpustack.engine.job import Job
from gpustack.engine.looked import LOOK_BYTES
from gpustack.ghosts import resolve
from gpustack.settings import Deghost
from tests.cli.calling import write_tiffs
from tests.engine.weighing import weight

FEW, MANY = 8, 24
WIDTH, HEIGHT = 256, 192
A_FRAME = 6_000
"""Bytes that a frame may add: too few to be seen beside a picture, and less than the smallest picture kept of
a frame, a mask of a bit a cell."""


def frame(index: int) -> npt.NDArray[np.uint8]:
    chance = np.random.default_rng(5)
    picture = cv2.GaussianBlur(chance.uniform(0, 200, (HEIGHT, WIDTH, 3)).astype(np.float32), (0, 0), 1.0)
    picture = (picture - 100) * 4 + 90
    cv2.circle(picture, (190, 130), 6 + index % 3, (255.0,) * 3, -1)
    left = 20 + 17 * (index % 8)
    picture[30:60, left : left + 16] = 180 + 50 * (np.indices((30, 16)).sum(0)[..., None] % 8 < 4)
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 0.5 + 0.05 * (index % 7)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_tiffs(tmp_path_factory.mktemp("frames"), [frame(index) for index in range(MANY)])


class Scales:
    """Weighs what is held at some points of runs, the heaviest of each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found: dict[str, int] = {}
        self._monkeypatch = monkeypatch

    def put(self, owner: Any, name: str, held: Callable[..., tuple[Any, ...]]) -> None:
        """Weigh what `held` makes of the arguments whenever something is called."""
        original = getattr(owner, name)

        def weighed(*arguments: Any, **more: Any) -> Any:
            self.found[name] = max(self.found.get(name, 0), weight(*held(*arguments)))
            return original(*arguments, **more)

        self._monkeypatch.setattr(owner, name, weighed)


def _held_by(job: Job, *_: Any) -> tuple[Any, ...]:
    return job.stack, job.places, job.left_out, job.veils, job.report, job.checkpoint


def weighed(paths: list[Path], settings: Settings) -> dict[str, int]:
    """Bytes held at some points of a run over frames."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "IN_MEMORY_BYTES", 0)
        scales = Scales(patch)
        scales.put(survey, "_solved", lambda seen, _: (seen.kept,))
        scales.put(resolve, "_shown", lambda table, _: (table,))
        scales.put(Job, "pass_over", _held_by)
        assert api.stack(paths, settings).report.ghosts
        return scales.found


@pytest.mark.parametrize("align", [Model.SIMILARITY, Model.AUTO, Model.NONE])
def test_nothing_of_a_frame_stays_in_memory(align: Model, paths: list[Path]) -> None:
    settings = Settings(threads=1, align=align, deghost=Deghost.ON, crop=Crop.NONE)
    few, many = (weighed(paths[:count], settings) for count in (FEW, MANY))
    assert set(few) == {"_shown", "pass_over"} | ({"_solved"} if align is not Model.NONE else set())
    more = {point: (many[point] - held) / (MANY - FEW) for point, held in few.items()}
    print(more)  # noqa: T201
    assert 0 < max(more.values()) < A_FRAME
    assert more.get("_solved", 0) < LOOK_BYTES
