"""What a command imports before it has to: start-up is most of what a small command takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.calling import surroundings

HEAVY = ("cv2", "numpy", "imagecodecs", "tifffile", "simplejpeg", "rawpy", "numba", "cupy", "nvidia", "rich")
HEAVY += ("starlette", "uvicorn", "anyio")
PROGRAM = f"""
import sys
sys.argv[0] = "gpustack"
from gpustack.cli.app import main
try:
    main()
except SystemExit:
    pass
print(*sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)
"""


def imported(*arguments: object) -> set[str]:
    """The heavy packages that `gpustack ARGUMENTS` had imported when it ended."""
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=surroundings())
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("command", [[], ["stack"], ["plan"], ["compare"], ["view"], ["doctor"]])
def test_help_imports_nothing_heavy(command: list[str]) -> None:
    assert imported(*command, "--help") == set()


def test_a_wrong_option_is_told_without_importing_anything_heavy() -> None:
    assert imported("stack", "a.jpg", "--metod", "auto") == set()


def test_a_run_imports_what_draws_only_on_a_terminal(frames: list[Path], tmp_path: Path) -> None:
    found = imported("stack", *frames, "-o", tmp_path / "o.png", "--quiet")
    assert "numpy" in found
    assert not found & {"rich", "rawpy", "cupy", "nvidia"}
    assert (tmp_path / "o.png").is_file()
