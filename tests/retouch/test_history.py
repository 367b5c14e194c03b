"""Undo, redo and clear against a plain model: a list of all lists there have been."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gpustack.retouch.history import History

STEPS = st.lists(st.sampled_from(["add", "undo", "redo", "clear"]), max_size=60)


class Model:
    """Every state that there has been since the first, and which of them holds."""

    def __init__(self) -> None:
        self.states: list[tuple[int, ...]] = [()]
        self.at = 0

    @property
    def now(self) -> tuple[int, ...]:
        return self.states[self.at]

    def put(self, state: tuple[int, ...]) -> None:
        self.states[self.at + 1 :] = [state]
        self.at += 1


@given(STEPS)
def test_it_does_what_a_list_of_all_lists_does(steps: list[str]) -> None:
    history: History[int] = History()
    model = Model()
    for number, step in enumerate(steps):
        before = history
        if step == "add":
            history = history.added(number)
            model.put((*model.now, number))
        elif step == "clear":
            history = history.cleared()
            if model.now:
                model.put(())
        elif step == "undo":
            history = history.undo()
            model.at = max(0, model.at - 1)
        else:
            history = history.redo()
            model.at = min(len(model.states) - 1, model.at + 1)
        assert history.strokes == model.now
        assert (history.done, history.undone) == (model.at, len(model.states) - 1 - model.at)
        assert set(history.changed(before)) == set(history.strokes) ^ set(before.strokes)


@given(STEPS, st.integers(0, 100))
def test_all_undone_and_redone_is_as_before(steps: list[str], times: int) -> None:
    history: History[int] = History.of(range(3))
    for number, step in enumerate(steps):
        history = {
            "add": lambda number=number, history=history: history.added(number),
            "undo": history.undo,
            "redo": history.redo,
            "clear": history.cleared,
        }[step]()
    there = history
    for _ in range(min(times, history.done)):
        there = there.undo()
    for _ in range(min(times, history.done)):
        there = there.redo()
    assert there == history
