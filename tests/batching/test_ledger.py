"""The ledger: what a crash, another shard and another version leave in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gpustack.batching.ledger import UNFINISHED, Ledger, Line
from gpustack.batching.shelf import Folder

LINE = Line("beetle", "key", "beetle.tif", 3, 7, None, 1.5)


def test_what_is_added_is_read_again(tmp_path: Path) -> None:
    Ledger(Folder(tmp_path)).add(LINE)
    assert Ledger(Folder(tmp_path)).last("beetle") == LINE
    assert Ledger(Folder(tmp_path)).last("leaf") is None


def test_the_last_success_counts(tmp_path: Path) -> None:
    ledger = Ledger(Folder(tmp_path))
    newer = replace(LINE, key="new")
    for line in (replace(LINE, error="x"), LINE, newer, replace(LINE, error="y")):
        ledger.add(line)
    assert Ledger(Folder(tmp_path)).last("beetle") == newer


def test_an_output_whose_run_was_cut_short_is_the_batchs_own(tmp_path: Path) -> None:
    ledger = Ledger(Folder(tmp_path))
    assert not ledger.begun("beetle.tif")
    ledger.add(replace(LINE, error=UNFINISHED))
    assert Ledger(Folder(tmp_path)).begun("beetle.tif")
    ledger.add(replace(LINE, error="another"))
    assert not Ledger(Folder(tmp_path)).begun("beetle.tif")


@pytest.mark.parametrize("cut", range(1, 40, 6))
def test_a_line_cut_short_costs_only_itself(tmp_path: Path, cut: int) -> None:
    ledger = Ledger(Folder(tmp_path))
    ledger.add(LINE)
    ledger.add(replace(LINE, name="leaf"))
    path = tmp_path / "gpustack-ledger.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    again = Ledger(Folder(tmp_path))
    assert again.last("beetle") == LINE
    assert cut == 1 or again.last("leaf") is None
    again.add(replace(LINE, name="fern"))
    assert Ledger(Folder(tmp_path)).last("fern") is not None
    assert Ledger(Folder(tmp_path)).last("beetle") == LINE


def test_rubbish_and_fields_of_later_versions_do_not_matter(tmp_path: Path) -> None:
    text = '{"name": "a", "key": "k", "output": "a.tif", "mood": "good"}\n[]\n3\n{}\n\xff\n'
    (tmp_path / "gpustack-ledger.jsonl").write_text(text, encoding="latin-1")
    assert Ledger(Folder(tmp_path)).last("a") == Line("a", "k", "a.tif")


def test_shards_write_apart_and_read_each_other(tmp_path: Path) -> None:
    Ledger(Folder(tmp_path, (0, 2))).add(LINE)
    Ledger(Folder(tmp_path, (1, 2))).add(replace(LINE, name="leaf"))
    assert len(list(tmp_path.iterdir())) == 2
    whole = Ledger(Folder(tmp_path))
    assert whole.last("beetle") == LINE
    assert whole.last("leaf") is not None


def test_an_output_counts_only_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "beetle.tif"
    assert not LINE.made(Folder(tmp_path))
    path.write_bytes(b"abc")
    line = replace(LINE, mtime_ns=path.stat().st_mtime_ns)
    assert line.made(Folder(tmp_path))
    assert not replace(line, error="x").made(Folder(tmp_path))
    path.write_bytes(b"abcd")
    assert not line.made(Folder(tmp_path))
