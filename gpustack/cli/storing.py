"""Commands whose inputs and outputs may lie on object storage: frames are fetched before the command, and
what it wrote is put there after it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import typer

from gpustack.errors import InputError, UsageError

if TYPE_CHECKING:
    from gpustack.io.scratch import Scratch
    from gpustack.io.storage import Stored

P = ParamSpec("P")

NO_CHECKPOINTS = UsageError(
    "Checkpoints are not kept on object storage.", "Leave out --resume, or write to a folder of this machine."
)

_NAMES: ContextVar[dict[Path, str] | None] = ContextVar("names", default=None)
"""The names on object storage that local files stand for while a command runs."""

_READ, _WRITTEN = (
    ("transforms", "flat"),
    ("output", "depth", "confidence", "layers", "save_transforms", "report"),
)


def far() -> dict[Path, str]:
    """These names."""
    return _NAMES.get() or {}


def shown(path: Path) -> str:
    """The name that a file was given by the user."""
    return far().get(path, str(path))


def stored(command: Callable[P, None]) -> Callable[P, None]:
    """Let the inputs and outputs of `gpustack stack` lie on object storage."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        if not _is_far(kwargs):
            command(*args, **kwargs)
            return
        from gpustack.cli.given import bytes_of
        from gpustack.io.scratch import Scratch

        with Scratch(bytes_of(_text(kwargs.get("scratch")))) as scratch:
            outputs = _Outputs(scratch, overwrite=bool(kwargs["overwrite"]))
            outputs.redirect(kwargs)
            token = _NAMES.set(outputs.names | _fetch(kwargs, scratch))
            try:
                command(*args, **kwargs)
            finally:
                _NAMES.reset(token)
            outputs.put(quiet=bool(kwargs["quiet"] or kwargs["json_"]))

    return run


@contextmanager
def fetched(
    sidecar: Path, frames: Path | None, scratch: str | None
) -> Iterator[tuple[Path, dict[str, Path]]]:
    """The sidecar that is meant, which may lie on object storage, and its inputs that do, by their names
    there, fetched to this machine while the block lasts; with a folder of `frames` none is."""
    from gpustack.cli.given import bytes_of
    from gpustack.io.scratch import Scratch
    from gpustack.io.sidecar import beside, read_sidecar
    from gpustack.io.storage import is_url, url_of

    url, path = url_of(sidecar), beside(sidecar)
    if url is None and not any(is_url(name) for name in read_sidecar(path).files):
        yield path, {}
        return
    with Scratch(bytes_of(scratch)) as room:
        if url is not None:
            path = room.fetch(_there([url.removesuffix(sidecar.name) + path.name]))[0]
        wanted = [name for name in read_sidecar(path).files if frames is None and is_url(name)]
        yield path, dict(zip(wanted, room.fetch(_there(wanted)), strict=True))


def _there(urls: Sequence[str]) -> list[Stored]:
    """What lies there. Raises InputError for a name under which nothing does."""
    from gpustack.io import storage

    found = [(url, storage.mark(url)) for url in urls]
    for url, each in found:
        if each is None:
            raise InputError(f"{url} is not there.", "Name a folder where the inputs lie with --frames.")
    return [each for _, each in found if each is not None]


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _is_far(given: dict[str, Any]) -> bool:
    """Whether any input or output lies on object storage."""
    from gpustack.io.storage import is_url, url_of

    paths = [given[name] for name in (*_READ, *_WRITTEN, "save_steps") if given[name] is not None]
    return any(url_of(path) for path in paths) or any(
        is_url(line) for text in given["inputs"] for line in _lines(text)
    )


def _lines(text: str) -> list[str]:
    """The inputs that an input stands for: the lines of a list, each with its folder; or itself."""
    from gpustack.io.discover import listed

    return listed(Path(text[1:])) if text.startswith("@") else [text]


def _fetch(given: dict[str, Any], scratch: Scratch) -> dict[Path, str]:
    """Put local files in the place of inputs that lie elsewhere; where each of them lies."""
    from gpustack.io.storage import is_url, pictures, url_of

    near: list[str] = []
    names: dict[Path, str] = {}

    def fetched(url: str) -> list[Path]:
        stored = pictures(url)
        paths = scratch.fetch(stored)
        names.update(zip(paths, (each.url for each in stored), strict=True))
        return paths

    for text in given["inputs"]:
        lines = _lines(text)
        if not any(is_url(line) for line in lines):
            near.append(text)
            continue
        for line in lines:
            near += map(str, fetched(line)) if is_url(line) else [line]
    given["inputs"] = near
    for name in _READ:
        url = None if given[name] is None else url_of(given[name])
        if url is not None:
            given[name] = fetched(url)[0]
    return names


class _Outputs:
    """Files that are written here first. What else a command puts beside them goes along with them."""

    def __init__(self, scratch: Scratch, *, overwrite: bool) -> None:
        self._scratch, self._overwrite = scratch, overwrite
        self._homes: dict[str, Path] = {}
        self.names: dict[Path, str] = {}

    def redirect(self, given: dict[str, Any]) -> None:
        """Put local files in the place of outputs. Raises WriteError for names that are taken, UsageError."""
        from gpustack.io import storage
        from gpustack.io.sidecar import ENDING

        if given["save_steps"] is not None and storage.url_of(given["save_steps"]):
            raise UsageError("Steps are not written to object storage.", "Name a folder of this machine.")
        if given["resume"] and storage.url_of(given["output"]):
            raise NO_CHECKPOINTS
        for name in _WRITTEN:
            url = None if given[name] is None else storage.url_of(given[name])
            if url is None:
                continue
            self._refuse_taken(url)
            if name == "output" and not given["no_sidecar"]:
                self._refuse_taken(f"{url}{ENDING}")
            given[name] = self._near(url)

    def _refuse_taken(self, url: str) -> None:
        from gpustack.io import storage

        if not self._overwrite and storage.mark(url) is not None:
            raise storage.existing(url)

    def _near(self, url: str) -> Path:
        parent, _, name = url.rpartition("/")
        if parent not in self._homes:
            self._homes[parent] = self._scratch.folder()
        path = self._homes[parent] / name
        self.names[path] = url
        return path

    def put(self, *, quiet: bool) -> None:
        """Put what was written where it belongs: the picture last, since it tells that all is there."""
        from gpustack.io import storage

        pairs = [
            (path, storage.joined(parent, path.name))
            for parent, home in self._homes.items()
            for path in sorted(home.iterdir())
        ]
        picture = next(iter(self.names), None)
        for path, url in sorted(pairs, key=lambda pair: pair[0] == picture):
            storage.put(path, url, overwrite=self._overwrite)
            if not quiet:
                typer.echo(f"{url}: {path.stat().st_size >> 10} KiB put there", err=True)
