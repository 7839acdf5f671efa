"""The one lister: hidden names, links, circles, and what names mean."""

import logging
import os

import pytest

from common.audio import listing
from common.files.names import plain_name


@pytest.fixture
def names(tmp_path):
    """Make files, and list what is found of them."""

    def found(*made, links=None, depth=None):
        for name in made:
            path = os.path.join(tmp_path, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb"):
                pass
        for name, target in (links or {}).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).symlink_to(target)
        return [path.relative_to(tmp_path).as_posix() for path in listing.find(tmp_path, depth).files]

    return found


def test_files_are_found_by_their_suffix_at_any_depth_by_name(names):
    made = ("b/2.WAV", "b/10.flac", "a.d/e/1.m4a", "c.opus", "notes.txt", "wav", "b/3.wav.txt")
    assert names(*made) == ["a.d/e/1.m4a", "b/10.flac", "b/2.WAV", "c.opus"]
    assert names(depth=1) == ["c.opus"] and names(depth=2) == ["b/10.flac", "b/2.WAV", "c.opus"]


def test_hidden_files_companions_and_leftovers_are_passed_over(names, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    made = ("._a.wav", ".b/1.wav", "__MACOSX/a.wav", "x/__MACOSX/a.wav", "x/.a.partial-01234567.wav", "@eaDir/a.wav")
    assert names("a.wav", *made) == ["a.wav"]
    listing.find(tmp_path).tell()
    assert not caplog.messages


def test_links_to_files_and_folders_are_followed(names, tmp_path):
    elsewhere = tmp_path / ".elsewhere"
    links = {"yes": elsewhere / "yes", "no/1.wav": elsewhere / "1", "no/2.txt": elsewhere / "2.wav"}
    assert names(".elsewhere/yes/1.wav", ".elsewhere/1", ".elsewhere/2.wav", links=links) == ["no/1.wav", "yes/1.wav"]


def test_each_recording_is_found_once(names, tmp_path):
    links = {"a/again.wav": "../b/1.wav", "c": "b", "d": ".out", "e": ".out/x", "f/1.wav": "../.out/x/1.wav"}
    assert names("b/1.wav", ".out/x/1.wav", links=links) == ["b/1.wav", "d/x/1.wav"]
    assert sum(listing.find(tmp_path).left_out.values()) == 4


def test_circles_end(names, tmp_path):
    links = {"a/up": "..", "a/self": "self", "b/root": tmp_path, "b/above": tmp_path.parent, "p": "q", "q": "p"}
    assert names("a/1.wav", links=links) == ["a/1.wav"]
    found = listing.find(tmp_path)
    assert {names[0]: count for names, count in found.left_out.items()} == {
        "link to one of its parent folders": 3,
        "broken link": 3,
    }


def test_what_is_left_out_is_counted_in_one_line(names, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    names("1.txt", "2.TXT", "3.pdf", "4", "5.wav", "metadata.csv", links={"dead.wav": "nowhere"})
    os.mkfifo(tmp_path / "pipe.wav")
    listing.find(tmp_path).tell(used=["metadata.csv"])
    others = "4 files that are not audio (.txt 2, .pdf 1, other 1)"
    assert caplog.messages == [f"{tmp_path}: skipped {others}, 1 pipe, socket or device, 1 broken link"]


def test_a_folder_that_cannot_be_read_is_counted(names, tmp_path):
    # Permission bits do not bind everybody; a path that is longer than the system allows binds all.
    names("a/1.wav")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=descriptor)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)
    found = listing.find(tmp_path)
    assert [path.name for path in found.files] == ["1.wav"] and sum(found.left_out.values()) == 1


def test_names_are_composed_and_on_one_line(names, tmp_path):
    assert plain_name("adio\u0301s") == "adi\u00f3s"
    assert plain_name("a\nb\u2028c\x1b") == "a\\nb\\u2028c\\x1b"
    # Joiners are letters of Persian and Hindi.
    assert (
        plain_name("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645")
        == "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    )
    names(os.fsdecode(b"caf\xe9/1.wav"))
    found = listing.find(tmp_path)
    assert found.parts(found.files[0]) == ("caf\\xe9", "1.wav")


def test_folders_are_listed_by_name(names, tmp_path):
    names("b/x.txt", "a/1.wav", ".c/1.wav", "__MACOSX/1", "file", links={"c": "a", "dead": "x", "loop": "loop"})
    assert [path.name for path in listing.folders(tmp_path)] == ["a", "b", "c"]
    assert listing.folders(tmp_path / "none") == []


def test_one_of_several_formats_of_a_recording_is_kept(names, tmp_path):
    names("a/1.mp3", "a/1.wav", "b/1.mp3", "b/1.x.mp3")
    kept, num_copies = listing.one_a_name(listing.find(tmp_path))
    assert [path.relative_to(tmp_path).as_posix() for path in kept] == ["a/1.wav", "b/1.mp3", "b/1.x.mp3"]
    assert num_copies == 1


def test_hard_links_are_files_of_their_own_and_what_links_lead_to_twice_is_not(names, tmp_path):
    names(".out/x/1.wav", "a/1.wav")
    os.link(tmp_path / "a" / "1.wav", tmp_path / "a" / "2.wav")
    assert names(links={"b.wav": ".out/x/1.wav", "c": ".out", "d": ".out/x"}) == ["a/1.wav", "a/2.wav", "b.wav"]
    assert listing.find(tmp_path).left_out.total() == 2
