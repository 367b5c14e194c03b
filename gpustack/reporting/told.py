"""What a report tells, as values: nothing here knows of pages and drawings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gpustack import libraries
from gpustack.coverage.frames import looks
from gpustack.model.movement import Movement, movement_of
from gpustack.model.place import Place
from gpustack.model.stack import Stack
from gpustack.reporting.command import Written, program_of, replay_command, stack_command
from gpustack.result import Result
from gpustack.settings import Settings

_PATH = re.compile(r"(?:(?<![^\s'\"(=]))(?:[A-Za-z]:)?[/\\](?:[^\s'\"():;,/\\]*[/\\])+(?=[^\s/\\])")
"""The folders of a whole path in a sentence."""


@dataclass(frozen=True, slots=True)
class Row:
    """One frame. `out`: why it takes no part, empty where it does; `notes`: what is odd about it."""

    index: int
    name: str
    share: float
    movement: Movement
    gain: float
    residual_px: float
    shaken: bool
    out: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting by its name, its value in words, and what it is unless somebody says otherwise."""

    name: str
    value: str
    usual: str

    @property
    def changed(self) -> bool:
        """Whether somebody did."""
        return self.value != self.usual


@dataclass(frozen=True, slots=True)
class Told:
    """All that is told but the pictures. title: the picture's file name, or what stands for it; commands:
    what makes it again, each with what it is for; step_um: from frame to frame, if it is known; report: as
    `Report.as_dict`."""

    title: str
    made: str
    size: tuple[int, int]
    rows: tuple[Row, ...]
    reference: int
    settings: tuple[Setting, ...]
    warnings: tuple[str, ...]
    backend: str
    program: Mapping[str, str]
    machine: str
    commands: tuple[tuple[str, str], ...]
    sidecar: str | None
    step_um: float | None
    report: Mapping[str, Any] = field(repr=False)

    @property
    def used(self) -> int:
        """How many frames the picture is made of."""
        return sum(not row.out for row in self.rows)


def told_of(
    frames: Stack, settings: Settings, result: Result, written: Written, *, given: bool = False
) -> Told:
    """What is to be told of a run; `given`: its transforms were not estimated."""
    report, height, width = result.report.as_dict(), *result.image.shape[:2]
    reference = frames.reference(settings.reference)
    folders = _folders(frames, written)
    picture = written.files.get("output")
    return Told(
        f"a stack of {len(frames)} frames" if picture is None else picture.name,
        datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        (width, height),
        tuple(_rows(frames, result, reference, given=given)),
        reference,
        tuple(_settings(settings)),
        tuple(nameless(sentence, folders) for sentence in report["warnings"]),
        nameless(report["backend_reason"], folders),
        libraries.program(),
        libraries.machine(),
        tuple(_commands(frames, settings, written, given=given)),
        None if written.sidecar is None else written.sidecar.name,
        None if result.metadata.voxel is None else result.metadata.voxel.step_um,
        report,
    )


def _rows(frames: Stack, result: Result, reference: int, *, given: bool) -> Iterable[Row]:
    main = frames.frames[reference]
    shares = [frame.share for frame in result.report.frames]
    names = [frame.name for frame in frames]
    found = looks(names, result.places, main.size, shares, None)
    for look, place in zip(found, result.places, strict=True):
        yield Row(
            look.index,
            look.file,
            look.share,
            movement_of(place.transform, *main.size, main.orientation),
            place.transform.gain,
            place.residual_px,
            place.shaken,
            _why_out(place, given=given),
            tuple(verdict.value for verdict in look.verdicts) if place.used else (),
        )


def _why_out(place: Place, *, given: bool) -> str:
    if place.used:
        return ""
    if given:
        return "left out by the transforms that were given"
    return "blurred all over, as if the camera had shaken" if place.shaken else "could not be aligned"


def _settings(settings: Settings) -> list[Setting]:
    """Those that are not as usual first."""
    now, usual = asdict(settings), asdict(Settings())
    found = [
        Setting(each.name.replace("_", "-"), *(_worded(each.name, of[each.name]) for of in (now, usual)))
        for each in fields(Settings)
    ]
    return sorted(found, key=lambda setting: not setting.changed)


def _worded(name: str, value: Any) -> str:
    """A setting as people read it, without places on the machine."""
    if value is None:
        return "none" if name in ("flat", "slab", "raw_developer") else "automatic"
    if name == "flat":
        return Path(value).name
    if name == "raw_developer":
        return f"{program_of(value)} ..."
    if name.endswith("_bytes"):
        return f"{value / 2**20:,.0f} MiB"
    if isinstance(value, bool):
        return "on" if value else "off"
    return ", ".join(f"{part:g}" for part in value) if isinstance(value, tuple) else str(value)


def _commands(
    frames: Stack, settings: Settings, written: Written, *, given: bool
) -> Iterable[tuple[str, str]]:
    if written.sidecar is not None:
        yield (
            "Beside the sidecar. The inputs are looked for where they lay, and checked; then it is told "
            "whether the pixels are the same.",
            replay_command(written.sidecar.name),
        )
    again = stack_command(frames, settings, written)
    placed = not given or "transforms" in written.files  # else it would estimate them
    if again is not None and placed:
        yield "In the folder of the frames, with any other file that is named beside them.", again


def _folders(frames: Stack, written: Written) -> list[str]:
    """Folders whose names are nobody's business, as sentences may have them; the longest first."""
    files = [frame.path for frame in frames] + list(written.files.values())
    named = {path.parent for path in files} | {path.absolute().parent for path in files}
    places = named | {path.resolve() for path in named} | {Path.cwd(), Path.home()}
    return sorted((str(place) for place in places - {Path()}), key=len, reverse=True)


def nameless(sentence: str, folders: Sequence[str]) -> str:
    """A sentence in which files have no folders any more: neither one of these, nor any that is in full."""
    for folder in folders:
        sentence = re.sub(rf"(?<!\w){re.escape(folder)}[/\\](?=\S)", "", sentence)
    return _PATH.sub("", sentence)
