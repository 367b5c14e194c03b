"""Manifests: round trips, and everything that must not come through one."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpustack.errors import InputError
from gpustack.io.manifest import Entry, parsed, read_manifest, write_manifest

names = st.text(
    st.characters(codec="utf-8", exclude_characters='/\\:*?"<>|', exclude_categories=("C",)), min_size=1
)

frames = st.lists(st.text(st.characters(exclude_categories=("Cs",)), min_size=1), min_size=1).map(tuple)


def manifest(folder: Path, text: str) -> Path:
    path = folder / "stacks.toml"
    path.write_text(text)
    return path


def test_names_frames_and_settings(tmp_path: Path) -> None:
    path = manifest(
        tmp_path,
        """
        [settings]
        method = "pyramid"
        radius = 2.5
        [[stack]]
        name = "beetle"
        frames = ["b_*.jpg", "@list.txt"]
        settings = { align = "none", strip-gps = true, radius = 3 }
        [[stack]]
        name = "leaf"
        frames = ["/far/leaf"]
        """,
    )
    beetle, leaf = read_manifest(path)
    assert beetle.frames == (str(tmp_path / "b_*.jpg"), f"@{tmp_path / 'list.txt'}")
    assert beetle.options == ["--align", "none", "--method", "pyramid", "--radius", "3", "--strip-gps"]
    assert leaf.frames == ("/far/leaf",)
    assert leaf.options == ["--method", "pyramid", "--radius", "2.5"]


@given(
    entries=st.lists(
        st.builds(Entry, names.filter(lambda name: name.strip(". ") == name and len(name) < 200), frames),
        min_size=1, unique_by=lambda entry: entry.name.casefold(),
    )
)  # fmt: skip
def test_what_is_written_reads_back(tmp_path_factory: pytest.TempPathFactory, entries: list[Entry]) -> None:
    path = tmp_path_factory.mktemp("round") / "stacks.toml"
    write_manifest(path, entries, overwrite=False)
    found = tomllib.loads(path.read_text(encoding="utf-8"))["stack"]
    assert [(row["name"], tuple(row["frames"])) for row in found] == [(e.name, e.frames) for e in entries]
    assert [entry.name for entry in read_manifest(path)] == [entry.name for entry in entries]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"no \[\[stack\]\]"),
        ("[[stack", "no TOML"),
        ("stack = 3", r"no \[\[stack\]\]"),
        ("[[stack]]\nname='a'\nframes=['x']\n[other]", "beside it"),
        ("[[stack]]\nframes=['x']", "no name"),
        ("[[stack]]\nname='../a'\nframes=['x']", "no name"),
        ("[[stack]]\nname='a/b'\nframes=['x']", "no name"),
        ("[[stack]]\nname='..'\nframes=['x']", "no name"),
        ("[[stack]]\nname='c:x'\nframes=['x']", "no name"),
        ("[[stack]]\nname=''\nframes=['x']", "no name"),
        ("[[stack]]\nname='a'", "no list of frames"),
        ("[[stack]]\nname='a'\nframes=[]", "no list of frames"),
        ("[[stack]]\nname='a'\nframes=[3]", "no list of frames"),
        ("[[stack]]\nname='a'\nframes=['x']\noutput='/etc/passwd'", "keys other than"),
        ("[[stack]]\nname='a'\nframes=['x']\nsettings={save-steps='/etc'}", "cannot be set"),
        ("[[stack]]\nname='a'\nframes=['x']\nsettings={method='--overwrite'}", "no usable value"),
        ("[[stack]]\nname='a'\nframes=['x']\nsettings={method=['auto']}", "no usable value"),
        ("[[stack]]\nname='a'\nframes=['x']\n[[stack]]\nname='A'\nframes=['x']", "both called"),
    ],
)
def test_what_a_manifest_may_not_hold(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_manifest(manifest(tmp_path, text))


def test_a_manifest_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_manifest(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="no TOML"):
        read_manifest(tmp_path / "bytes.toml")


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["name", "frames", "settings", "x"]), inner)
    ),
)


@given(content=st.dictionaries(st.sampled_from(["stack", "settings", "x"]), json_like))
def test_any_content_is_read_or_refused_in_a_sentence(content: dict[str, object]) -> None:
    with suppress(InputError):
        assert all("/" not in entry.name for entry in parsed(content, "m.toml", "."))
