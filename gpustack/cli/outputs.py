"""Where the results of a stack go, and what is refused before any work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpustack.cli.given import settings_of
from gpustack.cli.resuming import Files
from gpustack.errors import UsageError
from gpustack.model.frame import Kind, PixelType
from gpustack.model.stack import Stack
from gpustack.settings import Settings

if TYPE_CHECKING:
    from gpustack.layering import LayerFile


@dataclass(slots=True)
class Outputs:
    """Where results go."""

    picture: Path
    depth: Path | None
    confidence: Path | None
    layers: Path | None
    transforms: Path | None
    report: Path | None
    steps: Path | None
    sidecar: Path | None
    overwrite: bool

    @classmethod
    def named(cls, given: Mapping[str, Any], *, sidecar: bool) -> Outputs:
        """Those among a command's arguments."""
        from gpustack.io.sidecar import sidecar_of

        return cls(
            given["output"],
            given["depth"],
            given["confidence"],
            given["layers"],
            given["save_transforms"],
            given["report"],
            given["save_steps"],
            sidecar_of(given["output"]) if sidecar else None,
            given["overwrite"],
        )

    def settings(self, given: Mapping[str, Any]) -> Settings:
        """The settings among a command's arguments, and what these results ask for."""
        maps = any(path is not None for path in (self.depth, self.confidence, self.report))
        linear = self.picture.suffix.lower() == ".dng"
        return settings_of({**given, "layers": self.layers is not None}, depth=maps, linear=linear)

    @property
    def by_option(self) -> dict[str, Path]:
        """Every file that will be written but the sidecar and the steps, by the option that names it."""
        named = {
            "output": self.picture,
            "depth": self.depth,
            "confidence": self.confidence,
            "layers": self.layers,
            "save-transforms": self.transforms,
            "report": self.report,
        }
        return {option: path for option, path in named.items() if path is not None}

    @property
    def files(self) -> list[Path]:
        """These files."""
        return list(self.by_option.values())

    @property
    def noted(self) -> list[Path]:
        """These files, and the sidecar."""
        return self.files if self.sidecar is None else [*self.files, self.sidecar]

    @property
    def possible(self) -> list[Path]:
        """Other names that files may get."""
        large = self.layers is not None and self.layers.suffix.lower() == ".psd"
        return [self.layers.with_suffix(".psb")] if large and self.layers is not None else []

    def check(self, files: Files) -> None:
        """Refuse before any work names that are taken."""
        from gpustack.io.atomic import existing

        for path in self.noted:
            may_exist = files.is_own if path in (self.sidecar, self.report) else files.may_exist
            if path.exists() and not may_exist(path):
                raise existing(path)

    def check_places(self, *, resume: bool = False) -> None:
        """Refuse before any work what could not be written after it, whatever is there already."""
        from gpustack.cli.steps import check_steps
        from gpustack.io.layers import LAYER_ENDINGS
        from gpustack.io.write import PLANE_ENDINGS, STACK_ENDINGS, check_output

        check_output(self.picture, True, STACK_ENDINGS)
        if self.sidecar is not None:
            check_output(self.sidecar, True, (".json",))
        for plane in filter(None, (self.depth, self.confidence)):
            check_output(plane, True, PLANE_ENDINGS)
        if self.layers is not None:
            check_output(self.layers, True, LAYER_ENDINGS)
        if self.transforms is not None:
            check_output(self.transforms, True, (".json",))
        if self.report is not None:
            from gpustack.reporting.writing import REPORT_ENDINGS

            check_output(self.report, True, REPORT_ENDINGS)
        if len({path.resolve() for path in self.files}) < len(self.files):
            raise UsageError("Two outputs have the same name.", "Give each its own.")
        if self.steps is not None and resume:
            raise UsageError("--save-steps does not go with --resume.", "Leave one of them out.")
        if self.steps is not None:
            check_steps(self.steps, self.overwrite)

    def check_fit(self, frames: Stack, settings: Settings, files: Files) -> None:
        """Refuse before any work what does not go with the frames' kind of pixels: options, a format."""
        from gpustack.io.icc import fitting_profile
        from gpustack.io.jxl_writing import coding_for
        from gpustack.io.metadata import read_metadata
        from gpustack.io.write import FLOAT_ENDINGS, refuse_coded

        frames.refuse_raw_options(settings)
        reference = frames.frames[frames.reference(settings.reference)]
        if self.picture.suffix.lower() == ".exr":
            refuse_coded(self.picture, frames.pixel_type, read_metadata(reference).icc)
        if self.picture.suffix.lower() == ".jxl" and frames.kind is not Kind.RAW:
            icc = fitting_profile(read_metadata(reference).icc, frames.channels)
            coding_for(self.picture, icc, gray=frames.channels < 3)
        if frames.pixel_type is PixelType.FLOAT32 and self.picture.suffix.lower() not in FLOAT_ENDINGS:
            raise UsageError(f"{self.picture.name} cannot hold floating point pixels.", "Write to .tif.")
        layers = self.layer_file(files)
        if layers is not None:
            layers.check(frames)

    def layer_file(self, files: Files, threads: int | None = None) -> LayerFile | None:
        """What the layers go into, if they are wanted."""
        from gpustack.layering import LayerFile

        if self.layers is None:
            return None
        given = files.aside(self.layers, *self.possible)
        return LayerFile(given, files.overwrite or given != self.layers, threads)

    def settle_layers(self, layers: LayerFile, files: Files) -> None:
        """Take the layers' file for the output, under the name that it has got."""
        assert self.layers is not None
        assert layers.written is not None
        final = self.layers.with_suffix(layers.written.suffix)
        if layers.path != self.layers:
            files.settle(layers.written, final)
        self.layers = final
