"""How loops are compiled: by numba, into one piece of machine code that is loaded without it.

Numba translates, and leaves optimising to us: two arrays that are given to one loop never share memory, for
which numba has no word. LLVM is told here, and takes loops into vectors that it would have to leave, or to
guard by comparing every two arrays.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar, cast

import llvmlite.binding as llvm
import numpy as np
from numba import njit, types
from numba.np.numpy_support import carray

__all__ = ["F", "carray", "compiled", "machine_code"]

Loop = TypeVar("Loop", bound=Callable[..., Any])

F = np.float32

_HOW: dict[str, Any] = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_POINTER: Any = types.CPointer
_KINDS = {
    "F": _POINTER(types.float32),
    "D": _POINTER(types.float64),
    "L": _POINTER(types.int64),
    "H": _POINTER(types.uint16),
    "B": _POINTER(types.uint8),
    "i": types.intp,
    "f": types.float32,
}
"""The kinds of arguments that `signatures.py` tells, as numba knows them."""

_LIBRARY = {"memset", "memcpy", "memmove"}
"""What the loops may ask of the C library."""

_COUNTING = re.compile(r"^define linkonce_odr void @(NRT_(?:inc|dec)ref)\(.*?^}", re.M | re.S)
_DEFINED = re.compile(r"^define .*$", re.M)
_DATA = re.compile(r"\bptr (?=[^,]*%arg\.[\w.]+\.4\b)")
"""Where an array that a loop is given lies: the fifth of the values that numba makes of an array."""


def compiled(loop: Loop) -> Loop:
    """The loop, to be called by others.

    Without `fastmath`: sums keep their order and nothing is contracted, so a pixel's value does not depend on
    where it lies in a vector, nor on the processor.
    """
    return cast(Loop, njit(**_HOW)(loop))


def machine_code(entries: dict[str, tuple[Callable[..., None], str]]) -> bytes:
    """An object file for this processor of functions by their names, each with the kinds of its arguments.

    They are functions of C: two pointers to 64 bytes of no interest come first, and they return 0.
    """
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    whole = llvm.parse_assembly("")
    for name, (entry, kinds) in entries.items():
        whole.link_in(_translated(name, entry, kinds))
    machine = _target_machine()
    tuning = llvm.create_pipeline_tuning_options(speed_level=3)
    tuning.loop_vectorization = tuning.slp_vectorization = True
    with llvm.create_pass_builder(machine, tuning) as builder:
        builder.getModulePassManager().run(whole, builder)
    _refuse_unknown(whole)
    return cast(bytes, machine.emit_object(whole))


def _target_machine() -> Any:
    """That of this processor, as numba has it."""
    host = llvm.Target.from_default_triple()
    return host.create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        reloc="static" if host.triple.startswith("x86_64") else "default",
        codemodel="jitdefault",
        jit=True,
    )


def _translated(name: str, entry: Callable[..., None], kinds: str) -> Any:
    """A module of one function that others can see."""
    made: Any = njit(**_HOW)(entry)
    asked = tuple(_KINDS[kind] for kind in kinds)
    made.compile(asked)
    text = _unaliased(made.inspect_llvm(asked))
    module = llvm.parse_assembly(text)
    for each in [*module.functions, *module.global_variables]:
        if not each.is_declaration:
            each.linkage = "internal"
    function = module.get_function(made.overloads[asked].fndesc.llvm_func_name)
    function.linkage = "external"
    function.name = name
    return module


def _unaliased(text: str) -> str:
    """What numba says of a loop: without counting of references, as all memory is the caller's, and with the
    word on arrays."""
    text = _COUNTING.sub(r"define internal void @\1(ptr %_) {\n  ret void\n}", text)
    return _DEFINED.sub(lambda line: _DATA.sub("ptr noalias ", line[0]), text)


def _refuse_unknown(module: Any) -> None:
    """Raise where code asks for something that is not there without numba."""
    names = {each.name for each in module.functions if each.is_declaration}
    unknown = {name for name in names if not name.startswith("llvm.")} - _LIBRARY
    if unknown:
        raise RuntimeError(f"the loops need {', '.join(sorted(unknown))}")
