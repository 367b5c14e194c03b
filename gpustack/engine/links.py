"""Which frames are matched with which, and the matching itself, several pairs at a time."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from gpustack.align.estimate import Link, match, misled
from gpustack.align.sight import Sight
from gpustack.align.solve import Edge
from gpustack.backend.protocol import Backend
from gpustack.engine.price import LINK_REACH, LINKS_AHEAD
from gpustack.engine.spooled import Chained, Spooled
from gpustack.model.transform import Matrix
from gpustack.settings import Model

LINK_STEPS = (1, 2, LINK_REACH)
"""How far back each frame is matched: the neighbour, which shows most of the same; the second, which
bridges a frame that fails; the fourth, which keeps the stack from drifting."""

Coming = Link | Future[Link]
"""A link, or what it can be waited for with."""


class Links:
    """Matches every frame with frames before it as they come.

    On a backend that takes orders from several threads, pairs are matched side by side, in the order they
    were asked for; the caller is held back so that no more than LINK_REACH + LINKS_AHEAD sights exist.
    """

    def __init__(self, backend: Backend[Any], model: Model, threads: int) -> None:
        self._backend, self._model = backend, model
        self._pool = ThreadPoolExecutor(threads, "match") if backend.concurrent and threads > 1 else None
        self._sights: dict[int, Sight] = {}
        self._found: dict[tuple[int, int], Coming] = {}  # of the last frames, which those after them need
        self._settled: Spooled[Edge] = Spooled()
        self._frames = array("l")  # of the settled edges, the later one

    def add(self, index: int, sight: Sight) -> None:
        """Match the next frame with those before it."""
        self._sights[index] = sight
        for here in (index - step for step in LINK_STEPS if step <= index):
            self._found[here, index] = self._asked(here, index)
        self._wait(index - LINKS_AHEAD)
        self._sights.pop(index - LINK_REACH, None)
        self._settle(index - LINK_REACH)

    def recall(self, edges: Iterable[Edge]) -> None:
        """Take links of the next frames that were found before."""
        for edge in edges:
            self._found[edge.here, edge.there] = edge.link
            self._settle(edge.there - LINK_REACH)

    def see_again(self, index: int, sight: Sight) -> None:
        """A frame whose links were recalled, for those after it."""
        self._sights[index] = sight

    def edges(self, first: int = 0) -> Sequence[Edge]:
        """All pairs of a frame and one before it, of frames from an index on, once they are matched; each is
        made when it is asked for. Raises what matching raised."""
        begins = bisect_left(self._frames, first)
        late = [Edge(*pair, _come(link)) for pair, link in self._found.items() if pair[1] >= first]
        return Chained(self._settled[begins:], late)

    def close(self) -> None:
        """Let the threads and what they looked at go; what has not begun is not done any more.

        Who reads ahead may still know of this object, in a cycle that is not collected for a while.
        """
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._sights.clear()

    def _asked(self, here: int, there: int) -> Coming:
        sights = self._sights[here], self._sights[there]
        half = (here + there) // 2
        shorter = self._found.get((here, half)), self._found.get((half, there))
        if self._pool is not None:
            return self._pool.submit(self._link, *sights, *shorter)
        return self._link(*sights, *shorter)

    def _wait(self, there: int) -> None:
        """Until the links of a frame are there; what they were waited for with is let go."""
        for pair in ((there - step, there) for step in LINK_STEPS):
            if pair in self._found:
                self._found[pair] = _come(self._found[pair])

    def _settle(self, last: int) -> None:
        """Put away the links of frames up to one, in order: none after them is matched by their way."""
        for pair in [pair for pair in self._found if pair[1] <= last]:
            self._settled.append(Edge(*pair, _come(self._found.pop(pair))))
            self._frames.append(pair[1])

    def _link(self, here: Sight, there: Sight, first: Coming | None, second: Coming | None) -> Link:
        """Match two frames, from what shorter links say where those can be trusted.

        The shorter links were asked for before, so they are done or at work: waiting for them ends.
        """
        guess = _by_way_of(first, second)
        model = Model.SIMILARITY if self._model is Model.AUTO else self._model
        link = match(self._backend, here, there, model, guess)
        if guess is not None and misled(link, guess, here.sizes[-1]):
            link = max(link, match(self._backend, here, there, model), key=_goodness)
        return self._with_full(here, there, link) if self._model is Model.AUTO and link.trusted else link

    def _with_full(self, here: Sight, there: Sight, link: Link) -> Link:
        """The link, and its motion as a homography."""
        full = match(self._backend, here, there, Model.HOMOGRAPHY, link.matrix)
        return replace(link, full=full.matrix if full.trusted else link.matrix)


def _come(link: Coming) -> Link:
    """Once it is there. Raises what matching raised."""
    return link if isinstance(link, Link) else link.result()


def _goodness(link: Link) -> tuple[bool, int, float]:
    """What tells the better of two matches of a pair: a finer level is more precise, and correlates less."""
    return link.trusted, -link.coarser, link.confidence


def _by_way_of(first: Coming | None, second: Coming | None) -> Matrix | None:
    """The motion by way of the frame halfway, if both its links are trusted."""
    if first is None or second is None:
        return None
    near, far = _come(first), _come(second)
    return np.asarray(far.matrix @ near.matrix) if near.trusted and far.trusted else None
