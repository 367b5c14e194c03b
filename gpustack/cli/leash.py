"""`gpustack` for a batch: a process that ends when the one that started it does, however that ends."""

from __future__ import annotations

import _thread
import os
import threading
import time

_GRACE_S = 10.0
"""How long half-written files may take to be put away: the interpreter is told between two steps of a
computation."""


def main() -> None:
    """Run the command line until standard input, on which nothing is read, is closed."""
    threading.Thread(target=_hold, name="leash", daemon=True).start()
    from gpustack.cli.app import main as run

    run()


def _hold() -> None:
    while os.read(0, 1):
        pass
    _thread.interrupt_main()
    time.sleep(_GRACE_S)
    os._exit(130)


if __name__ == "__main__":
    main()
