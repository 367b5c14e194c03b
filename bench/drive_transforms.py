"""Ask a peer for its alignment: `drive_transforms.py focusweave|ecc|openfocus FOLDER OUT.json`.

Runs in the peer's own environment and drives its Python API with its defaults; neither has an option that
writes transforms. Writes one 3x3 matrix a frame, frame pixels to reference pixels.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

Matrices = list[list[list[float]]]


def focusweave(folder: Path) -> Matrices:
    """FocusWeave's warps, to the middle frame as on its command line."""
    from focusweave import align_images, load_images

    paths, size = load_images(folder)
    warps = align_images(paths, size, reference_idx=len(paths) // 2)
    return [[*warp.tolist(), [0.0, 0.0, 1.0]] for warp in warps]


def openfocus(folder: Path, method: str) -> Matrices:
    """OpenFocus's matrices, which it hands to the function that looks for the area all frames cover."""
    import numpy as np
    from core import cli, registration
    from utils.image_utils import normalize_fuse_input

    seen: list[Any] = []
    found = registration._compute_valid_region_from_transforms

    def noted(matrices: Any, *others: Any) -> Any:
        seen[:] = [np.eye(3) if matrix is None else np.asarray(matrix) for matrix in matrices]
        return found(matrices, *others)

    registration._compute_valid_region_from_transforms = noted
    images = cli._load_images([str(path) for path in sorted(folder.iterdir())])
    images, _ = normalize_fuse_input(images)
    registration.ImageRegistration(method=method, brightness_reference="last").process(images)
    # Its own method keeps the matrices the other way round.
    return [(np.linalg.inv(each) if method == "openfocus" else each).tolist() for each in seen]


if __name__ == "__main__":
    peer, source, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    matrices = focusweave(source) if peer == "focusweave" else openfocus(source, peer)
    target.write_text(json.dumps(matrices))
