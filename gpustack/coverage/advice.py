"""What a photographer can do about the gaps of a stack, in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np

from gpustack.coverage.frames import Look, Verdict
from gpustack.coverage.gaps import Coverage, Gap, Side, fine_step

MANY = 3
"""So many gaps between frames, in a stack whose usual step is too wide, are one matter: the step."""


CROWDED_TIMES, CROWDED_SHARE = 4.0, 0.15
"""A first or last frame that shows so many times as much as the frame in the middle, and such a share of all,
shows it best because no frame comes nearer: far beyond the stack curves are too flat to tell more."""


def advice(found: Coverage, looks: Sequence[Look]) -> tuple[str, ...]:
    """Sentences, the largest gap first, then what could be spared."""
    usual = float(np.median(np.diff(found.places)))
    between = [gap for gap in found.gaps if gap.side is Side.BETWEEN]
    coarse = len(between) >= MANY and usual > fine_step()
    said = []
    if coarse:
        share = sum(gap.share for gap in between)
        said.append(
            f"The steps are too wide all along: {share:.1%} of the detail lies between frames. Take steps "
            f"{_part(usual / fine_step())} as large."
        )
    gaps = [gap for gap in found.gaps if not (coarse and gap.side is Side.BETWEEN)]
    return (*said, *(_about(gap, usual, looks) for gap in gaps), *_crowded(looks), *_spared(looks))


def _crowded(looks: Sequence[Look]) -> list[str]:
    """What is said of a first or last frame that shows very much."""
    used = [look for look in looks if look.used]
    usual = float(np.median([look.share for look in used]))
    return [
        f"Frame {look.index} ({look.file}), the {name}, shows {look.share:.1%} of the detail best, "
        f"{look.share / usual:.0f} times as much as most: more of it may lie in focus {where}."
        for look, name, where in ((used[0], "first", "before it"), (used[-1], "last", "after it"))
        if look.share > max(CROWDED_SHARE, CROWDED_TIMES * usual) and usual > 0
    ]


def _about(gap: Gap, usual: float, looks: Sequence[Look]) -> str:
    share = f"{gap.share:.1%} of the detail"
    names = [f"{looks[index].index} ({looks[index].file})" for index in gap.frames]
    if gap.side is Side.BETWEEN:
        lost = _lost_between(gap, looks)
        times = f", {gap.step_px / usual:.1f} times the usual step" if gap.step_px > 1.5 * usual else ""
        remedy = (
            f"{lost} left out there; take it again."
            if lost
            else f"Take {_frames(gap.more)} between them, or steps {_part(gap.more + 1)} as large."
        )
        return f"{share} lies between frames {names[0]} and {names[1]}{times}. {remedy}"
    word, end = ("before", "Begin") if gap.side is Side.BEFORE else ("after", "End")
    when = "earlier" if gap.side is Side.BEFORE else "later"
    steps = "a step" if gap.more == 1 else f"{gap.more} steps"
    return f"{share} lies {word} frame {names[0]}. {end} {steps} {when}."


def _lost_between(gap: Gap, looks: Sequence[Look]) -> str:
    """The frames that lie in a gap but were left out, as the start of a sentence."""
    first, last = gap.frames
    lost = [look for look in looks[first + 1 : last] if not look.used]
    if not lost:
        return ""
    names = ", ".join(f"{look.index} ({look.file}, {look.verdicts[0].value})" for look in lost)
    return f"Frame {names} was" if len(lost) == 1 else f"Frames {names} were"


def _spared(looks: Sequence[Look]) -> list[str]:
    """What could be left out, where that is a fifth of the frames or more."""
    idle = [look for look in looks if Verdict.IDLE in look.verdicts]
    spare = [look for look in looks if look.spare]
    if not spare or len(spare) < len(looks) / 5:
        return []
    kept = sum(look.used for look in looks) - len(spare)
    none = f" ({len(idle)} of them show nothing in focus)" if idle else ""
    return [
        f"{len(spare)} of {len(looks)} frames{none} could be left out without a loss of detail; "
        f"{kept} would do. More frames still mean less noise."
    ]


def _frames(count: int) -> str:
    return "a frame" if count == 1 else f"{count} frames"


def _part(times: float) -> str:
    """1 / times, in words: times is rounded up."""
    whole = max(2, ceil(times - 0.05))
    return {2: "half", 3: "a third", 4: "a quarter"}.get(whole, f"1/{whole}")
