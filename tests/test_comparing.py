"""`gpustack.compare` with arrays and files."""

from __future__ import annotations

from math import inf
from pathlib import Path

import numpy as np
import pytest
import tifffile

import gpustack
from gpustack.errors import InputError, UsageError
from gpustack.metrics import compare, depth_edges

RNG = np.random.default_rng(2)
A, B, TRUTH = (RNG.integers(0, 256, (30, 40, 3)).astype(np.uint8) for _ in range(3))


def test_arrays_and_files_give_the_same(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "b.tif", B, photometric="rgb")
    found = gpustack.compare(A, B, TRUTH)
    mixed = gpustack.compare(A, tmp_path / "b.tif", TRUTH)
    assert found.likeness == mixed.likeness == compare(A, B)
    assert found.to_truth == mixed.to_truth == (compare(A, TRUTH), compare(B, TRUTH))
    assert found.warnings == ()


def test_the_closer_one() -> None:
    nearly = TRUTH.copy()
    nearly[0, 0] ^= 1
    assert gpustack.compare(A, nearly, TRUTH).closer == 1
    assert gpustack.compare(nearly, A, TRUTH).closer == 0
    assert gpustack.compare(TRUTH, nearly, TRUTH).closer == 0
    assert gpustack.compare(A, A, TRUTH).closer is None
    assert gpustack.compare(A, B).closer is None


@pytest.mark.parametrize("scale", [1.0, 0.001, 4000.0])
def test_depth_in_any_unit(scale: float) -> None:
    depth = np.zeros((30, 40), np.float32)
    depth[:, 20:] = 5
    found = gpustack.compare(A, B, depth=depth * np.float32(scale))
    assert found.likeness == compare(A, B, depth_edges(depth))
    assert found.likeness.near_psnr is not None
    even = gpustack.compare(A, B, depth=np.full_like(depth, scale)).likeness
    assert (even.near_psnr, even.away_psnr) == (None, even.psnr)


def test_gray_arrays_need_no_third_axis() -> None:
    assert gpustack.compare(A[..., 0], A[..., :1]).likeness.psnr == inf
    assert gpustack.compare(A[..., 0], np.dstack([A[..., 0]] * 3)).difference().shape == (30, 40, 3)


def test_the_difference_is_saved(tmp_path: Path) -> None:
    found = gpustack.compare(A, B)
    found.save_difference(tmp_path / "d.tif", 2.0)
    assert np.array_equal(tifffile.imread(tmp_path / "d.tif"), found.difference(2.0))


def test_arrays_of_other_kinds() -> None:
    for wrong in (A.astype(np.int32), np.zeros((3, 4, 5), np.uint8), np.zeros(7, np.uint8), A[:0]):
        with pytest.raises(UsageError, match="B has shape"):
            gpustack.compare(A, wrong)
    with pytest.raises(InputError, match="not numbers"):
        gpustack.compare(A, np.full(A.shape, np.inf, np.float32))
    with pytest.raises(InputError, match="the depth 4x4"):
        gpustack.compare(A, B, depth=np.zeros((4, 4), np.float32))
