"""The competitors of the benches: ours and the peers, each as the commands that turn frames into a picture.

`python bench/peers.py install` installs every peer that can be installed here; `python bench/peers.py list`
shows which are ready, with versions, and why the others are not.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from frames import default_cache
from measure import BenchError, Command
from venvs import Venv, output

DRIVER = Path(__file__).with_name("drive_shinestacker.py")
JPEG_QUALITY = "95"
DEBIAN = ("enfuse", "hugin-tools")

OPENFOCUS = Venv("openfocus", ("torch==2.13.0", "openfocus==1.72.0"))
FOCUSWEAVE = Venv("focusweave", ("focusweave==2.0.0",))
SHINESTACKER = Venv("shinestacker", ("shinestacker==1.17.4",), least_python=(3, 12))


@dataclass(frozen=True)
class Task:
    """One piece of work: the frames (alone in `folder`), where the picture goes, and an empty folder."""

    frames: tuple[Path, ...]
    folder: Path
    out: Path
    scratch: Path
    align: bool


class Competitor(Protocol):
    """Whatever turns a task into commands that are then run as whole processes."""

    @property
    def name(self) -> str:
        """Name in the results, with the method."""

    def version(self) -> str | None:
        """Version found here, None where the competitor is not installed."""

    def commands(self, task: Task) -> list[Command]:
        """The commands, to be run in turn, that write `task.out`."""


@dataclass(frozen=True)
class Ours:
    """gpustack by its command line, run by the Python that runs the bench."""

    method: str
    backend: str = "auto"

    @property
    def name(self) -> str:
        """Name in the results."""
        return f"gpustack {self.method}"

    def version(self) -> str | None:
        """The package's version, if its command line answers to the Python that runs the bench."""
        if output([sys.executable, "-m", "gpustack", "stack", "--help"]) is None:
            return None
        return output([sys.executable, "-c", "import gpustack; print(gpustack.__version__)"])

    def commands(self, task: Task) -> list[Command]:
        """One `stack` command; without an option for alignment it aligns by its default."""
        align = [] if task.align else ["--align", "none"]
        options = [*align, "--method", self.method, "--backend", self.backend, "--overwrite", "--quiet"]
        return [[sys.executable, "-m", "gpustack", "stack", *_names(task), "-o", str(task.out), *options]]


@dataclass(frozen=True)
class Enfuse:
    """enfuse with the focus-stacking weights of its manual, after align_image_stack where asked for."""

    name = "enfuse"

    def version(self) -> str | None:
        """Version of enfuse; align_image_stack must be there too."""
        fuse, align = output(["enfuse", "--version"]), shutil.which("align_image_stack")
        return fuse.splitlines()[0].split()[-1] if fuse and align else None

    def commands(self, task: Task) -> list[Command]:
        """align_image_stack (-m: magnification changes with focus) writes TIFFs that enfuse reads."""
        weights = ["--exposure-weight=0", "--saturation-weight=0", "--contrast-weight=1", "--hard-mask"]
        compression = [f"--compression={JPEG_QUALITY}"] if task.out.suffix == ".jpg" else []
        fuse = ["enfuse", *weights, *compression, f"--output={task.out}"]
        if not task.align:
            return [[*fuse, *_names(task)]]
        prefix = task.scratch / "aligned_"
        aligned = [f"{prefix}{index:04d}.tif" for index in range(len(task.frames))]
        align = ["align_image_stack", "-m", "--use-given-order", "-a", str(prefix), *_names(task)]
        return [align, [*fuse, *aligned]]


@dataclass(frozen=True)
class OpenFocus:
    """OpenFocus by its command line, with one of its fusion methods and its own alignment.

    `steady`: frames that need no alignment have one brightness, and OpenFocus is told so.
    """

    method: str
    cache: Path
    steady: bool = False

    @property
    def name(self) -> str:
        """Name in the results."""
        return f"openfocus {self.method.removeprefix('openfocus_')}"

    def version(self) -> str | None:
        """Version of the distribution in its environment."""
        return OPENFOCUS.version(self.cache)

    def commands(self, task: Task) -> list[Command]:
        """One command; its exposure matching stays on, as it is by default, unless frames are `steady`."""
        align = "openfocus" if task.align else "none"
        told = ["--no-exposure-match"] if self.steady and not task.align else []
        program = OPENFOCUS.program(self.cache, "openfocus")
        return [[program, "-i", *_names(task), "-o", str(task.out), "-m", self.method, "-a", align, *told]]


@dataclass(frozen=True)
class FocusWeave:
    """FocusWeave by its command line; it takes a folder and knows one method."""

    cache: Path
    name = "focusweave"

    def version(self) -> str | None:
        """Version of the distribution in its environment."""
        return FOCUSWEAVE.version(self.cache)

    def commands(self, task: Task) -> list[Command]:
        """One command; --keep-size, since it would enlarge the picture by what the frames do not share."""
        align = "--keep-size" if task.align else "--no-align"
        program = FOCUSWEAVE.program(self.cache, "focusweave")
        return [[program, str(task.folder), align, "--quality", JPEG_QUALITY, "--output", str(task.out)]]


@dataclass(frozen=True)
class ShineStacker:
    """Shine Stacker by its Python API, since it has no headless command."""

    method: str
    cache: Path

    @property
    def name(self) -> str:
        """Name in the results."""
        return f"shinestacker {self.method}"

    def version(self) -> str | None:
        """Version of the distribution in its environment."""
        return SHINESTACKER.version(self.cache)

    def commands(self, task: Task) -> list[Command]:
        """The driver beside this file, in Shine Stacker's environment; it writes JPEG at quality 100, or TIFF
        where it reads TIFF."""
        python, align = SHINESTACKER.program(self.cache, "python"), "yes" if task.align else "no"
        return [[python, str(DRIVER), self.method, align, str(task.folder), str(task.scratch), str(task.out)]]


def ours(backend: str = "auto") -> list[Competitor]:
    """gpustack with each of its methods."""
    return [Ours(method, backend) for method in ("auto", "pyramid", "depthmap", "average")]


def peers(cache: Path) -> list[Competitor]:
    """Every peer that the bench knows, each method that is its own; installed or not."""
    return [
        Enfuse(),
        FocusWeave(cache),
        *(OpenFocus(method, cache) for method in ("openfocus_a", "openfocus_b", "openfocus_c", "dct")),
        *(ShineStacker(method, cache) for method in ("pyramid", "depthmap")),
    ]


def quality_peers(cache: Path) -> list[Competitor]:
    """Every peer with all methods that take seconds and not minutes."""
    others = [peer for peer in peers(cache) if not isinstance(peer, OpenFocus)]
    methods = ("openfocus_a", "openfocus_b", "openfocus_c", "dct", "dtcwt", "guided_filter", "gfgfgf")
    return [*others, *(OpenFocus(method, cache, steady=True) for method in methods)]


def slow_peers(cache: Path) -> list[Competitor]:
    """What takes minutes for a stack: OpenFocus's newest network."""
    return [OpenFocus("stackmffv3", cache, steady=True)]


def symbolic(competitor: Competitor, align: bool, out: str = "OUT.jpg") -> list[str]:
    """The competitor's commands with names in place of paths, fit for a result file."""
    task = Task((Path("FRAMES"),), Path("FOLDER"), Path(out), Path("SCRATCH"), align)
    shown = [[Path(command[0]).name, *command[1:]] for command in competitor.commands(task)]
    here = f"{DRIVER.parent}{os.sep}"
    return [" ".join(word.removeprefix(here) for word in command) for command in shown]


def _names(task: Task) -> list[str]:
    return [str(frame) for frame in task.frames]


def install(cache: Path) -> None:
    """Install the Debian packages (as root; else say how) and one environment a peer from PyPI."""
    apt = ["apt-get", "install", "-y", "--no-install-recommends", *DEBIAN]
    if shutil.which("enfuse") is None and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(apt, check=True)
    for venv in (OPENFOCUS, FOCUSWEAVE, SHINESTACKER):
        print(f"{venv.distribution} ...", flush=True)
        venv.install(cache)
    show(cache)


def show(cache: Path) -> None:
    """Print every competitor with the version found here."""
    for competitor in [*ours(), *peers(cache)]:
        print(f"{competitor.name:<24} {competitor.version() or 'not installed'}")
    if shutil.which("enfuse") is None or shutil.which("align_image_stack") is None:
        print(f"enfuse is a Debian package: sudo apt-get install {' '.join(DEBIAN)}")


def main() -> None:
    """Command line of this file."""
    parser = argparse.ArgumentParser(description="Install or list the peers of the benches.")
    parser.add_argument("action", choices=("install", "list"))
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder of the environments")
    given = parser.parse_args()
    try:
        {"install": install, "list": show}[given.action](given.cache)
    except (BenchError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"peers: {error}") from None


if __name__ == "__main__":
    main()
