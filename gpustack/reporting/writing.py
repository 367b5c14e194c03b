"""`gpustack.write_report(path, frames, settings, result)`: the report as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gpustack.io.atomic import replacing
from gpustack.io.write import check_output
from gpustack.model.stack import Stack
from gpustack.reporting.command import Written
from gpustack.reporting.page import page
from gpustack.reporting.pictures import pictures_of
from gpustack.reporting.told import told_of
from gpustack.result import Result
from gpustack.settings import Settings
from gpustack.sources import Pixels, held, opened

REPORT_ENDINGS = (".html", ".htm")


def write_report(
    path: str | Path,
    frames: Sequence[str | Path | Pixels] | Stack,
    settings: Settings | None,
    result: Result,
    *,
    written: Written | None = None,
    given: bool = False,
    overwrite: bool = False,
) -> None:
    """Write what became of a stack as one HTML file that needs nothing else: the picture with crops of it,
    depth, which frame won where, the alignment, every frame, warnings, settings, times, and how to make it
    again.

    `frames` and `settings` are those that `result` was made with; its depth is shown if it was made.
    `written`: which files were, for the commands that make them again; `given`: the transforms were not
    estimated. Names of files are told, and no folder. Raises UsageError for another ending than .html,
    WriteError.
    """
    path, settings = Path(path), settings or Settings()
    check_output(path, overwrite, REPORT_ENDINGS)
    whole = frames if isinstance(frames, Stack) else _stack_of(frames, settings)
    told = told_of(whole, settings, result, written or Written(), given=given)
    content = page(told, pictures_of(result))
    with replacing(path, overwrite=overwrite) as file:
        file.write(content.encode())


def _stack_of(frames: Sequence[str | Path | Pixels], settings: Settings) -> Stack:
    """The stack that files or arrays are; what was read for it is let go."""
    whole, _, decoder = opened(frames, settings)
    with held(decoder):
        return whole
