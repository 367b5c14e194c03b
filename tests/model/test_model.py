"""Frames, stacks, rows and canvases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpustack.errors import StackError
from gpustack.model.canvas import Canvas
from gpustack.model.frame import Frame, Kind, PixelType
from gpustack.model.rect import Rows, cut
from gpustack.model.stack import Stack
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform

heights = st.integers(0, 300)
ONE = Frame(Path("folder/one.tif"), 60, 40, 3, PixelType.UINT16, Kind.TIFF)


def named(name: str, **changes: object) -> Frame:
    return replace(ONE, path=Path("folder") / name, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("pixel_type", list(PixelType))
def test_a_sample_type_is_named_as_numpy_names_it(pixel_type: PixelType) -> None:
    dtype = np.dtype(pixel_type.value)
    assert pixel_type.itemsize == dtype.itemsize
    assert pixel_type.white == (1.0 if dtype.kind == "f" else np.iinfo(dtype).max)


def test_a_frame_knows_its_size_and_name() -> None:
    assert ONE.name == "one.tif"
    assert replace(ONE, page=2, pages=5).name == "one.tif[2]"
    assert ONE.nbytes == 60 * 40 * 3 * 2
    assert ONE.megapixels == 0.0024


def test_a_stack_is_its_frames_in_order() -> None:
    stack = Stack((named("a.tif"), named("b.tif")))
    assert len(stack) == 2
    assert [frame.name for frame in stack] == ["a.tif", "b.tif"]
    shape = (stack.height, stack.width, stack.channels)
    assert (shape, stack.pixel_type, stack.kind) == ((40, 60, 3), PixelType.UINT16, Kind.TIFF)


def test_an_empty_stack_is_refused() -> None:
    with pytest.raises(StackError, match="no frame"):
        Stack(())


ODD = {
    "number of channels": ({"channels": 1}, "1", "3"),
    "sample type": ({"pixel_type": PixelType.UINT8}, "uint8", "uint16"),
    "way of coding": ({"kind": Kind.RAW}, "RAW", "developed"),
}


@pytest.mark.parametrize(("trait", "odd"), ODD.items(), ids=list(ODD))
@pytest.mark.parametrize("place", [0, 1, 3])
def test_the_odd_frame_is_named_with_both_values(
    trait: str, odd: tuple[dict[str, object], str, str], place: int
) -> None:
    changes, value, usual = odd
    frames = [named(f"{number}.tif") for number in range(3)]
    frames.insert(place, named("odd.tif", **changes))
    with pytest.raises(StackError, match=r"odd\.tif") as raised:
        Stack(tuple(frames))
    assert trait in raised.value.message
    assert f"{value}, where most frames have {usual}." in raised.value.message
    assert raised.value.remedy
    assert raised.value.exit_code == 3


def test_several_odd_frames_are_counted() -> None:
    sizes = [60, 61, 60, 62, 60]
    mixed = Stack(tuple(named(f"{number}.tif", width=width) for number, width in enumerate(sizes)))
    assert (mixed.width, mixed.height, mixed.largest.name) == (62, 40, "3.tif")
    with pytest.raises(StackError, match=r"1\.tif .* 61x40, .* 60x40 \(2 frames differ\)") as raised:
        mixed.refuse_sizes()
    assert "Align" in raised.value.remedy


def test_of_two_different_frames_the_second_is_odd() -> None:
    with pytest.raises(StackError, match=r"b\.tif differs in pixel size: 60x41"):
        Stack((named("a.tif"), named("b.tif", height=41))).refuse_sizes()


def test_jpeg_and_tiff_frames_of_one_size_go_together() -> None:
    assert len(Stack((named("a.tif"), named("b.jpg", kind=Kind.JPEG)))) == 2


@pytest.mark.parametrize(("count", "middle"), [(1, 0), (2, 0), (3, 1), (10, 4)])
def test_the_reference_has_a_name_or_a_number(count: int, middle: int) -> None:
    stack = Stack(tuple(named(f"{number}.tif") for number in range(count)))
    assert stack.reference("first") == 0
    assert stack.reference("middle") == middle
    assert stack.reference("last") == count - 1
    assert stack.reference(str(count - 1)) == count - 1


@pytest.mark.parametrize("wish", ["3", "-1", "--1", "", "centre", "1.0", "1e0", "²", " "])
def test_a_reference_that_does_not_exist_is_refused(wish: str) -> None:
    stack = Stack(tuple(named(f"{number}.tif") for number in range(3)))
    with pytest.raises(StackError, match="0 to 2"):
        stack.reference(wish)


@given(height=heights, half=st.integers(1, 40))
def test_cutting_covers_each_row_once_and_starts_at_even_rows(height: int, half: int) -> None:
    bands = cut(height, 2 * half)
    assert [row for band in bands for row in range(band.start, band.stop)] == list(range(height))
    assert all(band.start % 2 == 0 for band in bands)
    assert all(1 <= len(band) <= 2 * half for band in bands)


@given(height=st.integers(1, 300), ends=st.tuples(heights, heights), halo=st.integers(0, 50))
def test_grown_rows_hold_the_rows_and_stay_in_the_picture(
    height: int, ends: tuple[int, int], halo: int
) -> None:
    start, stop = sorted(min(end, height) for end in ends)
    rows, picture = Rows(start, stop), np.arange(height)
    grown = rows.grow(halo, height)
    assert grown == Rows(max(0, start - halo), min(height, stop + halo))
    np.testing.assert_array_equal(picture[grown.slice][rows.within(grown)], picture[rows.slice])
    assert len(rows) == stop - start


def test_a_canvas_places_transforms_at_its_own_origin() -> None:
    canvas = Canvas(5, 7, 20, 10, 3, PixelType.UINT8, cut(10, 4))
    assert canvas.pixels == 200
    transform = Transform(np.array([[1.1, 0.1, 3], [-0.1, 1.1, 4], [1e-4, 2e-4, 1]]), Tone((1.2,)))
    placed = canvas.place(transform)
    assert placed.gain == 1.2
    points = np.array([[0.0, 0.0], [19.0, 9.0]])
    np.testing.assert_allclose(placed.apply(points), transform.apply(points + np.array([5, 7])))
