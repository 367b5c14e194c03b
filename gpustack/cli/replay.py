"""`gpustack replay`: make a result again from its sidecar, and tell whether its pixels are the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpustack.cli import options
from gpustack.cli.ending import ending
from gpustack.cli.given import machine_of
from gpustack.cli.storing import fetched
from gpustack.errors import UsageError
from gpustack.settings import BackendName

if TYPE_CHECKING:
    from gpustack.records.replaying import Replay

DIFFERENT = 1


@ending
def replay(
    sidecar: Annotated[
        Path, typer.Argument(help="A sidecar, or the picture that it lies beside.", show_default=False)
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the picture that was made again.")
    ] = None,
    report: options.ReportOption = None,
    frames: Annotated[
        Path | None, typer.Option(help="The folder where the inputs lie now, by the names they had.")
    ] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Go on where inputs have changed.")] = False,
    backend: Annotated[
        BackendName | None,
        typer.Option(help="auto, cuda or cpu, instead of what was asked for then.", show_default=False),
    ] = None,
    raw_developer: options.DeveloperOption = None,
    ram: options.RamOption = None,
    vram: options.VramOption = None,
    devices: options.DevicesOption = options.DEFAULT_DEVICES,
    threads: options.ThreadsOption = None,
    scratch: options.ScratchOption = None,
    json_: options.JsonOption = False,
    quiet: options.QuietOption = False,
    no_sidecar: options.NoSidecarOption = False,
    overwrite: options.OverwriteOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Make a result again from its sidecar, and tell what differs. Ends with 1 where pixels do."""
    del debug
    machine = machine_of(locals())
    from gpustack.cli.progress import TerminalProgress
    from gpustack.records.replaying import replay as made_again

    _check(output, report, overwrite, sidecar=not no_sidecar)
    with TerminalProgress(quiet) as progress, fetched(sidecar, frames, scratch) as (path, here):
        done = made_again(
            path,
            folder=frames,
            fetched=here,
            anyway=anyway,
            backend=backend,
            depth=report is not None,
            machine=machine,
            progress=progress,
        )
        if output is not None:
            far = {each: url for url, each in here.items()}
            _write(done, output, far, overwrite, sidecar=not no_sidecar)
        if report is not None:
            _report(done, report, output, path, overwrite)
    if json_:
        typer.echo(json.dumps(done.as_dict(), indent=1))
    else:
        typer.echo("\n".join(_lines(done)))
    if done.other:
        raise typer.Exit(DIFFERENT)


def _check(output: Path | None, report: Path | None, overwrite: bool, *, sidecar: bool) -> None:
    """Refuse before any work what could not be written after it."""
    from gpustack.io.sidecar import sidecar_of
    from gpustack.io.storage import url_of
    from gpustack.io.write import STACK_ENDINGS, check_output

    if any(path is not None and url_of(path) is not None for path in (output, report)):
        raise UsageError("A replay is not written to object storage.", "Name a file of this machine.")
    if output is not None:
        check_output(output, overwrite, STACK_ENDINGS)
    if output is not None and sidecar:
        check_output(sidecar_of(output), overwrite, (".json",))
    if report is not None:
        from gpustack.reporting.writing import REPORT_ENDINGS

        check_output(report, overwrite, REPORT_ENDINGS)


def _write(done: Replay, output: Path, far: dict[Path, str], overwrite: bool, *, sidecar: bool) -> None:
    """The picture, and its own sidecar. Raises UsageError for the name of an input."""
    from gpustack.io.fingerprint import Fingerprints
    from gpustack.records import provenance

    if any(frame.path.resolve() == output.resolve() for frame in done.frames):
        raise UsageError(f"{output} is one of the frames.", "Choose another name with -o.")
    done.result.save(output, overwrite=overwrite)
    if not sidecar:
        return
    with Fingerprints() as fingerprints:
        written = provenance.Written({"picture": output}, far=far)
        made = provenance.record(
            done.frames, done.settings, done.result, written, fingerprints, given=done.sidecar.given
        )
        provenance.save(made, output, overwrite=overwrite)


def _report(done: Replay, report: Path, output: Path | None, sidecar: Path, overwrite: bool) -> None:
    """The page that tells of the picture, under the name that it had where it is not written again."""
    from gpustack.io.sidecar import sidecar_of
    from gpustack.reporting.command import Written
    from gpustack.reporting.writing import write_report

    picture = output or Path(done.sidecar.outputs["picture"].file)
    beside = sidecar if output is None else sidecar_of(output)
    written = Written({"output": picture, "report": report}, beside if beside.is_file() else None)
    given = done.sidecar.given
    write_report(
        report, done.frames, done.settings, done.result, written=written, given=given, overwrite=overwrite
    )


def _lines(done: Replay) -> list[str]:
    """What people read: every output, and what is not as it was."""
    files = {name: output.file for name, output in done.sidecar.outputs.items()}
    same = [f"{name} ({files[name]}): the same pixels, bit for bit" for name in done.same]
    other = [
        f"{name}{f' ({files[name]})' if name in files else ''}: {how}" for name, how in done.other.items()
    ]
    return [*same, *other, *(f"changed: {change}" for change in done.changes)]
