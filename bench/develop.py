"""Develop RAW files to TIFF files of 16 bits with LibRaw, as one has to who stacks by a program that reads no
RAW: `python develop.py FOLDER OUT`. With LibRaw's defaults but for the camera's white balance and one
brightness for all files, as many at a time as there are cores.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import rawpy  # noqa: TID253
import tifffile


def developed(out: Path, file: Path) -> None:
    """One file, as a TIFF file of the same name in `out`."""
    with rawpy.imread(str(file)) as raw:
        picture = raw.postprocess(output_bps=16, use_camera_wb=True, no_auto_bright=True)
    tifffile.imwrite(out / f"{file.stem}.tif", picture, photometric="rgb")


def main() -> None:
    """All files of a folder."""
    folder, out = map(Path, sys.argv[1:])
    out.mkdir(parents=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(partial(developed, out), sorted(folder.iterdir())))


if __name__ == "__main__":
    main()
