"""What holds for every CUDA source, as text."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from gpustack.backend import kernels

FILES = sorted(kernels.folder().iterdir())
SOURCES = [path for path in FILES if path.suffix == ".cu"]

BANNED = {
    "#include": "CuPy's compile cache does not see included files",
    "__shfl": "the plain reference has no warps",
    "__ballot": "the plain reference has no warps",
    "expf": "rounds otherwise on every device",
    "powf": "rounds otherwise on every device",
    "__fdividef": "rounds otherwise on every device",
    "extern __shared__": "sizes are known when a kernel is compiled",
    "asm": "the sources also compile for the CPU",
}

every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


def code(path: Path) -> str:
    """The source without its comments."""
    return re.sub(r"//.*", "", path.read_text("utf-8"))


def declared(path: Path) -> list[str]:
    return re.findall(r"^\w+_KERNEL (\w+)\(", path.read_text("utf-8"), re.MULTILINE)


def test_there_is_one_file_a_stage_and_no_header_that_nobody_needs() -> None:
    named = "".join(path.read_text("utf-8") for path in SOURCES)
    for path in FILES:
        assert path.suffix == ".cu" or path.name == "common.cuh" or path.name in named
    assert {path.stem for path in SOURCES} == set(kernels.stages())


@every_file
def test_a_file_is_short_and_says_first_what_it_is_for(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) < 200
    assert lines[0].startswith("// ")
    assert [number for number, line in enumerate(lines, 1) if len(line) > 130 or "\t" in line] == []


@every_file
def test_nothing_banned_is_used(path: Path) -> None:
    used = [word for word in BANNED if re.search(rf"(?<!\w){re.escape(word)}", code(path))]
    assert [f"{word}: {BANNED[word]}" for word in used] == []


def test_kernels_are_declared_by_the_macros_only() -> None:
    for path in SOURCES:
        assert declared(path), path.name
        assert "__global__" not in code(path), path.name


def test_names_of_kernels_are_unique() -> None:
    names = Counter(name for path in SOURCES for name in declared(path))
    assert [name for name, count in names.items() if count > 1] == []
