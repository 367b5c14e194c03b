"""`gpustack bench`: how fast this machine is, and what limits a run on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from gpustack.cli import options
from gpustack.cli.ending import ending
from gpustack.cli.finding import find
from gpustack.cli.given import settings_of
from gpustack.cli.options import DEFAULT

if TYPE_CHECKING:
    from gpustack.benching import Bench
    from gpustack.engine.gauge import Rate

WORDS = {
    "survey": "aligning",
    "decode": "decoding",
    "resample": "resampling",
    "fuse": "fusing",
    "upload": "copying to the GPU",
    "kernels": "the GPU",
    "write": "writing",
}


@ending
def bench(
    frames: Annotated[
        list[str] | None,
        typer.Option(
            "--frames",
            help="Measure with these: a file, a folder, a glob or @list.txt.  [default: rendered JPEG files]",
            show_default=False,
        ),
    ] = None,
    backend: options.BackendOption = DEFAULT.backend,
    decoder: options.DecoderOption = DEFAULT.decoder,
    ram: options.RamOption = None,
    vram: options.VramOption = None,
    devices: options.DevicesOption = options.DEFAULT_DEVICES,
    threads: options.ThreadsOption = None,
    json_: options.JsonOption = False,
    quiet: options.QuietOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Measure this machine: how fast it decodes, resamples, fuses and stacks, and what limits that."""
    del debug
    from gpustack import benching

    settings = settings_of(locals())
    stack = find(frames, quiet=quiet) if frames else None
    found = benching.bench(
        settings, stack, tell=lambda step: None if quiet else typer.echo(f"{step} ...", err=True)
    )
    typer.echo(json.dumps(found.as_dict(), indent=1) if json_ else _as_text(found))


def _as_text(found: Bench) -> str:
    lines = [
        f"backend {found.backend}, {found.threads} threads. {found.reason}",
        f"frames  {found.frames}",
        "",
        f"{'':26}{'MP/s':>8}   least to most",
    ]
    lines += [_line(f"decode, {_threads(count)}", rate) for count, rate in found.decode.items()]
    lines += [_line(f"load, {name}", rate) for name, rate in found.load.items()]
    lines += [_line(f"fuse, {method}", rate) for method, rate in found.fuse.items()]
    lines.append(_line("fuse, pyramid, 1 thread", found.fuse_alone))
    lines += [_line(f"kernels, {method}", rate) for method, rate in found.kernels.items()]
    lines += ["", f"{'':26}{'GB/s':>8}"]
    lines += [_line(f"copy, {_threads(count)}", rate) for count, rate in found.copy.items()]
    lines += ["", f"{'gpustack stack --method':26}{'MP/s':>8}   what its time goes to"]
    for method, run in found.runs.items():
        shares = sorted(run.shares.items(), key=lambda part: -part[1])
        parts = ", ".join(f"{WORDS.get(name, name)} {share:.0%}" for name, share in shares)
        lines.append(f"{method:26}{run.mp_s:8.0f}   {parts}; and {run.end_seconds:.1f} s at the end")
    return "\n".join([*lines, "", *_verdict(found)])


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"


def _line(name: str, rate: Rate) -> str:
    return f"{name:26}{rate.median:8.0f}   {rate.least:.0f} to {rate.most:.0f}"


def _verdict(found: Bench) -> list[str]:
    """Sentences: what limits a run by default, and what makes the figures doubtful."""
    run = found.runs[DEFAULT.method.value]
    name = WORDS.get(run.limit, run.limit)
    lines = [f"A run by default does {run.mp_s:.0f} MP/s, and {name} limits it."]
    if found.waits_for_memory:
        lines.append("More threads help fusing less than decoding: fusing waits for memory.")
    if found.busy:
        lines.append(
            f"Other programs were at work (load {found.load_before:.1f}): the machine can do more than this."
        )
    return [*lines, f"Measured in {found.seconds:.0f} s."]
