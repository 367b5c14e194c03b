"""One virtual environment for each peer from PyPI, under the cache folder: made, found, asked."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from measure import REPOSITORY, BenchError


@dataclass(frozen=True)
class Venv:
    """The environment of one distribution: what pip installs, and the least Python it runs on."""

    distribution: str
    requirements: tuple[str, ...]
    least_python: tuple[int, int] = (3, 11)

    def home(self, cache: Path) -> Path:
        """The folder of the environment, whether or not it is there."""
        return cache / "venvs" / self.distribution

    def program(self, cache: Path, name: str) -> str:
        """Path of a program inside the environment."""
        return str(self.home(cache) / "bin" / name)

    def version(self, cache: Path) -> str | None:
        """The installed version of the distribution, None where it is not installed."""
        ask = f"from importlib.metadata import version; print(version({self.distribution!r}))"
        return output([self.program(cache, "python"), "-I", "-c", ask])

    def install(self, cache: Path) -> None:
        """Make the environment, or bring the one that is there up to the requirements."""
        python = self.program(cache, "python")
        subprocess.run([find_python(self.least_python), "-m", "venv", str(self.home(cache))], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *self.requirements], check=True)


def find_python(least: tuple[int, int]) -> str:
    """A Python on PATH of at least version `least`, the newest by name first; this one where it will do."""
    if sys.version_info[:2] >= least:
        return sys.executable
    for minor in range(14, least[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        # A version manager's stand-in is on PATH for versions that it would refuse to run.
        if found and output([found, "-c", "print(1)"]):
            return found
    wanted = ".".join(map(str, least))
    raise BenchError(f"No Python {wanted} or newer on PATH: install one, or put its folder on PATH.")


def output(command: list[str]) -> str | None:
    """The standard output of a command, stripped; None where it fails or does not exist."""
    try:
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
