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
from gpustack.backend.cpu import Cpu
from gpustack.backend.values import Samples
from gpustack.engine import survey
from gpustack.engine.focus import measure_focus
from gpustack.engine.job import Job
from gpustack.ghosts import resolve
from gpustack.inspecting import judge
from gpustack.settings import Deghost
from gpustack.sources import held, opened
from gpustack.watching.session import PreviewFile, Session
from tests.cli.calling import write_tiffs
from tests.engine.weighing import weight

FEW, MANY = 6, 16
WIDTH, HEIGHT = 256, 192
A_FRAME = {"_solved": 4_000, "_shown": 4_000, "pass_over": 4_000, "inspected": 2_000, "watched": 6_000}
"""Bytes that a frame may add at these points: what is known of it in numbers. The smallest picture kept of a
frame, a mask of a bit a cell, has 6 KB."""


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


def hardly_grows(few: dict[str, int], many: dict[str, int]) -> None:
    """What a frame adds, by what is held with FEW and with MANY of them."""
    for point, at_first in few.items():
        more = (many[point] - at_first) / (MANY - FEW)
        print(f"{point}: {more:.0f} bytes a frame")  # noqa: T201
        assert 0 < more < A_FRAME[point]


@pytest.mark.parametrize("align", [Model.SIMILARITY, Model.AUTO, Model.NONE])
def test_nothing_of_a_frame_stays_in_memory(align: Model, paths: list[Path]) -> None:
    settings = Settings(threads=1, align=align, deghost=Deghost.ON, crop=Crop.NONE)
    few, many = (weighed(paths[:count], settings) for count in (FEW, MANY))
    assert set(few) == {"_shown", "pass_over"} | ({"_solved"} if align is not Model.NONE else set())
    hardly_grows(few, many)


def test_nothing_of_a_curve_stays_in_memory(paths: list[Path]) -> None:
    sizes = {}
    for count in (FEW, MANY):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(spool, "IN_MEMORY_BYTES", 0)
            stack, source, decoder = opened(paths[:count], Settings(threads=1))
            with held(decoder):
                found = measure_focus(stack, source, Settings(threads=1))
            names = [frame.name for frame in stack]
            assert judge(names, found.places, (WIDTH, HEIGHT), found.curves, found.report.box).coverage
            sizes[count] = {"inspected": weight(found)}
    hardly_grows(sizes[FEW], sizes[MANY])


def test_nothing_of_a_frame_stays_while_it_is_watched_for(paths: list[Path], tmp_path: Path) -> None:
    # Of the latest frames samples are chosen when a match asks for them: how many are there varies.
    sizes = {}
    for count in (FEW, MANY):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(spool, "IN_MEMORY_BYTES", 0)
            preview = PreviewFile(tmp_path / "p.jpg", overwrite=True)
            session = Session(Settings(threads=1, reference="first"), preview, lambda _: None)
            for path in paths[:count]:
                session.take(path)
            sizes[count] = {"watched": weight(session, apart=(Cpu, Samples))}
            stack, known = session.finish()
            assert len(stack) == count
            assert known.kept is not None
            session.close()
    hardly_grows(sizes[FEW], sizes[MANY])
