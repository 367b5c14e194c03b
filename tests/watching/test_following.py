"""The loop, with a clock that only its own sleep moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gpustack.errors import DecodeError, InputError, PlanError, StackError
from gpustack.watching.arrivals import PATIENCE_S, SETTLE_S, Arrivals
from gpustack.watching.following import POLL_S, Until, follow


class World:
    """Time, a folder, and what happens at which time."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now, self.asked = folder, 0.0, False
        self.events: list[tuple[float, Callable[[], object]]] = []
        self.taken: list[tuple[float, str]] = []
        self.warned: list[str] = []
        self.looks = 0

    def at(self, time: float, event: Callable[[], object]) -> None:
        self.events.append((time, event))

    def write(self, time: float, name: str, data: bytes = b"whole") -> None:
        self.at(time, lambda: (self.folder / name).write_bytes(data))

    def sleep(self, seconds: float) -> None:
        assert seconds == POLL_S
        self.looks += 1
        self.now += seconds
        assert self.now < 1000, "it never ends"
        for event in [event for event in self.events if event[0] <= self.now]:
            self.events.remove(event)
            event[1]()

    def take(self, path: Path) -> None:
        data = path.read_bytes()
        if data == b"other":
            raise StackError(f"{path.name} differs.", "Leave it out.")
        if data != b"whole":
            raise DecodeError(path.name, "it ends early.", "Copy it again.")
        self.taken.append((self.now, path.name))

    def run(self, idle_s: float | None = None) -> list[str]:
        arrivals = Arrivals(self.folder, lambda: self.now)
        until = Until(idle_s, lambda: self.asked)
        follow(arrivals, self.take, until, sleep=self.sleep, warn=self.warned.append)
        return [name for _, name in self.taken]

    def ask(self) -> None:
        self.asked = True


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_it_ends_when_nothing_came_for_so_long(world: World) -> None:
    for number in range(3):
        world.write(30 + 10 * number, f"{number}.jpg")
    assert world.run(idle_s=20) == ["0.jpg", "1.jpg", "2.jpg"]
    last = world.taken[-1][0]
    assert last == 50 + SETTLE_S
    assert last + 20 <= world.now <= last + 20 + POLL_S
    assert world.looks < 2.1 * world.now  # no busy loop


def test_ctrl_c_waits_for_what_is_being_written(world: World) -> None:
    world.write(1, "0.jpg")
    world.write(4, "1.jpg", b"who")
    world.at(4.5, world.ask)
    world.write(5, "1.jpg")
    world.write(6, "2.jpg")  # after it
    assert world.run() == ["0.jpg", "1.jpg"]
    assert world.now <= 5 + SETTLE_S + POLL_S


def test_ctrl_c_just_after_a_frame_came(world: World) -> None:
    world.write(1, "0.jpg")
    world.at(1, world.ask)
    assert world.run() == ["0.jpg"]


def test_ctrl_c_with_nothing_there_ends_at_once(world: World) -> None:
    world.at(3, world.ask)
    assert world.run() == []
    assert world.now == 3


def test_a_writer_that_pauses_is_waited_for(world: World) -> None:
    world.write(1, "0.jpg", b"who")
    world.write(1 + 3 * SETTLE_S, "0.jpg")
    world.write(1, "1.jpg")
    assert world.run(idle_s=20) == ["0.jpg", "1.jpg"]
    assert world.warned == []


def test_a_broken_frame_is_named_once_and_taken_when_it_is_mended(world: World) -> None:
    world.write(1, "0.jpg", b"broken")
    world.write(2, "1.jpg")
    world.write(20, "2.jpg")
    world.write(30, "0.jpg")
    assert world.run(idle_s=20) == ["1.jpg", "2.jpg", "0.jpg"]
    assert world.warned == ["0.jpg: it ends early. It is left out unless it changes."]
    assert world.taken[0][0] <= 1 + PATIENCE_S + POLL_S


def test_a_frame_that_waits_for_a_broken_one_is_taken_however_long_that_is_looked_at(world: World) -> None:
    taken = world.take

    def slowly(path: Path) -> None:
        if path.name == "1.jpg" and world.now >= PATIENCE_S:
            world.now += 1.5  # patience ends meanwhile
        taken(path)

    world.take = slowly  # type: ignore[method-assign]
    for name, data in (("0.jpg", b"whole"), ("1.jpg", b"broken"), ("2.jpg", b"whole")):
        world.write(1, name, data)
    assert world.run(idle_s=2) == ["0.jpg", "2.jpg"]


def test_a_frame_of_another_kind_is_named_at_once(world: World) -> None:
    world.write(1, "0.jpg")
    world.write(2, "1.jpg", b"other")
    world.write(2, "2.jpg")
    world.at(4, world.ask)
    assert world.run() == ["0.jpg", "2.jpg"]
    assert world.warned == ["1.jpg differs. It is left out unless it changes."]


def test_other_errors_end_it(world: World) -> None:
    def full(path: Path) -> None:
        raise PlanError(f"{path.name} does not fit.")

    world.take = full  # type: ignore[method-assign]
    world.write(1, "0.jpg")
    with pytest.raises(PlanError):
        world.run()


def test_a_folder_that_goes_ends_it(world: World, tmp_path: Path) -> None:
    world.folder = tmp_path / "card"
    world.folder.mkdir()
    world.write(1, "0.jpg")
    world.at(5, lambda: world.folder.rename(tmp_path / "away"))
    with pytest.raises(InputError, match="has gone"):
        world.run(idle_s=60)
    assert world.taken
