"""The compiled loops beside NumPy and OpenCV: energies and weights within roundings, all else to the bit."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gpustack.backend import choose as choosing
from gpustack.backend.choose import Choice, has_loops
from gpustack.backend.cpu import Cpu
from gpustack.backend.fast import backend as fast
from gpustack.backend.fast import machine
from gpustack.backend.fast.backend import FastCpu
from gpustack.backend.fast.given import Planes
from gpustack.backend.fast.machine import address
from gpustack.backend.values import Band, LevelBand, Mix, Part
from gpustack.engine.plan import Budget, make_plan
from gpustack.engine.price import LOOPS_BYTES
from gpustack.errors import BackendError
from gpustack.model.frame import Frame, Kind, PixelType
from gpustack.model.rect import Rows
from gpustack.model.stack import Stack
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform
from gpustack.settings import Interpolation, Settings
from tests.backend.parts import empty_extent, empty_part, level_band, mask

ENERGY, MEAN = 3e-7, 2e-5
"""Energies are sums of some dozen products of values 0..1, each rounded; a steep mean raises their errors to
the 64th power."""

SIZES = [(1, 1, 3), (3, 2, 1), (7, 5, 3), (9, 33, 2), (31, 18, 4), (64, 200, 3)]

needs_numba = pytest.mark.skipif(not has_loops(), reason="the extra `fast` is not installed")
sizes = pytest.mark.parametrize(("height", "width", "channels"), SIZES)


def near(found: Any, wanted: Any, tolerance: float) -> None:
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)


def same_part(found: Part[Any], wanted: Part[Any]) -> None:
    near(found.best.energy, wanted.best.energy, ENERGY)
    np.testing.assert_array_equal(found.best.frame, wanted.best.frame)
    assert found.best.last == wanted.best.last
    assert found.mix is not None
    assert wanted.mix is not None
    near(found.mix.mean, wanted.mix.mean, MEAN)
    near(found.mix.total, wanted.mix.total, 1e-4)
    if wanted.mix.spread is not None and found.mix.spread is not None:
        np.testing.assert_array_equal(found.mix.spread.sharpest, wanted.mix.spread.sharpest)
        near(found.mix.spread.depth, wanted.mix.spread.depth, MEAN)
        near(found.mix.spread.variance, wanted.mix.spread.variance, MEAN)


@needs_numba
@sizes
@pytest.mark.parametrize("steep", [False, True])
@pytest.mark.parametrize("covered", [False, True])
def test_a_level(height: int, width: int, channels: int, steep: bool, covered: bool) -> None:
    """The range seen is the same to the bit; the highest frame comes first, so that ties are looked at."""
    random, size = np.random.default_rng(height), (height, width)
    backends = Cpu(1), FastCpu(1)
    parts = [empty_part(each, channels, *size, 1e-3, steep=steep) for each in backends]
    seen = [empty_extent(each, channels, *size, PixelType.UINT16) for each in backends]
    for frame in (2, 0, 1, 1):
        image, evidence = random.random((channels, *size), np.float32), random.random(size, np.float32) / 50
        covers = None if covered else random.random(size) > 0.3
        energies = [
            each.fold_level(part, frame, level_band(each, image, evidence, covers), 2.0, extent)
            for each, part, extent in zip(backends, parts, seen, strict=True)
        ]
        near(energies[1], energies[0], ENERGY)
    same_part(parts[1], parts[0])
    np.testing.assert_array_equal(seen[1].low, seen[0].low)
    np.testing.assert_array_equal(seen[1].high, seen[0].high)


@needs_numba
@sizes
@pytest.mark.parametrize("sigma", [0.75, 2.0, 3.0])
def test_the_focus_measure(height: int, width: int, channels: int, sigma: float) -> None:
    """With and without a mean of the frames."""
    random, inner = np.random.default_rng(width), slice(height // 3, height)
    for kept in (0, channels):
        backends = Cpu(1), FastCpu(1)
        size = height - height // 3, width
        parts = [empty_part(each, kept, *size, 1e-3, spread=True) for each in backends]
        for frame in range(3):
            image = random.random((channels, height, width), np.float32)
            valid = mask(random.random((height, width)) > 0.2)
            for each, part in zip(backends, parts, strict=True):
                each.fold_sharpness(part, frame, Band(image, valid), sigma, inner)
        same_part(parts[1], parts[0])


@needs_numba
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@sizes
def test_samples_to_planes(height: int, width: int, channels: int, dtype: str) -> None:
    frame = (np.random.default_rng(1).random((height, width, channels)) * 255).astype(dtype)
    move = np.array([[1, 0, width // 3], [0, 1, height // 4], [0, 0, 1.0]])
    place, rows = Transform(move, Tone((1.1,), (0.01,))), Rows(0, height - height // 4)
    ask = frame, place, PixelType(dtype), width - width // 3, rows
    np.testing.assert_array_equal(FastCpu(1).load(*ask).image, Cpu(1).load(*ask).image)


@needs_numba
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@sizes
def test_the_lanczos_kernel(height: int, width: int, channels: int, dtype: str) -> None:
    """Inside the frame, on its pixels and far outside; with a homography, too."""
    frame = (np.random.default_rng(1).random((height, width, channels)) * 255).astype(dtype)
    rows = Rows(height // 3, height + 9)
    for turn in (
        [[1.01, -0.03, 2.25], [0.03, 0.99, -1.5]],
        [[0.5, 0, 0], [0, 0.5, 0]],
        [[1, 0, -99.5], [0, 1, 0]],
    ):
        place = Transform(np.array([*turn, [1e-4, 0, 1.0]]), Tone((1.1,), (0.01,)))
        ask: Any = frame, place, PixelType(dtype), width + 9, rows
        found, wanted = (each(1).load(*ask, interpolation=Interpolation.LANCZOS) for each in (FastCpu, Cpu))
        np.testing.assert_array_equal(found.image, wanted.image)


@needs_numba
@sizes
def test_a_blend_along_a_depth(height: int, width: int, channels: int) -> None:
    random, size = np.random.default_rng(5), (height, width)
    depth = random.random(size, np.float32) * 3
    sums = [Mix(np.zeros((channels, *size), np.float32), np.zeros(size, np.float32)) for _ in range(2)]
    for frame in (0, 2, 1, 9):
        image, valid = random.random((channels, *size), np.float32), mask(random.random(size) > 0.2)
        for each, mix in zip((Cpu(1), FastCpu(1)), sums, strict=True):
            each.blend_in(mix, depth, frame, Band(image, valid if frame else None))
    np.testing.assert_array_equal(sums[1].mean, sums[0].mean)
    np.testing.assert_array_equal(sums[1].total, sums[0].total)


@needs_numba
def test_what_the_loops_do_not_keep_goes_the_other_way() -> None:
    """A hard choice, which keeps its image, and the range of frames of floats."""
    image = np.random.default_rng(0).random((3, 20, 30), np.float32)
    found = []
    for each in (Cpu(1), FastCpu(1)):
        part, seen = empty_part(each, 3, 20, 30), empty_extent(each, 3, 20, 30, PixelType.FLOAT32)
        band = level_band(Cpu(1), image)
        each.fold_level(part, 0, band, 2.0, None)
        each.fold_level(empty_part(each, 3, 20, 30, 1e-3), 0, band, 2.0, seen)
        found.append((part.best.image, seen.low, seen.high))
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@needs_numba
def test_rows_of_a_larger_image_are_not_copied() -> None:
    """A level hands its rows to the loops where they lie, and takes what they write there."""
    whole = np.zeros((3, 12, 5), np.float32)
    planes = Planes.of(whole[:, 4:8])
    assert np.shares_memory(planes.image, whole)
    assert planes.all == (address(whole) + 4 * 4 * 5, 60, 3, 4, 5)
    assert not np.shares_memory(Planes.of(whole[..., 1:]).image, whole)
    image, backend = np.random.default_rng(2).random((3, 12, 5), np.float32), FastCpu(1)
    part = empty_part(backend, 3, 4, 5, 1e-3)
    assert part.mix is not None
    part = replace(part, mix=replace(part.mix, mean=whole[:, 4:8]))
    band = LevelBand(image, backend.reduce(image), None, None, slice(4, 8))
    backend.fold_level(part, 0, band, 1.0, None)
    assert whole[:, 4:8].any()
    assert not whole[:, :4].any()
    assert not whole[:, 8:].any()


def header(width: int, height: int) -> Stack:
    frame = Frame("a.jpg", width, height, 3, PixelType.UINT8, Kind.JPEG)
    return Stack((frame,) * 3)


def test_only_large_frames_are_worth_it_and_memory_is_priced() -> None:
    with_loops, without = (Budget(4 << 30, 2, loops=loops) for loops in (True, False))
    large, small = header(4000, 3000), header(1600, 1200)
    assert make_plan(large, Settings(), with_loops).loops
    assert not make_plan(small, Settings(), with_loops).loops
    assert not make_plan(large, Settings(), without).loops
    more = (
        make_plan(large, Settings(), with_loops).total_bytes
        - make_plan(large, Settings(), without).total_bytes
    )
    assert more == LOOPS_BYTES


def test_the_backend_is_opened_as_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "_ahead", lambda: None)
    (plain,) = Choice("by the test", loops=True).open(1, 0, spill=False)
    (compiled,) = Choice("by the test", loops=True).open(1, 0, spill=False, loops=True)
    assert type(plain) is Cpu
    assert type(compiled) is FastCpu


def test_without_numba_there_are_no_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing.importlib.util, "find_spec", lambda _: None)
    assert not has_loops()


def test_choosing_does_not_import_numba() -> None:
    code = (
        "import sys, gpustack.backend.choose as c; c.choose(c.BackendName.CPU, (0,)); "
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.fixture
def nothing_loaded() -> Iterator[None]:
    """No loops were loaded, nor are they afterwards."""
    fast._loaded.cache_clear()
    yield
    fast._loaded.cache_clear()


@pytest.mark.usefixtures("nothing_loaded")
def test_a_numba_that_does_not_work_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "kept_code", lambda: None)
    monkeypatch.setattr(machine, "have_compiled", lambda: "it is too old")
    with pytest.raises(BackendError, match=r"numba is installed, but does not work \(it is too old\)"):
        fast._loops()
    fast._ahead()  # in a thread of its own it says nothing


@needs_numba
def test_working_by_loops_does_not_import_numba() -> None:
    code = (
        "import sys, numpy as np; from gpustack.backend.fast.backend import FastCpu; "
        "from gpustack.backend.values import Mix, Band; z = np.zeros((3, 8, 8), np.float32); "
        "FastCpu(1).blend_in(Mix(z.copy(), z[0].copy()), z[0], 0, Band(z)); sys.exit('numba' in sys.modules)"
    )
    FastCpu(1)
    fast._loops()
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@needs_numba
def test_what_does_not_lie_as_the_loops_write_it_goes_the_other_way() -> None:
    """A mean whose columns are every second one of a larger one."""
    wide, other = empty_part(Cpu(1), 3, 12, 40, 1e-3), empty_part(Cpu(1), 3, 12, 20, 1e-3)
    assert wide.mix is not None
    assert other.mix is not None
    mix = Mix(wide.mix.mean[..., ::2], np.zeros_like(other.mix.total))
    part = replace(empty_part(Cpu(1), 3, 12, 20, 1e-3), mix=mix)
    image = np.random.default_rng(3).random((3, 12, 20), np.float32)
    for each in (part, other):
        FastCpu(1).fold_level(each, 0, level_band(Cpu(1), image), 1.5, None)
    np.testing.assert_allclose(
        part.mix.mean if part.mix else 0, other.mix.mean if other.mix else 0, atol=MEAN
    )
    assert not wide.mix.mean[..., 1::2].any()
