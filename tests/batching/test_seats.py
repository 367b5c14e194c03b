"""Which workers take which stacks."""

from __future__ import annotations

from gpustack.batching.seats import Seats
from gpustack.settings import BackendName

CPU = {"nthreads": 8, "memory_limit": 800}
GPU = {"nthreads": 4, "memory_limit": 0, "resources": {"GPU": 1}}
TWO = {"nthreads": 8, "memory_limit": 600, "resources": {"GPU": 2.0}}


def test_workers_with_gpus_take_cuda_jobs_and_the_others_cpu_jobs() -> None:
    seats = Seats(BackendName.AUTO)
    workers = {"a": CPU, "b": GPU, "c": TWO}
    taken = [seats.take(workers) for _ in range(5)]
    assert taken[4] is None
    found = {(seat.address, seat.device, seat.threads, seat.ram_bytes) for seat in taken[:4] if seat}
    assert found == {("b", 0, 4, None), ("c", 0, 4, 300), ("c", 1, 4, 300), ("a", None, 8, 800)}
    assert taken[0] is not None
    assert taken[0].options == ("--backend", "cuda", "--devices", "0", "--threads", "4")
    assert taken[3] is not None
    assert taken[3].options == ("--backend", "cpu", "--threads", "8")


def test_a_seat_that_is_given_back_is_taken_again() -> None:
    seats = Seats(BackendName.AUTO)
    seat = seats.take({"a": CPU})
    assert seat is not None
    assert seats.take({"a": CPU}) is None
    seats.give(seat)
    assert seats.take({"a": CPU}) == seat
    assert seats.take({"a": CPU, "late": CPU}) is not None


def test_the_wish_for_a_backend() -> None:
    workers = {"a": CPU, "b": TWO}
    assert [seat.address for seat in Seats(BackendName.CUDA).all(workers)] == ["b", "b"]
    assert [seat.device for seat in Seats(BackendName.CPU).all(workers)] == [None, None]
