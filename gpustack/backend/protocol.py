"""What a backend does: coarse operations, one call a pass over one band.

Conventions for every operation: axes are (channel, y, x); pixel centres are whole numbers; images are (c,
h, w) float32, nominally 0..1 in the encoding they came in; planes are (h, w) float32; masks are (h, w)
uint8, 0 or 255. Neighbourhoods mirror at the edges of the array without repeating the edge pixel, so a band
must come with its halo. No operation writes to an argument unless its docstring says so. Arrays are the
backend's own and opaque to everybody else; only operations whose docstring says so wait for the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from gpustack.backend.surveying import Surveying
from gpustack.backend.values import (
    BackendInfo,
    Band,
    Beside,
    Best,
    Cells,
    Extent,
    Host,
    LevelBand,
    Looked,
    Mix,
    Optics,
    Part,
    Steps,
)
from gpustack.model.frame import PixelType
from gpustack.model.jpeg import Jpeg
from gpustack.model.mosaic import Mosaic
from gpustack.model.rect import Rows
from gpustack.model.transform import Transform
from gpustack.settings import Interpolation

A = TypeVar("A")
T = TypeVar("T")


class Backend(Surveying[A], Protocol[A]):
    """Everything that touches pixels; what the survey and alignment ask for is in `Surveying`. Raises
    BackendError where the device is lost or full."""

    @property
    def info(self) -> BackendInfo:
        """Name, device, free bytes and threads, measured now."""
        ...

    @property
    def concurrent(self) -> bool:
        """Whether several threads may ask for operations at once; else one thread asks for all of them."""
        ...

    def owns(self, value: object, /) -> bool:
        """Whether a value is one of this backend's arrays."""
        ...

    def lend(self, host: Host, /) -> A:
        """A host array for operations to read once or twice, without room on the device being taken."""
        ...

    def each(self, work: Callable[[T], None], items: Iterable[T], /) -> None:
        """Run `work` on every item, in parallel where that helps, and wait for all. Errors surface."""
        ...

    @property
    def busy_seconds(self) -> dict[str, float]:
        """Seconds that the device spent on each of its stages so far; empty where the host does the work."""
        ...

    @property
    def peak_bytes(self) -> int:
        """Most bytes of the device's own memory held so far; 0 where there is none."""
        ...

    def reserve(self, count: int, nbytes: int, /) -> None:
        """Make room for `count` decoded frames of up to `nbytes` between the readers and `upload`."""
        ...

    def slot(self, shape: tuple[int, ...], dtype: str, /) -> Host | None:
        """Memory to decode a frame into, for any thread; waits for a free one. None: decode anywhere."""
        ...

    def drop(self, slot: Host, /) -> None:
        """Give a slot back that will not be uploaded; from any thread."""
        ...

    def close(self) -> None:
        """Give memory and threads back; nothing may be asked for afterwards."""
        ...

    def rest(self) -> None:
        """All work on the last uploaded frame has been asked for: what comes next waits for the next
        frame."""
        ...

    def settle(self) -> None:
        """Every frame of a pass is folded in: wait until the device has done it all."""
        ...

    def upload(self, host: Host, /) -> A:
        """Copy in a frame as decoded, (h, w, c) of its own dtype, or any other array.

        A slot goes back to the readers, and all work on its frame is asked for before the next is uploaded;
        any other array must not change afterwards.
        """
        ...

    def download(self, array: A, /) -> Host:
        """Copy out, same shape and dtype. Waits."""
        ...

    def pieces(self, array: A, /) -> Iterator[tuple[slice, Host]]:
        """The rows of a plane or image on the host, from first to last, each piece C-contiguous and of about
        PIECE_BYTES: a copy, or the array itself where that lies there so. Waits."""
        ...

    def full(self, shape: tuple[int, ...], value: float, dtype: str, /, *, afar: bool = False) -> A:
        """A new filled array; `afar`: state of the frames' size, which may live outside device memory."""
        ...

    def room(self, shape: tuple[int, ...], dtype: str, /) -> Host:
        """A host array of any content, for results of the picture's size; in a file where memory is short."""
        ...

    def rows(self, array: A, rows: slice, /) -> A:
        """A view of some rows of a plane or image; writing to it writes to `array`."""
        ...

    def copy(self, source: A, target: A, /) -> None:
        """Copy `source` into `target`, which has its shape and dtype."""
        ...

    def fill(self, target: A, value: float, /) -> None:
        """Set every element of `target`."""
        ...

    def stack_rows(self, parts: Sequence[A], /) -> A:
        """Bands of a plane or image, one below the other, as one new array."""
        ...

    def develop(self, samples: A, mosaic: Mosaic, /) -> A:
        """Samples (h, w, 1) uint16 -> linear camera RGB (h, w, 3) uint16, by ratio correction or Malvar's
        filters; the same bits on every backend."""
        ...

    @property
    def decodes(self) -> bool:
        """Whether `decode` can be asked for; else JPEG files come decoded."""
        ...

    def decode(self, data: Host, jpeg: Jpeg, /) -> A:
        """Bytes of a JPEG file -> frame (h, w, c) uint8, not turned by EXIF; slots as with `upload`.

        Raises: DecodeError for what the device cannot decode; not every damage shows.
        """
        ...

    def load(
        self,
        frame: A,
        place: Transform,
        kind: PixelType,
        width: int,
        rows: Rows,
        /,
        *,
        interpolation: Interpolation = Interpolation.BICUBIC,
    ) -> Band[A]:
        """Rows of the canvas, `width` pixels wide, resampled from a frame (h, w, c) of integers or floats.

        Bicubic (Keys, a = -0.75) or Lanczos (three lobes, weights that add up to 1) at float32 positions,
        the edge repeated outside; a whole-pixel transform copies exactly. Both overshoot beside edges:
        values may leave the frame's range. `place` maps canvas pixels to frame pixels and carries the gain.
        The mask is set where the position lies in the frame, or within 1/64 pixel of it.
        """
        ...

    def between(self, cells: Cells[A], width: int, rows: Rows, /) -> A:
        """Rows of the canvas, (rows, width) float32: linear between cells; beyond the outermost, these."""
        ...

    def reduce(self, image: A, /) -> A:
        """Image or plane -> half size, ceil(h/2) x ceil(w/2): 5-tap binomial; (y, x) there is (2y, 2x) here.
        Halo 2."""
        ...

    def shrink_mask(self, mask: A, /) -> A:
        """The mask at half size: set where all 5x5 pixels that `reduce` reads are set. Halo 2."""
        ...

    def fold_level(
        self,
        part: Part[A],
        frame: int,
        band: LevelBand[A],
        sigma: float,
        extent: Extent[A] | None,
        /,
        *,
        keep: bool = True,
    ) -> A:
        """Fold the detail of a level's band into `part`, and its values into `extent`, in place; returns its
        energy. Without `keep` that is all: both stay as they are.

        The detail is the image minus its expanded `coarse`; its energy the squared luma, smoothed by sigma
        pixels, plus EVIDENCE times the finer levels' energy. `part` and `extent` have the rows `inner`, the
        energy those of the band, right within 2 rows of `inner`; where it is less than nothing it counts as
        none, but is returned as it is. Pixels that are not valid never win and weigh nothing, but have an
        energy. Values are rounded to the dtype of `extent`. Halo 6 + ceil(3 sigma).
        """
        ...

    def fold_in(self, part: Part[A], frame: int, image: A, energy: A, valid: A | None, /) -> None:
        """Fold one frame into `part`, in place; larger energy wins, ties go to the lower frame."""
        ...

    def fold_sharpness(self, part: Part[A], frame: int, band: Band[A], sigma: float, inner: slice, /) -> None:
        """Fold one frame into `part`, in place, by the focus measure of the rows `inner` of a band.

        The measure is the sum of squared 4-neighbour Laplacians of the luma at full and at half size,
        smoothed by sigma pixels; each is divided by its share of noise: white noise of variance v gives
        MEASURE_NOISE v. Bands must begin on an even row. Halo `sharpness_halo(sigma)`.
        """
        ...

    def blur_misfit(
        self, mix: Mix[A], best: Best[A], floor: float, inner: slice, radii: Sequence[float], /
    ) -> Host:
        """How badly the mean fits the sharpest frames, blurred as if one frame's distance were a blur disk of
        each of some radii in pixels.

        (n, 1 + len(radii)) float64 for every FIT_STRIDE-th row of `inner`: the number of pixels compared,
        and their summed squared differences in luma. Compared is every FIT_STRIDE-th pixel whose focus
        measure is above FIT_ENERGY times `floor` and whose variance is below FIT_VARIANCE. Halo
        `misfit_halo()`. Waits.
        """
        ...

    def debias(self, estimate: A, mix: Mix[A], radius: float, noise: float, inner: slice, /) -> A:
        """The estimate (c, h, w), made better by a mean of frames whose blur is undone; the rows `inner`.

        A frame's distance in index blurs by a disk of `radius` pixels, the mean therefore by the variance of
        its indices times radius^2 / 4. To the mean is added what the same blur takes away from the estimate,
        where that is above noise (`noise`: a frame's, 0..1). Where the mean is far from the estimate
        (MISFIT) and that has no halo (HALO_SHARE), or its blur is wide (WIDEST_BLUR) and there is detail, the
        estimate stays. Halo `debias_halo()`.
        """
        ...

    def merge(self, part: Part[A], other: Part[A], /) -> None:
        """Fold what another run of frames kept into `part`, in place, by the same rule."""
        ...

    def add_detail(self, coarse: A, detail: A, height: int, inner: slice, /) -> A:
        """Collapse a level: expand `coarse` to `height` rows, take the rows `inner` of it, and add. Halo
        4."""
        ...

    def median(self, plane: A, /) -> A:
        """Median of 5x5 pixels. Halo 2."""
        ...

    def smooth_by(self, plane: A, weight: A, sigma: float, /) -> tuple[A, A]:
        """Gaussian of sigma pixels, cut at ceil(3 sigma), of plane times weight, and of the weight."""
        ...

    def fill_in(self, top: A, bottom: A, rim: A | None, weight: float, /) -> A:
        """(top + weight * expanded rim) / (bottom + weight); top / bottom where there is no rim."""
        ...

    def steps(self, depth: A, energy: A, floor: float, inner: slice, /) -> Steps[A]:
        """Where the sharpest frames (h, w), a median of them, step by more than STEP_FRAMES within
        STEP_REACH_PX pixels; the rows `inner`.

        `energy` is their focus measure, `floor` that of noise: depths count that are even over 3x3 pixels
        and seen (SEEN_NOISE, SEEN_SHARE). Halo `steps_halo()`.
        """
        ...

    def look_behind(self, beside: Beside[A], optics: Optics, inner: slice, /) -> Looked[A]:
        """The ground put in beside nearer things, and what that told of each pixel: the rows `inner`.

        What stands out of the plain ground in the sums `near`, joined to itself, is the thing; spread by a
        disk of the optics' radius times the distance in frames it is the veil that `far` shows the ground
        through. Where what comes out, blurred the other way, is not what `near` shows (BEHIND_MISFIT), the
        picture stays; on the ground's side, also where it is the veiled frame (VEIL_SHUNNED). Halo
        `behind_halo()`.
        """
        ...

    def blend_in(self, sums: Mix[A], depth: A, frame: int, band: Band[A], /) -> None:
        """Add a frame times max(0, 1 - |depth - frame|) to `sums.mean`, and the weight to `sums.total`, in
        place."""
        ...

    def keep_nearest(self, best: Best[A], depth: A, frame: int, band: Band[A], /) -> None:
        """Fold one frame into `best`, in place, with the closeness 1 / (1 + |depth - frame|) as its
        energy."""
        ...

    def merge_sums(self, sums: Mix[A], other: Mix[A], /) -> None:
        """Add other sums and weights to `sums`, in place."""
        ...

    def blended(self, sums: Mix[A], nearest: Best[A] | None, /) -> A:
        """Sums divided by weights -> image; the nearest frame's value where no weight was given."""
        ...

    def merge_extent(self, extent: Extent[A], other: Extent[A], /) -> None:
        """Fold another running range into `extent`, in place."""
        ...

    def clamp(self, image: A, extent: Extent[A], kind: PixelType, /) -> None:
        """Clamp an image (c, h, w) to a range, in place; 0 where that is empty."""
        ...

    def around(self, extent: Extent[A], inner: slice, /) -> Extent[A]:
        """The range over 3 x 3 pixels, the edge repeated, of the rows `inner`; empty where the pixel's own
        is. Halo 1."""
        ...

    def pack(self, image: A, kind: PixelType, extent: Extent[A] | None, /) -> Host:
        """Image -> (h, w, c) on the host in the frames' dtype: scaled, rounded half to even, clamped to
        `extent`; 0 where that is empty. Waits."""
        ...
