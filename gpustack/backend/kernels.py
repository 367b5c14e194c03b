"""Where the CUDA sources lie: in the checkout, or in the installed package."""

from __future__ import annotations

from pathlib import Path

from gpustack.errors import BackendError

_PACKAGE = Path(__file__).parents[1]


def folder() -> Path:
    """The folder of the `.cu` files. The checkout comes first, as an editable install would serve a stale
    copy.

    A checkout is known by our own file beside pyproject.toml: an unrelated package named `kernels` exists.
    Raises BackendError.
    """
    checkout, installed = _PACKAGE.parent / "kernels", _PACKAGE / "_kernels"
    if (checkout / "common.cuh").is_file() and (_PACKAGE.parent / "pyproject.toml").is_file():
        return checkout
    if (installed / "common.cuh").is_file():
        return installed
    raise BackendError("The CUDA kernels are missing from this installation.", "Reinstall gpustack-focus.")
