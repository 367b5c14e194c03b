"""Object storage, such as s3://bucket/folder, through fsspec: what lies there, fetching, and putting whole.

Who may read and write is told by the environment and the files of each provider's own tools; names that
hold credentials are refused, since names are shown and written down.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gpustack.errors import InputError, StackError, UsageError, WriteError
from gpustack.io.discover import PICTURE_ENDINGS, natural_key

PROTOCOLS = frozenset(["s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "oci"])
"""What a name may begin with. Not all that fsspec knows: a manifest may come from anybody, and must not have
the machine's own files, or addresses of its network, fetched in this way."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_AS_PATH = re.compile(rf"({'|'.join(sorted(PROTOCOLS))}):[/\\](?![/\\])(.*)", re.DOTALL)
_GLOB_CHARACTERS = re.compile(r"[*?[]")
_AT_A_TIME = 8


@dataclass(frozen=True, slots=True)
class Stored:
    """A file on object storage: its name, its size in bytes, and a tag that changes with its content."""

    url: str
    size: int
    tag: str

    @property
    def name(self) -> str:
        """The last part of its name."""
        return PurePosixPath(self.url).name


def is_url(text: str) -> bool:
    """Whether a name is one of object storage, or looks like one."""
    return _URL.fullmatch(text) is not None


def url_of(path: Path) -> str | None:
    """The name on object storage that was taken for a path, which makes one slash of two; None for a path."""
    found = _AS_PATH.fullmatch(path.as_posix())
    return f"{found[1]}://{found[2]}" if found else None


def joined(url: str, name: str) -> str:
    """A name below a folder."""
    return f"{url.rstrip('/')}/{name}"


def pictures(url: str) -> list[Stored]:
    """The file of a name; or the pictures in a folder, or that a glob matches, in natural order.

    Raises: InputError where there is none, or it may not be read.
    """
    store, path = _opened(url)
    scheme = url.partition("://")[0]
    with _told(url, "read"):
        if _GLOB_CHARACTERS.search(path):
            rows = list(store.glob(path, detail=True).values())
        elif store.isfile(path):
            return [_stored(scheme, store.info(path))]
        else:
            rows = store.ls(path, detail=True)
    found = [_stored(scheme, row) for row in rows if row["type"] == "file"]
    shown = [each for each in found if _is_picture(each.name)]
    if not shown:
        raise StackError(f"No picture was found in {url}.", "Check the name.")
    return sorted(shown, key=lambda each: natural_key(Path(each.url)))


def folders(url: str) -> list[str]:
    """The names of the folders in a folder that hold pictures, in natural order. Raises InputError."""
    store, path = _opened(url)
    with _told(url, "read"):
        found = store.find(path, maxdepth=2)
    parents = {PurePosixPath(each).parent.name for each in found if _is_picture(PurePosixPath(each).name)
               and PurePosixPath(each).parent != PurePosixPath(path)}  # fmt: skip
    return sorted((name for name in parents if not name.startswith(".")), key=lambda n: natural_key(Path(n)))


def mark(url: str) -> Stored | None:
    """What lies under a name; None where nothing does. Raises InputError."""
    store, path = _opened(url)
    with _told(url, "read"):
        try:
            return _stored(url.partition("://")[0], store.info(path))
        except FileNotFoundError:
            return None


def content(url: str, most: int) -> bytes:
    """A small file of `most` bytes at most. Raises InputError."""
    found = mark(url)
    if found is None:
        raise InputError(f"{url} is not there.", "Check the name.")
    if found.size > most:
        raise InputError(f"{url} has {found.size >> 20} MiB, which is too much.", "Check the name.")
    store, path = _opened(url)
    with _told(url, "read"):
        return bytes(store.cat_file(path))


def contents(url: str) -> Iterator[bytes]:
    """All files in a folder, in the order of their names; none where there is no folder.

    Raises: InputError.
    """
    store, path = _opened(url)
    with _told(url, "read"):
        names = sorted(store.find(path)) if store.exists(path) else []
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            yield from pool.map(store.cat_file, names)


def fetch(stored: Sequence[Stored], paths: Sequence[Path]) -> None:
    """Copy files here, some at a time. Raises InputError for one that cannot be read, or has changed."""
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        list(pool.map(_fetch, stored, paths))


def _fetch(stored: Stored, path: Path) -> None:
    store, name = _opened(stored.url)
    with _told(stored.url, "read"):
        store.get_file(name, str(path))
    if path.stat().st_size != stored.size:
        raise InputError(f"{stored.url} changed while it was fetched.", "Start again when it is complete.")


def put(path: Path, url: str, *, overwrite: bool) -> None:
    """Copy a file to a name, where it appears when it is whole; without `overwrite` one that turned up
    meanwhile is kept, as far as the storage can tell. Raises WriteError."""
    store, name = _opened(url)
    with _told(url, "written"):
        store.put_file(str(path), name, mode="overwrite" if overwrite else "create")


def put_bytes(data: bytes, url: str) -> None:
    """Write a small file whole, over one that is there. Raises WriteError."""
    store, name = _opened(url)
    with _told(url, "written"):
        store.pipe_file(name, data)


def existing(url: str) -> WriteError:
    """The error for a name that is taken."""
    return WriteError(f"{url} exists already.", "Add --overwrite to replace it, or choose another name.")


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in PICTURE_ENDINGS and not name.startswith(".")


def _stored(scheme: str, row: dict[str, Any]) -> Stored:
    tags = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "last_modified", "mtime", "created")
    tag = next((str(row[name]) for name in tags if row.get(name)), "")
    return Stored(f"{scheme}://{row['name']}", int(row["size"] or 0), tag.strip('"'))


def _opened(url: str) -> tuple[Any, str]:
    """The file system of a name, and the name there. Raises UsageError."""
    found = _URL.fullmatch(url)
    scheme, rest = (found[1].lower(), found[2]) if found else ("", "")
    if scheme not in PROTOCOLS:
        raise UsageError(f"{scheme}:// is no object storage.", f"Known are {', '.join(sorted(PROTOCOLS))}.")
    if "@" in rest.split("/")[0] and scheme not in ("abfs", "abfss"):
        problem = "A name on object storage must not hold credentials."
        raise UsageError(problem, "Put them where the provider's own tools look for them.")
    try:
        import fsspec

        store = fsspec.filesystem(scheme, use_listings_cache=False)
    except ImportError as error:
        raise UsageError(
            f"{scheme}:// needs fsspec and its part for that storage, which are not there.",
            "pip install 'gpustack-focus[cloud]', and for other storage than S3 its own package.",
        ) from error
    return store, rest.rstrip("/")


@contextmanager
def _told(url: str, verb: str) -> Iterator[None]:
    """Say in a sentence what went wrong. What storage says may hold credentials, and is not repeated.

    Raises: InputError for what cannot be read, WriteError for what cannot be written.
    """
    kind = InputError if verb == "read" else WriteError
    try:
        yield
    except (InputError, WriteError):
        raise
    except FileExistsError as error:
        raise existing(url) from error
    except FileNotFoundError as error:
        raise kind(f"{url} is not there.", "Check the name.") from error
    except PermissionError as error:
        raise kind(
            f"{url} may not be {verb}.", "Check the credentials, and what they are good for."
        ) from error
    except Exception as error:
        problem = f"{url} cannot be {verb} ({type(error).__name__})."
        raise kind(problem, "Check the name, the network and the credentials; --debug says more.") from error
