"""`--save-steps`: what a run saw on the way, as files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.errors import WriteError
from gpustack.io.metadata import read_metadata
from gpustack.io.transforms import save_transforms
from gpustack.io.write import oriented, write_picture, write_plane
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


class AlignedFrames:
    """Writes aligned frames into a folder as they come, upright, with their own EXIF, and their own profile
    unless they were converted to that of `like`."""

    def __init__(self, folder: Path, orientation: int, overwrite: bool, like: Frame | None = None) -> None:
        self._folder, self._orientation, self._overwrite, self._seen = folder, orientation, overwrite, 0
        self._like = like
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(
                f"The folder {folder} cannot be made ({error.strerror}).", "Choose another."
            ) from error

    def write(self, frame: Frame, pixels: npt.NDArray[Any]) -> None:
        """One aligned frame (h, w, c), as stored."""
        path = self._folder / f"{self._seen:04d}_{frame.path.stem}.tif"
        self._seen += 1
        upright = np.ascontiguousarray(oriented(pixels, self._orientation))
        metadata = read_metadata(frame)
        if self._like is not None:
            metadata = replace(metadata, icc=read_metadata(self._like).icc)
        write_picture(path, upright, metadata, overwrite=self._overwrite, software="gpustack")


class Steps:
    """Writes aligned frames as they come, and winners, depth and alignment at the end."""

    def __init__(self, folder: Path, orientation: int, overwrite: bool, like: Frame | None = None) -> None:
        self._folder, self._overwrite = folder, overwrite
        self.aligned = AlignedFrames(folder / "aligned", orientation, overwrite, like).write

    def finish(self, result: Any, frames: Stack, settings: Settings) -> None:
        """The alignment, and the depth where it was made."""
        reference = frames.reference(settings.reference)
        path = self._folder / "transforms.json"
        save_transforms(path, frames, reference, result.places, overwrite=self._overwrite)
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
