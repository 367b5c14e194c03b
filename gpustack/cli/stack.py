"""`gpustack stack`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpustack.cli import options
from gpustack.cli.ending import ending
from gpustack.cli.options import DEFAULT
from gpustack.cli.plan import show_plan
from gpustack.cli.resuming import Files, resuming
from gpustack.cli.slabs import SlabFiles
from gpustack.cli.storing import shown, stored
from gpustack.errors import UsageError
from gpustack.model.frame import PixelType
from gpustack.model.stack import Stack
from gpustack.settings import Settings

if TYPE_CHECKING:
    from gpustack.cli.steps import Steps
    from gpustack.engine.checkpoint import Checkpoint
    from gpustack.engine.known import Known
    from gpustack.engine.report import LayersReport
    from gpustack.layering import LayerFile


@ending
@stored
def stack(
    inputs: options.Inputs,
    output: options.PictureOption,
    every: options.EveryOption = 1,
    method: options.MethodOption = DEFAULT.method,
    radius: options.RadiusOption = DEFAULT.radius,
    smoothing: options.SmoothingOption = DEFAULT.smoothing,
    prefer: options.PreferOption = DEFAULT.prefer,
    slab: options.SlabOption = None,
    align: options.AlignOption = DEFAULT.align,
    reference: options.ReferenceOption = DEFAULT.reference,
    crop: options.CropOption = DEFAULT.crop,
    interpolation: options.InterpolationOption = DEFAULT.interpolation,
    brightness: options.BrightnessOption = DEFAULT.brightness,
    flat: options.FlatOption = None,
    wb: options.WhiteBalanceOption = options.DEFAULT_BALANCE,
    exposure: options.ExposureOption = DEFAULT.exposure,
    convert_profile: options.ConvertProfileOption = False,
    demosaic: options.DemosaicOption = DEFAULT.demosaic,
    raw_developer: options.DeveloperOption = None,
    on_bad_frame: options.BadFrameOption = DEFAULT.on_bad_frame,
    deghost: options.DeghostOption = DEFAULT.deghost,
    depth: options.DepthOption = None,
    confidence: options.ConfidenceOption = None,
    layers: options.LayersOption = None,
    transforms: Annotated[Path | None, typer.Option(help="Use this alignment; none is estimated.")] = None,
    save_transforms: options.SaveTransformsOption = None,
    save_steps: options.SaveStepsOption = None,
    backend: options.BackendOption = DEFAULT.backend,
    decoder: options.DecoderOption = DEFAULT.decoder,
    scratch: options.ScratchOption = None,
    ram: options.RamOption = None,
    vram: options.VramOption = None,
    devices: options.DevicesOption = options.DEFAULT_DEVICES,
    threads: options.ThreadsOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    json_: options.JsonOption = False,
    quiet: options.QuietOption = False,
    strip_gps: options.StripGpsOption = False,
    resume: options.ResumeOption = False,
    no_sidecar: options.NoSidecarOption = False,
    overwrite: options.OverwriteOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Align frames and fuse them into one picture that is sharp everywhere."""
    del debug, scratch
    wanted = depth is not None or confidence is not None
    settings = options.settings_of(
        locals() | {"layers": layers is not None}, depth=wanted, linear=output.suffix.lower() == ".dng"
    )
    outputs = Outputs(
        output, depth, confidence, layers, save_transforms, save_steps, overwrite, sidecar=not no_sidecar
    )
    outputs.check_places(resume=resume)
    with resuming(output, resume=resume and not dry_run, overwrite=overwrite, quiet=quiet) as checkpoint:
        files = Files(overwrite, checkpoint)
        outputs.check(files)
        slabs = None if settings.slab is None else SlabFiles(output, files)
        earlier = [] if slabs is None else slabs.earlier()
        frames = options.find(
            inputs,
            outputs=outputs.files + earlier,
            flat=flat,
            developer=raw_developer,
            every=every,
            quiet=quiet,
        )
        outputs.check_fit(frames, settings, files)
        made = [] if slabs is None else slabs.check(frames, settings)
        if dry_run:
            show_plan(frames, settings, as_json=json_, checkpoints=resume)
            return
        if checkpoint is not None:
            checkpoint.expect(outputs.noted + made)
        work = Work(frames, settings, outputs, slabs, files, transforms, checkpoint)
        carry_out(work, json_=json_, quiet=quiet)


class Outputs:
    """Where results go."""

    def __init__(
        self,
        picture: Path,
        depth: Path | None,
        confidence: Path | None,
        layers: Path | None,
        transforms: Path | None,
        steps: Path | None,
        overwrite: bool,
        *,
        sidecar: bool,
    ) -> None:
        from gpustack.io.sidecar import sidecar_of

        self.sidecar = sidecar_of(picture) if sidecar else None
        self.picture, self.depth, self.confidence, self.layers = picture, depth, confidence, layers
        self.transforms, self.steps, self.overwrite = transforms, steps, overwrite

    @property
    def files(self) -> list[Path]:
        """Every file that will be written, the sidecar and the steps excepted."""
        named = (self.picture, self.depth, self.confidence, self.layers, self.transforms)
        return [path for path in named if path is not None]

    @property
    def noted(self) -> list[Path]:
        """These files, and the sidecar."""
        return self.files if self.sidecar is None else [*self.files, self.sidecar]

    def check(self, files: Files) -> None:
        """Refuse before any work names that are taken."""
        from gpustack.io.atomic import existing

        for path in self.noted:
            if path.exists() and not files.may_exist(path):
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
        if len({path.resolve() for path in self.files}) < len(self.files):
            raise UsageError("Two outputs have the same name.", "Give each its own.")
        if self.steps is not None and resume:
            raise UsageError("--save-steps does not go with --resume.", "Leave one of them out.")
        if self.steps is not None:
            check_steps(self.steps, self.overwrite)

    def check_fit(self, frames: Stack, settings: Settings, files: Files) -> None:
        """Refuse before any work what does not go with the frames' kind of pixels: options, a format."""
        from gpustack.io.metadata import read_metadata
        from gpustack.io.write import FLOAT_ENDINGS, refuse_coded

        frames.refuse_raw_options(settings)
        if self.picture.suffix.lower() == ".exr":
            reference = frames.frames[frames.reference(settings.reference)]
            refuse_coded(self.picture, frames.pixel_type, read_metadata(reference).icc)
        if frames.pixel_type is PixelType.FLOAT32 and self.picture.suffix.lower() not in FLOAT_ENDINGS:
            raise UsageError(f"{self.picture.name} cannot hold floating point pixels.", "Write to .tif.")
        layers = self.layer_file(files)
        if layers is not None:
            layers.check(frames)

    def layer_file(self, files: Files, threads: int | None = None) -> LayerFile | None:
        """What the layers go into, if they are wanted; one of an interrupted run is written again."""
        from gpustack.layering import LayerFile

        return None if self.layers is None else LayerFile(self.layers, files.may_exist(self.layers), threads)


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be stacked, and where it goes; `transforms`: the file of given ones; `known`: what is known
    of the frames."""

    frames: Stack
    settings: Settings
    outputs: Outputs
    slabs: SlabFiles | None
    files: Files
    transforms: Path | None = None
    checkpoint: Checkpoint | None = None
    known: Known | None = None


def carry_out(work: Work, *, json_: bool, quiet: bool) -> None:
    """Fuse the frames, write everything, and tell of it."""
    from gpustack import api
    from gpustack.cli.progress import TerminalProgress
    from gpustack.io.fingerprint import Fingerprints
    from gpustack.io.transforms import load_transforms

    frames, settings, outputs, slabs = work.frames, work.settings, work.outputs, work.slabs
    given = None if work.transforms is None else load_transforms(work.transforms, frames)
    steps = _steps(outputs, frames, settings)
    layers = outputs.layer_file(work.files, settings.threads)
    if slabs is not None and work.checkpoint is not None:
        work.checkpoint.has_slab = slabs.exists
    with TerminalProgress(quiet) as progress, Fingerprints() as fingerprints:
        result = api.stack(
            frames,
            settings,
            transforms=given,
            progress=progress,
            keep_aligned=None if steps is None else steps.aligned,
            keep_slab=None if slabs is None else slabs.write,
            known=work.known,
            layers=layers,
            checkpoint=work.checkpoint,
            heard=(lambda frame: fingerprints.want(frame.path)) if outputs.sidecar is not None else None,
        )
        outputs.layers = None if layers is None else layers.written
        _timed(result.report.seconds, lambda: _write(result, work))
        if steps is not None:
            steps.finish(result, frames, settings)
        _note(result, work, fingerprints, given=given is not None)
    if json_:
        written = [] if slabs is None else [slabs.path(slab) for slab in result.report.slabs]
        typer.echo(json.dumps(_summary(result, settings, outputs.files + written), indent=1))
    elif not quiet:
        _tell(result, outputs)


def _note(result: Any, work: Work, fingerprints: Any, *, given: bool) -> None:
    """Write the sidecar, if it is wanted; over that of an interrupted run, which tells of other seconds."""
    from gpustack import provenance

    outputs, slabs = work.outputs, work.slabs
    if outputs.sidecar is None:
        return
    planes = {"picture": outputs.picture, "depth": outputs.depth, "confidence": outputs.confidence}
    files = {name: path for name, path in planes.items() if path is not None}
    written = provenance.Written(files, () if slabs is None else slabs.digests)
    made = provenance.record(work.frames, work.settings, result, written, fingerprints, given=given)
    provenance.save(made, outputs.picture, overwrite=work.files.may_exist(outputs.sidecar))


def _steps(outputs: Outputs, frames: Stack, settings: Settings) -> Steps | None:
    """What writes the steps of the work, if they are wanted."""
    from gpustack.cli.steps import Steps

    if outputs.steps is None:
        return None
    reference = frames.frames[frames.reference(settings.reference)]
    like = reference if settings.convert_profile else None
    return Steps(outputs.steps, reference.orientation, outputs.overwrite, like)


def _timed(seconds: dict[str, float], work: Callable[[], None]) -> None:
    import time

    started = time.perf_counter()
    work()
    seconds["write"] = time.perf_counter() - started


def _write(result: Any, work: Work) -> None:
    from gpustack.io.transforms import save_transforms

    outputs, files = work.outputs, work.files
    files.write(outputs.picture, lambda path, over: result.save(path, overwrite=over))
    if outputs.depth is not None:
        files.write(outputs.depth, lambda path, over: result.save_depth(path, overwrite=over))
    if outputs.confidence is not None:
        files.write(outputs.confidence, lambda path, over: result.save_confidence(path, overwrite=over))
    if outputs.transforms is not None:
        reference, places = work.frames.reference(work.settings.reference), result.places
        files.write(
            outputs.transforms,
            lambda path, over: save_transforms(path, work.frames, reference, places, overwrite=over),
        )


def _summary(result: Any, settings: Settings, files: list[Path]) -> dict[str, Any]:
    return {
        "outputs": [shown(path) for path in files],
        "settings": asdict(settings),
        **result.report.as_dict(),
    }


def _tell(result: Any, outputs: Outputs) -> None:
    report, height = result.report, result.image.shape[0]
    seconds = sum(report.seconds.values())
    megapixels = len(report.frames) * report.plan["width"] * report.plan["height"] / 1e6
    typer.echo(
        f"{shown(outputs.picture)}: {result.image.shape[1]}x{height} "
        f"from {len(report.frames)} frames by {report.method} in {seconds:.1f} s "
        f"({megapixels / seconds:.0f} MP/s, limited by {report.limit}), "
        f"{report.peak_bytes >> 20} MiB at most" + _resumed(report),
        err=True,
    )
    if report.layers is not None and outputs.layers is not None:
        typer.echo(f"{shown(outputs.layers)}: {_layers_told(report.layers)}", err=True)


def _layers_told(layers: LayersReport) -> str:
    """How many layers there are, and which frames have none."""
    told = f"{len(layers.frames)} layers above the picture"
    return told if not layers.left_out else f"{told}; none of {', '.join(layers.left_out)}, which own nothing"


def _resumed(report: Any) -> str:
    """What was taken from an interrupted run, for the last line."""
    taken = [] if report.checkpoint is None else report.checkpoint.resumed
    return f"; continued ({', '.join(taken)})" if taken else ""
