"""The CUDA sources: where they lie, and what text is compiled."""

from __future__ import annotations

import re
from pathlib import Path

from gpustack.errors import BackendError

_PACKAGE = Path(__file__).parents[1]

OPTIONS = ("-fmad=false",)
"""Compiler options: no fused multiply-add, so that every device rounds as the plain reference does."""

PIXELS = {"uint8": "unsigned char", "uint16": "unsigned short", "float32": "float"}
"""What `PIXEL`, a frame's sample, is in C for each dtype."""


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


def stages() -> tuple[str, ...]:
    """Names of the stages, one for each `.cu` file, sorted."""
    return tuple(sorted(path.stem for path in folder().glob("*.cu")))


def source(stage: str, pixel: str) -> str:
    """The one text of a stage for frames of dtype `pixel`: definitions, what it shares, and its own file.

    What it shares beside common.cuh it names in a comment, `// With: part.cuh`. Nothing is pulled in by
    #include: CuPy's compile cache does not see included files and would run an old binary. `#line` makes the
    compiler name the right file.
    """
    own = (folder() / f"{stage}.cu").read_text("utf-8")
    named = re.search(r"^// With: (.+)$", own, re.MULTILINE)
    shared = ["common.cuh", *(named[1].split(", ") if named else [])]
    texts = {name: (folder() / name).read_text("utf-8") for name in shared} | {f"{stage}.cu": own}
    defines = f"#define PIXEL {PIXELS[pixel]}\n#define PIXEL_IS_FLOAT {int(pixel == 'float32')}\n"
    return defines + "".join(f'#line 1 "{name}"\n{text}' for name, text in texts.items())
