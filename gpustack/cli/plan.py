"""`gpustack plan`: what a run would do, before any pixel is decoded."""

from __future__ import annotations

import json

import typer

from gpustack.cli import options
from gpustack.cli.ending import ending
from gpustack.cli.finding import find
from gpustack.cli.given import settings_of
from gpustack.cli.options import DEFAULT
from gpustack.model.stack import Stack
from gpustack.settings import Model, Settings


@ending
def plan(
    inputs: options.Inputs,
    every: options.EveryOption = 1,
    method: options.MethodOption = DEFAULT.method,
    radius: options.RadiusOption = DEFAULT.radius,
    prefer: options.PreferOption = DEFAULT.prefer,
    slab: options.SlabOption = None,
    align: options.AlignOption = DEFAULT.align,
    reference: options.ReferenceOption = DEFAULT.reference,
    interpolation: options.InterpolationOption = DEFAULT.interpolation,
    convert_profile: options.ConvertProfileOption = False,
    raw_developer: options.DeveloperOption = None,
    deghost: options.DeghostOption = DEFAULT.deghost,
    backend: options.BackendOption = DEFAULT.backend,
    decoder: options.DecoderOption = DEFAULT.decoder,
    ram: options.RamOption = None,
    vram: options.VramOption = None,
    devices: options.DevicesOption = options.DEFAULT_DEVICES,
    threads: options.ThreadsOption = None,
    depth: bool = typer.Option(False, "--depth", help="Plan for a depth map, too."),
    layers: bool = typer.Option(False, "--layers", help="Plan for a file of layers, too."),
    resume: bool = typer.Option(False, "--resume", help="Plan for checkpoints, too."),
    json_: options.JsonOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Print passes, bands, memory and time of a run, without doing it."""
    del debug
    settings = settings_of(locals())
    frames = find(inputs, developer=raw_developer, every=every)
    show_plan(frames, settings, as_json=json_, checkpoints=resume)


def show_plan(frames: Stack, settings: Settings, *, as_json: bool, checkpoints: bool = False) -> None:
    """Make the plan and print it on stdout. Raises PlanError where nothing fits, StackError for frames that
    do not go together."""
    from gpustack.backend.choose import choose
    from gpustack.engine.opening import budget
    from gpustack.engine.plan import make_plan
    from gpustack.io.profiles import Profiles

    reference = frames.reference(settings.reference)
    if not settings.convert_profile:
        Profiles(frames, reference).refuse()
    if settings.align is Model.NONE:
        frames.refuse_sizes()
    choice = choose(settings.backend, settings.devices, settings.decoder)
    made = make_plan(frames, settings, budget(settings, choice), checkpoints=checkpoints)
    if as_json:
        typer.echo(json.dumps(made.as_dict(), indent=1))
        return
    mega = 1 << 20
    lines = [
        f"frames    {made.frames} of {made.width}x{made.height}, "
        f"{frames.channels} x {frames.pixel_type.value}",
        f"passes    {', '.join(made.passes)} (each decodes every frame once)",
        f"bands     {len(made.bands)} of {made.band_rows} rows",
        f"in flight {made.slots} decoded frames, {made.readers} readers, {made.threads} threads"
        + (", compiled loops" if made.loops else ""),
        f"memory    {made.total_bytes / mega:.0f} MiB of {made.budget_bytes / mega:.0f} MiB: "
        f"frames {made.frame_bytes / mega:.0f}, state {made.state_bytes / mega:.0f}, "
        f"work {made.work_bytes / mega:.0f} "
        f"(or survey {made.survey_bytes / mega:.0f}, or end {made.finish_bytes / mega:.0f}), "
        f"program {made.fusing_bytes / mega:.0f}",
        f"time      about {made.seconds:.0f} s",
    ]
    if made.slabs:
        lines.insert(2, f"slabs     {made.slabs}, of which {made.open_slabs} at most have begun at a time")
    if made.devices:
        where = "in host memory" if made.spill else "on the device"
        lines.insert(
            -1,
            f"device    {made.device_bytes / mega:.0f} MiB of {made.device_budget_bytes / mega:.0f} MiB "
            f"on each of {made.devices}, state {where}",
        )
    if made.folder:
        turns = ", ".join(f"{name} {len(each)}" for name, each in made.turns.items())
        lines[1] = f"passes    {', '.join(made.passes)} (frames are decoded so often: {turns})"
        lines.insert(
            -1,
            f"spills    {made.disk_bytes / mega:.0f} MiB to {made.folder}, of which "
            f"{made.resident_bytes / mega:.0f} MiB are in memory at a time; "
            f"takes {made.slowdown:.1f} times as long as in memory",
        )
    if checkpoints:
        lines.insert(-1, f"disk      {made.checkpoint_bytes / mega:.0f} MiB at most for checkpoints")
    typer.echo("\n".join(lines))
