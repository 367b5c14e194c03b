"""From what the user names (files, folders, globs, lists) to the files of a stack, in order."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from gpustack.errors import DecodeError, StackError

_DEVELOPED = "jpg jpeg jpe jfif png tif tiff btf tf8 heic heif hif avif jxl webp exr"
_VIDEO = "mp4 m4v mov qt mkv webm avi mts m2ts ts mpg mpeg wmv flv 3gp"
_RAW = (
    "3fr ari arw cap cr2 cr3 crw dcr dcs dng eip erf fff gpr iiq k25 kdc mdc mef mos mrw nef nrw orf ori "
    "pef ptx pxn raf raw rw2 rwl rwz sr2 srf srw x3f"
)
PICTURE_ENDINGS = frozenset(f".{ending}" for ending in f"{_DEVELOPED} {_RAW}".split())
"""Endings, in lower case, of the files that are taken from a folder."""

VIDEO_ENDINGS = frozenset(f".{ending}" for ending in _VIDEO.split())
"""Endings of files that hold many pictures: a camera's card has some beside the frames of a stack."""

_GLOB_CHARACTERS = re.compile(r"[*?[]")
_DIGITS = re.compile(r"(\d+)")
_NAME_SOME = "Name picture files, folders of them, globs, @list.txt, or - for a list on standard input."


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that was passed over, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """The files of a stack in stack order, and what lay beside them but was passed over."""

    paths: tuple[Path, ...]
    left_out: tuple[LeftOut, ...] = ()


@dataclass(slots=True)
class _Search:
    """What has been found so far."""

    paths: dict[Path, Path] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)

    def take(self, path: Path) -> None:
        """Add a file, unless it is there already, under this or another name."""
        if self.paths.setdefault(path.resolve(), path) is not path:
            self.leave(path, "named before")

    def leave(self, path: Path, reason: str) -> None:
        """Note a file that is passed over."""
        self.left_out.append(LeftOut(path, reason))


def discover(inputs: Sequence[str | Path], stdin: TextIO | None = None) -> Found:
    """Expand inputs to the files of a stack.

    Each input is a file, a folder (not its sub-folders), a glob, `@list.txt` (one input a line, relative to
    the list's folder, `#` starts a comment) or `-` (such a list on `stdin`). Files of a folder or a glob
    come in natural order of their names (frame2 before frame10, case ignored), all else in the order given;
    a file named twice is taken once. Folders and open globs give files with the ending of a picture only;
    what is in them, is found out later. A file whose own name holds glob characters wins over the glob.

    Raises: DecodeError for a file that is not there; StackError where nothing is found.
    """
    search = _Search()
    for text, folder in _lines(inputs, stdin or sys.stdin):
        _expand(text, folder, search)
    if not search.paths:
        looked = ", ".join(str(each) for each in inputs)
        problem = f"No picture was found in {looked}." if looked else "No input was named."
        raise StackError(problem, _NAME_SOME)
    return Found(tuple(search.paths.values()), tuple(search.left_out))


def listed(listing: Path) -> list[str]:
    """The inputs that a list names, each as seen from the working directory; names with `://` as they are.
    Raises StackError."""
    lines = _entries(_read_list(listing))
    return [line if "://" in line else str(listing.parent / line) for line in lines]


def natural_key(path: Path) -> tuple[tuple[str | int, ...], ...]:
    """Sorts paths as people count: numbers by value, case ignored, folder by folder, a2 before a2b."""
    parts = (*path.parent.parts, path.stem, path.suffix)
    return tuple(tuple(int(piece) if number else piece for number, piece in _pieces(part)) for part in parts)


def _pieces(part: str) -> Iterator[tuple[bool, str]]:
    """The text and number pieces of a name in turn, text first."""
    return ((bool(index % 2), piece) for index, piece in enumerate(_DIGITS.split(part.casefold())))


def _lines(inputs: Sequence[str | Path], stdin: TextIO) -> Iterator[tuple[str, Path]]:
    """Every input with the folder it is relative to; lists are unfolded."""
    for given in inputs:
        text = str(given)
        if text == "-":
            yield from ((line, Path()) for line in _entries(stdin))
        elif text.startswith("@"):
            listing = Path(text[1:])
            yield from ((line, listing.parent) for line in _entries(_read_list(listing)))
        elif text:
            yield text, Path()


def _read_list(listing: Path) -> list[str]:
    try:
        text = listing.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise StackError(
            f"The list {listing} cannot be read: {error.strerror}.", "Check its name and rights."
        ) from error
    if "\0" in text:
        raise StackError(f"The list {listing} is not a text file.", "Name pictures without the @.")
    return text.splitlines()


def _entries(lines: Iterable[str]) -> Iterator[str]:
    """The lines of a list that name something."""
    stripped = (line.strip() for line in lines)
    return (line for line in stripped if line and not line.startswith("#"))


def _expand(text: str, folder: Path, search: _Search) -> None:
    """Add what one input stands for to the search."""
    path = folder / text
    if path.is_file():
        search.take(path)
    elif path.is_dir():
        _sift(_listing(path), search, any_ending=False)
    elif path.exists():
        raise DecodeError(str(path), "it is neither a file nor a folder.", "Name a picture file or a folder.")
    elif "://" in text:
        raise DecodeError(text, "frames elsewhere are read by gpustack stack and batch only.", "Fetch it.")
    elif _GLOB_CHARACTERS.search(text):
        matches = _glob(path)
        if not matches:
            raise StackError(f"No file matches {path}.", "Check the pattern and the folder.")
        ending = Path(text).suffix
        _sift(matches, search, any_ending=bool(ending) and not _GLOB_CHARACTERS.search(ending))
    else:
        raise DecodeError(str(path), "there is no such file or folder.", "Check the name.")


def _listing(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise StackError(
            f"The folder {folder} cannot be read: {error.strerror}.", "Check its rights."
        ) from error


def _glob(pattern: Path) -> list[Path]:
    try:
        return list(Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))))
    except (ValueError, NotImplementedError, OSError) as error:
        raise StackError(f"{pattern} is not a pattern that can be searched for.", _NAME_SOME) from error


def _sift(entries: Iterable[Path], search: _Search, *, any_ending: bool) -> None:
    """Take the pictures among the entries of a folder or a glob in natural order; note the others.

    Folders are worth a note only where there is no picture beside them.
    """
    ordered = sorted(entries, key=lambda path: (natural_key(path), path))
    folders = [path for path in ordered if path.is_dir()]
    reasons = {path: _reason(path, any_ending) for path in ordered if path not in set(folders)}
    for path, reason in reasons.items():
        if reason:
            search.leave(path, reason)
        else:
            search.take(path)
    if all(reasons.values()):
        for path in folders:
            search.leave(path, "a folder inside")


def _reason(path: Path, any_ending: bool) -> str:
    """Why a file is passed over; empty where it is taken."""
    if path.name.startswith("._"):
        return "a macOS companion file"
    if path.name.startswith("."):
        return "a hidden file"
    if not any_ending and path.suffix.lower() in VIDEO_ENDINGS:
        return "a video: name it to take its frames"
    if not any_ending and path.suffix.lower() not in PICTURE_ENDINGS:
        return f"not a picture by its ending ({path.suffix or 'none'})"
    return "" if path.is_file() else "not a regular file"
