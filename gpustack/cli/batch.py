"""`gpustack batch`: many stacks, what is done already left alone."""

from __future__ import annotations

import json
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpustack.cli import options
from gpustack.cli.ending import ending
from gpustack.cli.given import bytes_of, devices_of
from gpustack.cli.storing import NO_CHECKPOINTS
from gpustack.errors import UsageError
from gpustack.settings import BatchEngine

if TYPE_CHECKING:
    from gpustack.batching.ledger import Line
    from gpustack.batching.places import Share
    from gpustack.batching.run import Batch, Manner
    from gpustack.batching.work import Task
    from gpustack.io.manifest import Entry

SOME_FAILED = 4


JobsOption = Annotated[
    int | None,
    typer.Option(
        help="Stacks at a time on this machine; memory and cores are shared out.  [default: one on each "
        "GPU, else as many as the memory allows]",
        show_default=False,
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option(help="Of N shares of the work only share I, from 0: I/N.", show_default=False),
]
EngineOption = Annotated[
    BatchEngine,
    typer.Option(help="Who makes the stacks: this machine, or the workers of a Dask cluster."),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(help="The scheduler's address, as tcp://10.0.0.1:8786.", show_default=False),
]
GpusOption = Annotated[
    str | None,
    typer.Option(help="GPUs, one stack at a time on each.  [default: all there are]", show_default=False),
]
StacksReportOption = Annotated[
    bool,
    typer.Option("--report", help="Write a report for each stack, beside its result: RESULT.report.html."),
]
StacksResumeOption = Annotated[
    bool,
    typer.Option("--resume", help="Each stack keeps checkpoints, and goes on where it was interrupted."),
]


@ending
def batch(
    source: Annotated[
        Path, typer.Argument(help="A manifest, or a folder of folders, each one stack.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder of results.", show_default=False)
    ],
    ending_: Annotated[
        str, typer.Option("--ending", help="Format of the results: .tif, .png, .jpg, .jxl or .dng.")
    ] = ".tif",
    method: Annotated[
        str | None, typer.Option(help="As for stack, where the manifest does not say.", show_default=False)
    ] = None,
    convert_profile: options.ConvertProfileOption = False,
    raw_developer: options.DeveloperOption = None,
    report: StacksReportOption = False,
    jobs: JobsOption = None,
    retries: Annotated[int, typer.Option(help="How often a stack that failed is tried again.")] = 0,
    shard: ShardOption = None,
    engine: EngineOption = BatchEngine.LOCAL,
    scheduler: SchedulerOption = None,
    backend: options.BackendOption = options.DEFAULT.backend,
    ram: options.RamOption = None,
    scratch: options.ScratchOption = None,
    devices: GpusOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the stacks and stop.")] = False,
    json_: options.JsonOption = False,
    resume: StacksResumeOption = False,
    overwrite: options.OverwriteOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Make many stacks, one process each; a rerun makes what is missing or has changed."""
    del debug
    from gpustack.batching.places import Share
    from gpustack.batching.run import Manner

    if (jobs is not None and jobs < 1) or retries < 0:
        raise UsageError(
            "A batch needs one job at least, and no fewer retries than none.", "Check the numbers."
        )
    share = _shard(shard)
    _check_engine(engine, scheduler, jobs, devices)
    tasks = _tasks(source, ending_, _wishes(method, raw_developer, convert=convert_profile))
    tasks = tasks[share[0] :: share[1]]
    if dry_run:
        _list(tasks)
        return
    numbers = None if devices is None else devices_of(devices)
    wishes = Share(backend, numbers, bytes_of(ram), jobs, bytes_of(scratch))
    manner = Manner(1 + retries, overwrite, resume, report)
    with closing(_client(scheduler)) if scheduler else nullcontext() as client:
        _run(_batch(output, share, wishes, tasks, client, manner), tasks, json_=json_)


def _wishes(method: str | None, developer: str | None, *, convert: bool) -> dict[str, Any]:
    """Options of `gpustack stack` for the stacks of which the manifest does not say, by their names. Raises
    UsageError."""
    from gpustack.io.developer import words_of

    if developer is not None:
        words_of(developer)
    wishes = {"method": method, "raw-developer": developer, "convert-profile": convert or None}
    return {name: value for name, value in wishes.items() if value is not None}


def _tasks(source: Path, ending_: str, wishes: dict[str, Any]) -> list[Task]:
    """What is to be made; `wishes`: settings of which the manifest does not say."""
    from gpustack.batching.work import task_of
    from gpustack.io.manifest import Entry
    from gpustack.io.write import STACK_ENDINGS

    if ending_.lower() not in STACK_ENDINGS:
        raise UsageError(f"The format {ending_} is not known.", f"Take one of {', '.join(STACK_ENDINGS)}.")
    entries = _entries(source)
    wished = (Entry(each.name, each.frames, wishes | dict(each.settings)) for each in entries)
    return [task_of(entry, ending_) for entry in wished]


def _entries(source: Path) -> tuple[Entry, ...]:
    """The stacks of a manifest, or of a folder of folders, here or on object storage."""
    from gpustack.batching.work import entries_at, entries_of
    from gpustack.io import storage
    from gpustack.io.manifest import LARGEST_FILE, manifest_of, read_manifest

    url = storage.url_of(source)
    if url is None:
        return entries_of(source) if source.is_dir() else read_manifest(source)
    if not url.endswith(".toml"):
        return entries_at(url)
    return manifest_of(storage.content(url, LARGEST_FILE), url, url.rpartition("/")[0])


def _check_engine(engine: BatchEngine, scheduler: str | None, jobs: int | None, devices: str | None) -> None:
    if engine is BatchEngine.DASK and scheduler is None:
        raise UsageError("--engine dask needs the address of a scheduler.", "Give it with --scheduler.")
    if engine is BatchEngine.LOCAL and scheduler is not None:
        raise UsageError("--scheduler is of a Dask cluster.", "Add --engine dask.")
    if engine is BatchEngine.DASK and (jobs or devices):
        raise UsageError(
            "On a cluster, its workers tell how many stacks they take, and on what.",
            "Leave out --jobs and --devices.",
        )


def _client(scheduler: str) -> Any:
    from gpustack.batching.cluster import connected

    return connected(scheduler)


def _batch(
    output: Path,
    shard: tuple[int, int],
    share: Share,
    tasks: list[Task],
    client: Any,
    manner: Manner,
) -> Batch:
    """The batch, ready to run; with a `client`, on its cluster."""
    from gpustack.batching.cluster import Cluster
    from gpustack.batching.ledger import Ledger
    from gpustack.batching.places import places
    from gpustack.batching.run import Batch, Engine, Here
    from gpustack.batching.shelf import Bucket, Folder, Shelf
    from gpustack.io.storage import url_of

    engine: Engine
    if client is not None:
        engine = Cluster(client, share.backend, share.ram_bytes)
    else:
        engine = Here(places(share, tasks))
    url = url_of(output)
    if url is not None and manner.resume:
        raise NO_CHECKPOINTS
    shelf: Shelf = Folder(output, shard) if url is None else Bucket(url)
    return Batch(shelf, Ledger(shelf), engine, manner)


def _run(work: Batch, tasks: list[Task], *, json_: bool) -> None:
    """Do the tasks and tell of them. Exits with 4 where one failed."""
    from gpustack.batching.run import FAILED

    lines: list[tuple[str, Line]] = []

    def tell(task: Task, end: str, line: Line) -> None:
        lines.append((end, line))
        if not json_:
            note = line.error or (f"{line.seconds:.1f} s" if end == "made" else "")
            typer.echo(f"{task.output}: {end}{f', {note}' if note else ''}")

    counts = work.run(tasks, tell)
    if json_:
        rows = [
            {"name": line.name, "output": line.output, "end": end, "error": line.error} for end, line in lines
        ]
        typer.echo(json.dumps({"counts": counts, "stacks": rows}, indent=1))
    if counts[FAILED]:
        names = ", ".join(line.name for end, line in lines if end == FAILED)
        problem = f"{counts[FAILED]} of {len(tasks)} stacks failed: {names}."
        typer.echo(f"gpustack: {problem} Run again to retry.", err=True)
        raise typer.Exit(SOME_FAILED)


def _shard(text: str | None) -> tuple[int, int]:
    if text is None:
        return 0, 1
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise UsageError(f"{text} is no share of the work.", "Give I/N with I from 0 to N - 1, as 0/4.")
    return int(index), int(count)


def _list(tasks: list[Task]) -> None:
    for task in tasks:
        frames = (
            f"{len(task.frames)} frames, {Path(task.frames[0]).name} to {Path(task.frames[-1]).name}"
            if task.frames
            else ""
        )
        typer.echo(f"{task.output}: {task.problem or frames}  {' '.join(task.options)}".rstrip())
