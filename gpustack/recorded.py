"""The inputs that a sidecar names, looked for again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from gpustack.api import open_stack
from gpustack.errors import InputError
from gpustack.io.fingerprint import fingerprint
from gpustack.io.sidecar import Input, Sidecar
from gpustack.model.stack import Stack
from gpustack.settings import BackendName, Settings

SHOWN = 5
"""Inputs that a sentence names, at most."""


class Inputs:
    """The inputs of a sidecar, where they lie now."""

    def __init__(self, recorded: Sidecar, path: Path, folder: Path | None) -> None:
        """`path` is the sidecar's; `folder` where inputs lie, if not where they lay."""
        self._recorded, self._name, self._folder = recorded, path.name, folder
        self._home = path.absolute().parent.resolve()
        self._paths = {one.file: self._place(one) for one in self._inputs}

    @property
    def _inputs(self) -> Sequence[Input]:
        flat = self._recorded.flat
        return (*self._recorded.inputs, *(() if flat is None else (flat,)))

    def _place(self, one: Input) -> Path:
        """The file where it was, or in the folder, beside which its own folder may have come along."""
        if self._folder is None:
            return self._home / one.file
        name = Path(one.file)
        within = self._folder / name.parent.name / name.name
        return within if name.parent.name not in ("", "..") and within.is_file() else self._folder / name.name

    @cached_property
    def changed(self) -> tuple[str, ...]:
        """What is not as it was, a sentence without a full stop for each file; they are read for it."""
        return tuple(self._changes())

    def refuse_changed(self, otherwise: str = "") -> None:
        """Raise InputError where an input is missing or has changed; `otherwise` ends the remedy."""
        if self.changed:
            raise InputError(
                f"The inputs of {self._name} are not what they were: {_some(self.changed)}.",
                f"Name the folder where they lie with --frames{otherwise}.",
            )

    def _changes(self) -> Iterator[str]:
        for one in {one.file: one for one in self._inputs}.values():
            path = self._paths[one.file]
            if not path.is_file():
                yield f"{path} is missing"
            elif path.stat().st_size != one.bytes:
                yield f"{path} has {path.stat().st_size:,} bytes and had {one.bytes:,}"
            elif fingerprint(path).sha256 != one.sha256:
                yield f"{path} has another content (SHA-256)"

    def stack(self) -> Stack:
        """The frames that were stacked: of a video, or of a file of pages, it may have been some. Raises
        InputError where one is not there any more, or has another size."""
        recorded = self._recorded.inputs
        held = open_stack([self._paths[name] for name in dict.fromkeys(one.file for one in recorded)])
        by_place = {(frame.path, frame.page): frame for frame in held}
        found = [by_place.get((self._paths[one.file], one.page)) for one in recorded]
        frames = tuple(frame for frame in found if frame is not None)
        if [frame.size for frame in frames] != [(one.width, one.height) for one in recorded]:
            raise InputError(
                f"The inputs hold {len(frames)} of the {len(recorded)} frames that were stacked, "
                "or they have other sizes.",
                "Give the files that were stacked.",
            )
        return Stack(frames)

    def settings(self, backend: BackendName, machine: Settings) -> Settings:
        """Those of then, on this machine, without layers, which change no pixel of the picture."""
        flat = self._recorded.flat
        return replace(
            self._recorded.settings,
            flat=None if flat is None else str(self._paths[flat.file]),
            layers=False,
            backend=backend,
            ram_bytes=machine.ram_bytes,
            vram_bytes=machine.vram_bytes,
            devices=machine.devices,
            threads=machine.threads,
        )


def _some(sentences: Sequence[str]) -> str:
    more = len(sentences) - SHOWN
    return "; ".join(sentences[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
