"""What a figure was taken on and when: machine, commit, versions; and writing a result file."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from measure import REPOSITORY

LIBRARIES = ("numpy", "opencv-python-headless", "imagecodecs", "simplejpeg", "tifffile", "rawpy")


def machine() -> dict[str, object]:
    """Processor, usable cores, memory, system, GPU, and the load average before the bench began."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "gpu": _said(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]),
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Python and the libraries that our own run stands on."""
    return {"python": platform.python_version()} | {name: _version(name) for name in LIBRARIES}


def heading(bench: str) -> dict[str, object]:
    """The head of every result file: which bench, when, at which commit, on what."""
    dirty = bool(_said(["git", "status", "--porcelain", "--untracked-files=no"]))
    return {
        "bench": bench,
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
        "commit": (_said(["git", "rev-parse", "--short=12", "HEAD"]) or "none")
        + ("+changes" if dirty else ""),
        "machine": machine(),
        "versions": versions(),
    }


def write_result(result: dict[str, object], path: Path, *, quiet: bool = False) -> None:
    """Write `result` as JSON to `path`, whole or not at all, and say so unless `quiet`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(result, indent=1) + "\n")
    part.replace(path)
    if not quiet:
        print(f"written: {path}")


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _said(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
