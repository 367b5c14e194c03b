"""`gpustack view` as a process: the link, the locks of a real server, and how it ends."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gpustack.io.sidecar import sidecar_of
from tests.cli.calling import assert_refused, call, shots, surroundings, write_tiffs
from tests.patience import LONG_S


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result beside its frames."""
    folder = tmp_path_factory.mktemp("view")
    frames = write_tiffs(folder, shots())
    assert call("stack", *frames, "-o", folder / "sharp.tif", "--quiet").exit_code == 0
    return folder / "sharp.tif"


@contextmanager
def serving(result: Path, temporary: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server and its link."""
    command = [sys.executable, "-m", "gpustack", "view", str(result), "--no-browser", *options]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings() | {"TMPDIR": str(temporary)},
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def ask(
    place: str, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer, by a client that knows nothing of cookies."""
    asking = http.client.HTTPConnection(place, timeout=LONG_S)
    asking.request(method, path, body, headers)
    answer = asking.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    asking.close()
    return found


def test_the_locks_hold_in_the_real_server(result: Path, tmp_path: Path) -> None:
    with serving(result, tmp_path) as (process, link):
        parts = urlsplit(link)
        assert (parts.scheme, parts.hostname, parts.path) == ("http", "127.0.0.1", "/")
        place = parts.netloc
        assert ask(place, "/")[0] == ask(place, "/?token=wrong")[0] == ask(place, "/api/picture")[0] == 401
        assert ask(place, f"/?{parts.query}", Host="evil.example")[0] == 403
        status, headers, _ = ask(place, f"/?{parts.query}")
        assert (status, headers["location"]) == (303, "/")
        cookie = headers["set-cookie"].partition(";")[0]
        assert ask(place, f"/?{parts.query}")[0] == 401, "a token is good once"
        status, headers, body = ask(place, "/api/picture", Cookie=cookie)
        assert (status, json.loads(body)["name"]) == (200, "sharp.tif")
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "server" not in headers
        assert ask(place, "/api/picture", Cookie=cookie, Host="evil.example")[0] == 403
        assert ask(place, "/static/..%2f..%2fapi.py", Cookie=cookie)[0] == 404
        stroke = b'{"kind": "none"}'
        foreign = {"Cookie": cookie, "Origin": "http://evil.example"}
        assert ask(place, "/api/edits/add", "POST", stroke, **foreign)[0] == 403
        own = {"Cookie": cookie, "Origin": f"http://{place}"}
        assert ask(place, "/api/edits/add", "POST", b"x" * (2 << 20), **own)[0] == 413
        assert process.poll() is None


def test_it_listens_on_this_machine_only(result: Path, tmp_path: Path) -> None:
    listeners = Path("/proc/net/tcp")
    if not listeners.exists():
        pytest.skip("only Linux tells who listens")
    with serving(result, tmp_path) as (_, link):
        port = f"{urlsplit(link).port:04X}"
        rows = [line.split()[1] for line in listeners.read_text().splitlines()[1:]]
        assert [row for row in rows if row.endswith(f":{port}")] == [f"0100007F:{port}"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly(result: Path, tmp_path: Path, number: signal.Signals) -> None:
    with serving(result, tmp_path) as (process, link):
        assert link.startswith("http://")
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith("gpustack-view-")]
        process.send_signal(number)
        _, said = process.communicate(timeout=LONG_S)
        assert process.returncode == 0
        assert "Traceback" not in said
        assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_strokes_are_not_lost_by_one_ctrl_c(result: Path, tmp_path: Path) -> None:
    stroke = {
        "kind": "brush",
        "points": [[60.0, 40.0], [80.0, 50.0]],
        "radius": 6.0,
        "hardness": 0.5,
        "opacity": 1.0,
        "source": {"frame": "f0.tif"},
        "match": False,
    }
    with serving(result, tmp_path) as (process, link):
        place = urlsplit(link).netloc
        cookie = ask(place, f"/?{urlsplit(link).query}")[1]["set-cookie"].partition(";")[0]
        own = {"Cookie": cookie, "Origin": f"http://{place}"}
        status, _, said = ask(place, "/api/edits/add", "POST", json.dumps(stroke).encode(), **own)
        assert (status, json.loads(said)["unsaved"]) == (200, True)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert any("not saved" in line for line in iter(process.stderr.readline, ""))
        assert ask(place, "/api/work", Cookie=cookie)[0] == 200
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LONG_S)
        assert process.returncode == 0
    assert not result.with_name("sharp.tif.edits.json").exists()


def test_a_port_that_is_taken_is_refused(result: Path, tmp_path: Path) -> None:
    with serving(result, tmp_path) as (_, link):
        port = urlsplit(link).port
        assert_refused(call("view", result, "--port", port, "--no-browser"), 2, f"Port {port}", "--port")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.com"])
def test_other_hosts_are_refused(result: Path, host: str) -> None:
    assert_refused(call("view", result, "--host", host), 2, "would show the page to others", "ssh -L")


def test_a_picture_without_a_sidecar_is_refused(result: Path, tmp_path: Path) -> None:
    (tmp_path / "alone.tif").write_bytes(result.read_bytes())
    refused = call("view", tmp_path / "alone.tif", "--no-browser")
    assert_refused(refused, 3, "alone.tif.gpustack.json", "Name a picture that gpustack stack wrote")


def test_a_picture_of_another_size_than_its_sidecar_is_refused(result: Path, tmp_path: Path) -> None:
    write_tiffs(tmp_path, [shots()[0][:50, :60]], "small.tif")
    sidecar_of(tmp_path / "small.tif").write_bytes(sidecar_of(result).read_bytes())
    assert_refused(call("view", tmp_path / "small.tif", "--no-browser"), 3, "60 x 50 pixels", "sidecar")


def test_a_picture_of_another_geometry_is_not_compared(result: Path, tmp_path: Path) -> None:
    write_tiffs(tmp_path, [shots()[0][:50, :60]], "small.tif")
    refused = call("view", result, "--no-browser", "--compare", tmp_path / "small.tif")
    assert_refused(refused, 3, "small.tif has no sidecar, and 60 x 50 pixels", "--crop none")


def test_a_result_of_another_reference_is_not_compared(result: Path) -> None:
    other = result.with_name("other.tif")
    frames = sorted(result.parent.glob("f*.tif"))
    assert call("stack", *frames, "-o", other, "--quiet", "--reference", "0", "--overwrite").exit_code == 0
    refused = call("view", result, "--no-browser", "--compare", other)
    assert_refused(refused, 3, "another reference", "--reference 1")


def test_without_the_libraries_it_says_what_to_install(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "gpustack.viewing.server", raising=False)
    assert_refused(call("view", result), 2, "libraries that are not installed", "gpustack-focus[web]")


def test_a_name_that_is_wrong_is_told_before_the_libraries_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [*sys.modules]:
        if name.partition(".")[0] in ("starlette", "uvicorn") or name.startswith("gpustack.viewing"):
            monkeypatch.delitem(sys.modules, name)
    for name in ("starlette", "uvicorn"):
        monkeypatch.setitem(sys.modules, name, None)
    assert_refused(call("view", tmp_path / "none.tif"), 3, "There is no none.tif.gpustack.json")


def test_nothing_is_left_where_a_result_cannot_be_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert call("view", tmp_path / "none.tif", "--no-browser").exit_code == 3
    assert list(tmp_path.iterdir()) == []
