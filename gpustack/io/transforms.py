"""Alignment as data: transforms in a JSON file, written by one run and applied by another.

    {"reference": 3, "width": 4000, "height": 3000,
     "frames": [{"file": "a.jpg", "matrix": [[...], [...], [...]], "gain": 1.0, "used": true, "confidence":
     0.97}, ...]}

`matrix` maps pixels of the reference to pixels of the frame (x, y, 1; centres at whole numbers), as stored,
before any EXIF rotation; `gain` is what the frame's values are multiplied by.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpustack.errors import InputError
from gpustack.io.atomic import replacing
from gpustack.model.stack import Stack
from gpustack.model.transform import Transform

LARGEST_FILE = 64 << 20
"""Bytes of a transforms file that are read; 1,000 frames take a third of a megabyte."""


def save_transforms(
    path: Path,
    stack: Stack,
    reference: int,
    transforms: Sequence[Transform],
    confidence: Sequence[float],
    *,
    overwrite: bool,
) -> None:
    """Write the transforms of a stack. Raises WriteError."""
    rows = [
        {"file": frame.name, "matrix": t.matrix.tolist(), "gain": t.gain, "used": True, "confidence": match}
        for frame, t, match in zip(stack, transforms, confidence, strict=True)
    ]
    content = {"reference": reference, "width": stack.width, "height": stack.height, "frames": rows}
    with replacing(path, overwrite=overwrite) as file:
        file.write(json.dumps(content, indent=1).encode())


def load_transforms(path: Path, stack: Stack) -> list[Transform]:
    """Read transforms for a stack: as many as it has frames, for frames of its size. Raises InputError."""
    content = _read(path)
    try:
        size = int(content["width"]), int(content["height"])
        found = [_transform(row) for row in content["frames"]]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"{path.name} does not hold transforms ({error}).", "Write one with --save-transforms."
        ) from error
    if len(found) != len(stack):
        raise InputError(
            f"{path.name} holds transforms of {len(found)} frames, and the stack has {len(stack)}.",
            "Give the same number of frames in the same order.",
        )
    if size != (stack.width, stack.height):
        raise InputError(
            f"{path.name} is for frames of {size[0]}x{size[1]} pixels, and these have "
            f"{stack.width}x{stack.height}.",
            "Give frames of the size that was aligned.",
        )
    return found


def _read(path: Path) -> Any:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise InputError(
                f"{path.name} is too large for a transforms file.", "Write one with --save-transforms."
            )
        return json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(
            f"{path.name} cannot be read ({error.strerror}).", "Look whether it is there."
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path.name} is no JSON file.", "Write one with --save-transforms.") from error


def _transform(row: Any) -> Transform:
    matrix = np.array(row["matrix"], np.float64)
    gain = float(row["gain"])
    usable = matrix.shape == (3, 3) and np.isfinite(matrix).all() and abs(np.linalg.det(matrix)) > 1e-9
    if not usable or not 0.01 < gain < 100:
        raise ValueError(f"the matrix or gain of {row['file']} is out of range")
    return Transform(matrix, gain)
