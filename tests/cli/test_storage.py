"""Frames and results on object storage: S3 as moto serves it on this machine, to us and to our processes."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpustack.io import storage
from tests.cli.calling import assert_refused, call, pixels, shots, write_tiffs
from tests.reporting.pages import parsed

moto_server = pytest.importorskip("moto.server", reason="moto is not installed")
s3fs = pytest.importorskip("s3fs", reason="the extra `cloud` is not installed")

SECRET = "do-not-show-this-key"
BUCKET = "s3://museum"


@pytest.fixture(scope="module")
def s3() -> Iterator[None]:
    """S3 on loopback, with credentials that nothing may show."""
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    surroundings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    before = {name: os.environ.get(name) for name in surroundings}
    os.environ.update(surroundings)
    yield
    server.stop()
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture
def store(s3: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty bucket, and a folder for temporary files of its own."""
    assert s3 is None
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    found = s3fs.S3FileSystem(use_listings_cache=False)
    found.mkdir("museum")
    yield found
    found.rm("museum", recursive=True)
    assert not list((tmp_path / "tmp").iterdir()), "something was left behind"


def upload(store: Any, tmp_path: Path, folder: str, count: int = 2, rows: int = 60) -> list[Path]:
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    paths = write_tiffs(tmp_path / folder, [frame[:rows, :80] for frame in shots(count)])
    for path in paths:
        store.put_file(str(path), f"museum/{folder}/{path.name}")
    return paths


def downloaded(store: Any, name: str, tmp_path: Path) -> Any:
    path = tmp_path / "got" / Path(name).name
    path.parent.mkdir(exist_ok=True)
    store.get_file(f"museum/{name}", str(path))
    return pixels(path)


def test_a_stack_from_and_to_a_bucket(store: Any, tmp_path: Path) -> None:
    upload(store, tmp_path, "beetle", 3)
    near = tmp_path / "near.tif"
    options = ("--method", "average", "--align", "none", "--backend", "cpu")
    assert call("stack", tmp_path / "beetle", "-o", near, *options).exit_code == 0
    far = call("stack", f"{BUCKET}/beetle", "-o", f"{BUCKET}/out/far.tif", "--depth", f"{BUCKET}/out/d.png",
               *options)  # fmt: skip
    assert far.exit_code == 0, far.stderr
    assert f"{BUCKET}/out/far.tif: 80x60 from 3 frames" in far.stderr
    assert str(tmp_path) not in far.stderr
    np.testing.assert_array_equal(downloaded(store, "out/far.tif", tmp_path), pixels(near))
    assert store.exists("museum/out/d.png")
    again = ("stack", f"{BUCKET}/beetle/f[01].tif", "-o", f"{BUCKET}/out/far.tif", *options)
    assert_refused(call(*again), 1, "s3://museum/out/far.tif exists already", "--overwrite")
    found = call(*again, "--overwrite", "--json")
    assert json.loads(found.stdout)["outputs"] == [f"{BUCKET}/out/far.tif"]
    assert [row["file"] for row in json.loads(found.stdout)["frames"]] == ["f0.tif", "f1.tif"]


def test_a_list_may_name_frames_here_and_there(store: Any, tmp_path: Path) -> None:
    upload(store, tmp_path, "beetle")
    (tmp_path / "list.txt").write_text(f"{BUCKET}/beetle/f1.tif\nbeetle/f0.tif\n")
    found = call(
        "stack", f"@{tmp_path / 'list.txt'}", "-o", tmp_path / "out.tif", "--align", "none", "--json"
    )
    assert [row["file"] for row in json.loads(found.stdout)["frames"]] == ["f1.tif", "f0.tif"]


def test_what_fails_puts_nothing_there(store: Any, tmp_path: Path) -> None:
    upload(store, tmp_path, "beetle")
    store.pipe_file("museum/beetle/f1.tif", b"poison")
    result = call("stack", f"{BUCKET}/beetle", "-o", f"{BUCKET}/out.tif")
    assert_refused(result, 3, "f1.tif")
    assert store.ls("museum") == ["museum/beetle"]
    assert_refused(
        call("stack", f"{BUCKET}/none", "-o", tmp_path / "x.tif"), 3, "s3://museum/none is not there"
    )
    assert_refused(call("stack", "s3://nobodys/x", "-o", tmp_path / "x.tif"), 3, "is not there")
    assert_refused(
        call("stack", f"{BUCKET}/beetle", "-o", tmp_path / "x.tif", "--scratch", "1K"), 3, "--scratch"
    )


def test_a_name_that_turned_up_meanwhile_is_kept(store: Any, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"later")
    store.pipe_file("museum/x", b"first")
    with pytest.raises(storage.WriteError, match="exists already"):
        storage.put(tmp_path / "mine", f"{BUCKET}/x", overwrite=False)
    assert store.cat_file("museum/x") == b"first"
    storage.put(tmp_path / "mine", f"{BUCKET}/x", overwrite=True)
    assert store.cat_file("museum/x") == b"later"


def run(*arguments: object) -> tuple[int, dict[str, str], str]:
    result = call("batch", *arguments, "--method", "average", "--backend", "cpu", "--jobs", "2", "--json")
    rows = json.loads(result.stdout)["stacks"] if result.stdout else []
    return result.exit_code, {row["name"]: row["end"] for row in rows}, result.stderr


def test_a_batch_from_and_to_a_bucket(store: Any, tmp_path: Path) -> None:
    for number, name in enumerate("ab"):
        upload(store, tmp_path, f"sets/{name}", rows=60 + 4 * number)
    store.pipe_file("museum/sets/readme.txt", b"no picture")
    store.pipe_file("museum/sets/b/f1.tif", b"poison")
    given = (f"{BUCKET}/sets", "-o", f"{BUCKET}/out")
    code, ends, told = run(*given)
    assert (code, ends) == (4, {"a": "made", "b": "failed"}), told
    before = store.info("museum/out/a.tif")["ETag"]
    upload(store, tmp_path, "sets/b", rows=64)
    assert run(*given)[:2] == (0, {"a": "up to date", "b": "made"})
    assert store.info("museum/out/a.tif")["ETag"] == before
    assert set(run(*given)[1].values()) == {"up to date"}
    store.pipe_file("museum/out/a.tif", b"retouched")
    assert run(*given)[:2] == (4, {"a": "failed", "b": "up to date"})
    assert store.cat_file("museum/out/a.tif") == b"retouched"


def test_a_manifest_in_a_bucket(store: Any, tmp_path: Path) -> None:
    upload(store, tmp_path, "sets/a")
    store.pipe_file(
        "museum/sets/list.toml",
        b"[[stack]]\nname='near'\nframes=['a/*.tif']\n[[stack]]\nname='evil'\nframes=['http://127.0.0.1/x']",
    )
    code, ends, _ = run(f"{BUCKET}/sets/list.toml", "-o", tmp_path / "out")
    assert (code, ends) == (4, {"near": "made", "evil": "failed"})
    assert pixels(tmp_path / "out" / "near.tif").shape == (60, 80, 3)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("s3://key:secret@museum/x", "must not hold credentials"),
        ("http://127.0.0.1/x", "is no object storage"),
        ("file:///etc/x", "is no object storage"),
    ],
)
def test_names_that_are_not_followed(store: Any, tmp_path: Path, name: str, said: str) -> None:
    assert store is not None
    result = call("stack", name, "-o", tmp_path / "x.tif")
    assert_refused(result, 2, said)
    assert "secret" not in result.stderr


def test_credentials_are_never_shown(store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upload(store, tmp_path, "beetle")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    result = call("stack", f"{BUCKET}/beetle", "-o", tmp_path / "x.tif")
    s3fs.S3FileSystem.clear_instance_cache()
    assert_refused(result, 3, "s3://museum/beetle cannot be read")
    assert SECRET not in result.output
    assert "AKIA" not in result.output


STILL = ("--method", "average", "--align", "none", "--backend", "cpu")


def test_a_result_of_frames_in_a_bucket_is_replayed(store: Any, tmp_path: Path) -> None:
    upload(store, tmp_path, "beetle", 3)
    far = call(
        "stack", f"{BUCKET}/beetle", "-o", f"{BUCKET}/out/far.tif", "--depth", f"{BUCKET}/maps/d.tif", *STILL
    )
    assert far.exit_code == 0, far.stderr
    told = json.loads(store.cat_file("museum/out/far.tif.gpustack.json"))
    assert [row["file"] for row in told["inputs"]] == [f"{BUCKET}/beetle/f{index}.tif" for index in range(3)]
    assert [told["outputs"][name]["file"] for name in ("picture", "depth")] == [
        "far.tif",
        f"{BUCKET}/maps/d.tif",
    ]
    for name in ("far.tif", "far.tif.gpustack.json"):
        done = call("replay", f"{BUCKET}/out/{name}", "--json")
        assert done.exit_code == 0, done.stderr
        assert json.loads(done.stdout)["same"] == ["picture", "depth"]
    near = tmp_path / "near.tif"
    assert call("stack", f"{BUCKET}/beetle", "-o", near, *STILL).exit_code == 0
    again = tmp_path / "again.tif"
    done = call("replay", near, "-o", again, "--json")
    assert (done.exit_code, json.loads(done.stdout)["same"]) == (0, ["picture"]), done.stderr
    np.testing.assert_array_equal(pixels(again), pixels(near))
    assert json.loads((tmp_path / "again.tif.gpustack.json").read_text())["inputs"] == told["inputs"]
    assert call("replay", again, "--frames", tmp_path / "beetle", "--json").exit_code == 0


def test_frames_of_this_machine_are_named_alone_beside_a_picture_in_a_bucket(
    store: Any, tmp_path: Path
) -> None:
    upload(store, tmp_path, "beetle")
    assert call("stack", tmp_path / "beetle", "-o", f"{BUCKET}/out/far.tif", *STILL).exit_code == 0
    told = store.cat_file("museum/out/far.tif.gpustack.json").decode()
    assert [row["file"] for row in json.loads(told)["inputs"]] == ["f0.tif", "f1.tif"]
    assert str(tmp_path) not in told
    assert_refused(call("replay", f"{BUCKET}/out/far.tif"), 3, "f0.tif is missing", "--frames")
    done = call("replay", f"{BUCKET}/out/far.tif", "--frames", tmp_path / "beetle", "--json")
    assert json.loads(done.stdout)["same"] == ["picture"]


def test_a_replay_says_what_it_misses_of_a_bucket(store: Any, tmp_path: Path) -> None:
    upload(store, tmp_path, "beetle")
    near = tmp_path / "near.tif"
    assert call("stack", f"{BUCKET}/beetle", "-o", near, *STILL).exit_code == 0
    assert_refused(call("inspect", near), 3, f"{BUCKET}/beetle/f0.tif is on object storage", "--frames")
    assert_refused(call("replay", near, "--scratch", "1K"), 3, "--scratch")
    assert_refused(call("replay", near, "-o", f"{BUCKET}/x.tif"), 2, "not written to object storage")
    assert_refused(call("replay", f"{BUCKET}/none.tif"), 3, f"{BUCKET}/none.tif.gpustack.json is not there")
    upload(store, tmp_path, "beetle", rows=64)
    assert_refused(call("replay", near), 3, "f0.tif has", "and had")
    store.rm("museum/beetle/f1.tif")
    assert_refused(call("replay", near), 3, f"{BUCKET}/beetle/f1.tif is not there", "--frames")
    told = near.with_name("near.tif.gpustack.json")
    told.write_text(told.read_text().replace(BUCKET, "http://museum"))
    assert_refused(call("replay", near), 2, "http:// is no object storage")


def test_a_report_in_a_bucket(store: Any, tmp_path: Path) -> None:
    upload(store, tmp_path, "beetle")
    words = ("stack", f"{BUCKET}/beetle", "-o", f"{BUCKET}/out/far.tif", "--report", f"{BUCKET}/out/r.html")
    assert call(*words, *STILL).exit_code == 0
    page = parsed(store.cat_file("museum/out/r.html").decode())
    assert page.one("h1").text == "far.tif"
    assert str(tmp_path) not in page.text
    store.rm("museum/out/far.tif")
    store.rm("museum/out/far.tif.gpustack.json")
    assert_refused(call(*words, *STILL), 1, "r.html exists already")
