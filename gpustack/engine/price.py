"""What a run takes in bytes, worked out from sizes alone."""

from __future__ import annotations

from dataclasses import dataclass

from gpustack.backend.demosaic.develop import WAYS
from gpustack.backend.values import behind_halo, debias_halo
from gpustack.engine.holding import Holding
from gpustack.engine.looked import looked_bytes, spooled_bytes, telling_bytes
from gpustack.engine.path import PASSES, halo
from gpustack.fuse.behind import STRIP_ROWS
from gpustack.fuse.fold import Footprint
from gpustack.fuse.owners import OWNERS_BYTES
from gpustack.fuse.radius import FINISHING_ROWS, finishing_rows
from gpustack.model.frame import Kind
from gpustack.model.slab import Slab, slabs_of
from gpustack.model.stack import Stack
from gpustack.settings import (
    FOCUS_SIGMA_PX,
    SURVEY_SIDE,
    WHOLE_SIDE,
    Brightness,
    Crop,
    DecoderName,
    Method,
    Model,
    Settings,
)

OWN_BYTES = 60 << 20
"""The interpreter with NumPy, OpenCV and the codecs loaded, and a stack of a few pixels, without what is
mapped of their files: 46 MiB, ten more where progress is drawn on a terminal."""

LEAST_MAPPED_BYTES, MOST_MAPPED_BYTES = 40 << 20, 81 << 20
"""What is mapped of these files at the end of the same run, by how the system's cache came by them: just
installed, they lie in large pieces, of which each touch maps a whole one."""

MAPPED_MORE = 1.35
"""As a multiple of what was mapped before the run was planned: 1.31, whether the pieces are large or not."""

BASE_BYTES = OWN_BYTES + MOST_MAPPED_BYTES
"""All that, at most."""

LOOPS_BYTES = 60 << 20
"""What LLVM takes, which loads the compiled loops, and they: 19 to 50 MiB (bench/results/loops.json)."""

LLVM_BYTES = 35 << 20
"""What of that is there in the survey, while LLVM is imported and no loop has worked yet."""

LOOPS_MEGAPIXELS = 3.0
"""Frames below this are folded about as soon as the loops are there. Frames alone decide, not how many there
are: what is fused while it is being shot must get the bits of a run at once."""

BAND_PLANES = {Method.AVERAGE: 9, Method.DEPTHMAP: 9, Method.PYRAMID: 14, Method.AUTO: 16}
"""Float planes of band size that one thread has alive at most while frames come, halos included (RGB)."""

FINISHING_BAND_PLANES = {Method.AVERAGE: 12, Method.DEPTHMAP: 16, Method.PYRAMID: 16, Method.AUTO: 31}
"""The same of what is done strip by strip while no frame is there: a surface is made, a blur is undone."""

SCATTERED_BYTES = 48 << 20
"""What threads keep besides where each of them has a place of its own to take memory from."""

BAND_HALO = 14
"""Rows around a band on one side, with those that warping reads, where `--radius` is the default or less; on
the CPU, BAND_PLANES allows for the other side."""

DEVICE_BAND_PLANES = 4
"""Float planes of band size on a GPU besides the image and its reduced copy: energy, luma, evidence, its own
and that of finer levels, half-size planes."""

WIDE_PLANES = 3
"""Float planes of band size on a GPU besides the detail, one of each channel, where the focus measure's
window is too wide for shared memory: power, its blur along x and along both."""

FINISHING_PLANES, FINISHING_MORE_PLANES = 4, 8
"""Float planes of a strip on a GPU while a blur is undone, for each channel and besides: estimate and mean
put together from bands, what was lost and how far they are apart; weight, spread, rungs, strength, trust."""

BEHIND_PLANES, BEHIND_MORE_PLANES = 7, 15
"""The same of a strip in which the ground is put in beside nearer things. For each channel: the picture, the
frames focused on both sides, what is summed up, the ground clear and blurred, and the new picture; besides:
the weights of all three sums, both depths, the sides, the cover, and eight of what is blocked, bare, lacking,
trusted and shunned.
When the ranges come, most of it is gone."""

FINISHING_RANGES = 5
"""Pictures of a strip in the frames' dtype: two ranges with two ends each, and the packed strip."""

SURFACE_PLANES, SURFACE_ROWS = 9, 352
"""Float planes on the host, and rows with their halos, of the strip that takes most there while a GPU does
the rest of a depth surface: the one in which the rims of blur are doubted (tests/engine/test_gpu.py)."""

DEVICE_RESERVE = 32 << 20
"""Small arrays of a GPU's pool: samples, sums, what a pool keeps of sizes not wanted any more."""

SURVEY_PLANES = 5.4
"""Float planes of survey size that one reader has alive at most: luma, light, band-pass, gradients,
strength, and the coarser levels of one."""

LINK_REACH = 4
"""How many frames back a frame is matched, at most; so many wait as sights in the survey."""

LINKS_AHEAD = 2
"""How many frames may be read on while one is still matched."""

SIGHT_PLANES = 1.0
"""The same, of one frame that waits to be matched: its band-passed levels, and the samples of each."""

HALVED_FACTOR = 1.4
"""What a RAW frame of half the size takes, itself and all, as a share of the whole one: LibRaw's samples, and
planes of floats."""

DECODE_FACTOR = {
    Kind.JPEG: 0.35,
    Kind.PNG: 1.0,
    Kind.TIFF: 1.1,
    Kind.RAW: 2.7,
    Kind.DEVELOPED: 1.1,
    Kind.HEIC: 2.7,
    Kind.AVIF: 1.5,
    Kind.JXL: 2.0,
    Kind.WEBP: 1.6,
    Kind.EXR: 1.5,
    Kind.VIDEO: 2.0,
    Kind.ARRAY: 0.0,
}
"""Bytes that decoding needs besides its result, as a share of it: the file, and the codec's own buffers."""

PROGRESSIVE_FACTOR = 2.8
"""The same of a progressive JPEG file without subsampling: coefficients of two bytes, and the file
twice: 2.7 of a picture of noise."""

DECODER_FRAMES = 2.5
"""What a GPU's decoder takes on the device besides its result, in decoded frames: coefficients of two bytes,
and planes; a guess until it is measured."""

DECODER_STAGING = 1.0
"""The same in page-locked host memory: the file's bits, or coefficients of progressive ones; a guess, too."""

DEVICE_FRAMES = 2
"""Decoded frames on a GPU: one that is worked on and one that is coming."""

DEVICE_BASE_BYTES = 300 << 20
"""Host memory that the CUDA driver, its context and CuPy take; a guess until it is measured on a device."""


KEEPING_PIECES = 2
"""Pieces of state in memory while a checkpoint is written or read: one, and what the archive makes of it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a pass is laid out: rows of a band, and where state of the frames' size lies."""

    band_rows: int
    spill: bool = False


def slabs(stack: Stack, settings: Settings) -> tuple[Slab, ...]:
    """The slabs that are asked for, if any. Raises UsageError where the stack is smaller than one."""
    return () if settings.slab is None else slabs_of(len(stack), *settings.slab)


def holding(stack: Stack, settings: Settings, *, covered: bool = False, device: bool = False) -> Holding:
    """What is held of the picture's size; `covered`: it is known that every frame covers the canvas."""
    return Holding(settings, stack.channels, stack.pixel_type, slabs(stack, settings), covered, device)


def covers(settings: Settings) -> bool:
    """Whether it is known before the survey that every frame will cover the canvas."""
    aligned = settings.align is not Model.NONE
    return not settings.removes_ghosts and (not aligned or settings.crop is Crop.AUTO)


def work_bytes(stack: Stack, settings: Settings, rows: int, threads: int, *, scattered: bool) -> int:
    """Working planes of all threads while frames come, for bands of so many rows; `scattered`: each thread
    keeps what it has freed."""
    wide = rows + 2 * band_halo(settings) - BAND_HALO
    work = _planes_bytes(stack, BAND_PLANES[settings.method], wide, threads)
    return work if not scattered else 2 * work + SCATTERED_BYTES


def finishing_bytes(stack: Stack, settings: Settings, rows: int, threads: int, *, scattered: bool) -> int:
    """The same while no frame is there."""
    strip = finishing_rows(rows) if settings.method is Method.AUTO else min(rows, FINISHING_ROWS)
    wide = strip + 2 * debias_halo()
    work = _planes_bytes(stack, FINISHING_BAND_PLANES[settings.method], wide, threads)
    return work if not scattered else 2 * work + SCATTERED_BYTES


def looking_bytes(stack: Stack, settings: Settings, rows: int, threads: int, *, scattered: bool) -> int:
    """The same while the ground beside nearer things is put in: strips with wide halos, of all threads."""
    if "behind" not in passes(settings, settings.method):
        return 0
    wide = min(rows, STRIP_ROWS) + 2 * behind_halo()
    planes = 3 * BEHIND_PLANES + BEHIND_MORE_PLANES + 2  # and the range of the frames, and what is packed
    work = _planes_bytes(stack, planes, wide, threads)
    return work if not scattered else 2 * work + SCATTERED_BYTES


def device_finishing_bytes(stack: Stack, settings: Settings) -> int:
    """The same where a GPU does most of the work: strips of the depth surface go to the host and back."""
    if not settings.depth and settings.method is not Method.DEPTHMAP:
        return 0
    return _planes_bytes(stack, SURFACE_PLANES, SURFACE_ROWS, 1)


def _planes_bytes(stack: Stack, planes: int, rows: int, threads: int) -> int:
    return int(min(rows, stack.height) * stack.width * 4 * planes * threads * max(1.0, stack.channels / 3))


def base_bytes(mapped_bytes: int) -> int:
    """What a run takes besides pixels, where so much of files is mapped before it; 0: that is not known."""
    if not mapped_bytes:
        return BASE_BYTES
    # A program that calls this one may have much else mapped.
    mapped = min(max(int(MAPPED_MORE * mapped_bytes), LEAST_MAPPED_BYTES), MOST_MAPPED_BYTES)
    return OWN_BYTES + mapped


def pays_to_compile(stack: Stack) -> bool:
    """Whether frames are large enough for compiled loops."""
    return stack.largest.megapixels >= LOOPS_MEGAPIXELS


def band_halo(settings: Settings) -> int:
    """Rows around a band on one side."""
    return max(BAND_HALO, halo(settings.method, settings.radius) + 2)


def device_bytes(stack: Stack, settings: Settings, layout: Layout) -> int:
    """Peak of one GPU's memory: frames, states and arrays of a band in a pass; the survey; the surface."""
    pixels = stack.width * stack.height
    rows = min(layout.band_rows + 2 * band_halo(settings), stack.height)
    wide = stack.channels + WIDE_PLANES if settings.radius > FOCUS_SIGMA_PX else 0
    band = rows * stack.width * 4 * (1.25 * stack.channels + DEVICE_BAND_PLANES + wide)
    frames = DEVICE_FRAMES * stack.largest.nbytes
    decoder = DECODER_FRAMES * stack.largest.nbytes if device_decodes(stack, settings) else 0.0
    survey = _sight_bytes(stack, 1, 1) if settings.align is not Model.NONE else 0
    held = holding(stack, settings, device=True)
    during, after = (max(_on_device(one, layout) for one in those) for those in (held.passing, held.all))
    finishing = _finishing_bytes(stack, settings, layout)
    peaks = (
        frames + pixels * during + (band if settings.slab is None else max(band, finishing)),
        frames + survey,
        pixels * after + finishing,
        _behind_bytes(stack, settings, held, layout),
    )
    return int(max(peaks) + decoder) + DEVICE_RESERVE  # a decoder keeps what it took


def _finishing_bytes(stack: Stack, settings: Settings, layout: Layout) -> float:
    """What the end of a run takes on a GPU: the packed band; `auto` undoes a blur first, strip by strip."""
    if settings.method is Method.AUTO:
        planes = FINISHING_PLANES * stack.channels + FINISHING_MORE_PLANES
        strip = finishing_rows(layout.band_rows), debias_halo()
        return _strip_bytes(stack, strip, planes, FINISHING_RANGES)
    packed = stack.channels * stack.pixel_type.itemsize
    return min(layout.band_rows + 2 * band_halo(settings), stack.height) * stack.width * packed


def _behind_bytes(stack: Stack, settings: Settings, held: Holding, layout: Layout) -> float:
    """What is on a GPU while the second pass of `auto` looks behind nearer things at its end."""
    if "behind" not in passes(settings, settings.method):
        return 0.0
    planes = BEHIND_PLANES * stack.channels + BEHIND_MORE_PLANES
    rows = min(STRIP_ROWS, layout.band_rows)
    strip = _strip_bytes(stack, (rows, behind_halo()), planes, 1)
    return stack.width * stack.height * _on_device(held.looking, layout) + strip


def _strip_bytes(stack: Stack, strip: tuple[int, int], planes: int, pictures: int) -> float:
    """A strip, its rows and its halo: float planes, and pictures in the frames' dtype."""
    rows, halo = strip
    wide = min(rows + 2 * halo, stack.height)
    packed = pictures * stack.channels * stack.pixel_type.itemsize
    return float(wide * stack.width * (4 * planes + packed))


def _on_device(held: Footprint, layout: Layout) -> float:
    return held.near + (0.0 if layout.spill else held.afar)


def device_decodes(stack: Stack, settings: Settings) -> bool:
    """Whether a GPU decodes files of the stack; others may lie among them. A flat field wants pixels on the
    host."""
    wanted = settings.decoder is DecoderName.GPU and settings.flat is None
    return wanted and any(frame.kind is Kind.JPEG for frame in stack)


def staging_bytes(stack: Stack, settings: Settings) -> int:
    """Host memory that a GPU's decoder takes."""
    return int(DECODER_STAGING * stack.largest.nbytes) if device_decodes(stack, settings) else 0


CLIP_FRAMES = 14
"""What an open video takes, in decoded frames: references of a codec, one frame for each of its threads, and
those put aside; they have half the bytes of RGB in most videos."""


def decoding_bytes(stack: Stack, settings: Settings, readers: int) -> int:
    """What decoding needs besides its results; where a GPU decodes, files that it does not take still need
    as much."""
    clip = CLIP_FRAMES * stack.largest.nbytes if stack.kind is Kind.VIDEO else 0
    return int(stack.largest.nbytes * _decode_factor(stack, settings)) * readers + clip


def _decode_factor(stack: Stack, settings: Settings) -> float:
    """What decoding needs besides its result, as a share of it: of the frame that needs most."""
    if any(frame.progressive for frame in stack):
        return PROGRESSIVE_FACTOR
    told = [frame.decoding for frame in stack if frame.decoding is not None]
    others = stack.kind is Kind.RAW and settings.demosaic not in WAYS
    return DECODE_FACTOR[stack.kind] if others or len(told) < len(stack) else max(told)


def survey_bytes(stack: Stack, settings: Settings, readers: int, slots: int, on_device: bool) -> int:
    """Peak of the survey in host memory: each reader holds a frame and its planes, others wait as sights; or
    what is held while it is told what moved."""
    looking = _looking_bytes(stack, settings, readers, slots, on_device)
    return max(looking, telling_bytes(stack, settings))


def _looking_bytes(stack: Stack, settings: Settings, readers: int, slots: int, on_device: bool) -> int:
    frame, kept = stack.largest, looked_bytes(stack, settings)
    if on_device:
        staged = decoding_bytes(stack, settings, readers) + staging_bytes(stack, settings)
        return frame.nbytes * (slots + 1) + staged + kept
    decoded = _looked_bytes(stack, settings, readers) + kept
    looks = settings.align is not Model.NONE or settings.lifts_veils
    return decoded + _sight_bytes(stack, readers, slots) if looks else decoded


def _looked_bytes(stack: Stack, settings: Settings, readers: int) -> int:
    """What the frames take that are looked at: small ones, where they are decoded so, and a whole one for its
    noise."""
    by = stack.kind.reduction(survey_factor(stack))
    small = by > 1 and settings.flat is None and settings.brightness is not Brightness.CHANNELS
    halved = small and all(frame.kind is Kind.RAW and frame.decoding is not None for frame in stack)
    whole = 1 if small and (stack.kind is Kind.JPEG or halved) else readers
    looked = stack.largest.nbytes * whole + decoding_bytes(stack, settings, whole)
    return max(looked, int(HALVED_FACTOR * stack.largest.nbytes) * readers) if halved else looked


def layers_bytes(stack: Stack, settings: Settings) -> int:
    """What is held beside frames while layers are made: picture, winners and depth, and for each pixel either
    what tells who owns it, or owner, the picture upright, and one layer with its cover and mask."""
    if not settings.layers:
        return 0
    picture = stack.channels * stack.pixel_type.itemsize
    results = picture + 2 + (8 if settings.depth else 0)
    return int(stack.width * stack.height * (results + max(OWNERS_BYTES, 2 + 2 * picture + 3)))


def checkpoint_bytes(stack: Stack, settings: Settings) -> int:
    """Room on the disk for what one backend keeps, at most: the states of the pass at work, twice while new
    ones take the place of the old, and of the pass before; and what the survey found."""
    first, *later = (held.near + held.afar for held in holding(stack, settings).passing)
    states = max(2 * first, *(first + 2 * held for held in later), 0)
    looked = looked_bytes(stack, settings) + spooled_bytes(stack, settings)
    return int(states * stack.width * stack.height) + looked


def _sight_bytes(stack: Stack, readers: int, slots: int) -> int:
    """What `readers` frames take while they are looked at, and the sights that wait to be matched."""
    plane = 4 * (stack.width // survey_factor(stack)) * (stack.height // survey_factor(stack))
    waiting = min(len(stack), slots + 1 + LINK_REACH + LINKS_AHEAD)
    return int(plane * (SURVEY_PLANES * readers + SIGHT_PLANES * waiting))


def survey_factor(stack: Stack) -> int:
    """By how many times the survey's planes are smaller than the frames."""
    return shrunk_by(max(stack.width, stack.height), stack.kind)


def shrunk_by(side: int, kind: Kind) -> int:
    """The same, from the longer side of the largest frame.

    For RAW an even number, if not 1: half the size needs no demosaicking.
    """
    times = max(1 if side <= WHOLE_SIDE else 2, round(side / SURVEY_SIDE))
    return times - times % 2 if kind is Kind.RAW and times > 1 else times


def passes(settings: Settings, method: Method) -> tuple[str, ...]:
    """What each reading of the frames is for."""
    survey = ("survey",) if settings.looks else ()
    renders = PASSES[method][:1] if settings.slab is not None and method is Method.AUTO else PASSES[method]
    return survey + renders + (("layers",) if settings.layers else ())
