"""The kernels compile for every architecture, within their means, and round as the plain reference does."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from gpustack.backend import kernels
from tests.kernels.nvrtc import CompileError, architectures, build, version

OLDEST = 75
"""Turing: the first architecture of CUDA 13."""

REGISTERS = 128
"""With more, two blocks of 256 threads would not fit beside each other into the 65536 of a multiprocessor."""

FUSED = re.compile(r"\b(?:fma|mad)\.[a-z.]*f(?:32|64)\b")
APPROXIMATE = re.compile(r"\b\w+\.approx[\w.]*")


def supported() -> list[int]:
    return [number for number in architectures() if number >= OLDEST]


def faults(source: str, target: str, options: tuple[str, ...] = kernels.OPTIONS) -> list[str]:
    """What no kernel may have: too many registers, a stack, and arithmetic that rounds otherwise."""
    built = build(source, target, options)
    found = [f"{name} is not reported on" for name in declared(source) - set(built.kernels)]
    for name, taken in built.kernels.items():
        if taken.registers > REGISTERS:
            found.append(f"{name} takes {taken.registers} registers")
        if taken.stack:
            found.append(f"{name} has {taken.stack} bytes of stack, {taken.spilled} bytes spilled")
    found += [f"{match} in the PTX" for match in {*FUSED.findall(built.ptx), *APPROXIMATE.findall(built.ptx)}]
    return found


def declared(source: str) -> set[str]:
    """The kernels that a source says it has."""
    return set(re.findall(r"^\w+_KERNEL (\w+)\(", source, re.MULTILINE))


def jobs(stage: str) -> dict[str, tuple[str, str]]:
    """Fingerprint -> pixel and target: every architecture with 8 bits, the oldest and newest with the others.

    A pixel is left out where the stage does not look at it.
    """
    numbers, plain = supported(), kernels.source(stage, "uint8")
    stage_text = plain[plain.index(f'#line 1 "{stage}.cu"') :]
    others = [pixel for pixel in kernels.PIXELS if pixel != "uint8" and re.search("PIXEL|_pixel", stage_text)]
    wanted = [("uint8", number) for number in numbers]
    wanted += [(pixel, number) for pixel in others for number in (numbers[0], numbers[-1])]
    return {
        fingerprint(kernels.source(stage, pixel), f"sm_{number}"): (pixel, f"sm_{number}")
        for pixel, number in wanted
    }


def fingerprint(source: str, target: str) -> str:
    """Of all that a result depends on: the source, the compiler, and these tests."""
    tests = [path.read_text("utf-8") for path in (Path(__file__), Path(__file__).with_name("nvrtc.py"))]
    return sha256("\0".join([source, target, version(), *kernels.OPTIONS, *tests]).encode()).hexdigest()


@pytest.mark.parametrize("stage", kernels.stages())
def test_a_stage_compiles_within_its_means(stage: str, pytestconfig: pytest.Config) -> None:
    """Results are kept in pytest's cache: a stage is compiled again when it changes."""
    wanted, cache = jobs(stage), getattr(pytestconfig, "cache", None)
    known = cache.get(f"kernels/{stage}", {}) if cache else {}
    missing = [key for key in wanted if key not in known]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        work = pool.map(lambda job: faults(kernels.source(stage, job[0]), job[1]), map(wanted.get, missing))
        known |= dict(zip(missing, work, strict=True))
    if cache:
        cache.set(f"kernels/{stage}", {key: known[key] for key in wanted})
    assert {wanted[key]: known[key] for key in wanted if known[key]} == {}
    assert declared(kernels.source(stage, "uint8"))


def test_turing_and_the_newest_architectures_are_among_them() -> None:
    numbers = supported()
    assert numbers[0] == OLDEST
    assert {80, 86, 89, 90, 120} <= set(numbers)


HEAD = 'extern "C" __global__ void __launch_bounds__(256) planted'
SUM = HEAD + "(float* f, double* d) { f[0] = f[1] * f[2] + f[3]; d[0] = d[1] * d[2] + d[3]; }"
STACK = HEAD + "(float* f, int n) { float v[64]; for (int i = 0; i < n; ++i) v[i] = f[i]; f[n] = v[n / 2]; }"
GREEDY = HEAD + (
    "(float* f, int n) {\n  float v[100];\n#pragma unroll\n  for (int i = 0; i < 100; ++i) v[i] = f[i * n];\n"
    "  for (int k = 0; k < n; ++k) {\n#pragma unroll\n    for (int i = 0; i < 100; ++i)\n"
    "      v[i] = v[i] * v[(i * 7 + 3) % 100] + f[k];\n  }\n"
    "#pragma unroll\n  for (int i = 0; i < 100; ++i) f[i * n] = v[i];\n}\n"
)
SPILLING = GREEDY.replace("__launch_bounds__(256)", "__launch_bounds__(1024)")


@pytest.mark.parametrize(
    ("source", "options", "fault"),
    [
        (SUM, (), r"fma\.rn\.ftz\.f32 in the PTX"),
        (SUM, (), r"fma\.rn\.f64 in the PTX"),
        (HEAD + "(float* f) { f[0] = f[1] / f[2]; }", ("-use_fast_math",), r"div\.approx"),
        (HEAD + "(float* f) { f[0] = expf(f[1]); }", kernels.OPTIONS, r"ex2\.approx"),
        (HEAD + "(float* f) { f[0] = __fdividef(f[1], f[2]); }", kernels.OPTIONS, r"div\.approx"),
        (HEAD + "(float* f) { f[0] = __fmaf_rn(f[1], f[2], f[3]); }", kernels.OPTIONS, r"fma\.rn"),
        (STACK, kernels.OPTIONS, r"planted has 256 bytes of stack, 0 bytes spilled"),
        (GREEDY, kernels.OPTIONS, r"planted takes [12]\d\d registers"),
        (SPILLING, kernels.OPTIONS, r"planted has \d+ bytes of stack, \d{3,} bytes spilled"),
        ("LINE_KERNEL hidden(\n", None, r"hidden is not reported on"),
    ],
)
def test_a_planted_fault_is_found(source: str, options: tuple[str, ...] | None, fault: str) -> None:
    if options is None:
        source, options = f"#if 0\n{source}#endif\n{SUM}", kernels.OPTIONS
    found = faults(source, f"sm_{OLDEST}", options)
    assert any(re.search(fault, each) for each in found), found


def test_the_same_sum_without_fusing_has_no_fault() -> None:
    assert faults(SUM, f"sm_{OLDEST}") == []


@pytest.mark.parametrize("stage", kernels.stages())
def test_an_error_names_the_file_and_its_line(stage: str) -> None:
    text = kernels.source(stage, "uint8")
    lines = text[text.index(f'#line 1 "{stage}.cu"') :].count("\n")
    with pytest.raises(CompileError, match=rf"^{stage}\.cu\({lines}\): error: .*\n? *#?.*nonsense"):
        build(f"{text.rstrip()}\nnonsense\n", f"sm_{OLDEST}")
    with pytest.raises(CompileError, match=r"^common\.cuh\(1\): error"):
        build(text.replace('"common.cuh"\n', '"common.cuh"\nnonsense; ', 1), f"sm_{OLDEST}")
