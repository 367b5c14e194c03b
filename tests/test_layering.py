"""Layers of real runs: together they are the result, masks part it among the frames, and beyond its mask a
layer is the aligned frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from psd_tools import PSDImage
from psd_tools.composite import composite

import gpustack
from gpustack import Crop, LayerFile, Method, Model, Result, Settings, Transform
from gpustack.errors import UsageError, WriteError
from gpustack.io import layers as io_layers
from gpustack.io.colour import srgb_profile
from gpustack.model.frame import Frame, PixelType
from gpustack.settings import LAYER_MARGIN_PX
from tests.engine.shots import frames_of, macro, patchwork

Pixels = npt.NDArray[Any]
QUICK = Settings(threads=2)


def white(pixels: Pixels) -> float:
    return float(np.iinfo(pixels.dtype).max)


def stacked(
    frames: list[Any], path: Path, settings: Settings = QUICK, **more: Any
) -> tuple[Result, PSDImage]:
    result = gpustack.stack(frames, settings, layers=LayerFile(path), **more)
    return result, PSDImage.open(path)


def put_together(psd: PSDImage) -> Pixels:
    """All layers, as psd-tools puts them together, (h, w, c) 0..1."""
    return np.asarray(composite(psd, force=True)[0])


def masks(psd: PSDImage) -> Pixels:
    """(layers, h, w) bool, of all but the lowest."""
    found = np.zeros((len(psd) - 1, psd.height, psd.width), bool)
    for mask, layer in zip(found, list(psd)[1:], strict=True):
        left, top, right, bottom = layer.bbox
        mask[top:bottom, left:right] = layer.numpy("mask")[..., 0] > 0.5
    return found


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("kind", [PixelType.UINT8, PixelType.UINT16])
@pytest.mark.parametrize("gray", [False, True])
def test_together_they_are_the_result(method: Method, kind: PixelType, gray: bool, tmp_path: Path) -> None:
    frames = [frame[..., :1] if gray else frame for frame in frames_of(macro(kind))]
    result, psd = stacked(frames, tmp_path / "out.psd", Settings(method=method, threads=2))
    assert np.abs(put_together(psd) - result.image / white(result.image)).max() < 0.5 / white(result.image)
    assert np.array_equal(np.rint(psd.numpy() * white(result.image)), result.image)
    assert (masks(psd).sum(axis=0) == 1).all()


@pytest.mark.parametrize("crop", list(Crop))
def test_beyond_its_mask_a_layer_is_the_aligned_frame(crop: Crop, tmp_path: Path) -> None:
    aligned: dict[str, Pixels] = {}

    def keep(frame: Frame, pixels: Pixels) -> None:
        aligned[frame.name] = pixels

    settings = Settings(crop=crop, deghost=gpustack.Deghost.OFF, threads=2)
    result, psd = stacked(frames_of(macro()), tmp_path / "out.psd", settings, keep_aligned=keep)
    opaque = []
    for layer, mask in zip(list(psd)[1:], masks(psd), strict=True):
        left, top, right, bottom = layer.bbox
        inside = mask[top:bottom, left:right]
        pixels = np.rint(layer.numpy("color") * 255)
        alpha = layer.numpy("shape")[..., 0] == 1
        assert alpha[inside].all()
        opaque.append(bool(alpha.all()))
        assert np.array_equal(pixels[inside], result.image[top:bottom, left:right][inside])
        apart = np.abs(pixels - aligned[layer.name][top:bottom, left:right])[~inside]
        assert apart.max(initial=0) <= 1  # a box begins elsewhere, and positions are rounded
        assert np.mean(apart > 0) < 1e-3
    assert all(opaque) == (crop is Crop.AUTO)
    assert any(opaque)  # the reference


def test_without_cropping_they_are_the_result_too(tmp_path: Path) -> None:
    turned = [np.eye(3) for _ in range(6)]
    for index, matrix in enumerate(turned):
        angle = 0.02 * (index - 2)
        matrix[:2] = [[np.cos(angle), -np.sin(angle), 4], [np.sin(angle), np.cos(angle), -3]]
    turned[2] = np.eye(3)
    places = [Transform(matrix) for matrix in turned]
    settings = Settings(crop=Crop.NONE, threads=2)
    result, psd = stacked(frames_of(macro()), tmp_path / "out.psd", settings, transforms=places)
    assert np.abs(put_together(psd) - result.image / 255).max() < 0.5 / 255


@pytest.mark.parametrize("orientation", range(1, 9))
def test_layers_are_upright_as_the_picture_is(orientation: int, tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.tif" for index in range(3)]
    for path, frame in zip(paths, patchwork(3), strict=True):
        tag = (274, "H", 1, orientation, True)
        tifffile.imwrite(path, frame, photometric="rgb", extratags=[tag], iccprofile=srgb_profile())
    settings = Settings(align=Model.NONE, method=Method.PYRAMID, threads=2)
    result, psd = stacked(list(paths), tmp_path / "out.psd", settings)
    assert (psd.height, psd.width) == result.image.shape[:2] == ((60, 40) if orientation > 4 else (40, 60))
    assert np.array_equal(np.rint(put_together(psd) * 255), result.image)
    assert [layer.name for layer in psd][1:] == ["0.tif", "1.tif", "2.tif"]
    for index, mask in enumerate(masks(psd)):
        assert np.mean(result.winners[mask] == index) > 0.8


def test_layers_are_cropped_to_their_masks_with_room_to_paint(tmp_path: Path) -> None:
    frames = patchwork(2, 40, 4 * LAYER_MARGIN_PX)
    settings = Settings(align=Model.NONE, method=Method.PYRAMID, threads=2)
    _, psd = stacked(frames, tmp_path / "out.psd", settings)
    first, second = list(psd)[1:]
    middle = 2 * LAYER_MARGIN_PX
    assert first.bbox[:2] == (0, 0)
    assert first.bbox[2] == pytest.approx(middle + LAYER_MARGIN_PX, abs=6)
    assert second.bbox[0] == pytest.approx(middle - LAYER_MARGIN_PX, abs=6)


def test_a_frame_that_wins_nothing_has_no_layer_and_is_listed(tmp_path: Path) -> None:
    frames = patchwork(3)
    frames.insert(1, np.full_like(frames[0], 128))
    settings = Settings(align=Model.NONE, method=Method.PYRAMID, smoothing=0.0, threads=2)
    result, psd = stacked(frames, tmp_path / "out.psd", settings)
    assert len(psd) == 4
    assert result.report.layers is not None
    assert result.report.layers.left_out == ("array[1]",)
    assert result.report.layers.frames == ("array[0]", "array[2]", "array[3]")
    assert result.report.as_dict()["layers"]["left_out"] == ["array[1]"]


def test_one_frame_is_one_layer(tmp_path: Path) -> None:
    result, psd = stacked(patchwork(1), tmp_path / "out.psd")
    assert len(psd) == 2
    assert masks(psd).all()
    assert np.array_equal(np.rint(put_together(psd) * 255), result.image)


@pytest.mark.parametrize("ending", [".psd", ".tif"])
@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_that_of_the_picture(ending: str, channels: int, tmp_path: Path) -> None:
    frames = patchwork(3, channels=channels)
    alpha = np.linspace(0, 255, 60).astype(np.uint8)
    for frame in frames:
        frame[..., -1] = alpha
    settings = Settings(align=Model.NONE, method=Method.PYRAMID, threads=2)
    path = tmp_path / f"out{ending}"
    result = gpustack.stack(frames, settings, layers=LayerFile(path))
    if ending == ".tif":
        assert np.array_equal(tifffile.imread(path), result.image)
        return
    psd = PSDImage.open(path)
    assert all(layer.clipping for layer in list(psd)[1:])
    colours, _, shown = composite(psd, force=True)
    assert np.abs(shown[..., 0] * 255 - result.image[..., -1]).max() < 0.5
    seen = result.image[..., -1] > 0
    assert np.abs(colours[seen] * 255 - result.image[..., :-1][seen]).max() < 0.5
    opaque = result.image[..., -1:] / 255
    over_white = result.image[..., :-1] * opaque + 255 * (1 - opaque)
    planes = psd._record.image_data.get_data(psd._record.header)[:-1]
    merged = np.stack([np.frombuffer(plane, np.uint8).reshape(40, 60) for plane in planes], -1)
    assert np.abs(merged - over_white).max() <= 0.5 + 1e-9


def test_a_psd_that_would_be_too_large_is_a_psb_and_the_run_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(io_layers, "PSD_BYTES", 10_000)
    file = LayerFile(tmp_path / "out.psd")
    settings = Settings(align=Model.NONE, threads=2)
    result = gpustack.stack(patchwork(3), settings, layers=file)
    assert file.written == tmp_path / "out.psb"
    assert PSDImage.open(tmp_path / "out.psb").width == 60
    assert any("out.psb" in sentence for sentence in result.report.warnings)
    assert not (tmp_path / "out.psd").exists()
    with pytest.raises(WriteError, match=r"out\.psb exists already"):
        gpustack.stack(patchwork(3), settings, layers=LayerFile(tmp_path / "out.psd"))


def test_floats_are_refused_before_any_work(tmp_path: Path) -> None:
    frames = [frame.astype(np.float32) / 255 for frame in patchwork(2)]
    with pytest.raises(UsageError, match="floating point"):
        gpustack.stack(frames, QUICK, layers=LayerFile(tmp_path / "out.psd"))
    assert list(tmp_path.iterdir()) == []


def test_frames_are_read_once_more_and_the_plan_tells(tmp_path: Path) -> None:
    result, _ = stacked(patchwork(3), tmp_path / "out.psd", Settings(align=Model.NONE, threads=2))
    assert result.report.plan["passes"][-1] == "layers"
    assert "layers" in result.report.seconds
