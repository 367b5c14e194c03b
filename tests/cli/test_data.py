"""The command line on real stacks, on stacks with a known answer, and on files that are out to break it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from gpustack.errors import GpustackError
from gpustack.io.colour import srgb_profile
from gpustack.io.decode import probe
from gpustack.io.metadata import read_metadata
from gpustack.metrics import psnr
from gpustack.model.frame import Frame, Kind, PixelType
from tests.cli.calling import Pixels, assert_refused, call, pixels, write_tiffs
from tests.patience import processor_seconds

DATA = Path(os.environ.get("GPUSTACK_DATA", "nowhere"))
pytestmark = pytest.mark.skipif(
    "GPUSTACK_DATA" not in os.environ, reason="the data folder is not named by GPUSTACK_DATA"
)
HOSTILE = sorted(path.name for path in (DATA / "hostile").glob("*"))


def sharpness(picture: Pixels) -> float:
    """Mean squared Laplacian of the gray picture."""
    gray = picture.astype(np.float32).mean(axis=2)
    return float((cv2.Laplacian(gray, cv2.CV_32F) ** 2).mean())


def done(*arguments: object) -> dict[str, object]:
    result = call("stack", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.slow
def test_pcb_is_aligned_and_sharper_than_any_frame(tmp_path: Path) -> None:
    out, steps = tmp_path / "pcb.tif", tmp_path / "steps"
    report = done(f"{DATA}/stacks/pcb/pcb_*.jpg", "-o", out, "--save-steps", steps)
    fused = pixels(out)
    # The frames breathe by 3.6 % and shift by 17 pixels, so some border is lost, but not more than that.
    height, width, _ = fused.shape
    assert 0.95 * 2048 < width < 2048
    assert 0.95 * 1536 < height < 1536
    assert report["warnings"] == []
    aligned = sorted((steps / "aligned").iterdir())
    assert len(aligned) == 7
    assert sharpness(fused) > 2 * max(sharpness(pixels(path)) for path in aligned)
    scales = [np.sqrt(np.linalg.det(np.array(row["matrix"])[:2, :2])) for row in report["frames"]]
    assert 0.02 < max(scales) - min(scales) < 0.06


@pytest.mark.slow
def test_twenty_megapixels_by_average(tmp_path: Path) -> None:
    out = tmp_path / "algae.jpg"
    report = done(DATA / "stacks/algae_20MP", "-o", out, "--align", "none", "--method", "average")
    fused = pixels(out)
    assert fused.shape == (3648, 5440, 3)
    singles = [pixels(path) for path in sorted((DATA / "stacks/algae_20MP").glob("img_*"))]
    assert sharpness(fused) > 3 * max(map(sharpness, singles))
    assert fused.mean() == pytest.approx(np.mean(singles), abs=2)
    assert sum(row["share"] for row in report["frames"]) == pytest.approx(1.0)


def test_cotton_comes_close_to_its_truth(tmp_path: Path) -> None:
    out = tmp_path / "cotton.png"
    folder = DATA / "ground_truth/cotton"
    done(folder / "frames", "-o", out, "--align", "none", "--method", "average")
    (truth,) = folder.rglob("input_Cam040.png")
    assert psnr(pixels(out) / 255, pixels(truth) / 255) >= 49.0


def test_the_depth_of_a_receding_keyboard_grows_from_top_to_bottom(tmp_path: Path) -> None:
    depth = tmp_path / "depth.tif"
    arguments = ["-o", tmp_path / "k.jpg", "--align", "none", "--depth", depth]
    done(DATA / "stacks/keyboard_aligned", *arguments)
    bands = [float(np.median(band)) for band in np.array_split(pixels(depth), 9)]
    assert bands == sorted(bands)
    assert bands[0] < 8
    assert bands[-1] > 28


def test_a_raw_stack_looks_like_the_stack_of_the_pictures_it_was_made_from(tmp_path: Path) -> None:
    raw, made = tmp_path / "raw.tif", tmp_path / "made.tif"
    done(DATA / "raw/synthetic_dng_stack_bayer", "-o", raw, "--align", "none")
    sources = [pixels(path)[480:1248, 912:1936] for path in sorted((DATA / "stacks/mineral").glob("*.jpg"))]
    done(*write_tiffs(tmp_path, sources), "-o", made, "--align", "none")
    developed = pixels(raw)
    assert developed.dtype == np.uint16
    assert read_metadata(probe(raw)[0]).icc == srgb_profile()
    assert psnr(developed / 65535, pixels(made) / 255) > 30


def companions(folder: Path, hostile: Path) -> list[Path]:
    """Two sound frames, of the hostile file's size, channels and sample type where its header tells them."""
    try:
        frame = probe(hostile)[0]
    except GpustackError:
        frame = Frame(hostile, 64, 64, 3, PixelType.UINT8, Kind.TIFF)
    values = np.random.default_rng(2).random((frame.height, frame.width, frame.channels))
    sound = (values * frame.pixel_type.white).astype(frame.pixel_type.value)
    pictures = [sound[..., 0] if frame.channels == 1 else sound] * 2
    return write_tiffs(folder, pictures, "sound{}.tif")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_among_sound_ones_works_or_is_named(tmp_path: Path, name: str) -> None:
    hostile, out = DATA / "hostile" / name, tmp_path / "out.tif"
    frames = [*companions(tmp_path, hostile), hostile]
    with processor_seconds(10):
        result = call("stack", *frames, "-o", out)
    if result.exit_code == 0:
        assert pixels(out).size
        assert "Traceback" not in result.stderr
    else:
        assert_refused(result, 3)
        assert not out.exists()


def test_the_hostile_files_are_there() -> None:
    assert len(HOSTILE) > 50
