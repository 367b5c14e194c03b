"""`--slab`: where the pictures of slabs go, beside the output."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from gpustack.model.slab import Slab, slabs_of
from gpustack.model.stack import Stack
from gpustack.settings import Settings

if TYPE_CHECKING:
    from gpustack.api import SlabPicture


class SlabFiles:
    """Files named after the output: sharp.tif has sharp_slab_001.tif and so on beside it."""

    def __init__(self, output: Path, overwrite: bool) -> None:
        self._output, self._overwrite = output, overwrite
        self.written: list[Path] = []

    def earlier(self) -> list[Path]:
        """Files of such names that exist: results of a run before, not frames."""
        name = re.compile(rf"{re.escape(self._output.stem)}_slab_\d+{re.escape(self._output.suffix)}")
        return [path for path in self._output.parent.glob("*_slab_*") if name.fullmatch(path.name)]

    def check(self, frames: Stack, settings: Settings) -> None:
        """Refuse before any work what could not be written. Raises UsageError, WriteError."""
        from gpustack.io.write import STACK_ENDINGS, check_output

        assert settings.slab is not None
        for slab in slabs_of(len(frames), *settings.slab):
            check_output(self._path(slab), self._overwrite, STACK_ENDINGS)

    def write(self, picture: SlabPicture) -> None:
        """One slab. A run that begins anew, as a GPU was full, may replace what it has written."""
        path = self._path(picture.slab)
        picture.save(path, overwrite=self._overwrite or path in self.written)
        if path not in self.written:
            self.written.append(path)

    def _path(self, slab: Slab) -> Path:
        return self._output.with_stem(f"{self._output.stem}_slab_{slab.number:03d}")
