"""The Python interface: arrays or files in, a result that can be looked at and saved."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

import gpustack
from gpustack import Crop, Interpolation, Method, Model, Settings, Transform
from gpustack.errors import DecodeError, GpustackError, StackError, UsageError, WriteError
from gpustack.model.frame import Kind
from tests.backend import plain
from tests.engine.shots import Pixels, frames_of, macro, patchwork

STILL = Settings(align=Model.NONE, threads=2)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{index}.tif" for index in range(3)]
    for path, frame in zip(paths, patchwork(3), strict=True):
        tifffile.imwrite(path, frame)
    return paths


@pytest.mark.parametrize("method", list(Method))
def test_files_names_and_arrays_give_the_same(files: list[Path], method: Method) -> None:
    settings = Settings(method=method, align=Model.NONE, threads=2, depth=True)
    given = (files, [str(path) for path in files], patchwork(3), gpustack.open_stack(files))
    results = [gpustack.stack(frames, settings) for frames in given]
    for result in results:
        assert result.image.shape == (40, 60, 3)
        assert result.image.dtype == np.uint8
        assert result.image.tobytes() == results[0].image.tobytes()
        assert result.depth is not None
        assert result.depth.shape == (40, 60)
        assert result.depth.tobytes() == results[0].depth.tobytes()
        assert result.confidence is not None
        assert result.confidence.dtype == np.float32
        assert result.winners.dtype == np.uint16


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((40, 60), "uint8"),
        ((40, 60, 1), "uint16"),
        ((40, 60, 2), "uint8"),
        ((40, 60, 4), "float32"),
        ((1, 1, 3), "uint8"),
    ],
)
def test_arrays_of_every_kind_keep_it(shape: tuple[int, ...], dtype: str) -> None:
    values = np.random.default_rng(0).random((2, *shape))
    frames = list((values if dtype == "float32" else values * 255).astype(dtype))
    result = gpustack.stack(frames, Settings(threads=1))
    assert result.image.dtype == dtype
    assert result.image.ndim == 3
    assert result.image.shape[2] == (*shape, 1)[2]


def test_arrays_need_not_be_contiguous_and_are_not_changed() -> None:
    frames = patchwork(3)
    mirrored = [frame[:, ::-1] for frame in frames]
    before = [frame.copy() for frame in frames]
    result = gpustack.stack(mirrored, STILL)
    copied = gpustack.stack([np.ascontiguousarray(frame) for frame in mirrored], STILL)
    assert result.image.tobytes() == copied.image.tobytes()
    assert all((frame == old).all() for frame, old in zip(frames, before, strict=True))


def test_the_result_is_nobody_elses_memory() -> None:
    (frame,) = patchwork(1)
    result = gpustack.stack([frame], STILL)
    result.image[:] = 0
    assert frame.any()


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((4, 4, 5), np.uint8), "(4, 4, 5)"),
        (np.zeros((4, 4, 0), np.uint8), "(4, 4, 0)"),
        (np.zeros((0, 4, 3), np.uint8), "(0, 4, 3)"),
        (np.zeros((4, 0), np.uint8), "(4, 0"),
        (np.zeros(4, np.uint8), "(4,"),
        (np.zeros((2, 4, 4, 3), np.uint8), "(2, 4, 4, 3)"),
        (np.zeros((4, 4, 3), np.float64), "float64"),
        (np.zeros((4, 4, 3), np.int16), "int16"),
        (np.zeros((4, 4, 3), bool), "bool"),
    ],
)
def test_arrays_that_are_no_frames(array: Pixels, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        gpustack.stack([array, array])
    assert said in caught.value.message
    assert "float32" in caught.value.remedy


def test_frames_that_do_not_belong_together(files: list[Path]) -> None:
    with pytest.raises(UsageError, match="cannot be mixed"):
        gpustack.stack([files[0], patchwork(1)[0]])
    with pytest.raises(StackError, match="pixel size"):
        gpustack.stack([*patchwork(2), np.zeros((40, 61, 3), np.uint8)], Settings(align=Model.NONE))
    with pytest.raises(StackError, match="There is no frame"):
        gpustack.stack([])
    with pytest.raises(DecodeError, match=r"nowhere\.jpg"):
        gpustack.stack(["nowhere.jpg"])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30])
@pytest.mark.parametrize("model", [Model.NONE, Model.SIMILARITY])
def test_float_frames_with_values_that_are_no_light(value: float, model: Model) -> None:
    frames = list(np.random.default_rng(0).random((3, 40, 60, 3)).astype(np.float32))
    frames[2][7, 9, 1] = value
    with pytest.raises(DecodeError, match="samples that are not numbers") as caught:
        gpustack.stack(frames, Settings(align=model, threads=2))
    assert "array[2]" in caught.value.name


def test_float_frames_may_be_brighter_than_white_and_darker_than_black() -> None:
    frames = [frame.astype(np.float32) / 10 - 5 for frame in patchwork(3)]
    image = gpustack.stack(frames, STILL).image
    assert image.min() < -1
    assert image.max() > 15


def test_every_error_is_a_gpustack_error() -> None:
    for wrong in ([], ["nowhere.jpg"], [np.zeros(3)]):
        with pytest.raises(GpustackError):
            gpustack.stack(wrong)


@pytest.mark.parametrize("count", [0, 2, 4])
def test_another_number_of_transforms_than_frames(count: int) -> None:
    with pytest.raises(StackError, match=f"{count} transforms were given for 3 frames"):
        gpustack.stack(patchwork(3), transforms=[Transform.identity()] * count)


def test_a_reference_that_does_not_exist() -> None:
    with pytest.raises(StackError, match="'7' does not exist"):
        gpustack.stack(patchwork(3), Settings(reference="7"))


def test_aligned_frames_and_progress_are_handed_out(files: list[Path]) -> None:
    aligned: list[tuple[str, tuple[int, ...]]] = []
    begun: list[str] = []

    class Progress:
        def begin(self, stage: str, frames: int, megapixels: float) -> None:
            begun.append(stage)
            assert (frames, megapixels) == (3, 0.0024)

        def advance(self, waiting_share: float) -> None:
            pass

        def warn(self, sentence: str) -> None:
            pass

    gpustack.stack(
        files,
        STILL,
        progress=Progress(),
        keep_aligned=lambda frame, pixels: aligned.append((frame.name, pixels.shape)),
    )
    assert aligned == [(path.name, (40, 60, 3)) for path in files]
    assert begun == ["auto"]


@pytest.mark.parametrize("interpolation", list(Interpolation))
def test_frames_are_resampled_as_asked(interpolation: Interpolation) -> None:
    frames = patchwork(2)
    moved = Transform(np.array([[1.0, 0, 0.4], [0, 1, -0.3], [0, 0, 1]]))
    aligned: list[Pixels] = []
    gpustack.stack(
        frames,
        Settings(crop=Crop.NONE, interpolation=interpolation, threads=2),
        transforms=[Transform.identity(), moved],
        keep_aligned=lambda _, pixels: aligned.append(pixels),
    )
    x, y = plain.positions(moved, 60, 40)
    wanted = np.clip(plain.interpolated(frames[1], x, y, interpolation), 0, 255)
    np.testing.assert_array_equal(aligned[0], frames[0])
    np.testing.assert_allclose(aligned[1], wanted, rtol=0, atol=0.51)


def test_transforms_of_one_result_serve_the_next() -> None:
    frames = frames_of(macro())
    first = gpustack.stack(frames, Settings(threads=2))
    again = gpustack.stack(frames, Settings(threads=2), transforms=first.transforms)
    assert len(first.transforms) == len(frames)
    assert again.image.tobytes() == first.image.tobytes()
    assert again.report.box == first.report.box


def test_saving(files: list[Path], tmp_path: Path) -> None:
    result = gpustack.stack(files, Settings(align=Model.NONE, depth=True, threads=2))
    for name in ("o.jpg", "o.png", "o.tif"):
        result.save(tmp_path / name)
    result.save(str(tmp_path / "low.jpg"), quality=20)
    assert (tmp_path / "low.jpg").stat().st_size < (tmp_path / "o.jpg").stat().st_size
    result.save_depth(tmp_path / "d.tif")
    result.save_confidence(tmp_path / "c.png")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "o.tif"), result.image)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "d.tif"), result.depth)
    with pytest.raises(WriteError, match="exists already"):
        result.save(tmp_path / "o.tif")
    result.save(tmp_path / "o.tif", overwrite=True)
    with pytest.raises(UsageError, match="format"):
        result.save(tmp_path / "o.webp")


def test_a_result_without_depth_says_how_to_get_one(tmp_path: Path) -> None:
    result = gpustack.stack(patchwork(2), STILL)
    assert result.depth is None
    assert result.confidence is None
    for save in (result.save_depth, result.save_confidence):
        with pytest.raises(UsageError, match="depth=True"):
            save(tmp_path / "d.tif")


def test_an_open_stack_describes_its_frames(files: list[Path]) -> None:
    opened = gpustack.open_stack(files)
    assert (len(opened), opened.width, opened.height, opened.channels) == (3, 60, 40, 3)
    assert opened.kind is Kind.TIFF
    assert [frame.name for frame in opened] == [path.name for path in files]


def test_importing_is_light() -> None:
    program = """
import sys, gpustack
print(sorted({"numpy", "cv2", "typer", "tifffile"} & set(sys.modules)))
gpustack.Settings
print("numpy" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\nFalse\n"


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'unstack'"):
        _ = gpustack.unstack
