"""The command line, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import gpustack

COMMAND = (sys.executable, "-m", "gpustack")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(gpustack.__file__).parents[1])}


def command(folder: Path, *words: str) -> str:
    """What `gpustack ...` in a folder prints; it must not fail."""
    ran = subprocess.run(
        [*COMMAND, *words], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
