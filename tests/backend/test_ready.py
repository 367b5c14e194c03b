"""What is known of loops that were compiled before, and having them compiled by a process of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gpustack import api
from gpustack.backend.choose import has_loops
from gpustack.backend.fast import ready
from gpustack.engine import plan as planning
from gpustack.model.frame import PixelType
from gpustack.settings import BackendName, Crop, Method, Settings

needs_numba = pytest.mark.skipif(not has_loops(), reason="the extra `fast` is not installed")


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No note that anybody else has left is seen, and none is left."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "given"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "user"))
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "loops.py").write_text("a loop")
    monkeypatch.setattr(ready, "_HERE", tmp_path / "package")


def noted(folder: Path) -> Path:
    """A file of numba's in a folder, with a note of it."""
    folder.mkdir(parents=True)
    file = folder / "a.nbi"
    file.write_bytes(b"compiled")
    ready.leave_note({str(folder): [file.name]})
    return file


def test_a_note_holds_while_the_files_are_there(tmp_path: Path) -> None:
    assert not ready.compiled_before()
    file = noted(tmp_path / "numba")
    assert ready.compiled_before()
    assert list((tmp_path / "given").glob("gpustack-loops-*.json"))
    file.unlink()
    assert not ready.compiled_before()
    file.parent.rmdir()
    assert not ready.compiled_before()


def test_a_note_that_is_damaged_does_not_hold(tmp_path: Path) -> None:
    noted(tmp_path / "numba")
    (note,) = (tmp_path / "given").iterdir()
    note.write_text(note.read_text()[:-1])
    assert not ready.compiled_before()


def test_what_loops_depend_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Their sources, the processor, the compiler's version and switches."""
    noted(tmp_path / "numba")
    with monkeypatch.context() as changed:
        changed.setattr(ready, "_processor", lambda: ["another"])
        assert not ready.compiled_before()
    with monkeypatch.context() as changed:
        changed.setattr(ready, "version", lambda name: f"{name} 99")
        assert not ready.compiled_before()
    with monkeypatch.context() as changed:
        changed.setenv("NUMBA_CPU_NAME", "generic")
        assert not ready.compiled_before()
    assert ready.compiled_before()
    (tmp_path / "package" / "loops.py").write_text("another loop")
    assert not ready.compiled_before()


def test_where_notes_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Beside the sources; of an installation that may only be read, in the user's own folder."""
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    beside = tmp_path / "package" / "__pycache__"
    noted(tmp_path / "numba")
    (note,) = beside.iterdir()
    assert ready.compiled_before()
    note.unlink()
    beside.rmdir()
    beside.write_text("no folder can be made here")
    assert not ready.compiled_before()
    noted(tmp_path / "others")
    assert ready.compiled_before()
    assert list((tmp_path / "user" / "gpustack").iterdir())


def test_where_no_note_can_be_left_none_is(tmp_path: Path) -> None:
    for name in ("given", "user", "package/__pycache__"):
        (tmp_path / name).write_text("no folder can be made here")
    ready.leave_note({})
    assert not ready.compiled_before()


def test_why_loops_cannot_be_compiled_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By the process that tries; the search path is this one's."""
    (tmp_path / "numba.py").write_text("raise ImportError('numba needs an older NumPy')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert ready.have_compiled() == "ImportError: numba needs an older NumPy"
    monkeypatch.setattr(ready.sys, "executable", str(tmp_path / "python"))
    assert ready.have_compiled() == f"{tmp_path / 'python'} cannot be started: No such file or directory"


@needs_numba
def test_practice_leaves_nothing_to_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that asks a loop for a kind of arguments that practice does not know compiles while frames are in
    memory."""
    from gpustack.backend.fast import compiling, loops

    monkeypatch.undo()  # numba looks for its files when it is imported: other tests need them, too
    monkeypatch.setattr(planning, "pays_to_compile", lambda _: True)
    compiling.practise()
    known = {name: set(getattr(loops, name).signatures) for name in loops.__all__}
    assert all(known.values())
    random = np.random.default_rng(4)
    for kind in PixelType:
        top = 1 if kind is PixelType.FLOAT32 else kind.white
        frames = [(random.random((40, 56, 3)) * top).astype(kind.value) for _ in range(2)]
        frames[0].flags.writeable = False
        for method in Method:
            result = api.stack(
                frames, Settings(method=method, crop=Crop.NONE, backend=BackendName.CPU, depth=True)
            )
            assert result.report.plan["loops"]
    assert {name: set(getattr(loops, name).signatures) for name in loops.__all__} == known
    (files,) = compiling.kept().values()
    assert {name.partition(".")[0] for name in files} >= {"bands", "pixels", "folding", "rows"}
