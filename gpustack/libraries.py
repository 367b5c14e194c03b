"""The libraries that pixels come from, and their installed versions; imports none of them."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from gpustack.version import __version__

LIBRARIES = ("numpy", "opencv-python-headless", "tifffile", "imagecodecs", "simplejpeg", "rawpy")
"""What computes, decodes and encodes, by the names that pip knows."""

EXTRAS = ("OpenEXR", "pi-heif", "av", "numba", "cupy-cuda12x", "cupy-cuda13x")
"""The same, of the extras."""

MISSING = "missing"


def installed(name: str) -> str:
    """The installed version of a distribution, or `missing`."""
    try:
        return version(name)
    except PackageNotFoundError:
        return MISSING


def program() -> dict[str, str]:
    """This program, Python, and every library that can change a pixel, with their versions; of those that are
    optional, such as are installed."""
    own = {"gpustack": __version__, "python": platform.python_version()}
    extras = {name: found for name in EXTRAS if (found := installed(name)) != MISSING}
    return own | {name: installed(name) for name in LIBRARIES} | extras


def machine() -> str:
    """The system and its processor, as the system names them."""
    return f"{platform.system()} {platform.processor() or platform.machine()}"
