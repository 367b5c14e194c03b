"""`gpustack compare`: figures, the closer picture, the difference, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from gpustack.io.colour import srgb_profile
from tests.cli.calling import HEIGHT, WIDTH, assert_refused, call, pixels, shots, write_tagged


@pytest.fixture
def trio(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A, B and the truth: B is off by 3 of 255 in its left half, A by 30 in its first 10 columns."""
    truth = shots(1)[0]
    a, b = truth.astype(int), truth.astype(int)
    a[:, :10] += np.where(a[:, :10] > 128, -30, 30)
    b[:, : WIDTH // 2] += np.where(b[:, : WIDTH // 2] > 128, -3, 3)
    paths = tmp_path / "a.tif", tmp_path / "b.png", tmp_path / "truth.tif"
    tifffile.imwrite(paths[0], a.astype(np.uint16) * 257, photometric="rgb")
    paths[1].write_bytes(imagecodecs.png_encode(b.astype(np.uint8)))
    tifffile.imwrite(paths[2], (truth / 255).astype(np.float32), photometric="rgb")
    return paths


def test_the_table(trio: tuple[Path, Path, Path]) -> None:
    a, b, truth = trio
    result = call("compare", a, b, "--truth", truth)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    rows = {line.split("  ")[0]: line.split()[-6:] for line in result.stdout.splitlines()}
    expected = 10 * np.log10(255**2 / (30**2 * 10 / WIDTH)), 10 * np.log10(255**2 / (9 / 2))
    assert rows["PSNR"][2:] == [f"{expected[0]:.2f}", "dB", f"{expected[1]:.2f}", "dB"]
    assert rows["pixels off by more than 16/255"][-3:] == [f"{10 / WIDTH:.3%}"] * 2 + ["0.000%"]
    assert rows["pixels compared"][-1] == f"{HEIGHT * WIDTH:,}"
    assert "closer to the truth: b.png" in result.stdout
    assert "depth" not in result.stdout


def test_one_json_object(trio: tuple[Path, Path, Path], tmp_path: Path) -> None:
    a, b, truth = trio
    depth = np.zeros((HEIGHT, WIDTH), np.float32)
    depth[:, WIDTH // 2 :] = 7
    tifffile.imwrite(tmp_path / "depth.tif", depth)
    given = ("--truth", truth, "--depth", tmp_path / "depth.tif", "--json")
    found = json.loads(call("compare", a, b, *given).stdout)
    assert set(found) == {
        *("a", "b", "truth", "depth", "difference", "gain"),
        *("a_b", "a_truth", "b_truth", "closer", "warnings"),
    }
    assert found["a"] == str(a)
    assert found["closer"] == "b"
    # Within 12 pixels of the step, A is the truth; B is off to the left of it.
    assert found["a_truth"]["near_psnr_db"] > 140
    assert found["b_truth"]["near_psnr_db"] == pytest.approx(10 * np.log10(255**2 / (9 * 12 / 25)), abs=0.2)
    alone = json.loads(call("compare", a, a, "--json").stdout)
    assert alone["a_b"]["psnr_db"] is None
    assert alone["a_b"]["ssim"] == pytest.approx(1)
    assert "a_truth" not in alone
    assert alone["closer"] is None


def test_equal_pictures(trio: tuple[Path, Path, Path]) -> None:
    a, _, truth = trio
    shown = call("compare", a, a, "--truth", truth).stdout
    assert shown.split("\n")[1].split()[:2] == ["PSNR", "equal"]
    assert "closer to the truth: neither" in shown


def test_the_difference(trio: tuple[Path, Path, Path], tmp_path: Path) -> None:
    a, b, _ = trio
    target = tmp_path / "off.png"
    result = call("compare", a, b, "--difference", target, "--gain", 2)
    assert result.exit_code == 0, result.stderr
    assert "off.png: a.tif less b.png, 2 times larger, gray is equal" in result.stdout
    shown = pixels(target)
    assert shown.dtype == np.uint8
    assert (shown[:, WIDTH // 2 :] == 128).all()
    assert set(np.unique(shown[:, 10 : WIDTH // 2])) == {128 - 6, 128 + 6}
    before = target.read_bytes()
    assert_refused(call("compare", a, b, "--difference", target), 1, "exists already", "--overwrite")
    assert target.read_bytes() == before
    assert call("compare", a, b, "--difference", target, "--overwrite").exit_code == 0
    assert target.read_bytes() != before
    assert_refused(call("compare", a, b, "--difference", tmp_path / "off.gif"), 2, "format")
    assert_refused(call("compare", a, b, "--gain", 0), 2, "gain")
    assert_refused(call("compare", a, b, "--gain", "nan"), 2, "gain")


def test_turned_by_exif(tmp_path: Path) -> None:
    frame = shots(1)[0]
    turned = write_tagged(tmp_path / "turned.png", np.rot90(frame).copy(), orientation=6)
    plain = write_tagged(tmp_path / "plain.png", frame)
    found = json.loads(call("compare", plain, turned, "--json").stdout)
    assert found["a_b"]["psnr_db"] is None


def test_gray_and_colours(tmp_path: Path) -> None:
    gray = shots(1)[0][..., 0]
    one, three = tmp_path / "gray.tif", tmp_path / "rgb.tif"
    tifffile.imwrite(one, gray)
    tifffile.imwrite(three, np.dstack([gray] * 3), photometric="rgb")
    found = json.loads(call("compare", one, three, "--json").stdout)
    assert found["a_b"]["psnr_db"] is None
    call("compare", one, three, "--difference", tmp_path / "d.png")
    assert (pixels(tmp_path / "d.png") == 128).all()


def test_only_opaque_pixels_count(tmp_path: Path) -> None:
    frame = shots(1)[0]
    alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    alpha[:10] = 254
    off = frame.copy()
    off[:10] = 0
    a, b, clear = tmp_path / "a.tif", tmp_path / "b.tif", tmp_path / "clear.tif"
    for path, picture, layer in ((a, frame, None), (b, off, alpha), (clear, frame, alpha * 0)):
        picture = picture if layer is None else np.dstack([picture, layer])
        extra = None if layer is None else ["unassalpha"]
        tifffile.imwrite(path, picture, photometric="rgb", extrasamples=extra)
    found = json.loads(call("compare", a, b, "--json").stdout)
    assert found["a_b"]["psnr_db"] is None
    assert found["a_b"]["pixels"] == (HEIGHT - 10) * WIDTH
    assert_refused(call("compare", a, clear), 3, "opaque", "alpha")


def test_different_profiles_are_a_warning(tmp_path: Path) -> None:
    frame = shots(1)[0]
    copied = bytearray(srgb_profile())
    copied[24:36] = bytes(12)  # the date of its making
    profiles = {"a": srgb_profile(), "same": bytes(copied), "none": None}
    for name, profile in profiles.items():
        write_tagged(tmp_path / f"{name}.png", frame, icc=profile)
    assert call("compare", tmp_path / "a.png", tmp_path / "same.png").stderr == ""
    result = call("compare", tmp_path / "a.png", tmp_path / "none.png", "--json")
    assert result.exit_code == 0
    sentence = "a.png and none.png have different colour profiles, so equal values are other colours."
    assert result.stderr == f"warning: {sentence}\n"
    assert json.loads(result.stdout)["warnings"] == [sentence]


def test_what_is_refused(trio: tuple[Path, Path, Path], tmp_path: Path) -> None:
    a, b, truth = trio
    cut, pages, broken, absent = (tmp_path / name for name in ("cut.tif", "pages.tif", "nan.tif", "no.tif"))
    tifffile.imwrite(cut, pixels(truth)[1:], photometric="rgb")
    tifffile.imwrite(pages, np.zeros((2, HEIGHT, WIDTH), np.uint8), photometric="minisblack")
    tifffile.imwrite(broken, np.full((HEIGHT, WIDTH), np.nan, np.float32))
    assert_refused(call("compare", a, cut), 3, "a.tif has 144x96 pixels and cut.tif 144x95", "--crop none")
    assert_refused(call("compare", a, b, "--truth", cut), 3, "144x95")
    assert_refused(call("compare", a, b, "--depth", cut), 3, "cut.tif has 3 channels and is no depth map")
    assert_refused(call("compare", a, pages), 3, "pages.tif holds 2 pictures")
    assert_refused(call("compare", a, broken), 3, "not numbers")
    assert_refused(call("compare", a, absent), 3, "no.tif")
    (tmp_path / "text.png").write_text("no picture")
    assert_refused(call("compare", a, tmp_path / "text.png"), 3, "text.png")
