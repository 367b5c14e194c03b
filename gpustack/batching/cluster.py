"""Making the stacks of a batch on a Dask cluster that is there: one task a stack.

The batch stays here: it knows the ledger, gives each stack a worker that has room (`seats`), and gives it
another one where that worker is lost. A worker makes a stack as this machine would, in a process of its own,
so that what takes one stack along takes nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from gpustack.batching.order import STOPPED, End, Order, fulfil
from gpustack.batching.seats import GPU, Seat, Seats
from gpustack.errors import ClusterError, UsageError
from gpustack.settings import CLUSTER_PATIENCE_S, RAM_SHARE, BackendName
from gpustack.version import __version__

_POLL_S = 0.5
"""How often it is looked whether a worker has room, or is still there."""

_MOST_LOST = 3
"""How many workers a stack may be lost with before it is taken to be the reason, as in Dask."""

_MOST_AT_A_TIME = 256
"""Stacks in work at a time; a thread waits for each."""

_GREETING_S = 10.0
"""How long a scheduler may take to answer for the first time."""

_START = "dask worker ADDRESS --resources GPU=1"
_AGAIN = "Run the same command again: what is done is kept."

Workers = Mapping[str, Mapping[str, Any]]
"""What the scheduler tells of its workers, by their addresses."""


@dataclass(slots=True)
class Cluster:
    """A cluster, by a client of its scheduler. `ram_bytes`: what a stack may take on a worker, None for a
    share of what is free there, and of what its worker may use."""

    client: Any
    backend: BackendName
    ram_bytes: int | None = None
    _seats: Seats = field(init=False)
    _room: threading.Condition = field(default_factory=threading.Condition)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _told: Workers = field(default_factory=dict)
    _told_at: float = float("-inf")

    def __post_init__(self) -> None:
        self._seats = Seats(self.backend)

    @property
    def width(self) -> int:
        """See `Engine`: as many as there could be seats, since workers may join later."""
        return _MOST_AT_A_TIME

    def make(self, order: Order) -> End:
        """See `Engine`. Raises ClusterError where the scheduler has gone, or no worker fit for it comes."""
        for _ in range(_MOST_LOST):
            seat = self._seat()
            if seat is None:
                return End(STOPPED)
            try:
                end = self._made_at(seat, order)
            finally:
                with self._room:
                    self._seats.give(seat)
                    self._room.notify()
            if end is not None:
                return end
        return End(f"{_MOST_LOST} workers were lost while they made it.")

    def stop(self) -> None:
        """See `Engine`."""
        self._stopped.set()

    def _seat(self) -> Seat | None:
        """A free seat, waited for; None when all is to stop. Raises ClusterError."""
        seen = time.monotonic()
        while not self._stopped.is_set():
            with self._room:
                workers = self._workers()
                seat = self._seats.take(workers)
                if seat is not None:
                    return seat
                seen = time.monotonic() if self._seats.all(workers) else seen
                if time.monotonic() - seen > CLUSTER_PATIENCE_S:
                    raise _no_worker(len(workers))
                self._room.wait(_POLL_S)
        return None

    def _workers(self) -> Workers:
        """The workers there are, as of half a second ago at most. Raises ClusterError where the scheduler has
        gone."""
        with self._room:
            if time.monotonic() - self._told_at > _POLL_S:
                self._told, self._told_at = self._asked()["workers"], time.monotonic()
            return self._told

    def _asked(self) -> Mapping[str, Any]:
        """What the scheduler tells of itself. The client's `scheduler_info` would give what the client has
        asked last, and that may just have been its own look, every two seconds, which leaves workers out.
        Raises ClusterError where the scheduler has gone."""
        with _answering():
            if self.client.status == "running":
                told: Mapping[str, Any] = self.client.sync(self.client.scheduler.identity, n_workers=-1)
                return told
        raise ClusterError("The scheduler has gone.", _AGAIN)

    def _made_at(self, seat: Seat, order: Order) -> End | None:
        """How the stack ended; None where the worker was lost. Raises ClusterError."""
        with _answering():
            future = self.client.submit(
                serve, order, seat, self.ram_bytes, __version__,
                key=f"gpustack-{order.name}-{time.monotonic_ns()}", workers=[seat.address],
                resources={} if seat.device is None else {GPU: 1}, pure=False,
            )  # fmt: skip
        settled = threading.Event()
        future.add_done_callback(lambda _: settled.set())
        try:
            while not self._stopped.is_set():
                if settled.wait(_POLL_S):
                    return _outcome(future)
                if seat.address not in self._workers():
                    return None
            return End(STOPPED)
        finally:
            with _answering():
                future.cancel()


def connected(address: str) -> Any:
    """A client of the scheduler at an address. Raises ClusterError where none answers, UsageError where Dask
    is not installed."""
    try:
        from distributed import Client
        from distributed.versions import VersionMismatchWarning
    except ImportError as error:
        raise UsageError(
            "--engine dask needs Dask, which is not installed.", "pip install 'gpustack-focus[cluster]'."
        ) from error
    # What goes wrong with a cluster is told in our own errors.
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    kind = asyncio.run(_greeted(address))
    if kind != "Scheduler":
        raise ClusterError(f"{address} is a {kind.lower()}, no scheduler.", "Give the scheduler's address.")
    with warnings.catch_warnings(), _answering():
        # Nothing but an `Order` and a sentence travels, and `serve` compares our own versions.
        warnings.simplefilter("ignore", VersionMismatchWarning)
        return Client(address, set_as_default=False, timeout=_GREETING_S)  # type: ignore[no-untyped-call]


async def _greeted(address: str) -> str:
    """What is at an address, before a client is made: one that cannot connect would linger. Raises
    ClusterError."""
    from distributed.core import rpc
    from distributed.security import Security

    try:
        there = rpc(address, connection_args=Security().get_connection_args("client"))  # type: ignore[no-untyped-call]
        try:
            return str((await asyncio.wait_for(there.identity(), _GREETING_S))["type"])
        finally:
            await there.close_rpc()  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise ClusterError(
            f"No scheduler answers at {address}.",
            "Start one with: dask scheduler; it prints its address, as tcp://10.0.0.1:8786.",
        ) from error


@contextmanager
def _answering() -> Iterator[None]:
    """Say in a sentence that the scheduler has gone, which shows as various errors. Raises ClusterError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise ClusterError("The scheduler has gone.", _AGAIN) from error


def _no_worker(others: int) -> ClusterError:
    if others:
        problem = f"None of the cluster's {others} workers has a GPU."
        return ClusterError(problem, f"Start one that says so, {_START}, or take --backend auto.")
    return ClusterError("The cluster has no worker.", f"Start some: dask worker ADDRESS, or {_START}.")


def _outcome(future: Any) -> End | None:
    """How a task ended that is no longer waited for; None where it was lost."""
    if future.status == "finished":
        end: End = future.result()
        return end
    if future.status == "error":
        error = future.exception()
        return End(f"its worker could not begin ({type(error).__name__}: {error}).")
    return None


def serve(order: Order, seat: Seat, ram_bytes: int | None, version: str) -> End:
    """What a worker does: make a stack until it is done, or nobody waits for it any more."""
    from distributed import get_worker

    from gpustack.backend.memory import free_bytes

    if version != __version__:
        return End(f"its worker has gpustack {__version__}, and is asked by {version}: install the same.")
    worker = get_worker()
    key = worker.get_current_task()
    ram = ram_bytes or int(RAM_SHARE * min(free_bytes(), seat.ram_bytes or free_bytes()))

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state == "executing"

    return fulfil(order, (*seat.options, "--ram", f"{ram >> 20}M"), wanted)
