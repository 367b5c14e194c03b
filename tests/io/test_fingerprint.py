"""Fingerprints are those that other programs tell."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from gpustack.errors import InputError
from gpustack.io.fingerprint import Fingerprint, Fingerprints, fingerprint


def test_the_hash_is_that_of_sha256sum(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(os.urandom((1 << 20) + 17))  # more than a block
    found = fingerprint(path)
    if shutil.which("sha256sum") is None:
        pytest.skip("sha256sum is not installed")
    told = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]
    assert found == Fingerprint((1 << 20) + 17, told)


def test_each_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    read = []

    def counted(path: Path) -> Fingerprint:
        read.append(path)
        return fingerprint(path)

    monkeypatch.setattr("gpustack.io.fingerprint.fingerprint", counted)
    with Fingerprints() as prints:
        for _ in range(3):
            prints.want(path)
        first, again = prints.of(path), prints.of(path)
    assert first == again == fingerprint(path)
    assert read == [path]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="no regular file"):
        fingerprint(tmp_path / "pipe")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with Fingerprints() as prints, pytest.raises(InputError, match=r"gone\.jpg"):
        prints.of(tmp_path / "gone.jpg")
