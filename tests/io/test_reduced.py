"""Frames decoded at a smaller size: the mean over blocks, at the same place, for every kind that has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest

from gpustack.errors import DecodeError
from gpustack.io import raw
from gpustack.io.decode import Decoder, probe
from gpustack.model.frame import Frame, Kind, PixelType
from gpustack.model.mosaic import PATTERNS
from tests.io.dng import BLACK, write_dng

Picture = npt.NDArray[Any]
MOST_OFF_PX = 0.02
LUMA = np.array([0.299, 0.587, 0.114])


def scene(height: int, width: int, detail: float = 6) -> Picture:
    """A smooth picture (h, w, 3) uint8 with slopes in all directions, differing in colour."""
    noise = np.random.default_rng(4).random((height, width, 3), np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), detail)
    return np.clip(128 + 40 * (smooth - smooth.mean()) / smooth.std(), 0, 255).astype(np.uint8)


def boxed(picture: Picture, by: int) -> Picture:
    """Means over blocks of by x by pixels, without a rest, as float64."""
    height, width = (side // by for side in picture.shape[:2])
    blocks = picture[: height * by, : width * by].reshape(height, by, width, by, -1)
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float64))


def luma(picture: Picture) -> Picture:
    return np.asarray(picture @ LUMA if picture.shape[2] == 3 else picture[..., 0], np.float64)


def offset(found: Picture, wanted: Picture) -> Picture:
    """By how many of its pixels one luma lies right of and below another: least squares on the slopes."""
    down, across = (slope[2:-2, 2:-2].ravel() for slope in np.gradient(wanted))
    difference = (wanted - found)[2:-2, 2:-2].ravel()
    slopes = np.stack([across, down, np.ones_like(across)], axis=1)
    return np.asarray(np.linalg.lstsq(slopes, difference, rcond=None)[0][:2])


def check(found: Picture, whole: Picture, by: int, *, most: float) -> None:
    """At the place of the whole picture's means, and within `most` of white of them."""
    wanted = luma(boxed(whole, by))
    assert found.shape[:2] == wanted.shape
    assert found.dtype == whole.dtype
    assert np.abs(offset(luma(found), wanted)).max() * by < MOST_OFF_PX
    white = PixelType(whole.dtype.name).white
    assert np.abs(luma(found) - wanted).max() < most * white


def shot(path: Path, picture: Picture, **options: Any) -> Frame:
    path.write_bytes(bytes(imagecodecs.jpeg8_encode(picture, level=92, **options)))
    return probe(path)[0]


@pytest.mark.parametrize("colours", [True, False])
@pytest.mark.parametrize("by", [1, 2, 4, 8])
@pytest.mark.parametrize("subsampling", ["444", "422", "420"])
@pytest.mark.parametrize("size", [(481, 639), (480, 640), (454, 672)])
def test_a_jpeg_is_the_mean_over_blocks(
    tmp_path: Path, size: tuple[int, int], subsampling: str, by: int, colours: bool
) -> None:
    frame = shot(tmp_path / "a.jpg", scene(*size, detail=4 + 2 * by), subsampling=subsampling)
    decoder = Decoder(frame)
    found = decoder.reduced(frame, by, colours=colours)
    assert found.shape[2] == (3 if colours else 1)
    check(found, decoder(frame), by, most=0.03)


@pytest.mark.parametrize("colours", [True, False])
def test_a_jpeg_without_colours_or_in_rgb_has_its_luma(tmp_path: Path, colours: bool) -> None:
    picture = scene(160, 200)
    gray = shot(tmp_path / "gray.jpg", np.ascontiguousarray(picture[..., 1]))
    rgb = shot(tmp_path / "rgb.jpg", picture, colorspace="RGB", outcolorspace="RGB")
    for frame in (gray, rgb):
        decoder = Decoder(frame)
        check(decoder.reduced(frame, 2, colours=colours), decoder(frame), 2, most=0.03)


@pytest.mark.parametrize("by", [1, 2, 8])
def test_damage_is_found_in_a_reduced_jpeg_too(tmp_path: Path, by: int) -> None:
    path = tmp_path / "a.jpg"
    frame = shot(path, scene(200, 200))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + b"\xff\xd9")
    with pytest.raises(DecodeError, match="damaged"):
        Decoder(frame).reduced(frame, by)


def negative(path: Path, size: tuple[int, int], colours: Any = (0, 1, 1, 2), **options: Any) -> Frame:
    """A RAW file of the scene, whose colours differ little, as sensors see gray things."""
    picture = scene(*size).astype(np.float64)
    picture = picture.mean(axis=2, keepdims=True) + 0.1 * (picture - picture.mean(axis=2, keepdims=True))
    samples = np.empty(size)
    for site, colour in enumerate(colours):
        row, column = divmod(site, 2)
        samples[row::2, column::2] = picture[row::2, column::2, colour]
    values = (BLACK + 30 * samples).astype(np.uint16)
    return probe(write_dng(path, values, colours=colours, **options))[0]


@pytest.mark.parametrize("colours", sorted(PATTERNS))
@pytest.mark.parametrize("size", [(120, 160), (121, 163)])
def test_half_a_raw_file_needs_no_demosaicking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, colours: tuple[int, ...], size: tuple[int, int]
) -> None:
    pytest.importorskip("rawpy", reason="rawpy has no build for this platform")
    frame = negative(tmp_path / "a.dng", size, colours, neutral=(0.8, 1.0, 0.9))
    decoder = Decoder(frame)
    whole = decoder(frame)
    with monkeypatch.context() as only:
        only.setattr(raw, "_by_libraw", None)
        found = decoder.reduced(frame, 2)
    check(found, whole, 2, most=0.02)
    for channel in range(3):
        assert np.abs(found[2:-2, 2:-2, channel] - boxed(whole, 2)[2:-2, 2:-2, channel]).max() < 0.03 * 65535


def test_half_a_raw_file_of_another_pattern_is_developed_first(tmp_path: Path) -> None:
    pytest.importorskip("rawpy", reason="rawpy has no build for this platform")
    linear = np.repeat(scene(80, 90)[..., 1:2].astype(np.uint16) * 40, 3, axis=2)
    frame = probe(write_dng(tmp_path / "a.dng", linear))[0]
    decoder = Decoder(frame)
    check(decoder.reduced(frame, 2), decoder(frame), 2, most=1e-4)


def test_clipped_samples_stay_white(tmp_path: Path) -> None:
    pytest.importorskip("rawpy", reason="rawpy has no build for this platform")
    frame = probe(
        write_dng(tmp_path / "a.dng", np.full((40, 60), 16383, np.uint16) - np.eye(40, 60, dtype=np.uint16))
    )[0]
    assert Decoder(frame).reduced(frame, 2)[:, 25:].min() == 65535


def test_other_files_are_decoded_whole(tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "a.png"), scene(40, 50))
    frame = probe(tmp_path / "a.png")[0]
    np.testing.assert_array_equal(Decoder(frame).reduced(frame, 1), Decoder(frame)(frame))


@pytest.mark.parametrize(
    ("kind", "reductions"),
    [
        (Kind.JPEG, {1: 1, 2: 2, 3: 1, 4: 4, 5: 1, 6: 2, 8: 8, 12: 4, 16: 8}),
        (Kind.RAW, {1: 1, 2: 2, 3: 1, 4: 2, 6: 2}),
        (Kind.TIFF, {1: 1, 2: 1, 4: 1}),
        (Kind.ARRAY, {2: 1}),
    ],
)
def test_a_reduction_leaves_a_whole_factor(kind: Kind, reductions: dict[int, int]) -> None:
    assert {factor: kind.reduction(factor) for factor in reductions} == reductions
