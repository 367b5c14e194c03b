"""Small results to be looked at, made once, and what opens them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from starlette.testclient import TestClient

from gpustack.settings import Settings
from gpustack.viewing.desk import Desk, Wish
from gpustack.viewing.locks import Keys
from gpustack.viewing.server import application
from tests.cli.calling import call, shots, write_tagged

Pixels = npt.NDArray[Any]

HOST = "http://127.0.0.1:8000"
ORIGIN = {"origin": HOST}


def write_stack(folder: Path, orientation: int = 1, count: int = 3, ending: str = "png") -> list[Path]:
    """Frames that drift, with an orientation, in a folder of their own."""
    frames = folder / "frames"
    frames.mkdir()
    return [
        write_tagged(frames / f"f{index}.{ending}", frame, orientation=orientation)
        for index, frame in enumerate(shots(count, step=1.5))
    ]


def stacked(folder: Path, *options: object, name: str = "sharp.tif") -> Path:
    """The result of the frames in a folder."""
    done = call("stack", folder / "frames", "-o", folder / name, "--quiet", *options)
    assert done.exit_code == 0, done.stderr
    return folder / name


@contextmanager
def opened(path: Path, *others: Path, folder: Path | None = None, ready: bool = True) -> Iterator[Desk]:
    """A desk; `ready`: with everything read."""
    desk = Desk(Wish(path, folder, others, Settings(ram_bytes=1 << 30, threads=1)))
    try:
        if ready:
            desk.start()
            desk.wait()
        yield desk
    finally:
        desk.close()


def client_of(desk: Desk) -> TestClient:
    """A browser that came through the door."""
    keys = Keys()
    client = TestClient(application(desk, keys), base_url=HOST)
    assert client.get(f"/?token={keys.token}").status_code == 200
    return client


def decoded(data: bytes) -> Pixels:
    """The pixels of a tile, (h, w, c), as PIL reads them."""
    import io

    from PIL import Image

    return np.atleast_3d(np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")))
