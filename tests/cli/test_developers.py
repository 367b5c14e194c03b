"""`--raw-developer` and `--convert-profile` wherever frames are read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gpustack.io.decode import probe
from gpustack.io.metadata import read_metadata
from gpustack.watching import arrivals, following
from tests.cli.calling import assert_refused, call, pixels
from tests.io.test_developer import Command, command, raws, runs, scratch  # noqa: F401
from tests.io.test_profiles import ADOBE, SRGB, mixed

STILL = ("--align", "none", "--deghost", "off", "--threads", "2", "--backend", "cpu")

pytest.importorskip("rawpy", reason="rawpy has no build for this platform")


@pytest.fixture(autouse=True)
def quicker(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SETTLE_S", "PATIENCE_S"):
        monkeypatch.setattr(arrivals, name, getattr(arrivals, name) / 5)
    monkeypatch.setattr(following, "POLL_S", following.POLL_S / 5)


@pytest.mark.usefixtures("scratch")
def test_watch_develops_each_frame_once(raws: list[Path], command: Command, tmp_path: Path) -> None:  # noqa: F811
    """And leaves out one that is developed already."""
    folder, line = tmp_path / "in", command()
    folder.mkdir()
    for path in raws:
        path.rename(folder / path.name)
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(folder / "1.jpg")
    done = call(
        "watch", folder, "-o", tmp_path / "w.tif", "--until-idle", "0.4s", "--raw-developer", line, *STILL
    )
    assert done.exit_code == 0, done.stderr
    assert "1.jpg is developed, and --raw-developer takes RAW frames." in done.stderr
    assert sorted(runs(tmp_path)) == ["0.dng", "1.dng", "2.dng"]
    (folder / "1.jpg").unlink()
    assert call("stack", folder, "-o", tmp_path / "s.tif", "--raw-developer", line, *STILL).exit_code == 0
    np.testing.assert_array_equal(pixels(tmp_path / "w.tif"), pixels(tmp_path / "s.tif"))
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.usefixtures("scratch")
def test_the_other_commands_take_it(raws: list[Path], command: Command, tmp_path: Path) -> None:  # noqa: F811
    line = ("--raw-developer", command())
    planned = call("plan", *raws, *line, "--align", "none", "--json")
    assert (json.loads(planned.stdout)["width"], json.loads(planned.stdout)["height"]) == (64, 48)
    assert call("align", *raws, "-o", tmp_path / "aligned", *line, "--align", "none").exit_code == 0
    seen = pixels(tmp_path / "aligned" / "0000_0.tif")
    assert (seen.shape, seen.dtype) == ((48, 64, 3), np.uint16)
    looked = call("inspect", *raws, *line, "--align", "none", "--json")
    assert len(json.loads(looked.stdout)["frames"]) == 3
    (tmp_path / "made" / "log").unlink()
    found = call("split", *raws, "-o", tmp_path / "m.toml", *line, "--likeness", "-1")
    assert "m.toml: 1 stacks" in found.stdout
    assert sorted(runs(tmp_path)) == ["0.dng", "1.dng", "2.dng"]
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.usefixtures("raws")
def test_batch_takes_it_from_the_command_line_alone(command: Command, tmp_path: Path) -> None:  # noqa: F811
    line, manifest = command(), tmp_path / "m.toml"
    manifest.write_text('[settings]\nalign = "none"\n[[stack]]\nname = "a"\nframes = ["*.dng"]\n')
    done = call("batch", manifest, "-o", tmp_path / "out", "--raw-developer", line, "--backend", "cpu")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert set(runs(tmp_path)) == {"0.dng", "1.dng", "2.dng"}
    assert pixels(tmp_path / "out" / "a.tif").shape == (48, 64, 3)
    assert_refused(
        call("batch", manifest, "-o", tmp_path / "out", "--raw-developer", "x"), 2, "which file is read"
    )
    manifest.write_text(
        '[[stack]]\nname = "a"\nframes = ["*.dng"]\nsettings = { raw-developer = "touch {input} {output}" }\n'
    )
    done = call("batch", manifest, "-o", tmp_path / "out")
    assert_refused(done, 3, "stack 1: raw-developer is a command, and none is run", "--raw-developer.")


def test_mixed_profiles(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    _, odd = mixed(folder, ".tif")
    (folder / "2.tif").unlink()
    convert = "--convert-profile"
    assert_refused(call("plan", *odd), 3, "odd.tif has the colour profile", convert)
    assert call("plan", *odd, convert).exit_code == 0
    assert_refused(call("stack", *odd, "-o", tmp_path / "x.tif", "--dry-run"), 3, convert)
    for name, options, wanted in (("own", (), ADOBE), ("one", (convert,), SRGB)):
        assert call("align", *odd, "-o", tmp_path / name, *options).exit_code == 0
        assert read_metadata(probe(tmp_path / name / "0002_odd.tif")[0]).icc == wanted
    own, one = (pixels(tmp_path / name / "0002_odd.tif").astype(int) for name in ("own", "one"))
    assert np.mean(np.abs(own - one) > 4) > 0.05
    said = [
        json.loads(call("inspect", *odd, *more, "--json").stdout)["warnings"] for more in ((), (convert,))
    ]
    assert ["odd.tif has the colour profile" in " ".join(each) for each in said] == [True, False]


def test_watch_leaves_out_other_profiles_or_converts_them(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    same, odd = mixed(folder, ".tif")
    same[2].unlink()
    common = ("watch", folder, "--until-idle", "0.4s", "--threads", "2", "--backend", "cpu")
    done = call(*common, "-o", tmp_path / "two.tif", "--json")
    assert done.exit_code == 0, done.stderr
    assert "odd.tif has the colour profile" in done.stderr
    assert [row["file"] for row in json.loads(done.stdout)["frames"]] == ["0.tif", "1.tif"]
    done = call(*common, "-o", tmp_path / "three.tif", "--convert-profile")
    assert done.exit_code == 0, done.stderr
    assert "looked at once more, as odd.tif is to be converted" in done.stderr
    assert call("stack", *odd, "-o", tmp_path / "s.tif", "--convert-profile", "--threads", "2").exit_code == 0
    np.testing.assert_array_equal(pixels(tmp_path / "three.tif"), pixels(tmp_path / "s.tif"))
