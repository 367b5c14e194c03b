"""Alignment as data: transforms in a JSON file, written by one run and applied by another.

    {"reference": 3, "width": 4000, "height": 3000,
     "frames": [{"file": "a.jpg", "width": 4000, "height": 3000, "matrix": [[...], [...], [...]],
                 "gain": 1.0, "offset": 0.0, "used": true, "in_series": true, "confidence": 0.97,
                 "residual_px": 0.02,
                 "links": [{"to": 1, "confidence": 0.98, "used": true, "residual_px": 0.01, "loop_px": null},
                           ...]}, ...]}

`matrix` maps pixels of the reference to pixels of the frame (x, y, 1; centres at whole numbers), as stored,
before any EXIF rotation; the outer size is the reference's, and that of frames whose rows have none; the
frame's values are multiplied by `gain`, and `offset` is added, where white is 1: numbers, or lists of three
for red, green and blue; frames that are not `used` take no part, and where they are not `in_series`, those
beside them count as neighbours. `links` say how the frame was matched with frames before it, by their
indices; they are not read again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gpustack.errors import InputError
from gpustack.io.atomic import replacing
from gpustack.model.place import Place
from gpustack.model.stack import Stack
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform

LARGEST_FILE = 64 << 20
"""Bytes of a transforms file that are read; 1,000 frames take less than a megabyte."""


def described(stack: Stack, reference: int, places: Sequence[Place]) -> dict[str, Any]:
    """The content of a transforms file, as plain values."""
    rows = [
        {
            "file": frame.name,
            "width": frame.width,
            "height": frame.height,
            "matrix": place.transform.matrix.tolist(),
            **place.transform.tone.as_dict(),
            "used": place.used,
            "in_series": place.in_series,
            "confidence": place.confidence,
            "residual_px": place.residual_px,
            "links": [asdict(link) for link in place.links],
        }
        for frame, place in zip(stack, places, strict=True)
    ]
    width, height = stack.frames[reference].size
    return {"reference": reference, "width": width, "height": height, "frames": rows}


def save_transforms(
    path: Path, stack: Stack, reference: int, places: Sequence[Place], *, overwrite: bool
) -> None:
    """Write where the frames of a stack lie. Raises WriteError."""
    with replacing(path, overwrite=overwrite) as file:
        file.write(json.dumps(described(stack, reference, places), indent=1).encode())


def load_transforms(path: Path, stack: Stack) -> list[Place]:
    """Read transforms for a stack: as many as it has frames, for frames of their sizes. Raises InputError."""
    content = _read(path)
    try:
        size = int(content["width"]), int(content["height"])
        found = [place_of(row) for row in content["frames"]]
        sizes = [
            (int(row.get("width", size[0])), int(row.get("height", size[1]))) for row in content["frames"]
        ]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"{path.name} does not hold transforms ({error}).", "Write one with --save-transforms."
        ) from error
    if len(found) != len(stack):
        raise InputError(
            f"{path.name} holds transforms of {len(found)} frames, and the stack has {len(stack)}.",
            "Give the same number of frames in the same order.",
        )
    for frame, wanted in zip(stack, sizes, strict=True):
        if frame.size != wanted:
            raise InputError(
                f"{path.name} is for frames of {wanted[0]}x{wanted[1]} pixels, and {frame.name} has "
                f"{frame.width}x{frame.height}.",
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


def place_of(row: Any) -> Place:
    """One row; offset, use, confidence and residual may be missing, as they are not needed to apply it.

    Raises KeyError, TypeError or ValueError for what is none.
    """
    matrix = np.array(row["matrix"], np.float64)
    tone, used = Tone.of(row["gain"], row.get("offset", 0.0)), row.get("used", True)
    usable = matrix.shape == (3, 3) and np.isfinite(matrix).all() and abs(np.linalg.det(matrix)) > 1e-9
    fair = all(0.01 < gain < 100 for gain in tone.gain) and all(abs(more) < 1 for more in tone.offset)
    in_series = row.get("in_series", True)
    if not usable or not fair or not isinstance(used, bool) or not isinstance(in_series, bool):
        raise ValueError(f"the matrix, gain, offset or use of {row['file']} is out of range")
    return Place(
        Transform(matrix, tone),
        used,
        float(row.get("confidence", 1.0)),
        float(row.get("residual_px", 0.0)),
        in_series=in_series or used,
    )
