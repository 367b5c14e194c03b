"""Which workers of a cluster take which stacks: a GPU each, or all of a worker's threads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gpustack.settings import BackendName

GPU = "GPU"
"""The resource that a worker is started with to say that it has GPUs: `--resources GPU=1`."""


@dataclass(frozen=True, slots=True)
class Seat:
    """Room for one stack: a worker's address, and the GPU it takes there, None for the CPU; threads, and
    bytes of memory that the worker may use, None where it was not told."""

    address: str
    device: int | None
    threads: int
    ram_bytes: int | None

    @property
    def options(self) -> tuple[str, ...]:
        """Options of `gpustack stack` for the seat, without memory."""
        where = ("cpu",) if self.device is None else ("cuda", "--devices", str(self.device))
        return ("--backend", *where, "--threads", str(self.threads))


@dataclass(slots=True)
class Seats:
    """The seats of the workers there are, and which are taken."""

    backend: BackendName
    _taken: set[tuple[str, int | None]] = field(default_factory=set)

    def take(self, workers: Mapping[str, Mapping[str, Any]]) -> Seat | None:
        """A free seat, GPUs first, as `workers` (what the scheduler tells of each, by address) has them."""
        free = [seat for seat in self.all(workers) if (seat.address, seat.device) not in self._taken]
        if not free:
            return None
        seat = min(free, key=lambda seat: seat.device is None)
        self._taken.add((seat.address, seat.device))
        return seat

    def give(self, seat: Seat) -> None:
        """A seat is free again."""
        self._taken.discard((seat.address, seat.device))

    def all(self, workers: Mapping[str, Mapping[str, Any]]) -> list[Seat]:
        """Every seat: one for each GPU of a worker that has some, one for the CPU of each other."""
        return [seat for address, worker in workers.items() for seat in self._of(address, worker)]

    def _of(self, address: str, worker: Mapping[str, Any]) -> list[Seat]:
        gpus = int(worker.get("resources", {}).get(GPU, 0))
        threads, limit = int(worker.get("nthreads", 1)), worker.get("memory_limit") or None
        if gpus and self.backend is not BackendName.CPU:
            share = None if limit is None else limit // gpus
            return [Seat(address, number, max(1, threads // gpus), share) for number in range(gpus)]
        return [] if self.backend is BackendName.CUDA else [Seat(address, None, threads, limit)]
