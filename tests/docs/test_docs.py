"""The documentation against the code: links, options, defaults, commands and examples."""

from __future__ import annotations

import importlib
import re
import shlex
import tomllib
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main

from gpustack.cli.app import app
from gpustack.engine.plan import make_plan
from gpustack.engine.planned import Budget
from gpustack.engine.report import FrameReport, Report
from gpustack.io.metadata import Metadata
from gpustack.io.write import write_picture
from gpustack.model.frame import Frame, Kind, PixelType
from gpustack.model.place import Place
from gpustack.model.stack import Stack
from gpustack.model.transform import Transform
from gpustack.settings import JPEG_QUALITY, RAM_SHARE, SCRATCH_SHARE, VRAM_SHARE, Settings

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = (
    *("stack", "align", "plan", "watch", "batch", "inspect", "replay", "view", "apply"),
    *("compare", "demo", "doctor", "bench"),
)
SET_UP_AND_STACK = "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/gpustack demo"
SET_UP_AND_CHECK = "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && .venv/bin/poe check"
HEADLINE_BYTES, PICTURE_BYTES = 300_000, 100_000

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
ROW = re.compile(r"^\| (`-.*?`) \| (.*) \| (.*?) \|$", re.MULTILINE)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
every_command = pytest.mark.parametrize("command", COMMANDS)


def blocks(page: Path, language: str) -> list[str]:
    return [body for name, body in FENCE.findall(page.read_text("utf-8")) if name == language]


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """The names that headings have in links, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def parser(command: str) -> Any:
    """What reads the command's arguments."""
    importlib.import_module(f"gpustack.cli.{command}")
    group: Any = typer.main.get_command(app)
    return group.commands[command]


def options(command: str) -> dict[str, Any]:
    """The options of a command, by their long name."""
    found = parser(command).params
    return {max(option.opts, key=len): option for option in found if option.param_type_name == "option"}


def described(command: str) -> dict[str, tuple[set[str], str]]:
    """Long name -> (all names, default) of the options in a command's table."""
    page = (ROOT / "docs/cli.md").read_text("utf-8")
    section = page.split(f"\n## gpustack {command}\n")[1].split("\n## ")[0]
    rows = [(set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", row[0])), row[2]) for row in ROW.findall(section)]
    return {max(names, key=len): (names, default) for names, default in rows if "--help" not in names}


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(prose(page)):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        place = page.parent / name if name else page
        assert place.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(place), f"{page.name} links to {target}"


@every_page
def test_files_named_in_code_exist(page: Path) -> None:
    named = re.findall(r"`((?:gpustack|tests|docs|bench|kernels)/[\w/.\-]+\.\w+)`", prose(page))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_page_is_linked_from_the_index() -> None:
    linked = {(ROOT / "docs" / target).resolve() for target in LINK.findall(prose(ROOT / "docs/index.md"))}
    pages = {page.resolve() for page in (ROOT / "docs").rglob("*.md")} - {(ROOT / "docs/index.md").resolve()}
    assert pages <= linked


def test_pictures_are_small_and_used() -> None:
    used = {
        Path(target).name for page in PAGES for target in LINK.findall(prose(page)) if "images/" in target
    }
    pictures = list((ROOT / "docs/images").iterdir())
    assert {picture.name for picture in pictures} == used
    for picture in pictures:
        limit = HEADLINE_BYTES if picture.name == "comparison.jpg" else PICTURE_BYTES
        assert picture.stat().st_size < limit, picture.name


@every_command
def test_options_are_those_of_the_command(command: str) -> None:
    names = {name: set(option.opts) for name, option in options(command).items()}
    assert {name: found for name, (found, _) in described(command).items()} == names


@every_command
def test_defaults_are_those_of_the_command(command: str) -> None:
    written = described(command)
    for name, option in options(command).items():
        assert written[name][1] == default_text(command, name, option), f"gpustack {command} {name}"


def default_text(command: str, name: str, option: Any) -> str:
    """What the table must say of an option's default."""
    without_value = {
        "--ram": f"{RAM_SHARE:.0%} of what is free",
        "--vram": f"{VRAM_SHARE:.0%} of what is free",
        "--scratch": f"{SCRATCH_SHARE:.0%} of what is free",
        "--threads": "all processors",
        "--transforms": "estimated",
        "--flat": "none",
        "--slab": "none",
        "--raw-developer": "none",
        "--truth": "none",
        "--until-idle": "on Ctrl-C",
        "--preview": "beside the output",
        "compare --depth": "none",
        "batch --method": "that of `stack`",
        "batch --jobs": "as above",
        "batch --devices": "all there are",
        "--shard": "all",
        "--scheduler": "none",
        "bench --frames": "rendered JPEG files",
        "replay --frames": "where they lay",
        "inspect --frames": "where they lay",
        "view --frames": "where they lay",
        "view --compare": "none",
        "apply --frames": "where they lay",
        "apply --picture": "what the list names",
        "replay --backend": "as was asked for then",
    }
    if option.required:
        return "required"
    if option.default is False:
        return "off"
    if option.default is None:
        return without_value.get(f"{command} {name}", without_value.get(name, "not written"))
    value = option.default
    return f"`{value.value if isinstance(value, Enum) else value}`"


def test_command_line_and_settings_have_the_same_defaults() -> None:
    found, settings = options("stack"), Settings()
    for name in ("method", "align", "reference", "crop", "backend", "decoder"):
        assert found[f"--{name}"].default == getattr(settings, name)


def first_cells(heading: str) -> set[str]:
    """The names in the first column of the first table after a line of docs/cli.md."""
    page = (ROOT / "docs/cli.md").read_text("utf-8").split(f"\n{heading}", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", page, re.MULTILINE)
    assert table
    return {name for row in table[0].splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_fields_of_the_json_report_are_described() -> None:
    frame = FrameReport("a.jpg", Place(Transform.identity()), 1.0)
    fields = set(Report("auto", "cpu", "", {}).as_dict())
    assert first_cells("## The JSON report") == fields | {"outputs", "settings"}
    assert first_cells("A row of `frames`:") == set(frame.as_dict())


def test_fields_of_the_plan_are_described() -> None:
    frame = Frame(Path("a.jpg"), 640, 480, 3, PixelType.UINT8, Kind.JPEG)
    plan = make_plan(Stack((frame,)), Settings(), Budget(1 << 40, 1))
    page = (ROOT / "docs/cli.md").read_text("utf-8")
    sentence = page.split("The fields of a plan are", 1)[1].split("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", sentence)) == set(plan.as_dict())


def test_the_quality_of_jpeg_files_is_told() -> None:
    assert f"quality {JPEG_QUALITY}" in (ROOT / "docs/cli.md").read_text("utf-8")


@pytest.mark.parametrize(
    "page", [README, ROOT / "docs/cli.md", ROOT / "docs/quickstart.md"], ids=lambda p: p.name
)
def test_examples_are_valid_commands(page: Path) -> None:
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    examples = [part for line in lines for part in line.split("|") if part.strip().startswith("gpustack ")]
    assert examples
    for example in examples:
        name, *arguments = shlex.split(example, comments=True)[1:]
        parser(name).make_context(name, arguments)  # raises for what the command would refuse


def test_the_readme_has_the_two_commands() -> None:
    assert [block.strip() for block in blocks(README, "bash")] == [SET_UP_AND_STACK, SET_UP_AND_CHECK]


@pytest.mark.parametrize(
    ("page", "results"),
    [(README, ["sharp.tif", "depth.tif"]), (ROOT / "docs/quickstart.md", ["surface.png"])],
    ids=["README", "quickstart"],
)
def test_python_examples_run(
    page: Path,
    results: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (example,) = blocks(page, "python")
    (tmp_path / "frames").mkdir()
    texture = np.random.default_rng(0).integers(40, 216, (48, 72, 3)).astype(np.uint8)
    for index in range(3):
        frame = np.full_like(texture, 128)
        frame[:, 24 * index : 24 * (index + 1)] = texture[:, 24 * index : 24 * (index + 1)]
        path = tmp_path / "frames" / f"{index}.png"
        write_picture(path, frame, Metadata(), overwrite=False, software="test")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, str(page), "exec"), {"__name__": "example"})
    assert [name for name in results if not (tmp_path / name).stat().st_size] == []
    assert capsys.readouterr().out


def test_every_dependency_has_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {
        re.split(r"[^\w-]", line)[0]
        for line in [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    }
    rows = re.findall(
        r"^\| `([\w-]+)` \| \S", (ROOT / "docs/dependencies.md").read_text("utf-8"), re.MULTILINE
    )
    assert set(rows) == wanted


def test_changes_name_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert re.search(
        rf"^#+ \[?{re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )
