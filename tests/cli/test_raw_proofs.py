"""RAW files of the data folder: each develops, and a stack of them is that of the pictures it was made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

import gpustack
from gpustack import Crop, Model, Settings
from gpustack.io import raw
from gpustack.io.decode import Decoder, probe
from gpustack.io.metadata import read_metadata
from gpustack.model.frame import Frame, Kind
from gpustack.scenes.camera import encode
from gpustack.settings import Demosaic, WhiteBalance
from tests.cli.calling import assert_refused, call
from tests.io.dng import BLACK, NEUTRAL, WHITE, write_dng

pytest.importorskip("rawpy", reason="rawpy has no build for this platform")

Picture = npt.NDArray[Any]

PHOTONS = 4.05e-5
"""Of the made stack's noise: variance over light, both as shares of white; measured on its samples."""
LIGHT = 0.9
"""How much of white the made stack's white is."""
NO_PICTURE = (
    "made__empty.dng",
    "raw_header_only__CanonRaw.cr2",
    "raw_header_only__DNG.dng",
    "raw_header_only__Nikon.nef",
    "raw_header_only__Sigma.x3f",
    "raw_truncated__Canon-R6-pruned.CR3",
    "raw_truncated__Issue_419.rw2",
    "raw_truncated__fixture.cr3",
    "raw_truncated__issue_841_poc.crw",
    "raw_unsupported__nikon_z_9_high_efficiency_compressed_dx_cropped_max_overexposed.dng",
)


def made_stack(data: Path) -> list[Path]:
    return sorted((data / "raw" / "synthetic_dng_stack_bayer").glob("*.dng"))


def sources(data: Path) -> list[Picture]:
    """The parts of the JPEG files that it was made of, uint8."""
    files = sorted((data / "stacks" / "mineral").glob("*.jpg"))
    whole = [cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) for path in files]
    return [np.ascontiguousarray(picture[480:1248, 912:1936]) for picture in whole]


def light_of(picture: Picture) -> Picture:
    """The light that the made stack's sensor saw, 0..1."""
    coded = picture / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    return np.asarray(LIGHT * linear)


def test_every_file_that_holds_a_picture_develops(data: Path) -> None:
    files = sorted(path for path in (data / "raw").rglob("*") if path.is_file())
    assert len(files) >= 11
    for path in files:
        (frame,) = probe(path)
        assert frame.kind is Kind.RAW
        found = Decoder(frame, demosaic=Demosaic.MALVAR)(frame)
        assert found.shape == (frame.height, frame.width, 3)
        assert found.std(axis=(0, 1)).min() > 300
        assert found.mean() > 1000


@pytest.mark.parametrize("name", NO_PICTURE)
def test_files_that_hold_no_picture_are_refused(name: str, data: Path, tmp_path: Path) -> None:
    done = call("stack", data / "hostile" / name, "-o", tmp_path / "out.tif")
    assert_refused(done, 3, name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("way", list(Demosaic))
def test_no_step_of_brightness_between_frames(way: Demosaic, data: Path) -> None:
    """Frames of the same light, as each differs from what it was made of: by the same factor."""
    frames = [probe(path)[0] for path in made_stack(data)]
    decode = Decoder(frames[2], demosaic=way)
    ratios = [
        decode(frame).mean(axis=(0, 1)) / light_of(source).mean(axis=(0, 1)) / 65535
        for frame, source in zip(frames, sources(data), strict=True)
    ]
    np.testing.assert_allclose(ratios[2], 1, rtol=0.002)
    steps = np.abs(np.diff(np.log(ratios), axis=0))
    assert steps.max() < 0.002


@pytest.mark.slow
def test_a_raw_stack_is_that_of_its_sources_but_for_noise(data: Path, tmp_path: Path) -> None:
    """What noise does to a stack is told by stacks of the sources, with noise like the sensor's and without.

    Seen through Bayer's filters without noise, they make the same stack but for that. The sources themselves
    have detail in each pixel's colour that no such sensor sees; even so, less than twice the noise is
    between.
    """
    found = stacked(made_stack(data), linear=True)
    lights = [light_of(picture) for picture in sources(data)]
    clean, noisy = stacked(list(map(whole, lights))), stacked(list(map(whole, with_noise(lights))))
    seen = [mosaicked(tmp_path / f"{number}.dng", light) for number, light in enumerate(lights)]
    noise = apart(noisy, clean)
    assert 0.5 / 255 < noise < 2.5 / 255
    assert apart(found, stacked(seen, linear=True)) < 1.1 * noise
    assert apart(found, clean) < 2 * noise
    means = [picture.mean(axis=(0, 1)) for picture in (found, clean)]
    np.testing.assert_allclose(*means, rtol=0.01)


def stacked(frames: list[Any], *, linear: bool = False) -> Picture:
    """The stack of some frames in linear light, coded for the eye."""
    settings = Settings(align=Model.NONE, crop=Crop.NONE, linear=linear, threads=2)
    return encode(gpustack.stack(frames, settings).image.astype(np.float32) / 65535)


def whole(light: Picture) -> Picture:
    return np.rint(np.clip(light, 0, 1) * 65535).astype(np.uint16)


def with_noise(lights: list[Picture]) -> list[Picture]:
    """What the sensor's noise makes of light, if each pixel saw all colours."""
    random = np.random.default_rng(0)
    seen = np.array(NEUTRAL)
    return [
        light + random.normal(size=light.shape) * np.sqrt(PHOTONS * light * seen) / seen for light in lights
    ]


def mosaicked(path: Path, light: Picture) -> Path:
    """What the sensor sees, without noise."""
    sensed = np.rint(BLACK + light * np.array(NEUTRAL) * (WHITE - BLACK)).astype(np.uint16)
    samples = sensed[..., 1].copy()
    samples[::2, ::2], samples[1::2, 1::2] = sensed[::2, ::2, 0], sensed[1::2, 1::2, 2]
    return write_dng(path, samples)


def apart(one: Picture, other: Picture) -> float:
    """Root mean square of their difference."""
    return float(np.sqrt(np.mean((one - other) ** 2)))


def test_balance_exposure_and_demosaicking_are_in_the_history(tmp_path: Path) -> None:
    random = np.random.default_rng(0).integers(2000, 9000, (2, 48, 64)).astype(np.uint16)
    raws = [write_dng(tmp_path / f"{number}.dng", picture) for number, picture in enumerate(random)]
    options = ("--wb", "2.1,1,1.6", "--exposure", "0.5", "--demosaic", "malvar", "--align", "none")
    done = call("stack", *raws, "-o", tmp_path / "out.tif", *options)
    assert done.exit_code == 0, done.stderr
    assert b"wb 2.1,1,1.6, exposure 0.5, demosaic malvar" in (told(tmp_path / "out.tif") or b"")
    done = call("stack", *raws, "-o", tmp_path / "out.dng", "--align", "none", "--wb", "auto-first")
    assert done.exit_code == 0, done.stderr
    assert b"wb auto-first, exposure 0.0, demosaic rcd" in (told(tmp_path / "out.dng") or b"")
    done = call("stack", tmp_path / "out.tif", "-o", tmp_path / "again.tif", "--align", "none")
    assert b"demosaic" not in (told(tmp_path / "again.tif") or b"")


def told(path: Path) -> bytes | None:
    (frame,) = probe(path)
    return read_metadata(frame).xmp


def test_white_balance_estimated_of_gray_texture_makes_it_gray(tmp_path: Path) -> None:
    """Gray texture under a warm lamp, of which the file tells nothing true."""
    random = np.random.default_rng(0)
    light = np.kron(random.uniform(0.1, 0.8, (24, 32)), np.ones((4, 4)))[..., None] * (0.9, 0.55, 0.2)
    sensed = (BLACK + light * (WHITE - BLACK)).astype(np.uint16)
    samples = sensed[..., 1].copy()
    samples[::2, ::2], samples[1::2, 1::2] = sensed[::2, ::2, 0], sensed[1::2, 1::2, 2]
    path = write_dng(tmp_path / "a.dng", samples)
    ways = ("--align", "none", "--json")
    means = {}
    for wish in ("camera", "auto-first"):
        done = call("stack", path, "-o", tmp_path / f"{wish}.dng", "--wb", wish, *ways)
        assert done.exit_code == 0, done.stderr
        (frame,) = probe(tmp_path / f"{wish}.dng")
        means[wish] = spread(Decoder(frame)(frame))
    assert means["auto-first"] < 0.01
    assert means["camera"] > 0.3


def spread(picture: Picture) -> float:
    red, green, blue = picture.mean(axis=(0, 1))
    return float(max(red, green, blue) / min(red, green, blue) - 1)


def test_white_balance_of_nothing_but_black_is_refused(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(0, BLACK, (48, 64)).astype(np.uint16)
    path = write_dng(tmp_path / "a.dng", samples)
    done = call("stack", path, "-o", tmp_path / "a.tif", "--wb", "auto-first")
    assert_refused(done, 3, "no colours to estimate a white balance from")


def test_an_estimate_is_near_what_the_camera_chose(data: Path) -> None:
    """Of a chart and a street; the files tell what their cameras took for white."""
    for name in ("colorchart.dng", "CRW_0117.CRW"):
        (frame,) = probe(data / "raw" / "real" / name)
        assert angle(frame) < 12, name


def angle(frame: Frame) -> float:
    """Degrees between the estimated and the camera's light."""
    lights = [
        1 / np.array(raw.lock(frame, wish).gains) for wish in (WhiteBalance.CAMERA, WhiteBalance.AUTO_FIRST)
    ]
    cosine = lights[0] @ lights[1] / np.linalg.norm(lights[0]) / np.linalg.norm(lights[1])
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def test_highlights_of_a_camera_are_white(data: Path) -> None:
    """A Nikon D1 saturates in green earlier than in red and blue, and says up to where all are linear."""
    (frame,) = probe(data / "raw" / "real" / "RAW_NIKON_D1.NEF")
    developed = Decoder(frame)(frame)
    top = int(developed.max())
    burnt = (developed == top).all(axis=2)
    assert top == int(65535 * 3827 / 4095)
    assert burnt.sum() > 500
    assert (developed <= top).all()
    shown = gpustack.stack([frame.path], Settings(align=Model.NONE, crop=Crop.NONE)).image
    assert (shown[burnt] == 65535).all(axis=1).mean() > 0.95
