"""Parts of checkpoints: NumPy reads them, damage is noticed, and nothing of theirs takes memory unseen."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpustack.engine.keeping import read_value, write_value
from gpustack.engine.survey import Survey
from gpustack.fuse.veil import Glow
from gpustack.ghosts.glance import Glance
from gpustack.io.parts import DamagedError, PartWriter, reading
from gpustack.model.place import Place
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform
from gpustack.settings import Model

PLANE = np.arange(12, dtype=np.float32).reshape(3, 4)


def survey() -> Survey:
    places = [
        Place(
            Transform(np.eye(3) * 1.5, Tone((1.25, 1.5, 0.75), (0.0, -0.125, 1e-3))), True, np.float64(0.9)
        ),
        Place(Transform.identity(), False, 0.0, float("inf"), shaken=True, in_series=False),
    ]
    glance = Glance(np.arange(6, dtype=np.uint8).reshape(2, 3), 8, (24, 16), True)
    glow = Glow(PLANE.astype(np.float16), np.eye(3), PLANE > 5, np.eye(3) * 2, True)
    return Survey(tuple(places), np.float32(0.0125).item(), Model.AFFINE, (glance,) * 2, (glow,))


def written(path: Path, fill: Any) -> Path:
    with path.open("wb") as file, PartWriter(file) as part:
        fill(part)
    return path


def test_numpy_reads_them(tmp_path: Path) -> None:
    def fill(part: PartWriter) -> None:
        part.array("plane", PLANE)
        part.array("none", np.zeros((0, 3, 4), np.float32))
        part.note("more", {"a": [1, 2.5]})

    path = written(tmp_path / "p.npz", fill)
    with np.load(path) as found:
        np.testing.assert_array_equal(found["plane"], PLANE)
        assert found["none"].shape == (0, 3, 4)
    with reading(path) as part:
        np.testing.assert_array_equal(part.array("plane"), PLANE)
        assert part.note("more") == {"a": [1, 2.5]}
        out = np.zeros_like(PLANE)
        part.into("plane", out)
        np.testing.assert_array_equal(out, PLANE)
        for wrong in (np.zeros((4, 3), np.float32), np.zeros((3, 4), np.float64)):
            with pytest.raises(DamagedError):
                part.into("plane", wrong)
        with pytest.raises(DamagedError):
            part.array("another")


def test_what_a_survey_found_comes_back(tmp_path: Path) -> None:
    wanted = survey()
    path = written(tmp_path / "p.npz", lambda part: write_value(part, wanted))
    with reading(path) as part:
        found = read_value(part)
    assert isinstance(found, Survey)
    assert (found.noise, found.model) == (wanted.noise, Model.AFFINE)
    for mine, theirs in zip(found.places, wanted.places, strict=True):
        np.testing.assert_array_equal(mine.transform.matrix, theirs.transform.matrix)
        assert mine.transform.tone == theirs.transform.tone
        assert (mine.used, mine.confidence, mine.residual_px) == (
            theirs.used,
            theirs.confidence,
            theirs.residual_px,
        )
        assert (mine.shaken, mine.in_series) == (theirs.shaken, theirs.in_series)
    np.testing.assert_array_equal(found.glances[1].values, wanted.glances[1].values)
    assert found.glances[0].size == (24, 16)
    assert found.glows[0].values.dtype == np.float16
    np.testing.assert_array_equal(found.glows[0].burnt, wanted.glows[0].burnt)


def test_bytes_that_change_are_noticed_or_change_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "p.npz", lambda part: write_value(part, survey()))
    whole, chance = path.read_bytes(), random.Random(8)
    for _ in range(300):
        content = bytearray(whole)
        at = chance.randrange(len(content))
        match chance.randrange(3):
            case 0:
                content[at] ^= 1 << chance.randrange(8)
            case 1:
                del content[at:]
            case _:
                content[at : at + 4] = chance.randbytes(4)
        path.write_bytes(content)
        try:
            with reading(path) as part:
                found = read_value(part)
        except DamagedError:
            continue
        np.testing.assert_array_equal(found.glows[0].values, PLANE.astype(np.float16))
        np.testing.assert_array_equal(found.places[0].transform.matrix, np.eye(3) * 1.5)


def test_sizes_that_are_claimed_take_no_memory(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 20, 1 << 20)}
    )
    with zipfile.ZipFile(tmp_path / "p.npz", "w") as archive:
        archive.writestr("huge.npy", header.getvalue())
        archive.writestr("packed.npy", bytes(1 << 20), zipfile.ZIP_DEFLATED)
        archive.writestr("value.json", '{"of": "Path", "fields": {}}')
    with reading(tmp_path / "p.npz") as part:
        for name in ("huge", "packed"):
            with pytest.raises(DamagedError, match="large"):
                part.array(name)
        with pytest.raises(DamagedError):
            read_value(part)


def test_objects_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    np.savez(path, plane=np.array([{}], object), turned=np.asfortranarray(PLANE))
    with reading(path) as part:
        for name in ("plane", "turned"):
            with pytest.raises(DamagedError):
                part.array(name)
