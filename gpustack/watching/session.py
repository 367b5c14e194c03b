"""A stack that is still being shot: each frame is looked at, matched and previewed as it comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gpustack.engine.known import Known
from gpustack.errors import StackError, WriteError
from gpustack.io.decode import Decoder, probe
from gpustack.io.developer import developer_of
from gpustack.io.discover import natural_key
from gpustack.io.profiles import Profiles
from gpustack.model.frame import Frame, Kind
from gpustack.model.stack import Stack
from gpustack.settings import Model, Settings
from gpustack.watching.desk import Desk


@dataclass(frozen=True, slots=True)
class PreviewFile:
    """Where the preview goes; what is there already may be replaced if `overwrite`."""

    path: Path
    overwrite: bool = False


class Session:
    """The frames of a stack as they come, and what is found out about them until all of them are there."""

    def __init__(self, settings: Settings, preview: PreviewFile, warn: Callable[[str], None]) -> None:
        """`warn` is told what the user should know while shooting. Raises UsageError."""
        self._settings, self._preview, self._warn = settings, preview, warn
        command = settings.raw_developer
        self._program = None if command is None else developer_of(command)
        self._frames: tuple[Frame, ...] = ()
        self._desk: Desk | None = None
        self._written, self._refused = False, ""

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def stack(self) -> Stack:
        """The frames so far, in the order in which they came."""
        return Stack(self._frames)

    def take(self, path: Path) -> None:
        """The frames of a file.

        Raises DecodeError for a file that is not whole, or no picture; StackError for frames that do not go
        with those before; UsageError for options that do not go with the first one; PlanError where so many
        frames do not fit the memory.
        """
        fresh = self._probed(path)
        whole = Stack((*self._frames, *fresh))
        whole.refuse_raw_options(self._settings)
        if self._settings.align is Model.NONE:
            whole.refuse_sizes()
        odd = self._odd_colours(Stack((whole.frames[0], *fresh)))
        desk = self._desk or Desk(fresh[0], self._settings, self._preview.path, self._warn)
        try:
            desk.refuse_unfit(whole)
            desk.take(fresh)
        except BaseException:
            if self._desk is None:
                desk.drop()  # the next file is the first one
            raise
        desk.doubt = desk.doubt or odd
        self._desk, self._frames = desk, whole.frames
        self._show(desk)

    def _probed(self, path: Path) -> tuple[Frame, ...]:
        """The frames of a file; a RAW one's as the program makes it that develops them."""
        frames = probe(path, self._program)
        if self._program is not None and frames[0].kind is not Kind.DEVELOPED:
            raise StackError(
                f"{path.name} is developed, and --raw-developer takes RAW frames.", "Name those with --match."
            )
        return frames

    def _odd_colours(self, stack: Stack) -> str:
        """What is to be said of frames whose profile means other colours than the first one's; nothing where
        none does. Raises StackError where they are not to be converted."""
        profiles = Profiles(stack, 0)
        if not self._settings.convert_profile:
            profiles.refuse()
        if not profiles:
            return ""
        name = stack.frames[-1].name
        self._warn(f"{name} has another colour profile than the first frame; the preview shows it as it is.")
        return f"{name} is to be converted to another colour profile"

    def close(self) -> None:
        """Let go what was made of the frames."""
        if self._program is not None:
            self._program.close()

    def _show(self, desk: Desk) -> None:
        """Write the preview. Where that fails the frames are taken all the same: room may be made."""
        try:
            desk.preview.write(overwrite=self._written or self._preview.overwrite)
        except WriteError as error:
            if str(error) != self._refused:
                self._warn(f"There is no preview now. {error}")
            self._refused = str(error)
        else:
            self._written, self._refused = True, ""

    def remove_preview(self) -> None:
        """Take the preview away, if it is ours: the picture is there."""
        if self._written:
            self._preview.path.unlink(missing_ok=True)

    def finish(self, changed: Sequence[Path] = ()) -> tuple[Stack, Known]:
        """The stack as `gpustack stack` would find it, and what need not be done again for its picture.

        `changed` are files that are not what they were when they were taken; those that have gone are left
        out. Raises StackError where no frame is there, DecodeError where one cannot be read any more.
        """
        frames = sorted(self._renewed(changed), key=lambda frame: (natural_key(frame.path), frame.path))
        if not frames:
            raise StackError(*self._nothing(changed))
        stack, desk, self._desk = Stack(tuple(frames)), self._desk, None
        assert desk is not None
        again = "some have changed" if changed else self._doubt(desk, stack)
        if again:
            self._warn(f"The frames are looked at once more, as {again}.")
        return stack, desk.close(stack, usable=not again)

    def _renewed(self, changed: Sequence[Path]) -> list[Frame]:
        """The frames as they are now."""
        kept = [frame for frame in self._frames if frame.path not in changed]
        for path in changed:
            if path.exists():
                kept += self._probed(path)
            else:
                self._warn(f"{path.name} has gone, and is left out.")
        return kept

    def _nothing(self, changed: Sequence[Path]) -> tuple[str, str]:
        if changed:
            return "All frames have gone.", "Bring them back, and stack them with gpustack stack."
        return "No frame has come.", "Look whether the camera writes to this folder."

    def _doubt(self, desk: Desk, stack: Stack) -> str:
        """Why what was found out does not hold for the stack as it has become; empty where it does."""
        if desk.doubt or stack.frames != self._frames:
            return desk.doubt or "they did not come in the order of their names"
        reference = stack.frames[stack.reference(self._settings.reference)]
        if not Decoder(reference, self._settings.wb, self._settings.demosaic).agrees(desk.decoder):
            return "the reference has another white balance or other levels than the first frame"
        return ""
