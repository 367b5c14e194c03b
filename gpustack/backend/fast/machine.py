"""The compiled loops in this process: their machine code, loaded by LLVM alone, and how they are called."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from gpustack.backend.fast.arrays import Array
from gpustack.backend.fast.ready import have_compiled, kept_code
from gpustack.backend.fast.signatures import SIGNATURES
from gpustack.errors import BackendError

Function = Callable[..., None]

_KINDS: dict[str, Any] = {"i": ctypes.c_ssize_t, "f": ctypes.c_float}  # all else points
_BOUND = ctypes.create_string_buffer(128)  # the first two arguments, which are of no interest


class Machine:
    """The functions of `signatures.py`, by their names; calling one lets other threads run."""

    def __init__(self, code: bytes) -> None:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        target = llvm.Target.from_default_triple().create_target_machine(jit=True)
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        self._functions = {name: self._function(name, kinds) for name, kinds in SIGNATURES.items()}

    def __getitem__(self, name: str) -> Function:
        return self._functions[name]

    def _function(self, name: str, kinds: str) -> Function:
        address = self._engine.get_function_address(name)
        if not address:
            raise KeyError(name)
        given = [_KINDS.get(kind, ctypes.c_void_p) for kind in kinds]
        called = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, *given)(address)
        first = ctypes.addressof(_BOUND)

        def call(*arguments: Any) -> None:
            called(first, first + 64, *arguments)

        return call


def loaded() -> Machine:
    """The loops, compiled first where no process has done it on this machine."""
    code, problem = kept_code(), None
    if code is None:
        problem, code = have_compiled(), kept_code()
    if code is None:
        raise BackendError(
            f"numba is installed, but does not work ({problem}).",
            "Install a newer one, or uninstall it: gpustack works without.",
        )
    return Machine(code)


def address(array: Array) -> int:
    """Where an array begins; it has to live until the call is over."""
    return int(array.__array_interface__["data"][0])
