"""A batch's tasks: tried as often as is wanted, one failing no other, and what is done left alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from gpustack.batching.ledger import Ledger
from gpustack.batching.order import STOPPED, End, Order
from gpustack.batching.run import FAILED, MADE, SKIPPED, Batch, Manner
from gpustack.batching.shelf import Folder
from gpustack.batching.work import Task


class Flaky:
    """Makes each stack after it has failed so many times."""

    width = 2

    def __init__(self, failures: dict[str, int], error: str = "the process was ended") -> None:
        self._failures, self._error = failures, error
        self.tried: Counter[str] = Counter()

    def make(self, order: Order) -> End:
        self.tried[order.name] += 1
        if self.tried[order.name] <= self._failures.get(order.name, 0):
            return End(self._error)
        Path(order.output).write_bytes(b"picture")
        return End(None, 1.0)

    def stop(self) -> None:
        """Nothing runs."""


def ran(folder: Path, engine: Flaky, retries: int) -> dict[str, int]:
    tasks = [Task(name, ("a.jpg",), (), f"{name}.tif", "key") for name in ("beetle", "fern", "leaf")]
    shelf = Folder(folder)
    batch = Batch(shelf, Ledger(shelf), engine, Manner(attempts=1 + retries))
    return batch.run(tasks, lambda *_: None)


@pytest.mark.parametrize(("retries", "made"), [(0, 1), (1, 2), (2, 3), (5, 3)])
def test_what_fails_is_tried_again_as_often_as_wanted(tmp_path: Path, retries: int, made: int) -> None:
    engine = Flaky({"fern": 1, "leaf": 2})
    assert ran(tmp_path, engine, retries) == {MADE: made, SKIPPED: 0, FAILED: 3 - made}
    assert engine.tried == {"beetle": 1, "fern": min(2, 1 + retries), "leaf": min(3, 1 + retries)}
    again = Flaky({})
    assert ran(tmp_path, again, 0) == {MADE: 3 - made, SKIPPED: made, FAILED: 0}
    assert sum(again.tried.values()) == 3 - made


def test_what_was_stopped_is_not_tried_again(tmp_path: Path) -> None:
    engine = Flaky({"fern": 1}, STOPPED)
    assert ran(tmp_path, engine, 3)[FAILED] == 1
    assert engine.tried["fern"] == 1


def test_a_task_that_cannot_be_made_is_not_tried(tmp_path: Path) -> None:
    shelf, engine = Folder(tmp_path), Flaky({})
    task = Task("fern", (), (), "fern.tif", "key", problem="there is no frame")
    told = []
    batch = Batch(shelf, Ledger(shelf), engine, Manner(attempts=3))
    assert batch.run([task], lambda _, end, line: told.append((end, line.error)))[FAILED] == 1
    assert told == [(FAILED, "there is no frame")]
    assert not engine.tried
