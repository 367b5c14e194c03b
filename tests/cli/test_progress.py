"""Progress goes to stderr, and only to a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpustack.cli.progress import TerminalProgress
from tests.cli.calling import surroundings
from tests.patience import LONG_S

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")


def on_a_terminal(*arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout, and what a terminal on stderr is shown."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gpustack", *map(str, arguments)]
    environment = surroundings() | {"TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # Linux: the other side is closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    told, _ = process.communicate(timeout=LONG_S)
    return process.returncode, told, shown.decode()


def test_a_terminal_sees_the_passes_and_stdout_stays_clean(frames: list[Path], tmp_path: Path) -> None:
    code, told, shown = on_a_terminal("stack", *frames, "-o", tmp_path / "o.png", "--json")
    assert code == 0, shown
    assert json.loads(told)["method"] == "auto"
    for words in ("survey", "auto", "3/3", "MP/s", "limited by"):
        assert words in shown


def test_a_quiet_terminal_sees_nothing(frames: list[Path], tmp_path: Path) -> None:
    assert on_a_terminal("stack", *frames, "-o", tmp_path / "o.png", "--quiet") == (0, "", "")


@pytest.mark.parametrize(("quiet", "said"), [(False, "gpustack: Mind [the] gap.\n"), (True, "")])
def test_warnings_are_said_without_a_terminal_too(
    capsys: pytest.CaptureFixture[str], quiet: bool, said: str
) -> None:
    with TerminalProgress(quiet) as progress:
        progress.begin("survey", 2, 1.0)
        progress.warn("Mind [the] gap.")
        progress.advance(0.5)
    assert capsys.readouterr() == ("", said)
