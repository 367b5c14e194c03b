"""HEIC files as phones write them: tiles, turned, with other pictures beside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import gpustack
from gpustack.io import cicp
from gpustack.io.decode import Decoder, probe
from gpustack.io.metadata import read_metadata
from gpustack.settings import Crop, Model, Settings
from tests.io.phone import phone_file

pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
pytest.importorskip("pi_heif", reason="pi-heif is not installed")
HEIGHT, WIDTH = 150, 230


def picture(bits: int) -> npt.NDArray[np.generic]:
    """Waves that no two tiles have alike."""
    down, across = np.mgrid[:HEIGHT, :WIDTH]
    waves = [np.sin(across / 40 + c) * np.cos(down / 30 - c) for c in range(3)]
    light = np.stack(waves, -1) / 2 + 0.5
    return np.rint(light * (255 if bits == 8 else 65535)).astype(np.uint8 if bits == 8 else np.uint16)


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("turns", range(4))
def test_the_main_picture_is_taken_upright(bits: int, turns: int, tmp_path: Path) -> None:
    pixels, icc = picture(bits), cicp.profile(12, 13)
    assert icc is not None
    path = phone_file(tmp_path / "IMG_0001.HEIC", pixels, 64, bits=bits, turns=turns, icc=icc)
    (frame,) = probe(path)
    wanted = np.rot90(pixels, turns)
    assert (frame.height, frame.width, frame.orientation) == (*wanted.shape[:2], 1)
    found = Decoder(frame)(frame)
    assert found.dtype == pixels.dtype
    assert np.abs(found.astype(int) - wanted).max() <= (3 if bits == 8 else 200)
    assert read_metadata(frame).icc == icc


def test_other_readers_find_what_lies_beside_it(tmp_path: Path) -> None:
    path = phone_file(tmp_path / "IMG_0001.HEIC", picture(8), 64)
    seen = pillow_heif.open_heif(path)
    assert seen.size == (HEIGHT, WIDTH)
    assert list(seen.info["aux"]) == ["urn:com:apple:photo:2020:aux:hdrgainmap"]
    assert [each.size for each in seen.info["depth_images"]] == [(64, 64)]
    assert len(seen.info["thumbnails"]) == 1


def test_a_stack_of_them(tmp_path: Path) -> None:
    paths = [phone_file(tmp_path / f"IMG_{n}.HEIC", picture(8), 64) for n in range(2)]
    settings = Settings(align=Model.NONE, crop=Crop.NONE, threads=1)
    found = gpustack.stack(paths, settings).image
    assert np.abs(found.astype(int) - np.rot90(picture(8), 3)).max() <= 3
