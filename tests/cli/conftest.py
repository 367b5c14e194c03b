from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.calling import shots, write_tiffs


@pytest.fixture
def frames(tmp_path: Path) -> list[Path]:
    """Three small TIFF frames in a folder of their own."""
    folder = tmp_path / "frames"
    folder.mkdir()
    return write_tiffs(folder, shots())
