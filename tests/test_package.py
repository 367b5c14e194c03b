"""What the package promises as a whole: its names, its files, and functions that fit on a screen."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import gpustack
from gpustack.backend import kernels
from gpustack.errors import BackendError

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gpustack"
SOURCES = sorted(PACKAGE.rglob("*.py"))
KERNELS = sorted((ROOT / "kernels").glob("*.cu*"))

LONGEST_FUNCTION, LONGEST_FILE, LONGEST_KERNEL_FILE = 60, 400, 200


def test_the_public_names() -> None:
    assert gpustack.__all__ == [
        "BadFrame",
        "Brightness",
        "Checkpoint",
        "Comparison",
        "Crop",
        "Deghost",
        "DepthMap",
        "GpustackError",
        "Inspection",
        "Interpolation",
        "LayerFile",
        "Method",
        "Model",
        "Place",
        "Prefer",
        "Replay",
        "Result",
        "Scale",
        "Settings",
        "Tone",
        "Transform",
        "__version__",
        "compare",
        "inspect",
        "locate",
        "open_depth",
        "open_stack",
        "replay",
        "stack",
        "write_report",
    ]
    for name in gpustack.__all__:
        assert getattr(gpustack, name) is not None


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert gpustack.__version__ == project["version"]


def test_the_package_is_marked_as_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


def test_the_checkout_serves_its_own_kernels() -> None:
    assert kernels.folder() == ROOT / "kernels"
    assert kernels.folder() / "common.cuh" in KERNELS


def test_an_installed_package_serves_the_kernels_it_brings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site-packages" / "gpustack"
    monkeypatch.setattr(kernels, "_PACKAGE", installed)
    # A package named `kernels` beside ours is not ours, whatever it holds.
    (tmp_path / "site-packages" / "kernels").mkdir(parents=True)
    (tmp_path / "site-packages" / "kernels" / "common.cuh").touch()
    with pytest.raises(BackendError, match="kernels are missing"):
        kernels.folder()
    (installed / "_kernels").mkdir(parents=True)
    (installed / "_kernels" / "common.cuh").touch()
    assert kernels.folder() == installed / "_kernels"


@pytest.mark.slow
def test_the_wheel_holds_the_kernels_and_the_type_marker(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="hatchling, which builds the wheel, is not installed")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("gpustack_focus-*-py3-none-any.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"gpustack/py.typed", "gpustack/cli/app.py", "gpustack/_kernels/common.cuh"} <= names
    assert {f"gpustack/{path.relative_to(PACKAGE).as_posix()}" for path in SOURCES} <= names
    assert {f"gpustack/_kernels/{path.name}" for path in KERNELS} <= names
    assert {name.split("/")[0].removesuffix(".dist-info") for name in names} == {
        "gpustack",
        f"gpustack_focus-{gpustack.__version__}",
    }


def functions(source: Path) -> Iterator[tuple[str, int]]:
    """Name and lines of every function of a file."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def test_functions_fit_on_a_screen() -> None:
    found = [(source.name, name, lines) for source in SOURCES for name, lines in functions(source)]
    assert len(found) > 200
    assert [each for each in found if each[2] > LONGEST_FUNCTION] == []


def test_files_are_short() -> None:
    limits = dict.fromkeys(SOURCES, LONGEST_FILE) | dict.fromkeys(KERNELS, LONGEST_KERNEL_FILE)
    lines = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in limits}
    assert [file.name for file, limit in limits.items() if lines[file] > limit] == []
