from __future__ import annotations

import pytest

from tests.cuda_on_cpu import sanitized

pytestmark = pytest.mark.skipif(
    sanitized.sanitizer_problem() is not None, reason=str(sanitized.sanitizer_problem())
)

FAULTS = "tests.cuda_on_cpu.faults"


def test_sound_kernels_are_clean() -> None:
    done = sanitized.run(f"{FAULTS}:sound")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("beyond", "heap-buffer-overflow"),
        ("shared", "index 20 out of bounds for type 'float [20]'"),
        ("local", "index 4 out of bounds for type 'float [4]'"),
        ("cast", "1e+20 is outside the range of representable values of type 'int'"),
    ],
)
def test_a_planted_fault_is_found(fault: str, found: str) -> None:
    done = sanitized.run(f"{FAULTS}:{fault}")
    assert done.returncode != 0
    assert found in done.stderr
