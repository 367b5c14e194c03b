"""`gpustack watch`: stack while shooting."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from gpustack.cli import options
from gpustack.cli.ending import ending
from gpustack.cli.options import DEFAULT
from gpustack.cli.outputs import Outputs
from gpustack.cli.resuming import Files
from gpustack.cli.slabs import SlabFiles
from gpustack.cli.work import Work, carry_out
from gpustack.errors import InputError, UsageError
from gpustack.settings import Settings

if TYPE_CHECKING:
    from gpustack.watching.arrivals import Arrivals
    from gpustack.watching.session import Session

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


FolderArgument = Annotated[
    Path, typer.Argument(help="The folder that the camera writes to.", show_default=False)
]
UntilIdleOption = Annotated[
    str | None,
    typer.Option(
        help="Finish when no frame has come for so long: 20s, 2m.  [default: on Ctrl-C]",
        metavar="TIME",
        show_default=False,
    ),
]
PreviewOption = Annotated[
    Path | None,
    typer.Option(help="The preview, .jpg, .png or .tif.  [default: OUTPUT.preview.jpg]", show_default=False),
]
MatchOption = Annotated[
    str, typer.Option(help="Take only files whose names fit, case ignored: '*.nef'.", metavar="PATTERN")
]
NewOption = Annotated[bool, typer.Option("--new", help="Leave out files that are there already.")]


@ending
def watch(
    folder: FolderArgument,
    output: options.PictureOption,
    until_idle: UntilIdleOption = None,
    preview: PreviewOption = None,
    match: MatchOption = "*",
    new: NewOption = False,
    method: options.MethodOption = DEFAULT.method,
    radius: options.RadiusOption = DEFAULT.radius,
    smoothing: options.SmoothingOption = DEFAULT.smoothing,
    prefer: options.PreferOption = DEFAULT.prefer,
    slab: options.SlabOption = None,
    align: options.AlignOption = DEFAULT.align,
    reference: options.ReferenceOption = DEFAULT.reference,
    crop: options.CropOption = DEFAULT.crop,
    interpolation: options.InterpolationOption = DEFAULT.interpolation,
    brightness: options.BrightnessOption = DEFAULT.brightness,
    flat: options.FlatOption = None,
    wb: options.WhiteBalanceOption = options.DEFAULT_BALANCE,
    exposure: options.ExposureOption = DEFAULT.exposure,
    convert_profile: options.ConvertProfileOption = False,
    demosaic: options.DemosaicOption = DEFAULT.demosaic,
    raw_developer: options.DeveloperOption = None,
    on_bad_frame: options.BadFrameOption = DEFAULT.on_bad_frame,
    deghost: options.DeghostOption = DEFAULT.deghost,
    depth: options.DepthOption = None,
    confidence: options.ConfidenceOption = None,
    layers: options.LayersOption = None,
    report: options.ReportOption = None,
    save_transforms: options.SaveTransformsOption = None,
    save_steps: options.SaveStepsOption = None,
    backend: options.BackendOption = DEFAULT.backend,
    decoder: options.DecoderOption = DEFAULT.decoder,
    ram: options.RamOption = None,
    vram: options.VramOption = None,
    devices: options.DevicesOption = options.DEFAULT_DEVICES,
    threads: options.ThreadsOption = None,
    json_: options.JsonOption = False,
    quiet: options.QuietOption = False,
    strip_gps: options.StripGpsOption = False,
    no_sidecar: options.NoSidecarOption = False,
    overwrite: options.OverwriteOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Stack while shooting: take frames as they come, show a preview, and finish when told or idle."""
    del debug
    from gpustack.watching.session import PreviewFile, Session

    wanted = any(path is not None for path in (depth, confidence, report))
    settings = options.settings_of(
        locals() | {"layers": layers is not None}, depth=wanted, linear=output.suffix.lower() == ".dng"
    )
    outputs = Outputs.named(locals(), sidecar=not no_sidecar)
    shown = preview or output.with_name(f"{output.stem}.preview.jpg")
    results = Files(overwrite)
    slabs = None if settings.slab is None else SlabFiles(output, results)
    ends = _Ends(settings, outputs, shown, slabs, results, json_, quiet)
    ends.check()
    idle_s = None if until_idle is None else seconds_of(until_idle)
    arrivals = _arrivals(folder, match, ends.files, new=new)
    with closing(Session(settings, PreviewFile(shown, overwrite), ends.warn)) as session:
        _follow(arrivals, session, idle_s, ends)
        _finish(session, ends, arrivals.changed())


@dataclass(frozen=True, slots=True)
class _Ends:
    """What the stack becomes in the end, what is shown until then, and how it is told."""

    settings: Settings
    outputs: Outputs
    preview: Path
    slabs: SlabFiles | None
    results: Files
    json: bool
    quiet: bool

    def check(self) -> None:
        """Refuse before any work what could not be written after it."""
        from gpustack.io.write import OUTPUT_ENDINGS, STACK_ENDINGS, check_output

        self.outputs.check_places()
        self.outputs.check(self.results)
        for path in [] if self.slabs is None else self.slabs.earlier():
            check_output(path, self.outputs.overwrite, STACK_ENDINGS)
        check_output(self.preview, self.outputs.overwrite, OUTPUT_ENDINGS)
        if self.preview.resolve() in {path.resolve() for path in self.outputs.files}:
            raise UsageError("The preview has the name of an output.", "Give it its own with --preview.")

    @property
    def files(self) -> list[Path]:
        """What is no frame, should it lie among them."""
        slabs = [] if self.slabs is None else self.slabs.earlier()
        flat = [] if self.settings.flat is None else [Path(self.settings.flat)]
        return [self.preview, *self.outputs.files, *slabs, *flat]

    def tell(self, sentence: str) -> None:
        """Say a sentence on stderr, unless quiet."""
        if not self.quiet:
            typer.echo(sentence, err=True)

    def warn(self, sentence: str) -> None:
        """Say what the user should know, in the name of the program."""
        self.tell(f"gpustack: {sentence}")


def _arrivals(folder: Path, match: str, ignored: list[Path], *, new: bool) -> Arrivals:
    import time

    from gpustack.watching.arrivals import Arrivals

    if not folder.is_dir():
        raise InputError(
            f"There is no folder {folder}.", "Create it, or name the one that the camera writes to."
        )
    arrivals = Arrivals(folder, time.monotonic, match=match, ignored=ignored)
    if new:
        arrivals.skip_present()
    return arrivals


def _follow(arrivals: Arrivals, session: Session, idle_s: float | None, ends: _Ends) -> None:
    """Take frames until no more are wanted; the first Ctrl-C says so."""
    import time

    from gpustack.watching.following import Until, follow

    ends.tell("Frames are taken as they come. Ctrl-C finishes the picture, a second one ends at once.")

    def take(path: Path) -> None:
        started = time.perf_counter()
        session.take(path)
        ends.outputs.check_fit(session.stack, ends.settings, ends.results)
        ends.tell(f"{path.name}: frame {len(session)}, in {time.perf_counter() - started:.1f} s")

    with _interrupts() as asked:
        follow(arrivals, take, Until(idle_s, asked), sleep=time.sleep, warn=ends.warn)


def _finish(session: Session, ends: _Ends, changed: list[Path]) -> None:
    """Fuse all frames as `gpustack stack` does, and write what it would write."""
    stack, known = session.finish(changed)
    if ends.slabs is not None:
        ends.slabs.check(stack, ends.settings)
    work = Work(stack, ends.settings, ends.outputs, ends.slabs, ends.results, known=known)
    carry_out(work, json_=ends.json, quiet=ends.quiet)
    session.remove_preview()


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Tells whether Ctrl-C was pressed. The next one interrupts as ever, and so does any after this ends."""
    asked = threading.Event()

    def first(number: int, frame: FrameType | None) -> None:
        del number, frame
        asked.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, first)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.default_int_handler)


def seconds_of(text: str) -> float:
    """20s, 500ms, 2m, 1h, or a number of seconds. Raises UsageError."""
    number = text.strip().rstrip("hms")
    unit = text.strip()[len(number) :] or "s"
    try:
        seconds = float(number) * _SECONDS[unit]
    except (ValueError, KeyError):
        seconds = 0.0
    if not 0 < seconds < 1e7:
        raise UsageError(f"'{text}' is no time to wait.", "Write it as 20s or 2m.")
    return seconds
