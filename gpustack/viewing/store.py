"""Decoded frames, the last used ones, by bytes; each is decoded once however many ask for it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy.typing as npt

Pixels = npt.NDArray[Any]
Key = tuple[int, int]
"""A frame's index, and the level that it was decoded for."""


class Store:
    """Pictures of up to `limit` bytes together; one is always kept, however large."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, Pixels] = OrderedDict()
        self._coming: dict[Key, Future[Pixels]] = {}

    @property
    def nbytes(self) -> int:
        """What is held now."""
        with self._lock:
            return sum(pixels.nbytes for pixels in self._kept.values())

    def kept(self, key: Key) -> Pixels | None:
        """A picture, if it is there."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def finest(self, index: int, level: int) -> tuple[int, Pixels] | None:
        """The nearest finer picture of a frame, of those that are there, and its level."""
        with self._lock:
            levels = [own for number, own in self._kept if number == index and own < level]
            return (max(levels), self._kept[index, max(levels)]) if levels else None

    def get(self, key: Key, make: Callable[[], Pixels]) -> Pixels:
        """A picture, made now if it is not there; who asks meanwhile waits. Raises what `make` raises."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            coming = self._coming.get(key)
            if coming is None:
                mine = self._coming[key] = Future()
        if coming is not None:
            return coming.result()
        try:
            made = make()
        except BaseException as error:
            with self._lock:
                del self._coming[key]
            mine.set_exception(error)
            raise
        self.keep(key, made)
        with self._lock:
            del self._coming[key]
        mine.set_result(made)
        return made

    def keep(self, key: Key, pixels: Pixels) -> None:
        """Keep a picture, and let the oldest go where there is no room."""
        with self._lock:
            self._kept[key] = pixels
            self._kept.move_to_end(key)
            held = sum(one.nbytes for one in self._kept.values())
            while held > self._limit and len(self._kept) > 1:
                held -= self._kept.popitem(last=False)[1].nbytes
