"""`gpustack align`: where the frames lie, as data, and the aligned frames by choice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpustack.cli import options
from gpustack.cli.ending import ending
from gpustack.cli.finding import find
from gpustack.cli.given import settings_of
from gpustack.cli.options import DEFAULT
from gpustack.errors import UsageError
from gpustack.model.stack import Stack
from gpustack.settings import Model, Settings

if TYPE_CHECKING:
    from gpustack.model.place import Place


@ending
def align(
    inputs: options.Inputs,
    save_transforms: Annotated[Path | None, typer.Option(help="Write the alignment as JSON.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the aligned frames into this folder, as TIFF."),
    ] = None,
    model: Annotated[
        Model, typer.Option("--align", help="What a frame may do against the reference.")
    ] = DEFAULT.align,
    every: options.EveryOption = 1,
    reference: options.ReferenceOption = DEFAULT.reference,
    crop: options.CropOption = DEFAULT.crop,
    interpolation: options.InterpolationOption = DEFAULT.interpolation,
    brightness: options.BrightnessOption = DEFAULT.brightness,
    flat: options.FlatOption = None,
    convert_profile: options.ConvertProfileOption = False,
    demosaic: options.DemosaicOption = DEFAULT.demosaic,
    raw_developer: options.DeveloperOption = None,
    on_bad_frame: options.BadFrameOption = DEFAULT.on_bad_frame,
    backend: options.BackendOption = DEFAULT.backend,
    decoder: options.DecoderOption = DEFAULT.decoder,
    ram: options.RamOption = None,
    vram: options.VramOption = None,
    devices: options.DevicesOption = options.DEFAULT_DEVICES,
    threads: options.ThreadsOption = None,
    json_: options.JsonOption = False,
    quiet: options.QuietOption = False,
    overwrite: options.OverwriteOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Find where frames lie against the reference, for `stack --transforms`, without fusing them."""
    del debug
    if save_transforms is None and output is None and not json_:
        raise UsageError("Nothing was asked for.", "Give --save-transforms FILE, -o DIR, or --json.")
    settings = settings_of(locals(), align=model)
    _check(save_transforms, output, overwrite)
    frames = find(inputs, flat=flat, developer=raw_developer, every=every, quiet=quiet)
    places = _align(frames, settings, output, quiet=quiet, overwrite=overwrite)
    _report(frames, settings, places, save_transforms, as_json=json_, quiet=quiet, overwrite=overwrite)


def _check(transforms: Path | None, folder: Path | None, overwrite: bool) -> None:
    """Refuse before any work what could not be written after it."""
    from gpustack.cli.steps import check_steps
    from gpustack.io.write import check_output

    if transforms is not None:
        check_output(transforms, overwrite, (".json",))
    if folder is not None:
        check_steps(folder, overwrite)


def _align(
    frames: Stack, settings: Settings, folder: Path | None, *, quiet: bool, overwrite: bool
) -> tuple[Place, ...]:
    from gpustack import api
    from gpustack.cli.progress import TerminalProgress
    from gpustack.cli.steps import AlignedFrames

    reference = frames.frames[frames.reference(settings.reference)]
    like = reference if settings.convert_profile else None
    writer = None if folder is None else AlignedFrames(folder, reference.orientation, overwrite, like)
    with TerminalProgress(quiet) as progress:
        return api.locate(
            frames, settings, progress=progress, keep_aligned=None if writer is None else writer.write
        )


def _report(
    frames: Stack,
    settings: Settings,
    places: tuple[Place, ...],
    path: Path | None,
    *,
    as_json: bool,
    quiet: bool,
    overwrite: bool,
) -> None:
    """Write the transforms, and print them or a summary."""
    from gpustack.io.transforms import described, save_transforms

    reference = frames.reference(settings.reference)
    if path is not None:
        save_transforms(path, frames, reference, places, overwrite=overwrite)
    if as_json:
        typer.echo(json.dumps(described(frames, reference, places), indent=1))
    elif not quiet:
        typer.echo(_summary(places), err=True)


def _summary(places: tuple[Place, ...]) -> str:
    used = [place for place in places if place.used]
    told = f"{len(used)} of {len(places)} frames aligned"
    if len(used) > 1 and not any(place.transform.moves for place in used):
        return f"{told}: they lie still, and are not resampled"
    loops = [link.loop_px for place in used for link in place.links if link.loop_px is not None]
    told += f", links agree within {max(place.residual_px for place in used):.2f} px"
    return told + (f", loops of links within {max(loops):.2f} px" if loops else "")
