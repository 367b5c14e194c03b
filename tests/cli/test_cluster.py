"""`gpustack batch --engine dask`, on a cluster of two workers on this machine."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.calling import assert_refused, call, pixels, shots, surroundings, write_tiffs
from tests.patience import LONG_S, until

distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")

NAMES = [f"s{number}" for number in range(3)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two workers, each a process with a nanny that starts it again when it is killed."""
    import dask

    quick = {
        "distributed.worker.memory.terminate": False,
        "distributed.comm.timeouts.connect": "10s",
        "distributed.admin.log-length": 0,
    }
    environment = {name: surroundings()[name] for name in ("PYTHONPATH",)}
    with (
        dask.config.set(quick | {"distributed.nanny.environ": environment}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            host="127.0.0.1",
            silence_logs=50,
        ) as there,
    ):
        yield there


@pytest.fixture
def stacks(tmp_path: Path) -> Path:
    """Three stacks of two frames."""
    for number, name in enumerate(NAMES):
        (tmp_path / "in" / name).mkdir(parents=True)
        write_tiffs(tmp_path / "in" / name, [frame[: 60 + 4 * number, :80] for frame in shots(2)])
    return tmp_path


def run(folder: Path, cluster: Any, *more: object) -> tuple[int, dict[str, str], str]:
    """Exit code, what became of each stack, and what stands on stderr."""
    given = ("in", "out", "--method", "average", "--engine", "dask")
    result = call(
        "batch", folder / given[0], "-o", folder / given[1], *given[2:],
        "--scheduler", cluster.scheduler_address, *more, "--json",
    )  # fmt: skip
    found = json.loads(result.stdout) if result.stdout else {"stacks": []}
    return result.exit_code, {row["name"]: row["end"] for row in found["stacks"]}, result.stderr


def test_a_cluster_makes_the_same_files_and_a_rerun_does_nothing(stacks: Path, cluster: Any) -> None:
    (stacks / "in" / "s1" / "f1.tif").write_bytes(b"poison")
    code, ends, told = run(stacks, cluster)
    assert (code, ends) == (4, dict.fromkeys(NAMES, "made") | {"s1": "failed"}), told
    assert "1 of 3 stacks failed: s1." in told
    before = {path.name: path.stat().st_mtime_ns for path in (stacks / "out").glob("*.tif")}
    write_tiffs(stacks / "in" / "s1", [frame[:64, :80] for frame in shots(2)])
    code, ends, told = run(stacks, cluster)
    assert (code, ends, told) == (0, dict.fromkeys(NAMES, "up to date") | {"s1": "made"}, "")
    assert {name: (stacks / "out" / name).stat().st_mtime_ns for name in before} == before
    for name in NAMES:
        here = stacks / f"{name}.tif"
        assert call("stack", stacks / "in" / name, "-o", here, "--method", "average").exit_code == 0
        np.testing.assert_array_equal(pixels(stacks / "out" / here.name), pixels(here))


def test_what_the_client_asks_for_itself_does_not_count(
    stacks: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every two seconds it asks for no worker; what it has then was taken for the loss of them all."""
    usual = distributed.Client._update_scheduler_info

    async def asked(client: Any, **more: Any) -> None:
        await usual(client, **more)
        await usual(client)

    monkeypatch.setattr(distributed.Client, "_update_scheduler_info", asked)
    code, ends, told = run(stacks, cluster)
    assert (code, ends, told) == (0, dict.fromkeys(NAMES, "made"), "")


@pytest.mark.skipif(sys.platform == "win32", reason="processes are ended in another way there")
def test_a_worker_that_is_killed_loses_no_stack(stacks: Path, cluster: Any) -> None:
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        killed: list[int] = []
        killer = threading.Thread(target=_kill_a_busy_worker, args=(client, client.run(os.getpid), killed))
        killer.start()
        code, ends, told = run(stacks, cluster)
        killer.join()
    assert len(killed) == 1
    assert (code, ends) == (0, dict.fromkeys(NAMES, "made")), told
    assert sorted(path.name for path in (stacks / "out").glob("*.tif")) == [f"{name}.tif" for name in NAMES]
    assert not list((stacks / "out").glob(".*"))
    assert run(stacks, cluster)[1] == dict.fromkeys(NAMES, "up to date")


def _kill_a_busy_worker(client: Any, pids: dict[str, int], killed: list[int]) -> None:
    """End the first worker that is seen at work, as the system does when memory runs out."""

    def is_done() -> bool:
        busy = [pids[address] for address, keys in client.processing().items() if keys]
        for pid in busy[:1]:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
        return bool(killed)

    until(is_done)


def test_a_cluster_without_gpus_does_not_take_cuda_jobs(
    stacks: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=LONG_S)  # one may be coming back
    monkeypatch.setattr("gpustack.batching.cluster.CLUSTER_PATIENCE_S", 0.5)
    code, ends, told = run(stacks, cluster, "--backend", "cuda")
    assert (code, ends) == (5, {})
    assert re.search("None of the cluster's [12] workers has a GPU", told)  # one may still be starting


def test_a_scheduler_that_is_not_there(stacks: Path) -> None:
    given = ("batch", stacks / "in", "-o", stacks / "out", "--engine", "dask")
    assert_refused(call(*given), 2, "address of a scheduler")
    assert_refused(call(*given, "--scheduler", "nonsense"), 5, "No scheduler answers at nonsense")
    assert_refused(call(*given, "--scheduler", "x", "--jobs", "2"), 2, "--jobs")
    assert_refused(call(*given[:-2], "--scheduler", "x"), 2, "--engine dask")
