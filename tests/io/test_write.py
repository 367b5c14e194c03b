"""Pictures on disk: every format, sample type, channel count and profile comes back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image, ImageOps

from gpustack.errors import UsageError
from gpustack.io import encode, write
from gpustack.io.exif import Exif, orientation
from gpustack.io.ifd import Entry
from gpustack.io.metadata import Metadata, read_metadata
from gpustack.io.write import oriented, write_picture
from gpustack.model.frame import Frame, Kind, PixelType

RGB: bytes = imagecodecs.cms_profile("adobergb")
GRAY: bytes = imagecodecs.cms_profile("gray", gamma=2.2)
EXIF = Exif(
    main=(Entry(271, 2, b"Maker\0"), Entry(33432, 2, b"(c) me\0")),
    photo=(Entry(33434, 5, (1).to_bytes(4, "little") + (125).to_bytes(4, "little")),),
    gps=(Entry(1, 2, b"N\0"),),
)
KINDS = {".jpg": Kind.JPEG, ".png": Kind.PNG, ".tif": Kind.TIFF}
WHITE = {"uint8": 255, "uint16": 65535, "float32": 1}


def pixels(dtype: str, channels: int, height: int = 37, width: int = 50) -> npt.NDArray[Any]:
    y, x, c = np.mgrid[:height, :width, :channels]
    ramp = (y / height + x / width + c / channels) / 3
    return (ramp * WHITE[dtype]).astype(dtype)


def save(path: Path, data: npt.NDArray[Any], metadata: Metadata | None = None, **options: Any) -> Path:
    write_picture(path, data, metadata or Metadata(), overwrite=False, software="gpustack 1", **options)
    return path


def load(path: Path) -> npt.NDArray[Any]:
    """Read with another decoder than the writer's; (h, w, c), RGB."""
    if path.suffix == ".tif":
        data = tifffile.imread(path)
        return data[..., None] if data.ndim == 2 else data
    if path.suffix == ".jpg" or path.read_bytes()[24] == 8:
        with Image.open(path) as image:
            data = np.asarray(image)
        return data[..., None] if data.ndim == 2 else data
    data = cv2.imread(os.fspath(path), cv2.IMREAD_UNCHANGED)
    assert data is not None
    return data[..., None] if data.ndim == 2 else data[..., [2, 1, 0, 3][: data.shape[2]]]


def described(path: Path) -> Metadata:
    return read_metadata(Frame(path, 1, 1, 3, PixelType.UINT8, KINDS[path.suffix]))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("ending", "dtype"),
    [(".png", "uint8"), (".png", "uint16"), (".tif", "uint8"), (".tif", "uint16"), (".tif", "float32")],
)
def test_lossless_formats_keep_every_value(ending: str, dtype: str, channels: int, tmp_path: Path) -> None:
    data = pixels(dtype, channels)
    icc = GRAY if channels < 3 else RGB
    path = save(tmp_path / f"a{ending}", data, Metadata(icc, EXIF, (300.0, 240.0)))
    back = imagecodecs.png_decode(path.read_bytes()) if ending == ".png" else load(path)
    np.testing.assert_array_equal(back.reshape(data.shape), data)
    assert back.dtype == dtype
    if (channels, dtype) != (2, "uint16"):  # Pillow and OpenCV know no 16-bit gray with alpha
        np.testing.assert_array_equal(load(path), data)
    assert_described(path, icc, data.shape)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_jpeg_keeps_eight_bits_and_no_alpha(dtype: str, channels: int, tmp_path: Path) -> None:
    data = pixels(dtype, channels)
    icc = GRAY if channels < 3 else RGB
    path = save(tmp_path / "a.jpg", data, Metadata(icc, EXIF, (300.0, 240.0)))
    back = load(path)
    assert back.shape == (37, 50, 3 if channels > 2 else 1)
    expected = data[..., : back.shape[2]] / (WHITE[dtype] / 255)
    assert np.abs(back - expected).max() < 5
    assert_described(path, icc, back.shape)


def assert_described(path: Path, icc: bytes, shape: tuple[int, ...]) -> None:
    metadata = described(path)
    assert metadata.icc == icc
    assert metadata.resolution == pytest.approx((300, 240), abs=0.02)
    assert metadata.exif is not None
    main = {entry.tag: entry.data for entry in metadata.exif.main}
    photo = {entry.tag: entry.numbers for entry in metadata.exif.photo}
    assert (main[271], main[33432], main[305]) == (b"Maker\0", b"(c) me\0", b"gpustack 1\0")
    assert (photo[33434], photo[40962], photo[40963]) == ((1, 125), (shape[1],), (shape[0],))
    assert metadata.exif.gps == EXIF.gps
    if path.suffix == ".tif":  # Pillow does not open all of them
        with tifffile.TiffFile(path) as tiff:
            tags = tiff.pages.first.tags
            assert (tags["InterColorProfile"].value, tags["Orientation"].value) == (icc, 1)
            assert tags["ExifTag"].value["ExposureTime"] == (1, 125)
        return
    with Image.open(path) as image:
        assert image.info["icc_profile"] == icc
        assert image.getexif()[274] == 1


def test_jpeg_has_no_chroma_subsampling_and_quality_counts(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    fine = save(tmp_path / "fine.jpg", noise, quality=98).read_bytes()
    rough = save(tmp_path / "rough.JPEG", noise, quality=50).read_bytes()
    assert len(rough) < len(fine) / 2
    frame_header = fine.index(b"\xff\xc0")
    assert [fine[frame_header + 11 + 3 * n] for n in range(3)] == [0x11] * 3


def test_sixteen_bits_become_eight_by_rounding() -> None:
    every = np.arange(65536, dtype=np.uint16).reshape(1024, 64, 1)
    np.testing.assert_array_equal(encode.eight_bit(every), np.rint(every / 257).astype(np.uint8))


def test_long_profiles_are_split_over_segments(tmp_path: Path) -> None:
    size = 2 * 65519 + 1
    icc = size.to_bytes(4, "big") + bytes(12) + b"RGB " + bytes(16) + b"acsp" + os.urandom(size - 40)
    path = save(tmp_path / "a.jpg", pixels("uint8", 3), Metadata(icc))
    assert path.read_bytes().count(b"ICC_PROFILE\0") == 3
    assert described(path).icc == icc
    with Image.open(path) as image:
        assert image.info["icc_profile"] == icc


@pytest.mark.parametrize("ending", KINDS)
@pytest.mark.parametrize(("channels", "icc"), [(1, RGB), (2, RGB), (3, GRAY), (4, GRAY), (3, b"short")])
def test_a_profile_of_another_colour_model_is_left_out(
    ending: str, channels: int, icc: bytes, tmp_path: Path
) -> None:
    assert described(save(tmp_path / f"a{ending}", pixels("uint8", channels), Metadata(icc))).icc is None


@pytest.mark.parametrize("ending", KINDS)
def test_profiles_of_the_data_folder(ending: str, tmp_path: Path) -> None:
    folder = os.environ.get("GPUSTACK_DATA")
    if not folder:
        pytest.skip("GPUSTACK_DATA does not name the data folder")
    profiles = sorted((Path(folder) / "icc_profiles").glob("*.icc"))
    assert len(profiles) >= 5
    for file in profiles:
        icc = file.read_bytes()
        data = pixels("uint8", 1 if icc[16:20] == b"GRAY" else 3)
        path = save(tmp_path / (file.stem + ending), data, Metadata(icc))
        with Image.open(path) as image:
            assert image.info["icc_profile"] == described(path).icc == icc


def test_tiff_is_tiled_deflate_with_predictor_and_unassociated_alpha(tmp_path: Path) -> None:
    for dtype, predictor in (("uint16", 2), ("float32", 3)):
        with tifffile.TiffFile(save(tmp_path / f"{dtype}.tif", pixels(dtype, 4, 530, 520))) as tiff:
            page = tiff.pages.first
            assert (page.compression, page.predictor, page.tile) == (8, predictor, (512, 512))
            assert page.extrasamples == (2,)
            assert not tiff.is_bigtiff


def test_large_pictures_become_bigtiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pixels("uint16", 3)
    monkeypatch.setattr(encode, "BIGTIFF_BYTES", data.nbytes - 1)
    path = save(tmp_path / "a.tif", data, Metadata(RGB, EXIF, (300.0, 240.0)))
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_bigtiff
    np.testing.assert_array_equal(load(path), data)
    assert_described(path, RGB, data.shape)


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_floating_point_needs_tiff(ending: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot hold floating point pixels\. Write to \.tif\."):
        save(tmp_path / f"a{ending}", pixels("float32", 3))
    assert list(tmp_path.iterdir()) == []


def test_jpeg_ends_at_65500_pixels(tmp_path: Path) -> None:
    assert load(save(tmp_path / "a.jpg", np.zeros((65500, 1, 1), np.uint8))).shape == (65500, 1, 1)
    with pytest.raises(UsageError, match=r"65501 pixels .* Write to \.tif or \.png\."):
        save(tmp_path / "b.jpg", np.zeros((1, 65501, 1), np.uint8))
    save(tmp_path / "b.png", np.zeros((1, 65501, 1), np.uint8))


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("ending", KINDS)
def test_orientation_is_applied_once(turned: int, ending: str, tmp_path: Path) -> None:
    stored = pixels("uint8", 3)
    exif = Image.Exif()
    exif[274] = turned
    Image.fromarray(stored).save(tmp_path / "stored.png", exif=exif)
    with Image.open(tmp_path / "stored.png") as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(oriented(stored, turned), upright)
    np.testing.assert_array_equal(oriented(stored[..., 0], turned), upright[..., 0])
    path = save(tmp_path / f"out{ending}", oriented(stored, turned))
    with Image.open(path) as image:
        assert orientation(image.getexif().tobytes()) == 1
        seen = np.asarray(ImageOps.exif_transpose(image))
    assert np.abs(seen - upright.astype(int)).max() <= (6 if ending == ".jpg" else 0)


@pytest.mark.parametrize("old", [None, b"old"])
@pytest.mark.parametrize(("ending", "name"), [(".jpg", "jpeg"), (".png", "png"), (".tif", "tiff")])
def test_a_killed_write_leaves_no_file_and_the_old_one(
    ending: str, name: str, old: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"a{ending}"
    if old is not None:
        path.write_bytes(old)
    finish = getattr(encode, f"encode_{name}")

    def killed(*arguments: Any) -> None:
        finish(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(write, f"encode_{name}", killed)
    with pytest.raises(KeyboardInterrupt):
        write_picture(path, pixels("uint8", 3), Metadata(), overwrite=True, software="x")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == ([(path.name, old)] if old else [])


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    for ending in KINDS:
        first, second = (
            save(tmp_path / f"{n}{ending}", pixels("uint8", 3), Metadata(RGB, EXIF)) for n in "ab"
        )
        assert first.read_bytes() == second.read_bytes()
