"""Run one command and print what it took: the small parent that every measured process hangs under.

A process inherits the peak memory of the one it was started from (Linux keeps the high-water mark across
fork and exec), so a bench that holds pictures must not start what it measures itself. This script imports
next to nothing, which makes about 10 MB the least that can be measured.

`python -I -S launch.py TIMEOUT_S LOG COMMAND...` writes the command's output to LOG and prints one JSON
object: `wall_s`, `cpu_s` (user and system, with all children waited for), `peak_bytes` (resident set of
the largest single process of the tree), `exit_code` (negative: killed by that signal).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

# ru_maxrss is in bytes on macOS and in KiB elsewhere.
PEAK_UNIT = 1 if sys.platform == "darwin" else 1024


def _kill_when_late(pid: int, timeout_s: int) -> None:
    """Have the process group `pid` killed after `timeout_s` seconds; `wait4` then returns as usual."""
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(pid, signal.SIGKILL))
    signal.alarm(timeout_s)


def launch(timeout_s: int, log: str, command: list[str]) -> dict[str, float | int]:
    """The figures of one run of `command`; see the module for their meaning."""
    with Path(log).open("ab") as stream:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True)
        _kill_when_late(process.pid, timeout_s)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
    signal.alarm(0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "wall_s": wall_s,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * PEAK_UNIT,
        "exit_code": process.returncode,
    }


if __name__ == "__main__":
    print(json.dumps(launch(int(sys.argv[1]), sys.argv[2], sys.argv[3:])))
