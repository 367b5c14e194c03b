"""What a survey keeps of every frame: no more than the plan reckons with, and nothing of a frame's size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpustack import Brightness, Method, Model, Settings, api
from gpustack.engine import survey
from gpustack.engine.looked import looked_bytes
from gpustack.engine.sightings import Kept
from gpustack.model.stack import Stack
from gpustack.settings import Deghost
from gpustack.sources import open_stack
from tests.cli.calling import write_tiffs
from tests.engine.shots import frames_of, macro
from tests.engine.weighing import weight

WIDTH, HEIGHT, COUNT = 640, 480, 5


@pytest.mark.parametrize(
    "wishes",
    [
        {},
        {"brightness": Brightness.CHANNELS, "align": Model.AUTO},
        {"method": Method.PYRAMID, "deghost": Deghost.OFF},
    ],
    ids=["auto", "channels", "pyramid"],
)
def test_what_is_kept_of_all_frames_is_priced(
    wishes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_tiffs(tmp_path, frames_of(macro(frames=COUNT, width=WIDTH, height=HEIGHT)))
    seen: list[Kept] = []
    original = survey._solved

    def watched(stack: Any, noise: float) -> Any:
        seen.append(stack.kept)
        return original(stack, noise)

    monkeypatch.setattr(survey, "_solved", watched)
    settings = Settings(threads=1, **wishes)
    api.stack(paths, settings)
    (kept,) = seen
    assert len(kept.shown) == COUNT
    taken = weight(kept)
    priced = looked_bytes(Stack(open_stack(paths).frames), settings)
    print(f"{taken / COUNT:.0f} bytes a frame of {priced / COUNT:.0f}")  # noqa: T201
    assert taken <= priced
