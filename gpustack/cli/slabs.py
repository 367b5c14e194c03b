"""`--slab`: where the pictures of slabs go, beside the output."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from gpustack.model.slab import Slab, slabs_of
from gpustack.model.stack import Stack
from gpustack.settings import Settings

if TYPE_CHECKING:
    from gpustack.cli.resuming import Files
    from gpustack.records.provenance import Digest
    from gpustack.result import SlabPicture


class SlabFiles:
    """Files named after the output: sharp.tif has sharp_slab_001.tif and so on beside it."""

    def __init__(self, output: Path, files: Files) -> None:
        self._output, self._files = output, files
        self._written: set[Path] = set()
        self._digests: dict[Path, Digest] = {}

    @property
    def digests(self) -> list[tuple[Path, Digest]]:
        """The files that this run has written, and what identifies their pixels."""
        return list(self._digests.items())

    def earlier(self) -> list[Path]:
        """Files of such names that exist: results of a run before, not frames."""
        name = re.compile(rf"{re.escape(self._output.stem)}_slab_\d+{re.escape(self._output.suffix)}")
        return [path for path in self._output.parent.glob("*_slab_*") if name.fullmatch(path.name)]

    def check(self, frames: Stack, settings: Settings) -> list[Path]:
        """The files that will be written; refuse before any work what could not be. Raises UsageError,
        WriteError."""
        from gpustack.io.write import STACK_ENDINGS, check_output

        assert settings.slab is not None
        paths = [self.path(slab) for slab in slabs_of(len(frames), *settings.slab)]
        for path in paths:
            check_output(path, self._files.may_exist(path), STACK_ENDINGS)
        return paths

    def write(self, picture: SlabPicture) -> None:
        """One slab. A run that begins anew, as a GPU was full, may replace what it has written."""
        from gpustack.records.provenance import Digest

        path = self.path(picture.slab)
        ours = path in self._written
        self._files.write(path, lambda path, over: picture.save(path, overwrite=over), ours=ours)
        self._written.add(path)
        self._digests[path] = Digest.of(picture.image)

    def exists(self, slab: Slab) -> bool:
        """Whether the picture of a slab is there."""
        return self.path(slab).exists()

    def path(self, slab: Slab) -> Path:
        """The file of a slab."""
        return self._output.with_stem(f"{self._output.stem}_slab_{slab.number:03d}")
