import json
import os

import pytest
from absl import flags

from common.cli import flags as shared_flags
from common.cli.outputs import LEDGER, Outputs, Target, evaluation_file
from common.config import FlagValues
from common.errors import UserError


@pytest.fixture
def song(tmp_path):
    path = tmp_path / "album" / "song.wav"
    path.parent.mkdir()
    path.write_text("a song")
    return path


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out"


def flags_of(run_dir="run", *arguments):
    values = FlagValues()
    shared_flags.define_run_flag(values, "separation")
    flags.DEFINE_float("duration", None, "how much", flag_values=values)
    shared_flags.define_overwrite_flag(values)
    values(["program", f"--run_dir={run_dir}", *arguments])
    return values


def write(folder, path, made_from, command="separation.predict", run_dir="run", overwrite=False, text="stem", given=()):
    """Do what a command does."""
    outputs = Outputs(folder, command, flags_of(run_dir, *given, *["--overwrite"] * overwrite))
    outputs.check([Target(path, str(made_from))], [made_from])
    with outputs.writing():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_the_same_command_replaces_what_it_wrote(folder, song):
    for text in ("one", "two"):
        write(folder, folder / "song" / "vocals.wav", song, text=text)
    assert (folder / "song" / "vocals.wav").read_text() == "two"


@pytest.mark.parametrize(
    "changes",
    [
        {"command": "other"},
        {"run_dir": "another"},
        {"given": ("--duration=2",)},
        {"made_from": "song.mp3"},
        {"made_from": "-"},
    ],
)
def test_what_another_command_wrote_is_replaced_only_if_asked(changes, folder, song):
    path = folder / "vocals.wav"
    write(folder, path, song)
    changed = {"made_from": song, **changes}
    with pytest.raises(UserError, match=r"vocals\.wav exists, and this command did not write it.*overwrite"):
        write(folder, path, **changed)
    assert path.read_text() == "stem"
    write(folder, path, **changed, overwrite=True, text="replaced")
    assert path.read_text() == "replaced"
    # From then on it is of the one that replaced it; standard input is another each time.
    if changed["made_from"] != "-":
        write(folder, path, **changed)


def test_another_song_under_the_same_name_is_another(folder, song):
    write(folder, folder / "vocals.wav", song)
    song.write_text("another song")
    with pytest.raises(UserError, match="exists, and this command did not"):
        write(folder, folder / "vocals.wav", song)


def test_a_file_in_place_of_the_folder_is_told(folder, song):
    folder.write_text("my own")
    with pytest.raises(UserError, match="out is a file; expected a folder"):
        write(folder, folder / "vocals.wav", song)


def test_what_was_there_or_was_changed_since_is_not_replaced(folder, song):
    path = folder / "vocals.wav"
    folder.mkdir()
    path.write_text("my own")
    with pytest.raises(UserError, match="exists, and this command did not"):
        write(folder, path, song)
    path.unlink()
    write(folder, path, song)
    path.write_text("edited")
    with pytest.raises(UserError, match="exists, and this command did not"):
        write(folder, path, song)
    assert path.read_text() == "edited"


def test_a_link_that_leads_nowhere_is_there_too(folder, song):
    folder.mkdir()
    (folder / "vocals.wav").symlink_to("nowhere")
    with pytest.raises(UserError, match="exists, and this command did not"):
        write(folder, folder / "vocals.wav", song)


def test_what_a_killed_command_left_is_replaced(folder, song):
    path = folder / "vocals.wav"
    outputs = Outputs(folder, "separation.predict", flags_of())
    outputs.check([Target(path, str(song))])
    block = outputs.writing()
    block.__enter__()
    path.write_text("half of the songs")
    write(folder, path, song, text="all")
    assert path.read_text() == "all"


def test_what_failed_leaves_no_trace_and_takes_nothing_over(folder, song):
    with pytest.raises(OSError):
        write(folder, folder / ("x" * 300), song)
    assert not folder.exists()
    folder.mkdir()
    (folder / "vocals.wav").write_text("my own")
    outputs = Outputs(folder, "separation.predict", flags_of("run", "--overwrite"))
    outputs.check([Target(folder / "vocals.wav", str(song))])
    with pytest.raises(ValueError), outputs.writing():
        raise ValueError
    with pytest.raises(UserError, match="exists, and this command did not"):
        write(folder, folder / "vocals.wav", song)


@pytest.mark.parametrize("link", ["itself", "symlink", "hard link", "folder"])
def test_a_recording_is_never_written_to(link, song, folder):
    if link == "folder":
        folder.symlink_to(song.parent)
    elif link == "itself":
        folder = song.parent
    else:
        folder.mkdir()
        (os.symlink if link == "symlink" else os.link)(song, folder / song.name)
    with pytest.raises(UserError, match="is a recording to read"):
        write(folder, folder / song.name, song, overwrite=True)
    assert song.read_text() == "a song"


@pytest.mark.parametrize("name", ["../song.wav", "..", ".", "/elsewhere.wav", "a/../../b.wav"])
def test_no_file_leaves_the_folder(name, folder, song):
    with pytest.raises(UserError, match="is not in the output folder"):
        write(folder, folder / name, song)


def test_two_files_are_never_one(folder, tmp_path):
    (folder / "a").mkdir(parents=True)
    (folder / "b").symlink_to("a")
    for one, other in (("x.wav", "x.wav"), ("x.wav", "a/../x.wav"), ("a/x.wav", "b/x.wav")):
        with pytest.raises(UserError, match="would be written twice, from one and two"):
            Outputs(folder, "c", flags_of("run", "--overwrite")).check(
                [Target(folder / one, "one"), Target(folder / other, "two")]
            )


def test_files_and_folders_in_the_way_are_one_line(folder, song):
    folder.mkdir()
    (folder / "file").touch()
    (folder / "folder").mkdir()
    with pytest.raises(UserError, match="is a file; expected to make a folder"):
        write(folder, folder / "file" / "vocals.wav", song)
    with pytest.raises(UserError, match="is a folder; expected to write a file"):
        write(folder, folder / "folder", song, overwrite=True)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"vocals.wav": 3}', "\x00"])
def test_a_damaged_ledger_knows_nothing(content, folder, song):
    write(folder, folder / "vocals.wav", song)
    (folder / LEDGER).write_text(content)
    with pytest.raises(UserError, match="exists, and this command did not"):
        write(folder, folder / "vocals.wav", song)


def test_names_that_are_no_text_are_known_again(folder, song):
    for _ in range(2):
        write(folder, folder / "caf\udce9.wav", song)
    assert json.loads((folder / LEDGER).read_text()).keys() == {"caf\udce9.wav"}


def test_what_the_command_wrote_below_a_named_folder_is_left_out(song, caplog):
    album = song.parent
    stem = album / "stems" / "song" / "vocals.wav"
    write(album / "stems", stem, song)
    found = [(str(path), path, True) for path in (song, stem)]
    for folder in ("stems", "other"):
        outputs = Outputs(album / folder, "separation.predict", flags_of())
        assert outputs.not_own(found, [str(album)]) == found[:1]
    assert "1 of the 2 recordings" in caplog.text
    # Named itself it is a recording like others, and so it is for other commands.
    assert outputs.not_own([(str(stem), stem, False)], [str(stem)])
    assert outputs.not_own(found[1:], [str(album / "stems")])
    assert Outputs(album / "stems", "counting.predict", flags_of()).not_own(found, [str(album)]) == found


def test_where_nothing_else_remains_it_is_said(song):
    write(song.parent, song.parent / "vocals.wav", song)
    song.unlink()
    stem = song.parent / "vocals.wav"
    with pytest.raises(UserError, match="were written by this command"):
        Outputs(song.parent, "separation.predict", flags_of()).not_own([(str(stem), stem, True)], [str(song.parent)])


@pytest.fixture
def evaluation(tmp_path):
    """Ask for the file of an evaluation."""
    run_dir = tmp_path / "run"
    run_dir.mkdir()

    def ask(*arguments):
        flag_values = FlagValues()
        shared_flags.define_evaluation_flags(flag_values, "kws", ())
        flag_values(["evaluate", f"--run_dir={run_dir}", *arguments])
        return evaluation_file(flag_values, ["confusion.png"])

    return ask


def test_an_evaluation_replaces_an_evaluation(evaluation, tmp_path):
    path = tmp_path / "run" / "evaluation.json"
    assert evaluation() == path
    path.write_text('{"accuracy": 1, "protocol": {}}')
    (tmp_path / "run" / "evaluation_confusion.png").touch()
    assert evaluation() == path


@pytest.mark.parametrize(
    ("name", "content"), [("notes.json", "{}"), ("notes.txt", "mine"), ("notes_confusion.png", ""), ("notes.json", "[")]
)
def test_an_evaluation_replaces_nothing_else(name, content, evaluation, tmp_path):
    (tmp_path / name).write_text(content)
    output = tmp_path / ("notes.txt" if name == "notes.txt" else "notes.json")
    with pytest.raises(UserError, match=rf"{name} exists and is not an evaluation"):
        evaluation(f"--output={output}")
    assert evaluation(f"--output={output}", "--overwrite") == output


def test_an_evaluation_never_replaces_a_file_of_the_run(evaluation, tmp_path):
    metrics = tmp_path / "run" / "metrics.json"
    metrics.write_text('{"protocol": {}}')
    (tmp_path / "link.json").symlink_to(metrics)
    for path in (metrics, tmp_path / "link.json"):
        with pytest.raises(UserError, match="belongs to a run"):
            evaluation(f"--output={path}", "--overwrite")
    with pytest.raises(UserError, match=r"is a folder; give a file such as .*run/evaluation\.json"):
        evaluation(f"--output={tmp_path / 'run'}")
