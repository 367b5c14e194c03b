"""Every option of `gpustack stack` does what its help says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpustack.settings import Interpolation, Method, Model
from tests.cli.calling import HEIGHT, WIDTH, assert_refused, call, pixels, shots, write_tiffs

KEYS = """outputs settings method backend backend_reason plan model noise box seconds decode_seconds
waiting_seconds limit busy peak_bytes device_bytes frames slabs ghosts layers warnings checkpoint"""
"""What `--json` holds, as docs/cli.md says."""


@pytest.fixture
def moving(tmp_path: Path) -> list[Path]:
    """Four frames that drift."""
    folder = tmp_path / "moving"
    folder.mkdir()
    return write_tiffs(folder, shots(4, step=2.0))


def told(*arguments: object) -> dict[str, Any]:
    result = call("stack", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def matrices(report: dict[str, Any]) -> np.ndarray:
    return np.array([row["matrix"] for row in report["frames"]])


def test_help_names_every_option() -> None:
    text = call("stack", "--help").stdout
    options = """--output --method --align --reference --crop --interpolation --brightness --depth
    --confidence --transforms --save-transforms --save-steps --backend --decoder --ram --vram --devices
    --threads --dry-run --json --quiet --overwrite --debug"""
    assert [option for option in options.split() if option not in text] == []


@pytest.mark.parametrize("method", list(Method))
def test_method(frames: list[Path], tmp_path: Path, method: Method) -> None:
    report = told(*frames, "-o", tmp_path / "out.png", "--method", method.value)
    assert report["method"] == report["settings"]["method"] == method.value
    assert pixels(tmp_path / "out.png").shape[2] == 3


def test_methods_are_not_the_same_thing(frames: list[Path], tmp_path: Path) -> None:
    results = set()
    for method in Method:
        out = tmp_path / f"{method.value}.png"
        told(*frames, "-o", out, "--method", method.value, "--align", "none")
        results.add(pixels(out).tobytes())
    assert len(results) == len(Method)


def test_align_none_moves_nothing(moving: list[Path], tmp_path: Path) -> None:
    report = told(*moving, "-o", tmp_path / "o.png", "--align", "none")
    assert (matrices(report) == np.eye(3)).all()
    assert report["plan"]["passes"] == ["auto", "behind"]


@pytest.mark.parametrize("model", [model for model in Model if model is not Model.NONE])
def test_align_lets_a_frame_do_what_its_name_says(moving: list[Path], tmp_path: Path, model: Model) -> None:
    found = matrices(told(*moving, "-o", tmp_path / "o.png", "--align", model.value))
    assert found[3, 0, 2] - found[0, 0, 2] == pytest.approx(6.0, abs=1.5)
    linear, perspective = found[:, :2, :2], found[:, 2, :2]
    if model is not Model.HOMOGRAPHY:
        assert (perspective == 0).all()
    if model is Model.SHIFT:
        assert (linear == np.eye(2)).all()
    if model is Model.RIGID:
        np.testing.assert_allclose(np.linalg.det(linear), 1.0, atol=1e-6)
    if model in (Model.RIGID, Model.SIMILARITY):
        np.testing.assert_allclose(linear[:, 0, 0], linear[:, 1, 1], atol=1e-9)
        np.testing.assert_allclose(linear[:, 0, 1], -linear[:, 1, 0], atol=1e-9)


@pytest.mark.parametrize(("wish", "index"), [("first", 0), ("middle", 1), ("last", 3), ("2", 2)])
def test_reference(moving: list[Path], tmp_path: Path, wish: str, index: int) -> None:
    found = matrices(told(*moving, "-o", tmp_path / "o.png", "--reference", wish))
    still = [bool((matrix == np.eye(3)).all()) for matrix in found]
    assert still == [number == index for number in range(4)]


@pytest.mark.parametrize("wish", ["4", "-1", "left", "1.5", ""])
def test_a_reference_that_does_not_exist(frames: list[Path], tmp_path: Path, wish: str) -> None:
    result = call("stack", *frames, "-o", tmp_path / "o.png", f"--reference={wish}")
    assert_refused(result, 3, f"'{wish}'", "0 to 2")


def test_crop(moving: list[Path], tmp_path: Path) -> None:
    none = told(*moving, "-o", tmp_path / "none.png", "--crop", "none")
    assert pixels(tmp_path / "none.png").shape == (HEIGHT, WIDTH, 3)
    assert none["box"] == [0, 0, WIDTH, HEIGHT]
    auto = told(*moving, "-o", tmp_path / "auto.png", "--crop", "auto")
    height, width, _ = pixels(tmp_path / "auto.png").shape
    assert auto["box"][2:] == [width, height]
    assert WIDTH - 12 < width < WIDTH - 3


@pytest.mark.parametrize("command", ["stack", "align", "plan"])
def test_interpolation_is_one_of_two(frames: list[Path], tmp_path: Path, command: str) -> None:
    output = {"stack": ["-o", tmp_path / "o.png"], "align": ["--json"], "plan": []}[command]
    assert call(command, *frames, *output, "--interpolation", "lanczos").exit_code == 0
    assert call(command, *frames, *output, "--interpolation", "nearest").exit_code == 2


def test_interpolation(moving: list[Path], tmp_path: Path) -> None:
    pictures = []
    for name in Interpolation:
        out = tmp_path / f"{name.value}.png"
        report = told(*moving, "-o", out, "--interpolation", name.value)
        assert report["settings"]["interpolation"] == name.value
        pictures.append(pixels(out))
    assert pictures[0].tobytes() != pictures[1].tobytes()
    np.testing.assert_allclose(pictures[0].astype(int), pictures[1], atol=20)
    told(*moving, "-o", tmp_path / "default.png")
    assert pixels(tmp_path / "default.png").tobytes() == pictures[0].tobytes()


@pytest.mark.parametrize("command", ["stack", "align"])
def test_brightness_is_one_of_three(frames: list[Path], tmp_path: Path, command: str) -> None:
    output = {"stack": ["-o", tmp_path / "o.png", "--json"], "align": ["--json"]}[command]
    shapes = {"none": (), "gain": (), "channels": (3,)}
    for name, shape in shapes.items():
        result = call(command, *frames, *output, "--brightness", name, "--overwrite")
        assert result.exit_code == 0, result.stderr
        rows = json.loads(result.stdout)["frames"]
        assert {np.shape(row[key]) for row in rows for key in ("gain", "offset")} == {shape}
    assert call(command, *frames, *output, "--brightness", "auto").exit_code == 2


def test_depth_and_confidence_as_float_and_as_16_bit(frames: list[Path], tmp_path: Path) -> None:
    for ending in ("tif", "png"):
        depth, confidence = tmp_path / f"d.{ending}", tmp_path / f"c.{ending}"
        more = ["--depth", depth, "--confidence", confidence, "--align", "none"]
        assert told(*frames, "-o", tmp_path / f"{ending}.jpg", *more)["outputs"][1:] == [
            str(depth),
            str(confidence),
        ]
    exact, coded = pixels(tmp_path / "d.tif"), pixels(tmp_path / "d.png")
    assert exact.shape == coded.shape == (HEIGHT, WIDTH, 1)
    assert exact.dtype == np.float32
    assert coded.dtype == np.uint16
    np.testing.assert_allclose(coded, exact * (65535 / 2), atol=0.51)
    np.testing.assert_allclose(np.median(exact, axis=0).ravel()[[12, 72, 130]], [0, 1, 2], atol=0.35)
    exact, coded = pixels(tmp_path / "c.tif"), pixels(tmp_path / "c.png")
    assert exact.max() <= 1.0
    np.testing.assert_allclose(coded, exact * 65535.0, atol=0.51)


@pytest.mark.parametrize("only", ["--depth", "--confidence"])
def test_one_plane_alone(frames: list[Path], tmp_path: Path, only: str) -> None:
    report = told(*frames, "-o", tmp_path / "o.jpg", only, tmp_path / "p.tif")
    assert report["settings"]["depth"] is True
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["frames", "o.jpg", "o.jpg.gpustack.json", "p.tif"]


def test_backend(frames: list[Path], tmp_path: Path) -> None:
    report = told(*frames, "-o", tmp_path / "o.png", "--backend", "cpu")
    assert (report["backend"], report["backend_reason"]) == ("cpu", "The CPU was asked for.")
    assert call("stack", *frames, "-o", tmp_path / "p.png", "--backend", "abacus").exit_code == 2


def test_decoder(frames: list[Path], tmp_path: Path) -> None:
    report = told(*frames, "-o", tmp_path / "o.png", "--decoder", "cpu")
    assert report["settings"]["decoder"] == "cpu"
    assert call("stack", *frames, "-o", tmp_path / "p.png", "--decoder", "abacus").exit_code == 2
    result = call("stack", *frames, "-o", tmp_path / "p.png", "--decoder", "gpu", "--backend", "cpu")
    assert_refused(result, 2, "--decoder gpu does not go with --backend cpu.", "Leave one of them out.")


@pytest.mark.parametrize(
    ("text", "size"), [("8G", 8 << 30), ("900M", 900 << 20), ("1.5GiB", 3 << 29), ("2gb", 2 << 30)]
)
def test_ram(frames: list[Path], tmp_path: Path, text: str, size: int) -> None:
    report = told(*frames, "-o", tmp_path / "o.png", "--ram", text)
    assert report["settings"]["ram_bytes"] == report["plan"]["budget_bytes"] == size


@pytest.mark.parametrize("text", ["much", "8X", "-3G", "0", "", "nan", "inf", "1e999G"])
def test_ram_that_is_no_size(frames: list[Path], tmp_path: Path, text: str) -> None:
    result = call("stack", *frames, "-o", tmp_path / "o.png", f"--ram={text}")
    assert_refused(result, 2, "no amount of memory", "8G")


@pytest.mark.parametrize("command", ["stack", "align", "plan"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x", "'x' is no list of GPUs"),
        ("", "'' is no list"),
        ("-1", "'-1'"),
        ("0,,1", "'0,,1'"),
        ("1.5", "'1.5'"),
        ("\u0663", "is no list of GPUs"),
        ("123456", "is no list of GPUs"),
        ("0,0", "--devices 0,0 names a GPU twice"),
        ("1, 01", "twice"),
    ],
)
def test_devices_that_are_no_list(
    frames: list[Path], tmp_path: Path, command: str, text: str, said: str
) -> None:
    output = {"stack": ["-o", tmp_path / "o.png"], "align": ["--json"], "plan": []}[command]
    result = call(command, *frames, *output, f"--devices={text}")
    assert_refused(result, 2, said)


def test_devices_and_vram_are_taken_over(frames: list[Path], tmp_path: Path) -> None:
    settings = told(*frames, "-o", tmp_path / "o.png", "--devices", "0, 2", "--backend", "cpu")["settings"]
    assert (settings["devices"], settings["vram_bytes"]) == ([0, 2], None)
    settings = told(*frames, "-o", tmp_path / "p.png", "--vram", "4G", "--backend", "cpu")["settings"]
    assert (settings["devices"], settings["vram_bytes"]) == ([0], 4 << 30)


@pytest.mark.parametrize("command", ["stack", "align", "plan"])
def test_vram_that_is_no_size(frames: list[Path], tmp_path: Path, command: str) -> None:
    output = {"stack": ["-o", tmp_path / "o.png"], "align": ["--json"], "plan": []}[command]
    assert_refused(call(command, *frames, *output, "--vram", "none"), 2, "'none' is no amount of memory")


@pytest.mark.parametrize("command", ["stack", "align", "plan"])
def test_cuda_that_does_not_work_is_told_with_the_reason(
    frames: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("gpustack.backend.detect.driver", lambda: None)
    output = {"stack": ["-o", tmp_path / "o.png"], "align": ["--json"], "plan": []}[command]
    result = call(command, *frames, *output, "--backend", "cuda")
    assert_refused(result, 5, "There is no NVIDIA driver on this machine.", "--backend cpu")
    result = call(command, *frames, *output, "--decoder", "gpu")
    problem = "JPEG files cannot be decoded on a GPU: There is no NVIDIA driver on this machine."
    assert_refused(result, 5, problem, "--decoder cpu")
    assert call(command, *frames, *output, "--backend", "auto", "--devices", "0,1").exit_code == 0


def test_ram_that_is_too_small_is_told_with_both_numbers(frames: list[Path], tmp_path: Path) -> None:
    for more in ([], ["--dry-run"]):
        result = call("stack", *frames, "-o", tmp_path / "o.png", "--ram", "100M", *more)
        assert_refused(result, 5, "100 MiB are allowed", "--ram")
    assert_refused(call("plan", *frames, "--ram", "100M"), 5, "100 MiB are allowed")
    assert not (tmp_path / "o.png").exists()


def test_threads(frames: list[Path], tmp_path: Path) -> None:
    assert told(*frames, "-o", tmp_path / "o.png", "--threads", "3")["plan"]["threads"] == 3
    assert call("stack", *frames, "-o", tmp_path / "p.png", "--threads", "0").exit_code == 2


@pytest.mark.parametrize("arguments", [["stack", "-o", "o.png", "--dry-run"], ["plan"]])
def test_a_dry_run_prints_the_plan_and_writes_nothing(
    frames: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    result = call(*arguments, *frames, "--method", "depthmap")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "frames    3 of 144x96, 3 x uint8" in result.stdout
    assert "survey, measure, blend" in result.stdout
    data = json.loads(call(*arguments, *frames, "--method", "depthmap", "--json").stdout)
    assert data["passes"] == ["survey", "measure", "blend"]
    assert data["total_bytes"] <= data["budget_bytes"]
    assert sorted(tmp_path.rglob("*")) == before


def planned(*arguments: object) -> dict[str, Any]:
    return json.loads(call("plan", *arguments, "--json").stdout)


def test_plan_prices_depth_method_and_alignment(frames: list[Path]) -> None:
    plain, depth = planned(*frames), planned(*frames, "--depth")
    assert depth["finish_bytes"] > plain["finish_bytes"]
    assert planned(*frames, "--method", "average")["state_bytes"] < plain["state_bytes"]
    assert planned(*frames, "--align", "none")["passes"] == ["auto", "behind"]
    assert planned(*frames, "--threads", "3", "--ram", "1G")["threads"] == 3
    assert_refused(call("plan", *frames, "--reference", "9"), 3, "'9'")


def test_json_is_one_object_with_the_documented_keys(frames: list[Path], tmp_path: Path) -> None:
    (frames[0].parent / "notes.txt").write_text("not a picture")
    depth = ["--depth", tmp_path / "d.tif"]
    result = call("stack", frames[0].parent, "-o", tmp_path / "o.png", "--json", *depth)
    report = json.loads(result.stdout)  # fails on anything before or behind the object
    assert set(report) == set(KEYS.split())
    assert report["outputs"] == [str(tmp_path / "o.png"), str(tmp_path / "d.tif")]
    assert set(report["seconds"]) >= {"survey", "auto", "finish", "write"}
    assert [row["file"] for row in report["frames"]] == [path.name for path in frames]
    columns = {"file", "matrix", "gain", "offset", "used", "shaken", "confidence", "residual_px"}
    columns |= {"links", "share"}
    assert all(set(row) == columns for row in report["frames"])
    assert sum(row["share"] for row in report["frames"]) == pytest.approx(1.0)
    assert result.stderr == "left out notes.txt: not a picture by its ending (.txt)\n"


def test_without_options_one_line_sums_the_run_up(frames: list[Path], tmp_path: Path) -> None:
    result = call("stack", *frames, "-o", tmp_path / "o.png", "--align", "none")
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"{tmp_path / 'o.png'}: {WIDTH}x{HEIGHT} from 3 frames by auto in ")


def test_quiet_says_nothing(frames: list[Path], tmp_path: Path) -> None:
    (frames[0].parent / "notes.txt").write_text("not a picture")
    result = call("stack", frames[0].parent, "-o", tmp_path / "o.png", "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    assert (tmp_path / "o.png").exists()


def test_quiet_still_tells_errors(frames: list[Path], tmp_path: Path) -> None:
    (tmp_path / "o.png").write_bytes(b"mine")
    assert_refused(call("stack", *frames, "-o", tmp_path / "o.png", "-q"), 1, "exists already")


def test_debug_shows_the_trace_and_the_sentence(frames: list[Path], tmp_path: Path) -> None:
    arguments = ["stack", *frames, "-o", tmp_path / "o.png", "--ram", "1M"]
    assert_refused(call(*arguments), 5, "are allowed")
    result = call(*arguments, "--debug")
    assert result.exit_code == 5
    assert "Traceback (most recent call last)" in result.stderr
    assert "make_plan" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("gpustack: This stack needs")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--no-such-option"],
        ["--method", "magic"],
        ["--align", "jump"],
        ["--crop", "half"],
        ["--threads", "many"],
    ],
)
def test_wrong_usage_ends_with_2(frames: list[Path], tmp_path: Path, arguments: list[str]) -> None:
    output = ["-o", tmp_path / "o.png"] if arguments else []
    result = call("stack", *frames, *output, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "o.png").exists()


def test_an_unknown_command_and_none() -> None:
    assert call("stitch").exit_code == 2
    assert "doctor" in call().output
