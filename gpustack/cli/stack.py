"""`gpustack stack`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpustack.cli import finding, options
from gpustack.cli.ending import ending
from gpustack.cli.options import DEFAULT
from gpustack.cli.outputs import Outputs
from gpustack.cli.plan import show_plan
from gpustack.cli.resuming import Files, resuming
from gpustack.cli.slabs import SlabFiles
from gpustack.cli.storing import stored
from gpustack.cli.work import Work, carry_out
from gpustack.model.stack import Stack
from gpustack.settings import Settings

if TYPE_CHECKING:
    from gpustack.engine.checkpoint import Checkpoint


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
    report: options.ReportOption = None,
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
    outputs = Outputs.named(locals(), sidecar=not no_sidecar)
    settings = outputs.settings(locals())
    outputs.check_places(resume=resume)
    find = partial(finding.find, inputs, flat=flat, developer=raw_developer, every=every, quiet=quiet)
    wish = _Wish(find, settings, outputs, transforms, dry_run, json_, quiet)
    with resuming(output, resume=resume and not dry_run, overwrite=overwrite, quiet=quiet) as checkpoint:
        _stack(wish, checkpoint, resume=resume)


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the command line asks for; `find` gives the stack, leaving out the outputs it is told of."""

    find: Callable[..., Stack]
    settings: Settings
    outputs: Outputs
    transforms: Path | None
    dry_run: bool
    json: bool
    quiet: bool


def _stack(wish: _Wish, checkpoint: Checkpoint | None, *, resume: bool) -> None:
    """Check everything before any work, and do the work or print its plan."""
    outputs, settings = wish.outputs, wish.settings
    files = Files(outputs.overwrite, checkpoint)
    outputs.check(files)
    slabs = None if settings.slab is None else SlabFiles(outputs.picture, files)
    earlier = [] if slabs is None else slabs.earlier()
    frames = wish.find(outputs=outputs.files + earlier)
    outputs.check_fit(frames, settings, files)
    made = [] if slabs is None else slabs.check(frames, settings)
    if wish.dry_run:
        show_plan(frames, settings, as_json=wish.json, checkpoints=resume)
        return
    if checkpoint is not None:
        checkpoint.expect(outputs.noted + outputs.possible + made)
    work = Work(frames, settings, outputs, slabs, files, wish.transforms, checkpoint)
    carry_out(work, json_=wish.json, quiet=wish.quiet)
