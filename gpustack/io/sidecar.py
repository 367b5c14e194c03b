"""The sidecar: how a result was made, as JSON beside it.

`sharp.tif.gpustack.json` tells of `sharp.tif`: its inputs with their SHA-256, the settings by name, where the
frames lay, the program and its libraries, what its pixels were, and the report. docs/provenance.md describes
every field. Names of files are relative to the sidecar's own folder, with `/` between their parts; where that
is on another disk, they are absolute.

A sidecar may come from anywhere. Reading one bounds its size, checks the type and range of every value, and
opens no file; nothing that it names is ever written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gpustack.io.atomic import replacing
from gpustack.io.sidecar_settings import settings_of
from gpustack.io.strict import Document, Malformed, Node, read_document
from gpustack.io.transforms import place_of
from gpustack.model.place import Place
from gpustack.settings import Settings

ENDING = ".gpustack.json"
VERSION = 1
"""Of the schema: it goes up when a field changes its meaning or goes; new fields leave it."""

LARGEST_FILE = 16 << 20
"""Bytes of a sidecar that are read; ten thousand frames take about that."""

MOST_FRAMES = 65_535
_MOST_BYTES, _MOST_PIXELS = 1 << 50, 1 << 20
_REMEDY = "Name the file that gpustack stack wrote beside its picture."
_KIND = Document("a sidecar", "gpustack_sidecar", VERSION, LARGEST_FILE, _REMEDY)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Input:
    """A frame as it was read: its file as the sidecar names it, page, pixels as stored, bytes and SHA-256.

    orientation: how it is turned, 1 to 8 as EXIF counts; None where that was not told, as of a flat field.
    """

    file: str
    page: int
    width: int
    height: int
    bytes: int
    sha256: str
    orientation: int | None = None

    @staticmethod
    def of(row: Node) -> Input:
        """One row. Raises Malformed."""
        return Input(
            row["file"].text(),
            row["page"].whole(0, MOST_FRAMES),
            row["width"].whole(1, _MOST_PIXELS),
            row["height"].whole(1, _MOST_PIXELS),
            row["bytes"].whole(0, _MOST_BYTES),
            _hash(row["sha256"]),
            row["orientation"].whole(1, 8) if "orientation" in row else None,
        )


@dataclass(frozen=True, slots=True)
class Output:
    """A result: its file, and its pixels before they were encoded: shape (h, w, c) or (h, w), dtype, and the
    SHA-256 of their bytes row by row, the least byte of a sample first."""

    file: str
    shape: tuple[int, ...]
    dtype: str
    sha256: str

    @staticmethod
    def of(row: Node) -> Output:
        """One row. Raises Malformed."""
        shape = tuple(side.whole(1, _MOST_PIXELS) for side in row["shape"].rows(3))
        return Output(row["file"].text(), shape, row["dtype"].text(16), _hash(row["sha256"]))


@dataclass(frozen=True, slots=True)
class Edits:
    """What was painted into a picture by hand: the file of the edit list, its SHA-256, and its strokes."""

    file: str
    sha256: str
    strokes: int

    @staticmethod
    def of(row: Node) -> Edits:
        """As the file has them. Raises Malformed."""
        return Edits(row["file"].text(), _hash(row["sha256"]), row["strokes"].whole(0, _MOST_PIXELS))


@dataclass(frozen=True, slots=True, eq=False)
class Sidecar:
    """How a result was made.

    made: when, UTC. program: names and versions. machine: system and processor. inputs and places:
    one a frame; given: the places were not estimated. flat: the flat field. outputs: by what they are,
    `picture` first. report: as `Report.as_dict`, its frames without what `places` tell. edits: the picture is
    not that of the stack, but was retouched.
    """

    made: str
    program: Mapping[str, str]
    machine: str
    settings: Settings
    inputs: tuple[Input, ...]
    reference: int
    places: tuple[Place, ...]
    given: bool
    outputs: Mapping[str, Output]
    report: Mapping[str, Any]
    flat: Input | None = None
    slabs: tuple[Output, ...] = field(default_factory=tuple)
    edits: Edits | None = None

    @property
    def files(self) -> list[str]:
        """Its inputs and the flat field as it names them, each once."""
        flat = () if self.flat is None else (self.flat,)
        return list(dict.fromkeys(one.file for one in (*self.inputs, *flat)))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as the file has them."""
        return {
            "gpustack_sidecar": VERSION,
            "made": self.made,
            "program": dict(self.program),
            "machine": self.machine,
            "settings": asdict(self.settings),
            "inputs": [asdict(one) for one in self.inputs],
            "flat": None if self.flat is None else asdict(self.flat),
            "alignment": {
                "given": self.given,
                "reference": self.reference,
                "frames": [_aligned(one.file, at) for one, at in zip(self.inputs, self.places, strict=True)],
            },
            "outputs": {name: asdict(output) for name, output in self.outputs.items()},
            "slabs": [asdict(output) for output in self.slabs],
            "report": dict(self.report),
        } | ({} if self.edits is None else {"edits": asdict(self.edits)})


def sidecar_of(output: Path) -> Path:
    """Where the sidecar of a result lies."""
    return output.with_name(output.name + ENDING)


def beside(path: Path) -> Path:
    """The sidecar that a user means, who may name the result instead."""
    return path if path.name.endswith(ENDING) else sidecar_of(path)


def write_sidecar(path: Path, sidecar: Sidecar, *, overwrite: bool) -> None:
    """Write it. Raises WriteError."""
    with replacing(path, overwrite=overwrite) as file:
        file.write(json.dumps(sidecar.as_dict(), indent=1, allow_nan=False).encode())


def read_sidecar(path: Path) -> Sidecar:
    """Read one. Raises InputError for what is none, or of a later version."""
    return read_document(path, _KIND, _parsed)


def _parsed(content: Node) -> Sidecar:
    inputs = tuple(Input.of(row) for row in content["inputs"].rows(MOST_FRAMES))
    alignment = content["alignment"]
    places = tuple(_place(row) for row in alignment["frames"].rows(MOST_FRAMES))
    if not inputs or len(places) != len(inputs):
        raise Malformed("it has no inputs, or other numbers of inputs and transforms")
    outputs = {name: Output.of(content["outputs"][name]) for name in content["outputs"].fields()}
    if "picture" not in outputs:
        raise Malformed("it names no picture")
    program = content["program"]
    return Sidecar(
        content["made"].text(64),
        {name: program[name].text(64) for name in program.fields()},
        content["machine"].text(256),
        settings_of(content["settings"]),
        inputs,
        alignment["reference"].whole(0, len(inputs) - 1),
        places,
        alignment["given"].flag(),
        outputs,
        _report(content["report"], len(inputs)),
        Input.of(content["flat"]) if "flat" in content else None,
        tuple(Output.of(row) for row in content["slabs"].rows(MOST_FRAMES)),
        Edits.of(content["edits"]) if "edits" in content else None,
    )


def _report(report: Node, frames: int) -> Mapping[str, Any]:
    """The report, of which what others read is checked."""
    rows = list(report["frames"].rows(MOST_FRAMES))
    if len(rows) != frames:
        raise Malformed("it reports of another number of frames than it has inputs")
    for row in rows:
        row["share"].number(0, 1)
        row["shaken"].flag()
    for name in ("backend", "backend_reason", "method", "model"):
        report[name].text()
    for stage in report["seconds"].fields():
        report["seconds"][stage].number(0)
    for sentence in report["warnings"].rows(MOST_FRAMES):
        sentence.text()
    return report.fields()


def _hash(node: Node) -> str:
    if not _SHA256.fullmatch(node.text(64)):
        raise Malformed(f"{node.where} is no SHA-256")
    return node.text(64)


def _aligned(name: str, place: Place) -> dict[str, Any]:
    """A row of the alignment, as the transforms file has it."""
    return {
        "file": name,
        "matrix": place.transform.matrix.tolist(),
        **place.transform.tone.as_dict(),
        "used": place.used,
        "in_series": place.in_series,
        "confidence": place.confidence,
        "residual_px": place.residual_px,
    }


def _place(row: Node) -> Place:
    row["file"].text()
    for name in ("confidence", "residual_px"):
        row[name].number()
    try:
        return place_of(row.fields())
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise Malformed(f"{row.where} is no transform") from error
