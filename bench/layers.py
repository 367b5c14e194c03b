"""What layers cost: `python bench/layers.py --json bench/results/layers.json [--runs N] [FOLDER...]`.

Writing: seconds and peak memory of processes that write the same layers, ours as they come, psd-tools and
psdtags all at once; by the number of layers. Owning: for each folder of frames, how large the boxes of all
layers are together and what share of the pixels leaves its winner, by the smallest island that stays.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import machine
import numpy as np
import numpy.typing as npt
from measure import measure, positive

import gpustack
from gpustack.backend.cpu import Cpu
from gpustack.fuse import owners
from gpustack.model.rect import cut

Pixels = npt.NDArray[Any]
SIZE, COUNTS, RUNS = (3000, 2000), (4, 12), 3
TINY_SIZE, TINY_COUNTS = (300, 200), (2, 3)
ISLANDS = (0.0, 1e-4, 5e-4, 2e-3)


def main() -> None:
    """Measure and write the result; or be one of the processes that are measured."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path)
    options.add_argument("--tiny", action="store_true", help="in seconds; proves nothing")
    options.add_argument("--runs", type=positive, default=RUNS)
    options.add_argument("--writer", choices=WRITERS, help="write layers: WIDTH HEIGHT COUNT FILE")
    options.add_argument("arguments", nargs="*")
    given = options.parse_args()
    if given.writer:
        width, height, count, path = given.arguments
        WRITERS[given.writer](int(width), int(height), int(count), Path(path))
        return
    size, counts = (TINY_SIZE, TINY_COUNTS) if given.tiny else (SIZE, COUNTS)
    owning = shown(row for folder in given.arguments for row in owned(Path(folder)))
    writing = shown(row for count in counts for row in written(size, count, given.runs))
    if given.json:
        figures = {"size": size, "runs": given.runs, "writing": writing, "owning": owning}
        machine.write_result(machine.heading("layers") | figures, given.json)


def shown(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, printed as they come."""
    kept = []
    for row in rows:
        print(*row.values(), flush=True)
        kept.append(row)
    return kept


def written(size: tuple[int, int], count: int, runs: int) -> Iterator[dict[str, Any]]:
    """So many layers of 16 bits, each as large as the picture, by every writer; the medians of some runs."""
    for writer in WRITERS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / ("out.tif" if writer in ("psdtags", "ours, TIFF") else "out.psd")
            numbers = [str(value) for value in (*size, count)]
            command = [sys.executable, str(Path(__file__)), "--writer", writer, *numbers, str(path)]
            figures = [measure([command], Path(folder) / "log") for _ in range(runs)]
            yield {
                "writer": writer,
                "layers": count,
                "wall_s": round(float(np.median([each.wall_s for each in figures])), 2),
                "cpu_s": round(float(np.median([each.cpu_s for each in figures])), 2),
                "peak_mib": round(float(np.median([each.peak_bytes for each in figures])) / 2**20),
                "file_mib": round(path.stat().st_size / 2**20),
            }


def owned(folder: Path) -> Iterator[dict[str, Any]]:
    """The frames of a folder, by the smallest island that stays as a share of the picture."""
    # What has no number in its name is no frame: results and maps lie among them.
    result = gpustack.stack(sorted(path for path in folder.glob("*.jpg") if re.search(r"\d", path.stem)))
    winners, frames = result.winners, len(result.report.frames)
    bands = cut(len(winners), 256)
    usual = owners.LEAST_ISLAND
    for least in ISLANDS:
        owners.LEAST_ISLAND = least
        own = owners.owners(Cpu(2), winners, range(frames), frames, bands)
        found = [box for box in owners.boxes(own, frames, bands) if box is not None]
        yield {
            "stack": folder.name,
            "least_island": least,
            "layers": len(found),
            "boxes": round(sum(box.pixels for box in found) / winners.size, 2),
            "not_the_winner": round(float(np.mean(own != winners)), 3),
        }
    owners.LEAST_ISLAND = usual


def layer(width: int, height: int, number: int) -> tuple[Pixels, Pixels]:
    """Pixels (h, w, 3) uint16, as smooth and as noisy as a photograph's, and a mask (h, w) uint8."""
    draw = np.random.default_rng(number)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    plane = 20_000 + 9_000 * np.sin(x / 70 + number) + 9_000 * np.cos(y / 90)
    noise = draw.integers(0, 600, (height, width, 3), dtype=np.uint16)
    mask = np.where((x // 200).astype(int) % 7 == number % 7, 255, 0).astype(np.uint8)
    return plane.astype(np.uint16)[..., None] + noise, mask


def ours(width: int, height: int, count: int, path: Path) -> None:
    """Each layer is made, written and forgotten."""
    from gpustack.io.layers import layered_file
    from gpustack.io.metadata import Metadata
    from gpustack.io.psd.files import Base, opaque
    from gpustack.io.psd.layers import Picture, Record
    from gpustack.model.layer import Box

    picture, _ = layer(width, height, count)
    whole = Box(0, 0, width, height)
    records = [Record(str(number), whole, masked=True) for number in range(count)]
    base = Base(picture, Metadata(), "bench", "Fused")
    with layered_file(path, base, records, overwrite=True, threads=2, warn=print) as (_, write):
        for number in range(count):
            pixels, mask = layer(width, height, number)
            write(Picture(pixels, opaque(mask.shape), mask))


def by_psd_tools(width: int, height: int, count: int, path: Path) -> None:
    """All layers, then the file."""
    from PIL import Image
    from psd_tools import PSDImage

    psd = PSDImage.new("RGB", (width, height), depth=16)
    psd.create_pixel_layer_from_array(layer(width, height, count)[0], name="Fused")
    for number in range(count):
        pixels, mask = layer(width, height, number)
        made = psd.create_pixel_layer_from_array(pixels, name=str(number))
        made.create_mask(Image.fromarray(mask))
    psd.save(path)


def by_psdtags(width: int, height: int, count: int, path: Path) -> None:
    """All layers, then the file."""
    import psdtags
    import tifffile

    picture, _ = layer(width, height, count)
    layers = [_tag_layer("Fused", picture, None)]
    layers += [_tag_layer(str(number), *layer(width, height, number)) for number in range(count)]
    source = psdtags.TiffImageSourceData(
        psdtags.PsdFormat.LE32BIT,
        psdtags.PsdLayers(psdtags.PsdKey.LAYER_16, layers),
        psdtags.PsdUserMask(),
    )
    tag = source.tifftag(maxworkers=2)
    tifffile.imwrite(
        path, picture, photometric="rgb", compression="adobe_deflate", extratags=[tag], byteorder="<"
    )


def _tag_layer(name: str, pixels: Pixels, mask: Pixels | None) -> Any:
    import psdtags

    packing, channel = psdtags.PsdCompressionType.ZIP_PREDICTED, psdtags.PsdChannelId
    box = psdtags.PsdRectangle(0, 0, *pixels.shape[:2])
    planes = [(channel.CHANNEL0, 0), (channel.CHANNEL1, 1), (channel.CHANNEL2, 2)]
    channels = [psdtags.PsdChannel(number, packing, pixels[..., at]) for number, at in planes]
    if mask is None:
        return psdtags.PsdLayer(name, channels, box)
    wide = mask.astype(np.uint16) * 257
    channels.append(psdtags.PsdChannel(channel.USER_LAYER_MASK, packing, wide))
    return psdtags.PsdLayer(name, channels, box, psdtags.PsdLayerMask(0, box))


WRITERS: dict[str, Callable[[int, int, int, Path], None]] = {
    "ours, PSD": ours,
    "ours, TIFF": ours,
    "psd-tools": by_psd_tools,
    "psdtags": by_psdtags,
}

if __name__ == "__main__":
    main()
