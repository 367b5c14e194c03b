"""Where a GPU is promised, a skipped GPU test is a failure."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import pytest_runtest_makereport


@pytest.mark.parametrize(
    ("promised", "marked", "outcome"),
    [("1", True, "failed"), ("1", False, "skipped"), ("0", True, "skipped")],
)
def test_a_skip_is_a_failure_only_for_a_gpu_test_where_one_is_promised(
    monkeypatch: pytest.MonkeyPatch, promised: str, marked: bool, outcome: str
) -> None:
    monkeypatch.setenv("GPUSTACK_REQUIRE_GPU", promised)
    item: Any = SimpleNamespace(get_closest_marker=lambda name: marked and name == "gpu")
    report: Any = SimpleNamespace(skipped=True, outcome="skipped", longrepr="no device")
    hook = pytest_runtest_makereport(item, None)  # type: ignore[arg-type]
    next(hook)
    with pytest.raises(StopIteration):
        hook.send(report)
    assert report.outcome == outcome
