"""The laws that gpustack/fuse/fold.py states for every fold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpustack.backend.protocol import Backend
from gpustack.model.canvas import Canvas
from gpustack.model.frame import PixelType
from gpustack.model.rect import cut
from gpustack.model.transform import Transform
from gpustack.settings import Method
from tests.fuse.fusing import fuse, view
from tests.strategies import Case, Picture, band_heights, cases, quantised

CHOOSING = [Method.AUTO, Method.PYRAMID, Method.AVERAGE]
"""Methods whose winners are the sharpest frames; those of `depthmap` are the nearest to its surface."""
BOUND = {PixelType.UINT8: 1, PixelType.UINT16: 2, PixelType.FLOAT32: 3e-5}
"""Rounding bound of weighted sums: levels of the dtype, or 1e-5 of the range of float frames, -1 to 2."""

CLAMPED = [Method.AUTO, Method.PYRAMID]
"""Methods that keep a range and never leave it, `auto` that of the pixels around; means, the others, leave it
by rounding."""

ROUNDING = {PixelType.UINT8: 1, PixelType.UINT16: 1, PixelType.FLOAT32: 1e-6}
"""How far a mean of resampled frames may leave their range: its last bit decides a tie between two levels."""

every_method = pytest.mark.parametrize("method", list(Method))
choosing = pytest.mark.parametrize("method", CHOOSING)


def bits(picture: Picture) -> bytes:
    return picture.tobytes()


def assert_near(got: Picture, wanted: Picture, pixel_type: PixelType) -> None:
    np.testing.assert_allclose(got.astype(float), wanted.astype(float), rtol=0, atol=BOUND[pixel_type])


@every_method
@given(case=cases(most_frames=3), rows=band_heights)
def test_bands_do_not_change_a_bit(backend: Backend[Any], method: Method, case: Case, rows: int) -> None:
    whole, banded = fuse(backend, method, case), fuse(backend, method, case.banded(rows))
    assert bits(banded.picture) == bits(whole.picture)
    assert bits(banded.winners) == bits(whole.winners)


@every_method
@given(case=cases(most_frames=1))
def test_one_frame_gives_that_frame(backend: Backend[Any], method: Method, case: Case) -> None:
    fused = fuse(backend, method, case.banded(4))
    assert fused.picture.dtype == case.frames[0].dtype
    assert bits(fused.picture) == bits(case.frames[0])
    assert not fused.winners.any()


@choosing
@given(case=cases(), shuffled=st.randoms())
def test_order_does_not_change_the_winners(
    backend: Backend[Any], method: Method, case: Case, shuffled
) -> None:
    order = shuffled.sample(range(len(case.frames)), len(case.frames))
    assert bits(fuse(backend, method, case, order).winners) == bits(fuse(backend, method, case).winners)


@every_method
@given(case=cases(), shuffled=st.randoms())
def test_order_changes_the_picture_by_rounding_only(
    backend: Backend[Any], method: Method, case: Case, shuffled
) -> None:
    order = shuffled.sample(range(len(case.frames)), len(case.frames))
    fused = fuse(backend, method, case, order).picture
    assert_near(fused, fuse(backend, method, case).picture, case.canvas.pixel_type)


@choosing
@given(case=cases(most_frames=4), again=st.data())
def test_a_repeated_frame_does_not_change_the_winners(
    backend: Backend[Any], method: Method, case: Case, again
) -> None:
    index = again.draw(st.integers(0, len(case.frames) - 1))
    more = fuse(backend, method, case.extended(index))
    assert bits(more.winners) == bits(fuse(backend, method, case).winners)


def halves(case: Case, cut_at: float) -> tuple[range, range]:
    count = len(case.frames)
    middle = round(cut_at * count)
    return range(middle), range(middle, count)


@choosing
@given(case=cases(), cut_at=st.floats(0, 1), swapped=st.booleans())
def test_merging_winners_equals_one_run(
    backend: Backend[Any], method: Method, case: Case, cut_at: float, swapped: bool
) -> None:
    runs = halves(case, cut_at)
    merged = fuse(backend, method, case, *(runs[::-1] if swapped else runs))
    assert bits(merged.winners) == bits(fuse(backend, method, case).winners)


@every_method
@given(case=cases(), cut_at=st.floats(0, 1), swapped=st.booleans())
def test_merging_pictures_equals_one_run_within_rounding(
    backend: Backend[Any], method: Method, case: Case, cut_at: float, swapped: bool
) -> None:
    runs = halves(case, cut_at)
    merged = fuse(backend, method, case, *(runs[::-1] if swapped else runs))
    assert_near(merged.picture, fuse(backend, method, case).picture, case.canvas.pixel_type)


@every_method
@given(case=cases(most_frames=4))
def test_nothing_leaves_the_range_of_the_frames(backend: Backend[Any], method: Method, case: Case) -> None:
    fused = fuse(backend, method, case).picture.astype(float)
    low, high = np.full(fused.shape, np.inf), np.full(fused.shape, -np.inf)
    (rows,) = cut(case.canvas.height, case.canvas.height + 1)
    for index in range(len(case.frames)):
        band = view(backend, case, index)(rows)
        values = backend.pack(band.image, case.canvas.pixel_type, None).astype(float)
        seen = np.True_ if band.valid is None else backend.download(band.valid)[..., None] != 0
        low = np.where(seen, np.minimum(low, values), low)
        high = np.where(seen, np.maximum(high, values), high)
    if method is Method.AUTO:
        low, high = (_around(values, extreme) for values, extreme in ((low, np.min), (high, np.max)))
    slack = 0.0 if method in CLAMPED else ROUNDING[case.canvas.pixel_type]
    assert (fused >= low - slack).all()
    assert (fused <= high + slack).all()


def _around(values: Picture, extreme: Callable[..., Any]) -> Picture:
    """The extreme over 3 x 3 pixels; a pixel that no frame covers keeps its own."""
    wide = np.pad(values, ((1, 1), (1, 1), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(wide, (3, 3), axis=(0, 1))
    return np.where(np.isinf(values), values, extreme(windows, axis=(-2, -1)))


@every_method
@pytest.mark.parametrize("kind", list(PixelType))
def test_what_no_frame_covers_is_black_and_harms_nothing(
    backend: Backend[Any], method: Method, kind: PixelType
) -> None:
    frames = [quantised(np.random.default_rng(n).random((40, 30, 3)), kind) for n in range(2)]
    away = Transform(np.array([[1.0, 0, -7], [0, 1, -9], [0, 0, 1]]))  # covers row 9 and column 7 onwards
    canvas = Canvas(0, 0, 30, 40, 3, kind, cut(40, 16), covered=False)
    alone = fuse(backend, method, Case(frames[:1], [away], canvas, 0.01), depth=True)
    covered = np.zeros((40, 30), bool)
    covered[9:, 7:] = True
    assert not alone.picture[~covered].any()
    np.testing.assert_array_equal(alone.picture[9:, 7:], frames[0][:31, :23])
    assert alone.surface is not None
    assert not alone.surface.depth.any()
    both = fuse(backend, method, Case(frames, [away] * 2, canvas, 0.01), depth=True)
    assert not both.picture[~covered].any()
    assert both.surface is not None
    assert both.surface.depth.max() <= 1
