"""What a report shows: the right colours, the right places, and no more bytes than it may."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import cv2
import imagecodecs
import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageCms

from gpustack.coverage.picture import palette
from gpustack.io.colour import srgb_profile
from gpustack.io.metadata import Metadata
from gpustack.reporting.coded import Coded, as_seen, coded
from gpustack.reporting.crops import CROP_HEIGHT, CROP_WIDTH, crops
from gpustack.reporting.pictures import pictures_of
from tests.reporting.pages import made


def decoded(picture: Coded) -> np.ndarray:
    return np.asarray(simplejpeg.decode_jpeg(picture.data), np.float32)


def test_crops_are_the_sharpest_and_the_most_contested_places() -> None:
    random = np.random.default_rng(2)
    height, width = 1200, 1600
    picture = np.full((height, width, 3), 128, np.uint8)
    picture[100:500, 160:720] += random.integers(0, 120, (400, 560, 3)).astype(np.uint8)
    picture[800:1200, 1040:1600] += random.integers(0, 60, (400, 560, 3)).astype(np.uint8)
    winners = np.full((height, width), 7, np.uint16)
    winners[800:1200, 1040:1600] = random.integers(0, 20, (400, 560))
    winners[100:700, 900:1500] = random.integers(0, 20, (600, 600))  # there is nothing to see
    found = crops(picture, winners)
    assert [crop.contested for crop in found] == sorted(crop.contested for crop in found)
    (contested, *_) = (crop for crop in found if crop.contested)
    assert (found[0].left, found[0].top) == pytest.approx((160, 100), abs=8)
    assert (contested.left, contested.top) == pytest.approx((1040, 800), abs=8)
    for number, one in enumerate(found):
        assert 0 <= one.left <= width - CROP_WIDTH
        assert 0 <= one.top <= height - CROP_HEIGHT
        for other in found[:number]:
            assert abs(one.left - other.left) >= CROP_WIDTH or abs(one.top - other.top) >= CROP_HEIGHT


@pytest.mark.parametrize("shape", [(300, 2000), (2000, 400), (500, 600)])
def test_small_pictures_need_no_crops(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (*shape, 3)).astype(np.uint8)
    assert crops(noise, np.zeros(shape, np.uint16)) == []


def test_a_plain_picture_has_none() -> None:
    assert crops(np.full((1200, 1600, 1), 9, np.uint8), np.zeros((1200, 1600), np.uint16)) == []


def wide_gamut() -> bytes:
    """Adobe RGB (1998), by its numbers."""
    primaries = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
    return bytes(
        imagecodecs.cms_profile("rgb", whitepoint=(0.3127, 0.3290), primaries=primaries, gamma=2.19921875)
    )


def test_colours_are_those_of_the_profile() -> None:
    """Against Pillow's Little CMS, in 8 bits."""
    colours = np.random.default_rng(1).integers(30, 226, (8, 8, 3)).astype(np.uint8)
    profiles = [ImageCms.ImageCmsProfile(BytesIO(icc)) for icc in (wide_gamut(), srgb_profile())]
    turned = ImageCms.profileToProfile(
        Image.fromarray(colours), *profiles, renderingIntent=1, flags=ImageCms.Flags.BLACKPOINTCOMPENSATION
    )
    for pixels in (colours, colours.astype(np.uint16) * 257, colours.astype(np.float32) / 255):
        seen = as_seen(pixels, Metadata(icc=wide_gamut()))
        assert seen.dtype == np.uint8
        assert np.abs(seen.astype(int) - np.asarray(turned).astype(int)).max() <= 1
    assert np.abs(colours.astype(int) - np.asarray(turned).astype(int)).max() > 20


def test_sixteen_bits_alpha_gray_and_light_are_shown() -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8, 1)
    plain = as_seen(ramp, Metadata())
    np.testing.assert_array_equal(plain, np.rint(ramp / 257).astype(np.uint8))
    with_alpha = np.concatenate([np.repeat(ramp, 3, axis=2), np.zeros_like(ramp)], axis=2)
    np.testing.assert_array_equal(as_seen(with_alpha, Metadata()), np.repeat(plain, 3, axis=2))
    light = np.array([[[-0.5], [0.5], [3.0]]], np.float32)
    assert as_seen(light, Metadata())[..., 0].tolist() == [[0, 128, 255]]
    damaged = wide_gamut()[:140] + bytes(200)
    assert as_seen(with_alpha, Metadata(icc=damaged)).shape == (8, 8, 3)


def test_one_colour_is_one_frame_in_both_maps() -> None:
    _, result = made([f"{index}.jpg" for index in range(5)], (400, 300))
    step = np.repeat(np.arange(5), 80)[None, :]
    winners = np.broadcast_to(step, (300, 400)).astype(np.uint16)
    sure = np.ones((300, 400), np.float32)
    found = pictures_of(replace(result, winners=winners, depth=winners.astype(np.float32), confidence=sure))
    assert found.depth is not None
    for picture in (decoded(found.winners), decoded(found.depth)):
        for frame in range(5):
            at = picture[100:200, 80 * frame + 24 : 80 * frame + 56].mean(axis=(0, 1))
            assert np.abs(at - palette(5)[frame]).max() < 4


def test_depth_is_pale_where_it_is_filled_in() -> None:
    _, result = made(["a.jpg", "b.jpg"], (200, 100))
    sure = np.zeros((100, 200), np.float32)
    sure[:, 100:] = 1
    found = pictures_of(replace(result, depth=np.zeros((100, 200), np.float32), confidence=sure))
    assert found.depth is not None
    picture = decoded(found.depth)
    assert picture[:, :90].min(axis=2).mean() > picture[:, 110:].min(axis=2).mean() + 60


def test_places_without_a_winner_are_white() -> None:
    _, result = made(["a.jpg", "b.jpg"], (200, 100))
    found = pictures_of(replace(result, winners=np.full((100, 200), 65535, np.uint16)))
    assert decoded(found.winners).min() > 250


def test_a_wide_result_is_shown_whole() -> None:
    """A mark in each corner is in each corner of every picture."""
    _, result = made(["a.jpg", "b.jpg"], (3011, 407))
    winners = np.zeros((407, 3011), np.uint16)
    image = np.zeros((407, 3011, 3), np.uint8)
    for corner in ((slice(40), slice(60)), (slice(-40, None), slice(-60, None))):
        winners[corner], image[corner] = 1, 255
    found = pictures_of(replace(result, image=image, winners=winners))
    low, high = palette(2).astype(np.float32)
    for picture, there, elsewhere in (
        (decoded(found.picture), np.full(3, 255), np.zeros(3)),
        (decoded(found.winners), high, low),
    ):
        assert max(picture.shape) <= 1600
        for corner, colour in (
            (picture[:4, :8], there),
            (picture[-4:, -8:], there),
            (picture[:4, -8:], elsewhere),
            (picture[-4:, :8], elsewhere),
        ):
            assert np.abs(corner.mean(axis=(0, 1)) - colour).max() < 8


def test_pictures_take_no_more_than_they_may() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (700, 1000, 3)).astype(np.uint8)
    soft = cv2.GaussianBlur(noise, (0, 0), 4)
    easy, hard = coded(soft, 200_000, (600, 300)), coded(noise, 200_000, (600, 300))
    assert (easy.width, easy.height) == (1000, 700)
    assert (hard.width, hard.height) == (600, 420)
    assert len(easy.data) <= 200_000
    assert len(hard.data) <= 200_000
    assert len(coded(noise, 1000).data) > 1000  # there is no smaller one to take
