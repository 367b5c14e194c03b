"""Planes of depth and confidence on disk, and names that are refused before any work."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from gpustack.errors import UsageError, WriteError
from gpustack.io.metadata import Metadata
from gpustack.io.write import check_output, write_picture, write_plane


@pytest.mark.parametrize("ending", [".tif", ".png"])
@pytest.mark.parametrize("top", [1.0, 41.0])
def test_planes(ending: str, top: float, tmp_path: Path) -> None:
    plane = np.random.default_rng(1).random((300, 20), np.float32) * np.float32(top)
    plane[0, :3] = 0, top, top / 2
    write_plane(
        tmp_path / f"d{ending}", plane, top=top, overwrite=False, software="gpustack 1", description="depth"
    )
    back = cv2.imread(os.fspath(tmp_path / f"d{ending}"), cv2.IMREAD_UNCHANGED)
    assert back is not None
    expected = plane if ending == ".tif" else np.rint(plane.astype(np.float64) * 65535 / top)
    np.testing.assert_array_equal(back, expected)
    assert back.dtype == (np.float32 if ending == ".tif" else np.uint16)
    with Image.open(tmp_path / f"d{ending}") as image:
        assert image.getexif()[270] == "depth"


def test_the_depth_of_one_frame_is_black_and_values_beyond_the_top_are_cut(tmp_path: Path) -> None:
    plane = np.array([[-1, 0.5, 2]], np.float32)
    for name, top, expected in (("a.png", 0.0, [0, 0, 0]), ("b.png", 1.0, [0, 32768, 65535])):
        write_plane(tmp_path / name, plane, top=top, overwrite=False, software="x", description="")
        assert cv2.imread(os.fspath(tmp_path / name), cv2.IMREAD_UNCHANGED).tolist() == [expected]


def test_outputs_are_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old.tif").write_bytes(b"old")
    (tmp_path / "folder.tif").mkdir()
    cases: list[tuple[str, type[Exception], str]] = [
        ("a.webp", UsageError, r"not known\. End the name in \.jpg, \.jpeg, \.png, \.tif"),
        ("a", UsageError, "The format of a is not known"),
        ("none/a.tif", WriteError, r"The folder .*none does not exist\. Create it"),
        ("old.tif/a.tif", WriteError, r"old\.tif is not a folder"),
        ("folder.tif", WriteError, r"folder\.tif is not a file"),
        ("old.tif", WriteError, r"old\.tif exists already\. Add --overwrite"),
        ("a" * 300 + ".tif", WriteError, "cannot be written"),
    ]
    for name, error, sentence in cases:
        with pytest.raises(error, match=sentence):
            check_output(tmp_path / name, overwrite=False)
        with pytest.raises(error, match=sentence):
            write_picture(
                tmp_path / name, np.zeros((2, 2, 3), np.uint8), Metadata(), overwrite=False, software=""
            )
    for name, overwrite in (("old.tif", True), ("new.TIFF", False)):
        check_output(tmp_path / name, overwrite=overwrite)
    with pytest.raises(UsageError, match=r"End the name in \.tif, \.tiff or \.png\."):
        write_plane(
            tmp_path / "d.jpg",
            np.zeros((2, 2), np.float32),
            top=1,
            overwrite=False,
            software="",
            description="",
        )
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(WriteError, match="Files may not be written in"):
        check_output(tmp_path / "new.tif", overwrite=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.tif", "old.tif"]
