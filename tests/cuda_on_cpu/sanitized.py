"""Runs kernels with the address and undefined-behaviour sanitizers.

`python -m tests.cuda_on_cpu.sanitized package.module:function` calls `function(device)` in a process of its
own, with a CpuDevice that compiles with the sanitizers. It fails where a kernel reads or writes beyond an
array: of device memory, which is allocated to the byte, of shared memory or of its own.
"""

from __future__ import annotations

import functools
import importlib
import os
import subprocess
import sys
from pathlib import Path

from tests.cuda_on_cpu.module import compiler, problem

FLAGS = (
    *("-O1", "-fsanitize=address,undefined,float-cast-overflow"),
    *("-fno-sanitize-recover=all", "-fno-omit-frame-pointer"),
)
"""Also says so where a float does not fit the integer it becomes: the CPU and the device then differ."""

_INSIDE = "GPUSTACK_SANITIZED"


@functools.cache
def sanitizer_problem() -> str | None:
    """Why no sanitizer can be used here, or None."""
    return problem() or (None if _runtime().is_file() else "the address sanitizer's library was not found")


@functools.cache
def _runtime() -> Path:
    """The sanitizer's library, which has to be there before all others."""
    asked = subprocess.run(
        [compiler()[0], "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    )
    return Path(asked.stdout.strip())


def run(target: str) -> subprocess.CompletedProcess[str]:
    """Call `package.module:function` under the sanitizers; what they found is in `stderr`."""
    # Python's own leaks are not ours, and fibers are not the stack that the sanitizer would watch.
    options = "detect_leaks=0:detect_stack_use_after_return=0"
    added = {"LD_PRELOAD": str(_runtime()), "ASAN_OPTIONS": options, _INSIDE: "1"}
    return subprocess.run(
        [sys.executable, "-m", __spec__.name, target],
        cwd=Path(__file__).parents[2], env={**os.environ, **added}, capture_output=True, text=True,
    )  # fmt: skip


def call(target: str) -> None:
    """Call the function with a device; in the process that has the sanitizers."""
    from gpustack.backend.gpu import tensor
    from tests.cuda_on_cpu.device import CpuDevice

    tensor.ALIGNMENT = 1  # else the end of a picture lies within its block
    module, function = target.split(":")
    getattr(importlib.import_module(module), function)(CpuDevice(order=1, flags=FLAGS))


def main() -> int:
    """Run the one target of the command line."""
    if os.environ.get(_INSIDE):
        call(sys.argv[1])
        return 0
    reason = sanitizer_problem()
    if reason:
        sys.exit(f"skipped: {reason}")
    done = run(sys.argv[1])
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
