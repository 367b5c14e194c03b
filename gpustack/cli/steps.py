"""`--save-steps`: what a run saw on the way, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.errors import WriteError
from gpustack.io.metadata import Metadata
from gpustack.io.transforms import save_transforms
from gpustack.io.write import write_picture, write_plane
from gpustack.model.frame import Frame
from gpustack.model.stack import Stack
from gpustack.settings import Settings


def check_steps(folder: Path, overwrite: bool) -> None:
    """Refuse, before any work, a folder that holds something already. Raises WriteError."""
    try:
        taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise WriteError(
            f"The folder {folder} cannot be read ({error.strerror}).", "Choose another."
        ) from error
    if taken and not overwrite:
        raise WriteError(f"{folder} exists already.", "Choose a new folder, or allow it with --overwrite.")


class Steps:
    """Writes aligned frames as they come, and winners, depth and alignment at the end."""

    def __init__(self, folder: Path, overwrite: bool) -> None:
        self._folder, self._overwrite, self._seen = folder, overwrite, 0
        try:
            (folder / "aligned").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(
                f"The folder {folder} cannot be made ({error.strerror}).", "Choose another."
            ) from error

    def aligned(self, frame: Frame, pixels: npt.NDArray[Any]) -> None:
        """One aligned frame (h, w, c), as stored."""
        path = self._folder / "aligned" / f"{self._seen:04d}_{frame.path.stem}.tif"
        self._seen += 1
        write_picture(path, pixels, Metadata(), overwrite=self._overwrite, software="gpustack")

    def finish(self, result: Any, frames: Stack, settings: Settings) -> None:
        """The alignment, and the depth where it was made."""
        matches = [row.confidence for row in result.report.frames]
        reference = frames.reference(settings.reference)
        save_transforms(
            self._folder / "transforms.json",
            frames,
            reference,
            result.transforms,
            matches,
            overwrite=self._overwrite,
        )
        for name, plane in (
            ("winners", result.winners),
            ("depth", result.depth),
            ("confidence", result.confidence),
        ):
            if plane is not None:
                self._plane(name, np.asarray(plane, np.float32))

    def _plane(self, name: str, plane: npt.NDArray[np.float32]) -> None:
        write_plane(
            self._folder / f"{name}.tif",
            plane,
            top=float(max(1.0, plane.max())),
            overwrite=self._overwrite,
            software="gpustack",
            description=name,
        )
