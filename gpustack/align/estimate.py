"""The motion between two nearby frames, to a few hundredths of a pixel.

Direct alignment: Gauss-Newton on the differences of band-passed pictures, coarse to fine (Lucas and Kanade
1981; Bergen et al., "Hierarchical model-based motion estimation", ECCV 1992), in the inverse compositional
form, whose Jacobian is made once (Baker and Matthews, "Lucas-Kanade 20 years on", IJCV 56, 2004).
Band-passing removes brightness and the sensor's vignetting; a contrast factor absorbs that one frame is
blurred more; Huber weights bound what moves on its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpustack.align.precision import STRIPS, Deviations, deviations
from gpustack.align.seed import seeds
from gpustack.align.sight import Sight
from gpustack.align.steps import End, Pair, rescaled, settle, settled, travel
from gpustack.backend.matching import best_shift
from gpustack.backend.protocol import Backend
from gpustack.model.transform import Matrix, normalise
from gpustack.settings import Model

LEAST_CORRELATION = 0.5
"""Below this correlation of the band-passed samples a match is no match: neighbours in a stack correlate far
better on the level that is judged, unrelated textures and matches that went astray worse."""

SHARED_DETAIL = 0.9
"""A finer level whose samples correlate less holds detail that only one of the two frames shows, and is left
alone: where the blur differs, and changes across the picture, the best match of what is not shared lies
beside the true motion. Against 0.4, the corner error of rendered scenes falls from 0.137 to 0.086 pixels, and
loops of links in real stacks disagree up to nine times less (bench/results/choices-alignment.json)."""

OUT_OF_REACH = 0.1
"""A finer level that correlates less than SHARED_DETAIL by more than this before its first step is left
alone at once. Of 1491 levels of rendered and photographed stacks, none that reached SHARED_DETAIL began so
low, nor half as low."""

FAR_PX = 1.0
"""A motion beyond this, in pixels of the level on which it is judged, must correlate better than rest: else
the match went astray. Smaller ones are as good as rest there, and told on finer levels."""

MISLED_PX = 1.0
"""A match that ends further than this from its guess, in pixels of the finest level, was misled by it:
guesses are good to a tenth of that, but not by way of a frame that is shaken."""

NEARLY_STILL_PX = 0.5
"""A motion that moves no corner further than this, in pixels of the level that it ended on, may be none:
matches are good to a tenth of that. How far it may be off is asked of no other, as it costs about a step."""

LEAST_SHARE = 0.3
"""Least share of the samples that must fall into the other frame."""


@dataclass(frozen=True, slots=True)
class Link:
    """The motion from one frame's pixels to another's; `confidence` is the correlation reached, -1..1.

    `trusted` is False where the match failed and the motion is the identity instead. `full` is the motion as
    a homography, where the model is yet to be chosen. `coarser` is how many levels above the finest one the
    match ended: by so many factors of two it is less precise. `deviations` tell how far it may be off (see
    precision.py), where it moves so little that it may be none.
    """

    matrix: Matrix
    confidence: float
    trusted: bool
    full: Matrix | None = None
    coarser: int = 0
    deviations: Deviations | None = None

    @property
    def precision(self) -> float:
        """Confidence over the variance to expect, which grows with the square of a pixel of the level that
        the match ended on."""
        return self.confidence / 4.0**self.coarser


def match(
    backend: Backend[Any], here: Sight, there: Sight, model: Model, start: Matrix | None = None
) -> Link:
    """The motion that maps positions in `here` to positions in `there`, in pixels of the finest level.

    `start` is a guess in the same pixels, good to some pixels, which spares the coarse levels. Without one,
    a match that fails or does not get down to the level on which it is judged is tried again from guesses
    of a large motion. The samples are the smaller frame's: most of a larger one's may lie outside a crop.
    """
    if _area(there) < _area(here):
        start = None if start is None else np.asarray(np.linalg.inv(start), np.float64)
        back = match(backend, there, here, model, start)
        return replace(back, matrix=normalise(np.asarray(np.linalg.inv(back.matrix))))
    pair = Pair(backend, here, there, model)
    judging = pair.judging
    if start is not None:
        guess = rescaled(start, judging + 1 - len(here.sizes))
        return _refined(pair, judging, settle(pair, judging, guess))[1]
    level, link = _refined(pair, 0, _seed(pair))
    if link.trusted and level >= judging:
        return link
    ends = [settle(pair, judging, guess) for guess in _large(pair)]
    others = [_refined(pair, judging, end)[1] for end in ends]
    return max((link, *others), key=lambda found: found.confidence)


def misled(link: Link, guess: Matrix, size: tuple[int, int]) -> bool:
    """Whether a match should be tried again without its guess; `size` is that of the finest level."""
    return not link.trusted or travel(guess, link.matrix, size) > MISLED_PX


def _large(pair: Pair) -> list[Matrix]:
    """Guesses of a large motion, on the level on which matches are judged."""
    here, there = (pair.backend.download(sight.planes[pair.judging]) for sight in (pair.here, pair.there))
    if here.shape == there.shape:
        return seeds(here, there, pair.model)
    shape = np.maximum(here.shape, there.shape)
    (first, offset), (second, other) = _framed(here, shape), _framed(there, shape)
    guesses = seeds(first, second, pair.model)
    return [_shift(best_shift(here, there)), *(np.linalg.inv(other) @ guess @ offset for guess in guesses)]


def _framed(plane: Any, shape: Any) -> tuple[Any, Matrix]:
    """A band-passed plane in the middle of a larger one of zeros, and the motion of its pixels into that."""
    top, left = (int(more) // 2 for more in shape - plane.shape)
    out = np.zeros(shape, np.float32)
    out[top : top + plane.shape[0], left : left + plane.shape[1]] = plane
    return out, _shift((left, top))


def _shift(by: tuple[float, float]) -> Matrix:
    matrix = np.eye(3)
    matrix[:2, 2] = by
    return matrix


def _area(sight: Sight) -> int:
    width, height = sight.sizes[-1]
    return width * height


def _refined(pair: Pair, level: int, end: End) -> tuple[int, Link]:
    """Follow a match to finer levels as far as both frames show the same; the level reached, and the link."""
    judging, last = pair.judging, len(pair.here.sizes) - 1
    judged = end if level == judging else None
    while level < last and (judged is None or judged.correlation >= LEAST_CORRELATION):
        finer = settle(pair, level + 1, rescaled(end.matrix, 1), end.contrast, SHARED_DETAIL - OUT_OF_REACH)
        if finer.correlation < SHARED_DETAIL:
            break
        level, end = level + 1, finer
        judged = end if level == judging else judged
    end = settled(pair, level, end)
    matrix = end.matrix
    if judged is None:
        judged = _at(pair, judging, rescaled(matrix, judging - level))
    if travel(np.eye(3), judged.matrix, pair.here.sizes[judging]) > FAR_PX:
        rest = _at(pair, judging, np.eye(3))
        matrix, judged = (np.eye(3), rest) if rest.correlation > judged.correlation else (matrix, judged)
    if judged.correlation < LEAST_CORRELATION or judged.share < LEAST_SHARE:
        return level, Link(np.eye(3), judged.correlation, trusted=False)
    coarser = last - level
    link = Link(rescaled(matrix, coarser), judged.correlation, trusted=True, coarser=coarser)
    if travel(np.eye(3), matrix, pair.here.sizes[level]) > NEARLY_STILL_PX:
        return level, link
    return level, replace(link, deviations=_deviations(pair, level, matrix, end.contrast))


def _deviations(pair: Pair, level: int, matrix: Matrix, contrast: float) -> Deviations | None:
    """How far the end of a match may be off."""
    samples, plane = pair.here.samples(pair.backend, level, few=False), pair.there.planes[level]
    strips = pair.backend.strip_sums(samples, plane, matrix, contrast, STRIPS)
    return deviations(strips, pair.to_model)


def _seed(pair: Pair) -> End:
    """The motion on the coarsest level: from rest or from the best shift, whichever ends in the better
    match."""
    starts = [np.eye(3)]
    if pair.model is not Model.NONE:
        shift = pair.backend.best_shift(pair.here.planes[0], pair.there.planes[0])
        starts += [_shift(shift)] if any(shift) else []
    return max((settle(pair, 0, start) for start in starts), key=lambda end: end.correlation)


def _at(pair: Pair, level: int, matrix: Matrix) -> End:
    """A motion as it is, without a step."""
    sums = pair.sums(level, matrix)
    return End(matrix, 1.0, sums.correlation, sums.share)
