"""Where frames are worked on while they come: one backend, what it was opened within, and what is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from gpustack.backend.choose import choose
from gpustack.engine.feed import Feed
from gpustack.engine.known import Ahead, Known
from gpustack.engine.opening import budget, with_loops
from gpustack.engine.path import Recipe, first_pass
from gpustack.engine.plan import make_plan
from gpustack.engine.planned import Plan
from gpustack.engine.survey import noise_of
from gpustack.errors import InputError
from gpustack.io.decode import Decoder
from gpustack.model.frame import Frame
from gpustack.model.rect import cut
from gpustack.model.stack import Stack
from gpustack.model.transform import Transform
from gpustack.settings import Model, Settings
from gpustack.sources import opened
from gpustack.watching.places import Places
from gpustack.watching.preview import Preview, canvas_of, preview_bytes


class Desk:
    """Takes frames that are like the first one, one by one.

    Where frames are aligned, it keeps what the survey would find out about each. Where they lie still, and
    the reference is known from the beginning, it does a run's first pass over them as they come. `doubt` says
    why that does not hold for the whole stack.
    """

    def __init__(self, first: Frame, settings: Settings, preview: Path, warn: Callable[[str], None]) -> None:
        self._first, self._settings, self._warn = first, settings, warn
        self.doubt = ""
        alone = Stack((first,))
        _, self._source, decoder = opened(alone, replace(settings, reference="first"))
        assert decoder is not None
        self.decoder: Decoder = decoder
        choice = choose(settings.backend, settings.devices[:1], settings.decoder)
        allowed = with_loops(budget(settings, choice), alone, warn)
        host, device = preview_bytes(first, settings)
        self._allowed = replace(
            allowed,
            ram_bytes=allowed.ram_bytes - host,
            vram_bytes=max(0, allowed.vram_bytes - device),
            disk_bytes=0,  # frames come once, in their own time
        )
        self._plan = self.refuse_unfit(alone)
        (self._backend,) = choice.open(
            self._plan.threads, allowed.vram_bytes, spill=self._plan.spill, loops=self._plan.loops
        )
        _, small, other = opened(alone, replace(settings, reference="first"), colours=True)
        self._decoders = [each for each in (decoder, other) if each is not None]
        self.preview = Preview(preview, self._backend, small, first, settings)
        self._places = (
            None
            if settings.align is Model.NONE
            else Places(self._backend, self._source, settings, first, self._plan.threads)
        )
        self._ahead: Ahead | None = None

    def refuse_unfit(self, stack: Stack) -> Plan:
        """How a stack of so many frames would be fused. Raises PlanError where it does not fit the memory."""
        settings = self._settings
        if settings.slab is not None and len(stack) < settings.slab[0]:
            settings = replace(settings, slab=None)  # there is no slab yet
        return make_plan(stack, settings, self._allowed)

    def take(self, frames: Sequence[Frame]) -> None:
        """The frames of the next file. Where its first one cannot be read nothing has changed. Raises
        DecodeError, StackError."""
        for number, frame in enumerate(frames):
            try:
                self._take(frame)
            except InputError:
                if number:
                    self.doubt = f"only a part of {frame.path.name} could be read at first"
                raise

    def _take(self, frame: Frame) -> None:
        if (frame.size, frame.kind) != (self._first.size, self._first.kind):
            self.doubt = f"{frame.name} is of another size or kind than the first"
            self._warn(f"{frame.name} differs in size or kind from the first frame, so it is not previewed.")
            return
        small = self.preview.read(frame)
        place = Transform.identity() if self._places is None else self._places.take(frame)
        self._fold(frame)
        if place is None:
            self._warn(f"{frame.name} shows too little in common with the frames before it to be previewed.")
        else:
            self.preview.add(small, place)
        shaken = None if self._places is None else self._places.shaken()
        if shaken:
            self._warn(f"{shaken} is blurred all over, as if the camera had shaken.")

    def _fold(self, frame: Frame) -> None:
        """Fold the frame into the states of the first pass, where that is done already."""
        if not _folds_ahead(self._settings):
            return
        if self._ahead is None:
            self._ahead = self._begun()
        feed = Feed(self._backend, [frame], self._source, slots=1, readers=1)
        with feed.open(lambda _, pixels: pixels) as frames:
            for _, pixels in frames:
                self._ahead.add(pixels)

    def _begun(self) -> Ahead:
        """The first pass, without a frame yet."""
        first, plan = self._first, self._plan
        noise = noise_of(self._backend, self._source, first)
        name, folds = first_pass(Recipe.of(self._settings, noise))
        canvas = replace(canvas_of(first, 1), bands=cut(first.height, plan.band_rows), covered=True)
        return Ahead(self._backend, name, folds, canvas, self._allowed)

    def drop(self) -> None:
        """Give everything back; nothing is known."""
        self._let_go()
        if self._places is not None:
            self._places.close()
        self._backend.close()

    def close(self, stack: Stack, *, usable: bool) -> Known:
        """What is known of the frames of the whole stack, if it is `usable` there; the preview ends."""
        self._let_go()
        kept = None if self._places is None else self._places.close()
        if usable and self._ahead is not None:
            return Known(None, self._ahead)
        self._backend.close()
        return Known(kept) if usable and len(stack) > 1 else Known()

    def _let_go(self) -> None:
        """Let decoders go, and what they have kept."""
        for decoder in self._decoders:
            decoder.close()


def _folds_ahead(settings: Settings) -> bool:
    """Whether what a frame is folded with is known when the first one is there."""
    still = settings.align is Model.NONE and not settings.removes_ghosts
    alone = settings.slab is None and len(settings.devices) == 1
    return still and alone and settings.reference in ("first", "0")
