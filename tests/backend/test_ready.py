"""What is known of loops that were compiled before, and having them compiled by a process of its own."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from gpustack.backend.choose import has_loops
from gpustack.backend.fast import machine, ready
from gpustack.backend.fast.signatures import SIGNATURES

CODE = b"machine code"
needs_numba = pytest.mark.skipif(not has_loops(), reason="the extra `fast` is not installed")


@pytest.fixture
def nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing that anybody else has compiled is seen, and nothing is left."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "given"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "user"))
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "loops.py").write_text("a loop")
    monkeypatch.setattr(ready, "_HERE", tmp_path / "package")


alone = pytest.mark.usefixtures("nothing_else")


@alone
def test_what_was_compiled_is_found_while_it_is_whole(tmp_path: Path) -> None:
    assert not ready.compiled_before()
    ready.keep(CODE)
    assert ready.kept_code() == CODE
    (file,) = (tmp_path / "given").glob("gpustack-loops-*.o")
    file.write_bytes(file.read_bytes()[:-1])
    assert not ready.compiled_before()
    file.unlink()
    assert not ready.compiled_before()


@alone
def test_what_loops_depend_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Their sources, the processor, the compiler's version and switches."""
    ready.keep(CODE)
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


@alone
def test_where_it_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Beside the sources; of an installation that may only be read, in the user's own folder."""
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    beside = tmp_path / "package" / "__pycache__"
    ready.keep(CODE)
    (file,) = beside.iterdir()
    assert ready.compiled_before()
    file.unlink()
    beside.rmdir()
    beside.write_text("no folder can be made here")
    assert not ready.compiled_before()
    ready.keep(CODE)
    assert ready.compiled_before()
    assert list((tmp_path / "user" / "gpustack").iterdir())


@alone
def test_where_nothing_can_be_left_nothing_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("given", "user", "package/__pycache__"):
        (tmp_path / name).write_text("no folder can be made here")
    ready.keep(CODE)
    assert not ready.compiled_before()
    nobody = CompletedProcess([], 0, stderr=b"")
    monkeypatch.setattr(ready.subprocess, "run", lambda *_, **__: nobody)
    assert ready.have_compiled() == "there is no folder for what it compiles"


@alone
def test_why_loops_cannot_be_compiled_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By the process that tries; the search path is this one's."""
    (tmp_path / "numba.py").write_text("raise ImportError('numba needs an older NumPy')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert ready.have_compiled() == "ImportError: numba needs an older NumPy"
    monkeypatch.setattr(ready.sys, "executable", str(tmp_path / "python"))
    assert ready.have_compiled() == f"{tmp_path / 'python'} cannot be started: No such file or directory"


@needs_numba
def test_all_functions_are_there_and_what_is_asked_of_them_fits() -> None:
    """Machine code is loaded that a process of its own has compiled, once on this machine."""
    loops = machine.loaded()
    for name in SIGNATURES:
        with pytest.raises(TypeError, match="takes at least"):
            loops[name]()
    plane, out = np.arange(12, dtype=np.float32), np.zeros(12, np.float32)
    loops["luma_rows"](machine.address(plane), 12, 1, 3, 4, machine.address(out))
    np.testing.assert_array_equal(out, plane)
