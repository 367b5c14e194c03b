"""What a watch takes, in a fresh process, against what the plan and the price of the preview say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc"),
]
WIDTH, HEIGHT = 2400, 1600
MAPPED = 40 << 20
"""Files of libraries in memory on a machine that has run for a while, as in tests/engine/test_memory.py."""

PROGRAM = """
import json, sys
from dataclasses import replace
from pathlib import Path
import gpustack
from gpustack import api
from gpustack.backend.memory import peak_bytes
from gpustack.io.decode import probe
from gpustack.settings import BackendName
from gpustack.watching.preview import preview_bytes
from gpustack.watching.session import PreviewFile, Session
align, folder, *paths = sys.argv[1:]
settings = gpustack.Settings(align=gpustack.Model(align), reference="first", threads=2)
settings = replace(settings, backend=BackendName.CPU)
session = Session(settings, PreviewFile(Path(folder) / "preview.jpg"), print)
for path in paths:
    session.take(Path(path))
stack, known = session.finish()
result = api.stack(stack, settings, known=known)
preview, _ = preview_bytes(probe(Path(paths[0]))[0], settings)
planned = result.report.plan["total_bytes"] + preview
status = Path("/proc/self/status").read_text()
files = int(status.partition("RssFile:")[2].split()[0]) * 1024
print(json.dumps({"planned": planned, "files": files, "peak": peak_bytes()}))
"""


@pytest.mark.parametrize("align", ["similarity", "none"])
def test_a_watch_takes_less_than_planned(align: str, tmp_path: Path) -> None:
    grain = np.random.default_rng(0).integers(0, 240, (HEIGHT // 4, WIDTH // 4, 3)).astype(np.uint8)
    scene = cv2.resize(grain, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    paths = [tmp_path / f"{index}.jpg" for index in range(5)]
    for index, path in enumerate(paths):
        assert cv2.imwrite(str(path), cv2.GaussianBlur(scene, (0, 0), 0.5 + index / 2))
    command = [sys.executable, "-c", PROGRAM, align, str(tmp_path), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert 0.45 < (found["peak"] - found["files"] + MAPPED) / found["planned"] <= 1
