"""What a user can get wrong: each gives its line on standard error and exit code 2, and nothing is half-written."""

import numpy as np
import pytest
import soundfile

from benchmarks.example_corpora.songs import RATE, write_song, write_songs
from common import config as configs
from common import runs
from common.cli import app
from separation import data, evaluate, export, predict, train
from separation.config import TASK, VARIANTS
from separation.models import build_model


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    return write_songs(tmp_path_factory.mktemp("corpus") / "songs", seconds=1.0)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory, songs):
    """A run directory whose network has not learnt anything; it separates all the same."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    config = data.load_corpus(
        configs.from_dict(
            type(VARIANTS["tiny"]),
            {**configs.to_dict(VARIANTS["tiny"]), "corpus": "folder", "data_dir": str(songs)},
            "test",
        ),
        folder,
    ).config
    run = runs.start(folder, config, TASK, "tiny")
    build_model(config).save(run.model_path)
    return folder


@pytest.fixture
def fails(capsys):
    """Run an entry point that must fail, and return its lines."""

    def run(script, *arguments):
        assert app.run(script.main, script.define_flags, list(map(str, arguments))) == 2
        error = capsys.readouterr().err
        assert "Traceback" not in error
        return "\n".join(line for line in error.splitlines() if line.startswith("error: "))

    return run


@pytest.fixture
def separate(fails, untrained, tmp_path):
    """Separate what must be refused; nothing may be left in the folder of stems."""

    def run(*arguments):
        lines = fails(predict, f"--run_dir={untrained}", f"--output_dir={tmp_path / 'stems'}", *arguments)
        assert not [path for path in (tmp_path / "stems").rglob("*") if path.is_file()]
        return lines

    return run


def test_what_is_no_song(separate, tmp_path):
    text = tmp_path / "text.wav"
    text.write_text("hello")
    assert f"{text} is not readable audio" in separate(text)
    empty = tmp_path / "empty.wav"
    empty.touch()
    assert "is empty (0 bytes)" in separate(empty)
    nothing = tmp_path / "nothing.wav"
    soundfile.write(nothing, np.zeros(0), RATE)
    assert "has no samples" in separate(nothing)
    broken = tmp_path / "nan.wav"
    soundfile.write(broken, np.array([0.1, np.nan] * 20000), RATE, subtype="FLOAT")
    assert "contains NaN or infinite samples" in separate(broken)
    late = tmp_path / "late.wav"
    soundfile.write(late, np.r_[np.zeros(30 * RATE), np.nan], RATE, subtype="FLOAT")
    assert "contains NaN or infinite samples" in separate(late)
    assert "does not exist" in separate(tmp_path / "missing.wav")
    assert "no recording given" in separate()


def test_one_sample_and_silence_are_songs(untrained, tmp_path):
    for name, samples in (("one", np.array([0.5])), ("silence", np.zeros(RATE))):
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE)
        flags = [f"--run_dir={untrained}", f"--output_dir={tmp_path / 'stems'}", str(tmp_path / f"{name}.wav")]
        assert app.run(predict.main, predict.define_flags, flags) == 0
        found, _ = soundfile.read(tmp_path / "stems" / name / "vocals.wav")
        assert found.shape == samples.shape and np.isfinite(found).all()
    assert not found.any()


def test_the_others_are_separated_all_the_same(fails, untrained, tmp_path, rng):
    good, bad = tmp_path / "good.wav", tmp_path / "bad.wav"
    soundfile.write(good, rng.uniform(-0.1, 0.1, RATE), RATE)
    bad.write_text("no audio")
    lines = fails(predict, f"--run_dir={untrained}", f"--output_dir={tmp_path / 'stems'}", bad, good)
    assert "bad.wav is not readable audio" in lines and "1 of the songs could not be separated" in lines
    assert [path.name for path in (tmp_path / "stems").glob("[!.]*")] == ["good"]


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--stems=vocal"], "stems: expected any of vocals, accompaniment, got 'vocal'. Did you mean \"vocals\"?"),
        (["--stems=vocals,vocals"], "stems: expected each stem once, got vocals,vocals"),
        (["--template={stem}_{song}.wav"], "--template: unknown field 'song'"),
        (["--template={track}.wav"], "--template: {stem} is missing"),
        (["--template={track}_{stem}"], "--template: the file names have no suffix"),
        (["--output_format=flac", "--encoding=float"], "FLAC supports"),
        (["--offset_seconds=5"], "has no samples at 5.0 s or later"),
        (["--offset_seconds=-1"], "--offset_seconds"),
        (["--overlap=0.9"], "--overlap"),
    ],
)
def test_flags_that_cannot_be(separate, tmp_path, rng, flags, line):
    song = tmp_path / "song.wav"
    soundfile.write(song, rng.uniform(-0.1, 0.1, RATE), RATE)
    assert line in separate(*flags, song)


def test_a_folder_that_cannot_be_written(fails, untrained, tmp_path, rng):
    song = tmp_path / "song.wav"
    soundfile.write(song, rng.uniform(-0.1, 0.1, RATE), RATE)
    (tmp_path / "file").write_text("in the way")
    assert "is a file; expected a folder" in fails(
        predict, f"--run_dir={untrained}", f"--output_dir={tmp_path / 'file'}", song
    )


def test_no_song_is_overwritten(fails, untrained, tmp_path, rng):
    """Two songs of one template, a song that has a stem's name, and what lies there already."""
    album = tmp_path / "album"
    album.mkdir()
    for name in ("one", "vocals"):
        soundfile.write(album / f"{name}.wav", rng.uniform(-0.1, 0.1, RATE), RATE)
    contents = {path: path.read_bytes() for path in album.iterdir()}
    common = (predict, f"--run_dir={untrained}", "--template={stem}.{format}", "--overwrite")
    assert "would be written twice" in fails(*common, f"--output_dir={tmp_path / 'stems'}", album)
    assert "is a recording to read" in fails(*common, f"--output_dir={album}", album / "vocals.wav")
    assert "is not in the output folder" in fails(
        *common, f"--output_dir={album}/x", "--template=../{stem}.wav", album / "vocals.wav"
    )
    assert {path: path.read_bytes() for path in album.iterdir()} == contents
    assert not (tmp_path / "stems").exists()


def test_stems_below_the_songs_are_not_separated_again_and_edited_ones_stay(fails, untrained, tmp_path, rng, caplog):
    album = tmp_path / "album"
    album.mkdir()
    soundfile.write(album / "song.wav", rng.uniform(-0.1, 0.1, RATE), RATE)
    flags = [f"--run_dir={untrained}", f"--output_dir={album / 'stems'}", str(album)]
    for _ in range(2):
        assert app.run(predict.main, predict.define_flags, flags) == 0
        written = sorted(path.relative_to(album).as_posix() for path in album.rglob("*.wav"))
        assert written == ["song.wav", "stems/song/accompaniment.wav", "stems/song/vocals.wav"]
    assert "skipped 2 of the 3 recordings" in caplog.text
    (album / "stems/song/vocals.wav").write_text("edited")
    assert "vocals.wav exists, and this command did not write it" in fails(predict, *flags)
    assert (album / "stems/song/vocals.wav").read_text() == "edited"
    assert app.run(predict.main, predict.define_flags, [*flags, "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("name", "template", "folder"),
    [("ü" * 125, "{track} {stem}.wav", "stems"), ("..", "{track}/{stem}.wav", "stems/__")],
    ids=["long", "dots"],
)
def test_songs_whose_names_no_folder_can_have(untrained, tmp_path, rng, name, template, folder):
    song = tmp_path / f"{name}.wav"
    soundfile.write(song, rng.uniform(-0.1, 0.1, RATE), RATE, format="WAV")
    flags = [f"--run_dir={untrained}", f"--output_dir={tmp_path / 'stems'}", f"--template={template}", str(song)]
    assert app.run(predict.main, predict.define_flags, flags) == 0
    assert len(list((tmp_path / folder).glob("*.wav"))) == 2


def train_on(fails, root, tmp_path, *flags):
    shards = f"--shards_dir={tmp_path / 'shards'}"
    corpus = ["--variant=tiny", "--corpus=folder", f"--data_dir={root}", shards]
    line = fails(train, *corpus, f"--run_dir={tmp_path / 'run'}", *flags)
    assert not (tmp_path / "run").exists()
    return line


def test_corpora_that_teach_nothing(fails, tmp_path, rng):
    assert "--corpus=folder needs --data_dir" in fails(train, "--corpus=folder")
    assert "has no recordings; expected one folder per track" in train_on(fails, tmp_path, tmp_path)
    for number in range(4):
        write_song(tmp_path / "songs" / f"song {number}", 1.0, rng)
    assert "song 0 has no stem 'flute'" in train_on(fails, tmp_path / "songs", tmp_path, "--stems=flute,accompaniment")
    for number in range(4):
        mixture, _ = soundfile.read(tmp_path / "songs" / f"song {number}" / "mixture.wav")
        soundfile.write(tmp_path / "songs" / f"song {number}" / "vocals.wav", mixture, RATE)
    assert "its stem vocals is equal to the mixture" in train_on(fails, tmp_path / "songs", tmp_path)
    soundfile.write(tmp_path / "songs" / "song 0" / "vocals.wav", np.zeros(RATE), RATE)
    soundfile.write(tmp_path / "songs" / "song 1" / "vocals.wav", mixture[:-5], RATE)
    assert "tracks cannot be used" in train_on(fails, tmp_path / "songs", tmp_path)


def test_too_few_tracks_to_split(fails, tmp_path, rng):
    write_song(tmp_path / "songs" / "only", 1.0, rng)
    assert "the validation split has no recordings" in train_on(fails, tmp_path / "songs", tmp_path)


def test_runs_and_formats_that_are_not_there(fails, tmp_path, untrained):
    for script in (evaluate, export):
        assert "--run_dir takes a folder" in fails(script, f"--run_dir={tmp_path}")
    assert '--formats: unknown "onnx"' in fails(export, f"--run_dir={untrained}", "--formats=onnx")
    assert "Did you mean: oracle" in fails(evaluate, f"--run_dir={untrained}", "--oracl")
