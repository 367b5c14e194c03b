"""What does too little memory cost? Frames in turns, against state that goes out and in with every frame.

`python bench/turns.py --json bench/results/turns.json`; contract in README.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from frames import default_cache
from machine import heading, write_result
from measure import REPOSITORY, environment
from sets import sweep_files

SIZE, DISTINCT, COUNT = (3000, 4000), 4, 8
TINY = (1200, 1700)
METHODS = ("auto", "pyramid")
WAYS = {"memory": "8G", "turns": "600M", "out and in": "600M"}
"""How a stack is fused, and what is allowed."""

# A process of its own; "out and in" plans one turn for every pass, whatever memory holds.
PROGRAM = """
import hashlib, json, resource, sys
from pathlib import Path
from gpustack.backend.memory import peak_bytes, share_arena
share_arena()
from gpustack import api
from gpustack.cli.given import bytes_of
from gpustack.engine import turns
from gpustack.model.band_turn import WHOLE
from gpustack.settings import BackendName, Deghost, Method, Model, Settings
way, ram, method, folder = sys.argv[1:]
if way == "out and in":
    turns._turns = lambda *_: (WHOLE,)
settings = Settings(
    method=Method(method), backend=BackendName.CPU, ram_bytes=bytes_of(ram), align=Model.NONE,
    deghost=Deghost.OFF,
)
result = api.stack(sorted(Path(folder).iterdir()), settings)
used = resource.getrusage(resource.RUSAGE_SELF)
written = Path("/proc/self/io").read_text().partition("\\nwrite_bytes: ")[2].split()[0]
print(json.dumps({
    "cpu_s": round(used.ru_utime + used.ru_stime, 2),
    "system_s": round(used.ru_stime, 2),
    "written_mib": round(int(written) / 2**20, 1),
    "peak_mib": round(peak_bytes() / 2**20, 1),
    "plan_mib": round(result.report.plan["total_bytes"] / 2**20, 1),
    "turns": {name: len(each) for name, each in result.report.plan["turns"].items()},
    "slowdown": round(result.report.plan["slowdown"], 2),
    "picture": hashlib.sha256(result.image.tobytes()).hexdigest(),
}))
"""


def row_of(way: str, method: str, folder: Path) -> dict[str, Any]:
    """One run in a process of its own."""
    command = [sys.executable, "-c", PROGRAM, way, WAYS[way], method, str(folder)]
    done = subprocess.run(
        command, env=environment(), cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return {"way": way, "limit": WAYS[way], "method": method} | json.loads(done.stdout)


def bench(given: argparse.Namespace) -> bool:
    """Every way by every method; whether all pictures of a method are the same."""
    head, rows = heading("turns"), []
    folder = sweep_files(given.cache, TINY if given.tiny else SIZE, DISTINCT, COUNT)
    for method in given.methods.split(","):
        for way in WAYS:
            rows.append(row_of(way, method, folder))
            print(*rows[-1].values(), sep="\t", flush=True)
    if given.json:
        write_result({**head, "frames": COUNT, "size": SIZE, "results": rows}, given.json)
    return len({(row["method"], row["picture"]) for row in rows}) == len({row["method"] for row in rows})


def main() -> None:
    """Command line of this file; ends with 1 where a picture is another."""
    parser = argparse.ArgumentParser(description="Frames in turns against state out and in.")
    parser.add_argument("--methods", default=",".join(METHODS), help="comma-separated")
    parser.add_argument("--tiny", action="store_true", help="small frames, which prove only that it runs")
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder of frames")
    raise SystemExit(0 if bench(parser.parse_args()) else 1)


if __name__ == "__main__":
    main()
