"""`gpustack doctor`: what is installed, what works, and how much memory there is."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import platform
import shutil
from typing import Any

import typer

from gpustack.cli import options
from gpustack.cli.ending import ending
from gpustack.errors import GpustackError
from gpustack.libraries import LIBRARIES, MISSING, installed
from gpustack.version import __version__

_LIBRARIES = (*LIBRARIES, "typer", "rich")
# What comes with extras: the module, and the extra.
_EXTRAS = {"heic": ("pi_heif", "heif"), "exr": ("OpenEXR", "exr"), "video": ("av", "video")}


@ending
def doctor(json_: options.JsonOption = False, debug: options.DebugOption = False) -> None:
    """Tell versions, backends and why not, codecs and memory, and run a small self-test."""
    del debug
    found = examine()
    typer.echo(json.dumps(found, indent=1) if json_ else _as_text(found))
    if found["self_test"] != "passed":
        raise GpustackError(f"The self-test failed: {found['self_test']}.", "Reinstall gpustack-focus.")


def examine() -> dict[str, Any]:
    """Everything `doctor` tells."""
    from gpustack.backend.decoders import jpeg_report
    from gpustack.backend.detect import cuda_report
    from gpustack.backend.memory import free_bytes
    from gpustack.settings import RAM_SHARE

    cuda = cuda_report()
    return {
        "gpustack": __version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "libraries": {name: installed(name) for name in _LIBRARIES},
        "problems": _problems(),
        "backends": {"cpu": _cpu(), "cuda": cuda},
        "kernels": _kernels(),
        "codecs": _codecs(),
        "decoders": {"cpu": {"works": True}, "gpu": jpeg_report(_working(cuda))},
        "memory": {"free_bytes": free_bytes(), "used_by_default": RAM_SHARE},
        "disk_free_bytes": shutil.disk_usage(".").free,
        "self_test": _self_test(with_cuda=cuda["works"]),
    }


def _cpu() -> dict[str, Any]:
    """The CPU backend: its threads, and whether its loops are compiled."""
    from gpustack.backend.choose import has_loops
    from gpustack.backend.fast.ready import compiled_before
    from gpustack.io.extras import installing

    numba = installed("numba")
    when = "" if compiled_before() else ", in the first run"
    loops = f"compiled by numba {numba}{when}" if has_loops() else f"not compiled: {installing('fast')}"
    return {"works": True, "threads": os.cpu_count(), "loops": loops}


def _working(cuda: dict[str, Any]) -> list[int]:
    """Numbers of the devices on which CUDA works."""
    return [device["number"] for device in cuda["devices"] if device["works"]]


def _problems() -> list[str]:
    """Installations that are known to break each other."""
    problems = []
    others = {name for name in ("opencv-python", "opencv-contrib-python") if installed(name) != MISSING}
    if others:
        problems.append(
            f"{', '.join(sorted(others))} shares its files with opencv-python-headless; uninstall all of "
            "them and install opencv-python-headless again."
        )
    if installed("gpustack") != MISSING:
        problems.append(
            "The unrelated package 'gpustack' (a cluster manager) has the same import name; keep the two in "
            "separate environments."
        )
    return problems


def _kernels() -> str:
    from gpustack.backend.kernels import folder

    return f"found, {len(list(folder().glob('*.cu*')))} files"


def _codecs() -> dict[str, str]:
    import imagecodecs

    from gpustack.io.extras import installing

    wanted = ("JPEG8", "PNG", "LZW", "DEFLATE", "ZSTD", "PACKBITS", "CMS", "JPEGXL", "WEBP", "AVIF")
    codecs = {name.lower(): "yes" if getattr(imagecodecs, name).available else "no" for name in wanted}
    codecs["raw"] = "yes" if importlib.util.find_spec("rawpy") else "no: rawpy has no wheel for this system"
    for name, (module, extra) in _EXTRAS.items():
        there = importlib.util.find_spec(module) is not None
        codecs[name] = "yes" if there else f"no: {installing(extra)}"
    return codecs


def _self_test(*, with_cuda: bool) -> str:
    """Stack two frames, each sharp on one half, by every method and backend; both halves must be sharp."""
    import numpy as np

    from gpustack import api
    from gpustack.settings import BackendName, Method, Model, Settings

    sharp = np.random.default_rng(0).integers(60, 196, (64, 96, 3)).astype(np.uint8)
    flat = np.full_like(sharp, 128)
    left, right = sharp.copy(), sharp.copy()
    left[:, 48:], right[:, :48] = flat[:, 48:], flat[:, :48]
    backends = (BackendName.CPU, BackendName.CUDA) if with_cuda else (BackendName.CPU,)
    for backend, method in itertools.product(backends, Method):
        settings = Settings(method=method, align=Model.NONE, backend=backend, threads=1)
        result = api.stack([left, right], settings)
        inner = np.abs(result.image.astype(int) - sharp)[:, np.r_[0:32, 64:96]]
        if inner.max() > 2:
            return f"method {method.value} on {backend.value} is off by {inner.max()} of 255"
    return "passed"


def _as_text(found: dict[str, Any]) -> str:
    lines = [f"gpustack {found['gpustack']}, Python {found['python']}"]
    lines += [f"  {name} {version}" for name, version in found["libraries"].items()]
    lines += [f"PROBLEM: {problem}" for problem in found["problems"]]
    cpu = found["backends"]["cpu"]
    lines.append(f"backend cpu: works, {cpu['threads']} threads, loops of large frames {cpu['loops']}")
    lines += _cuda_lines(found["backends"]["cuda"])
    lines.append(f"kernels: {found['kernels']}")
    lines.append("codecs: " + ", ".join(f"{name} {state}" for name, state in found["codecs"].items()))
    lines.append(_decoder_line(found["decoders"]["gpu"]))
    memory = found["memory"]
    lines.append(
        f"memory: {memory['free_bytes'] / 1e9:.1f} GB free, {memory['used_by_default']:.0%} used by default"
    )
    lines.append(f"disk: {found['disk_free_bytes'] / 1e9:.1f} GB free here")
    lines.append(f"self-test: {found['self_test']}")
    return "\n".join(lines)


def _cuda_lines(cuda: dict[str, Any]) -> list[str]:
    if not cuda["works"]:
        state = f"does not work: {cuda['problem']} {cuda['remedy']}"
    else:
        state = (
            f"works, driver for CUDA {cuda['driver']}, CuPy {cuda['cupy']} for CUDA {cuda['runtime']}, "
            f"NVRTC {cuda['nvrtc']}"
        )
    return [f"backend cuda: {state}", *map(_device_line, cuda["devices"])]


def _decoder_line(decoder: dict[str, Any]) -> str:
    if decoder["works"]:
        return f"decoder gpu: works, nvImageCodec {decoder['version']}"
    return f"decoder gpu: does not work: {decoder['problem']} {decoder['remedy']}"


def _device_line(device: dict[str, Any]) -> str:
    line = f"  device {device['number']}: {device['name']}, compute capability {device['capability']}, "
    if not device["works"]:
        return f"{line}does not work: {device['problem']} {device['remedy']}"
    free, total = device["memory_free_bytes"] / 1e9, device["memory_total_bytes"] / 1e9
    return f"{line}{free:.1f} of {total:.1f} GB free"
