import io
import os
from pathlib import Path

import pytest

from gpustack.errors import DecodeError, StackError
from gpustack.io.discover import Found, discover, natural_key


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"")


def names(found: Found) -> list[str]:
    return [path.as_posix() for path in found.paths]


def reasons(found: Found) -> dict[str, str]:
    return {each.path.as_posix(): each.reason for each in found.left_out}


def test_a_folder_gives_its_pictures_in_natural_order():
    touch("s/frame10.jpg", "s/Frame2.JPG", "s/frame1.tif", "s/frame02b.png", "s/a.NEF")
    assert names(discover(["s"])) == [
        "s/a.NEF",
        "s/frame1.tif",
        "s/Frame2.JPG",
        "s/frame02b.png",
        "s/frame10.jpg",
    ]


def test_a_folder_passes_over_what_is_no_picture_and_says_why():
    touch("s/1.jpg", "s/._1.jpg", "s/.hidden.jpg", "s/notes.txt", "s/LICENSE", "s/sub/2.jpg")
    found = discover(["s"])
    assert names(found) == ["s/1.jpg"]
    assert reasons(found) == {
        "s/._1.jpg": "a macOS companion file",
        "s/.hidden.jpg": "a hidden file",
        "s/notes.txt": "not a picture by its ending (.txt)",
        "s/LICENSE": "not a picture by its ending (none)",
    }


def test_sub_folders_are_named_only_where_there_is_no_picture():
    touch("s/sub/2.jpg", "t/1.jpg", "t/sub/2.jpg")
    assert reasons(discover(["s", "t"])) == {"s/sub": "a folder inside"}


def test_explicit_files_keep_their_order_whatever_their_ending():
    touch("b.jpg", "a.dat", ".c.jpg")
    assert names(discover(["b.jpg", Path("a.dat"), ".c.jpg"])) == ["b.jpg", "a.dat", ".c.jpg"]


def test_globs_are_expanded_in_natural_order_across_folders(folder):
    touch("d2/f10.jpg", "d2/f9.jpg", "d10/f1.jpg", "d2/f1.txt")
    assert names(discover(["d*/f*"])) == ["d2/f9.jpg", "d2/f10.jpg", "d10/f1.jpg"]
    assert names(discover([str(folder / "d2" / "f?.jpg")])) == [(folder / "d2/f9.jpg").as_posix()]


def test_a_glob_that_spells_its_ending_takes_any():
    touch("x1.dat", "x2.txt", ".x3.dat")
    found = discover(["x*.dat"])
    assert names(found) == ["x1.dat"]
    with pytest.raises(StackError, match=r"No picture was found in x\*\."):
        discover(["x*"])


def test_a_file_whose_name_holds_glob_characters_wins():
    touch("f[1].jpg", "f1.jpg")
    assert names(discover(["f[1].jpg"])) == ["f[1].jpg"]
    Path("f[1].jpg").unlink()
    assert names(discover(["f[1].jpg"])) == ["f1.jpg"]


def test_a_list_is_relative_to_its_own_folder():
    touch("lists/a2.jpg", "lists/a10.jpg", "lists/more/m.jpg", "lists/last one.jpg")
    Path("lists/l.txt").write_text(
        "\ufeff# frames\n\n last one.jpg \na*.jpg\r\nmore\n", encoding="utf-8", newline=""
    )
    wanted = ["lists/last one.jpg", "lists/a2.jpg", "lists/a10.jpg", "lists/more/m.jpg"]
    assert names(discover(["@lists/l.txt"])) == wanted


def test_a_dash_reads_the_list_from_standard_input():
    touch("a.jpg", "b.jpg")
    assert names(discover(["-"], stdin=io.StringIO("b.jpg\n# no\na.jpg\n"))) == ["b.jpg", "a.jpg"]


def test_a_file_named_twice_is_taken_once(folder):
    touch("s/1.jpg", "s/2.jpg")
    found = discover(["s/2.jpg", "s", "./s/2.jpg", str(folder / "s" / "1.jpg")])
    assert names(found) == ["s/2.jpg", "s/1.jpg"]
    assert set(reasons(found).values()) == {"named before"}


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ("gone.jpg", DecodeError, "gone.jpg: there is no such file or folder."),
        ("gone*.jpg", StackError, "No file matches gone*.jpg."),
        ("@gone.txt", StackError, "The list gone.txt cannot be read: No such file or directory."),
        ("@binary.txt", StackError, "The list binary.txt is not a text file."),
        ("empty", StackError, "No picture was found in empty."),
        ("bad\0name", DecodeError, "there is no such file or folder."),
    ],
)
def test_what_cannot_be_found_is_one_sentence(given, error, says):
    Path("empty").mkdir()
    Path("binary.txt").write_bytes(b"\xff\xd8\0\n")
    with pytest.raises(error) as caught:
        discover([given])
    assert says in caught.value.message
    assert caught.value.remedy


def test_no_input_is_an_error():
    with pytest.raises(StackError, match="No input was named"):
        discover([])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_no_file():
    os.mkfifo("pipe.jpg")
    with pytest.raises(DecodeError, match="neither a file nor a folder"):
        discover(["pipe.jpg"])
    Path("s").mkdir()
    os.mkfifo("s/pipe.jpg")
    touch("s/1.jpg")
    assert reasons(discover(["s"])) == {"s/pipe.jpg": "not a regular file"}


def test_numbers_of_any_length_sort_by_value():
    ordered = ["a.jpg", "a1.jpg", "a2b1.jpg", "a2b10.jpg", "a0010.jpg", "b" + "9" * 200 + ".jpg"]
    assert sorted(reversed(ordered), key=lambda name: natural_key(Path(name))) == ordered


def test_a_pattern_that_python_refuses_or_that_matches_nothing_is_one_sentence():
    # Python 3.11 and 3.12 refuse `**` beside other characters; 3.13 takes it for `*`.
    with pytest.raises(StackError) as caught:
        discover(["a**/b"])
    known = ("a**/b is not a pattern that can be searched for.", "No file matches a**/b.")
    assert caught.value.message in known


def test_videos_are_taken_where_they_are_named_only(tmp_path):
    for name in ("a.jpg", "b.MP4", "c.mov"):
        (tmp_path / name).write_bytes(b"")
    found = discover([tmp_path])
    assert [path.name for path in found.paths] == ["a.jpg"]
    assert {left.reason for left in found.left_out} == {"a video: name it to take its frames"}
    assert [path.name for path in discover([tmp_path / "c.mov"]).paths] == ["c.mov"]
    assert [path.name for path in discover([str(tmp_path / "*.MP4")]).paths] == ["b.MP4"]
