"""The depth of pixels that have no detail of their own: that of those around them which have, and look alike.

The focus measure reaches some pixels beyond an edge. There it tells the edge's depth, or where it is as
strong as that of the ground, a mean of both that is neither's. So where depth steps nearby, pixels that only
borrow their detail (`gpustack.depth.borrowed`) are decided on by those that have their own
(`gpustack.depth.votes`), whose votes weigh as much as they are above noise and the rims of blur. Those at the
crests of the measure vote as they were seen: of a thing two pixels wide a median leaves nothing. Then all is
voted on once more: places between things that cross see nobody of their kind in the first round.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.depth import borrowed, votes
from gpustack.depth.sight import NARROWEST, Sight
from gpustack.depth.votes import Ballot
from gpustack.model.rect import Rows, cut

Plane = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

ROUNDS = 2
"""How often is asked: an even number, since two ballots take turns."""

HEARD = 2.0
"""Votes, in whole ones, that must have come to believe in what they say: one may be anybody's."""

OWN_FRAMES = 1.0
"""A depth that is so close to what the votes say is of the same thing, and finer."""

STRIP_ROWS = 128
"""Rows that are worked on at a time."""


def settle(backend: Backend[Any], sight: Sight, ballot: Ballot, contrast: float) -> None:
    """Put the depths in `sight` right, in place.

    `ballot` is worked in: a median of the depths, how surely each pixel is seen, and the luma. Its voters are
    1 in the end where the depth is that of one thing. What varies by less than `contrast` in the luma tells
    nothing.
    """
    asked = _entitled(backend, sight, ballot)
    size = ballot.depth.shape
    spare = Ballot(backend.room(size, "float32"), backend.room(size, "float32"), ballot.luma)
    for _ in range(ROUNDS):
        _ask(backend, ballot, spare, asked, contrast)
        ballot, spare = spare, ballot

    def work(rows: Rows) -> None:
        told, own, changed = ballot.depth[rows.slice], sight.depth[rows.slice], asked[rows.slice]
        changed &= np.abs(own - told) > np.float32(OWN_FRAMES)
        changed &= ballot.voters[rows.slice] >= 1
        np.copyto(own, told, where=changed)
        np.copyto(sight.variance[rows.slice], NARROWEST, where=changed)

    backend.each(work, _strips(asked))


def _strips(plane: npt.NDArray[Any]) -> tuple[Rows, ...]:
    return cut(len(plane), STRIP_ROWS)


def _entitled(backend: Backend[Any], sight: Sight, ballot: Ballot) -> Mask:
    """Take the vote from those that have no detail of their own; tells who is asked."""
    height, asked = len(ballot.depth), backend.room(ballot.depth.shape, "bool")
    at_crest = backend.room(ballot.depth.shape, "bool")

    def climb(rows: Rows) -> None:
        wide = rows.grow(borrowed.CREST_PX, height)
        found = borrowed.crests(sight.energy[wide.slice], sight.variance[wide.slice])[rows.within(wide)]
        crest = at_crest[rows.slice]
        np.logical_and(found, ballot.voters[rows.slice] >= 1, out=crest)
        np.copyto(ballot.depth[rows.slice], sight.depth[rows.slice], where=crest)

    def entitle(rows: Rows) -> None:
        wide = rows.grow(borrowed.halo(), height)
        own = borrowed.own(ballot.depth[wide.slice], sight.energy[wide.slice], sight.sigma)
        entitled = own[rows.within(wide)] | at_crest[rows.slice]
        np.copyto(ballot.voters[rows.slice], np.float32(0), where=~entitled)

    def doubt(rows: Rows) -> None:
        wide = rows.grow(votes.halo(), height)
        divided = votes.divided(ballot.depth[wide.slice], ballot.voters[wide.slice])[rows.within(wide)]
        asked[rows.slice] = divided & (ballot.voters[rows.slice] < 1)

    backend.each(climb, _strips(asked))
    backend.each(entitle, _strips(asked))
    backend.each(doubt, _strips(asked))
    return asked


def _ask(backend: Backend[Any], ballot: Ballot, after: Ballot, asked: Mask, contrast: float) -> None:
    """A round: what comes out goes into `after`. Who has been told has a vote in the next."""
    height = len(asked)

    def work(rows: Rows) -> None:
        depth, voters, wanted = after.depth[rows.slice], after.voters[rows.slice], asked[rows.slice]
        depth[...], voters[...] = ballot.depth[rows.slice], ballot.voters[rows.slice]
        if not wanted.any():
            return
        wide = rows.grow(votes.halo(), height)
        around = np.zeros((len(wide), wanted.shape[1]), bool)
        around[rows.within(wide)] = wanted
        told, heard = votes.majority(ballot.rows(wide.slice), around, contrast)
        believed = heard >= np.float32(HEARD)
        depth[wanted] = np.where(believed, told, depth[wanted])
        voters[wanted] = np.where(believed, np.float32(1), voters[wanted])

    backend.each(work, _strips(asked))
