"""The inputs that a sidecar names, looked for again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from gpustack.errors import InputError, UsageError
from gpustack.io.fingerprint import fingerprint
from gpustack.io.sidecar import Input, Sidecar
from gpustack.io.storage import is_url
from gpustack.model.stack import Stack
from gpustack.settings import BackendName, Settings
from gpustack.sources import open_stack

SHOWN = 5
"""Inputs that a sentence names, at most."""


class Inputs:
    """The inputs of a sidecar, where they lie now."""

    def __init__(
        self, recorded: Sidecar, path: Path, folder: Path | None, fetched: Mapping[str, Path] | None = None
    ) -> None:
        """`path` is the sidecar's; `folder` where inputs lie, if not where they lay; `fetched` where those
        of object storage do, by their names there."""
        self._recorded, self._name, self._folder = recorded, path.name, folder
        self._fetched = fetched or {}
        self._home = path.absolute().parent.resolve()
        self._paths = {one.file: self._place(one) for one in self._inputs}

    @property
    def _inputs(self) -> Sequence[Input]:
        flat = self._recorded.flat
        return (*self._recorded.inputs, *(() if flat is None else (flat,)))

    def _place(self, one: Input) -> Path:
        """The file where it was, or in the folder, beside which its own folder may have come along."""
        if self._folder is None:
            return self._fetched.get(one.file, self._home / one.file)
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
            problem = self.problem(one)
            if problem is not None:
                yield problem
            elif fingerprint(self._paths[one.file]).sha256 != one.sha256:
                yield f"{self._paths[one.file]} has another content (SHA-256)"

    @property
    def folder(self) -> Path | None:
        """Where inputs lie, if not where they lay."""
        return self._folder

    def path(self, one: Input) -> Path:
        """Where an input lies now, if it is there."""
        return self._paths[one.file]

    def problem(self, one: Input) -> str | None:
        """What is not as it was with an input, as far as that shows without reading it; as `changed`."""
        path = self._paths[one.file]
        if is_url(one.file) and not path.is_file():
            return f"{one.file} is on object storage, and not here"
        if not path.is_file():
            return f"{path} is missing"
        size = path.stat().st_size
        return None if size == one.bytes else f"{path} has {size:,} bytes and had {one.bytes:,}"

    def settings(self, backend: BackendName, machine: Settings) -> Settings:
        """Those of then, on this machine, without layers, which change no pixel of the picture.

        Raises UsageError where a program developed RAW files, and `machine` names none.
        """
        then, flat = self._recorded.settings, self._recorded.flat
        if then.raw_developer is not None and machine.raw_developer is None:
            raise UsageError(
                f"{self._name}: a command developed the frames, {then.raw_developer!r}, and what a "
                "file says is not run.",
                "Look at it, and give it with --raw-developer.",
            )
        return replace(
            then,
            flat=None if flat is None else str(self._paths[flat.file]),
            layers=False,
            raw_developer=machine.raw_developer if then.raw_developer is not None else None,
            backend=backend,
            ram_bytes=machine.ram_bytes,
            vram_bytes=machine.vram_bytes,
            devices=machine.devices,
            threads=machine.threads,
        )

    def stack(self, raw_developer: str | None) -> Stack:
        """The frames. Raises InputError where they are no longer there, or of other sizes."""
        wanted = [(self._paths[one.file], one.page) for one in self._recorded.inputs]
        paths = list(dict.fromkeys(path for path, _ in wanted))
        there = {(frame.path, frame.page): frame for frame in open_stack(paths, raw_developer)}
        frames = [there[key] for key in wanted if key in there]
        sizes = [(one.width, one.height) for one in self._recorded.inputs]
        if [frame.size for frame in frames] != sizes:
            raise InputError(
                f"The inputs hold {len(frames)} of the {len(sizes)} frames that were stacked, "
                "or such of other sizes.",
                "Give the files that were stacked.",
            )
        return Stack(tuple(frames))


def _some(sentences: Sequence[str]) -> str:
    more = len(sentences) - SHOWN
    return "; ".join(sentences[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
