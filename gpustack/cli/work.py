"""Carrying out a stack that was checked: fuse the frames, write everything, and tell of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from gpustack.cli.outputs import Outputs
from gpustack.cli.resuming import Files
from gpustack.cli.slabs import SlabFiles
from gpustack.cli.storing import far, shown
from gpustack.model.stack import Stack
from gpustack.settings import Settings

if TYPE_CHECKING:
    from gpustack.cli.steps import Steps
    from gpustack.engine.checkpoint import Checkpoint
    from gpustack.engine.known import Known
    from gpustack.engine.report import LayersReport


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
        if layers is not None:
            outputs.settle_layers(layers, work.files)
        _timed(result.report.seconds, lambda: _write(result, work))
        if steps is not None:
            steps.finish(result, frames, settings)
        _note(result, work, fingerprints, given=given is not None)
        _report(result, work, given=given is not None)
    if json_:
        written = [] if slabs is None else [slabs.path(slab) for slab in result.report.slabs]
        typer.echo(json.dumps(_summary(result, settings, outputs.files + written), indent=1))
    elif not quiet:
        _tell(result, outputs)


def _note(result: Any, work: Work, fingerprints: Any, *, given: bool) -> None:
    """Write the sidecar, if it is wanted."""
    from gpustack.io.sidecar import write_sidecar
    from gpustack.records import provenance

    outputs, slabs = work.outputs, work.slabs
    if outputs.sidecar is None:
        return
    planes = {"picture": outputs.picture, "depth": outputs.depth, "confidence": outputs.confidence}
    files = {name: path for name, path in planes.items() if path is not None}
    written = provenance.Written(files, () if slabs is None else slabs.digests, far())
    made = provenance.record(work.frames, work.settings, result, written, fingerprints, given=given)
    work.files.note(outputs.sidecar, lambda path, over: write_sidecar(path, made, overwrite=over))


def _report(result: Any, work: Work, *, given: bool) -> None:
    """Write the report, if it is wanted."""
    outputs = work.outputs
    if outputs.report is None:
        return
    from gpustack.reporting.command import Written
    from gpustack.reporting.writing import write_report

    named = {} if work.transforms is None else {"transforms": work.transforms}
    written = Written(outputs.by_option | named, outputs.sidecar)

    def save(path: Path, over: bool) -> None:
        write_report(path, work.frames, work.settings, result, written=written, given=given, overwrite=over)

    work.files.note(outputs.report, save)


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
