"""The command: words from a microphone and out of recordings, and what a user can get wrong."""

import io
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from common import audio
from common.cli import app
from common.corpora import folder as folder_corpus
from common.files import locks
from kws import record, takes, train
from tests.common.audio.fake_sounddevice import fake_sounddevice

ROOT = Path(__file__).resolve().parents[2]
RATE = 16000


def word(rng, gain=0.2):
    return gain * np.sin(np.cumsum(rng.uniform(0.1, 0.3, RATE // 2)))


def spoken(path, count, rng, *, rate=RATE, channels=1):
    """Write a recording of words with pauses, each louder than the one before; returns its path."""
    parts = [np.zeros(RATE)]
    for number in range(1, count + 1):
        parts += [word(rng, 0.1 * number), np.zeros(RATE)]
    waveform = np.concatenate(parts)
    waveform += rng.normal(0, 0.001, len(waveform))
    waveform = audio.resample(waveform, RATE, rate)
    soundfile.write(path, np.stack([waveform] * channels, axis=1), rate)
    return path


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command in an empty folder; returns its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, keys=""):
        monkeypatch.setattr(sys, "stdin", io.StringIO(keys))
        code = app.run(record.main, record.define_flags, list(map(str, arguments)))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def microphone(monkeypatch, rng):
    """A microphone that hears one thing after the other: gains of a word, or a function of the waveform."""

    def microphone(*heard, **options):
        waiting = iter(heard)

        def hear():
            change = next(waiting)
            waveform = np.concatenate([np.zeros(RATE), word(rng), np.zeros(RATE)])
            waveform += rng.normal(0, 0.001, len(waveform))
            return change(waveform) if callable(change) else np.clip(change / 0.2 * waveform, -1, 1)

        monkeypatch.setitem(sys.modules, "sounddevice", fake_sounddevice(hear, rate=RATE, **options))

    return microphone


def test_words_are_cut_out_of_a_recording(run, tmp_path, rng):
    path = spoken(tmp_path / "speech.flac", 4, rng, rate=44100, channels=2)
    code, out, err = run("--words=on", "--count=4", path)
    assert code == 0 and not err
    assert names("my_words") == [f"on/me_nohash_{number}.wav" for number in range(4)]
    lines = out.splitlines()
    assert lines[0].split("  ")[1:] == ["0.99-1.51 s", "my_words/on/me_nohash_0.wav"]
    assert lines[-1].startswith("record another word, then train: python -m kws.train ")
    lengths = [soundfile.info(path).duration for path in Path("my_words/on").iterdir()]
    assert lengths == pytest.approx([1.0] * 4, abs=0.05)
    assert not locks._path("my_words").exists()


def test_words_are_in_order_or_in_a_recording_each(run, tmp_path, rng):
    both = spoken(tmp_path / "both.wav", 6, rng)
    assert run("--words=on,off", "--count=3", "--speaker=anna", "--output_dir=one", both)[0] == 0
    assert names("one") == [f"{one}/anna_nohash_{number}.wav" for one in ("off", "on") for number in range(3)]
    # Later words of this recording are louder.
    peaks = [np.abs(audio.read(Path("one", name))[0]).max() for name in names("one")]
    assert peaks == pytest.approx([0.4, 0.5, 0.6, 0.1, 0.2, 0.3], abs=0.02)
    files = [spoken(tmp_path / f"{number}.wav", number, rng) for number in (2, 3)]
    assert run("--words=on,off", "--output_dir=two", *files)[0] == 0
    assert names("two") == [
        *(f"off/me_nohash_{number}.wav" for number in range(3)),
        "on/me_nohash_0.wav",
        "on/me_nohash_1.wav",
    ]


def test_the_same_recording_again_adds_nothing_and_another_goes_on(run, tmp_path, rng):
    path = spoken(tmp_path / "a.wav", 3, rng)
    run("--words=on", path)
    Path("my_words/on/me_nohash_1.wav").unlink()
    code, out, _ = run("--words=on", path)
    assert code == 0 and out.count("is there already") == 2
    assert names("my_words") == ["on/me_nohash_0.wav", "on/me_nohash_2.wav", "on/me_nohash_3.wav"]
    run("--words=on", spoken(tmp_path / "b.wav", 1, rng))
    assert names("my_words")[-1] == "on/me_nohash_4.wav"


def test_another_number_of_words_writes_nothing(run, tmp_path, rng):
    files = [spoken(tmp_path / f"{number}.wav", number, rng) for number in (2, 3)]
    code, _, err = run("--words=on,off", "--count=2", *files)
    assert code == 2 and not Path("my_words").exists()
    assert "3.wav: found 3 words, expected 2: at 0.99-1.51, 2.49-3.01, 3.99-4.51 s" in err
    assert err.splitlines()[-1].startswith("error: 1 of the recordings could not be cut, so nothing was written")


def test_clipped_and_cut_off_words_are_told(run, tmp_path, rng, caplog):
    waveform = rng.normal(0, 0.001, 3 * RATE)
    waveform[RATE : RATE + RATE // 2] += word(rng, 2.0)
    waveform[-RATE // 4 :] += word(rng)[: RATE // 4]
    soundfile.write(tmp_path / "a.wav", np.clip(waveform, -1, 1), RATE)
    assert run("--words=on", tmp_path / "a.wav")[0] == 0
    assert "clipped, so better recorded again: 0.99-1.51 s" in caplog.text
    assert "begins or ends within a word" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", "--words: expected the words to record"),
        ("--words=", "--words: expected the words to record"),
        ("--words=on,,off a.wav", "--words: expected names of folders"),
        ("--words=on --count=0", "--count: expected an integer in the range [1, 10000], got '0'"),
        ("--words=on --speaker=a_nohash_b", "--speaker: 'a_nohash_b' has _nohash_"),
        ("--words=on --speaker=a/b", "--speaker: expected a name without slashes"),
        ("--wrods=on", "Did you mean: words?"),
        ("--words=on absent.wav", "absent.wav does not exist"),
        ("--words=on silent.wav", "silent.wav: found no words: it is silent"),
        ("--words=on steady.wav", "steady.wav: found no words: nothing in it is well above its noise"),
        ("--words=on text.wav", "text.wav is not readable audio"),
        ("--words=on empty.wav", "empty.wav is empty"),
        ("--words=on nan.wav", "nan.wav contains NaN"),
        ("--words=on .", "is a folder"),
        ("--words=on,off silent.wav", "several words in one recording need --count"),
        ("--words=on,off,up a.wav b.wav", "expected one, or one for each of the 3 words, got 2 recordings"),
        ("--words=on a.wav b.wav", "expected one for one word, got 2 recordings"),
        ("--words=on --output_dir=text.wav a.wav", "--output_dir: text.wav is a file"),
    ],
)
def test_what_a_user_can_get_wrong(arguments, expected, run, tmp_path, rng):
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    soundfile.write(tmp_path / "steady.wav", rng.normal(0, 0.1, 3 * RATE), RATE)
    soundfile.write(tmp_path / "nan.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
    (tmp_path / "text.wav").write_text("no audio")
    (tmp_path / "empty.wav").touch()
    before = names(tmp_path)
    code, _, err = run(*arguments.split())
    assert code == 2 and expected in err and "Traceback" not in err
    assert names(tmp_path) == before


def test_words_are_asked_for_one_by_one(run, microphone):
    microphone(*[0.2] * 4)
    code, out, err = run("--words=on,off", "--count=2", "--speaker=anna", keys="\n" * 4)
    assert code == 0 and not err
    asked = [f"{one} {number}/2: press Enter, then speak" for one in ("on", "off") for number in (1, 2)]
    assert [out.count(one) for one in asked] == [1] * 4
    assert "level -17 dB, 4" in out
    assert names("my_words") == [f"{one}/anna_nohash_{number}.wav" for one in ("off", "on") for number in (0, 1)]
    assert out.splitlines()[-1].startswith("record more of off, on, then train: ")


def test_a_recording_that_cannot_be_used_is_repeated(run, microphone):
    microphone(
        lambda waveform: 0 * waveform,
        3.0,
        lambda waveform: np.roll(waveform, round(-0.8 * RATE)),
        lambda waveform: np.roll(waveform, round(0.9 * RATE)),
        0.2,
    )
    code, out, _ = run("--words=on", "--count=1", keys="\n" * 5)
    assert code == 0 and names("my_words") == ["on/me_nohash_0.wav"]
    problems = ["silence: ", "too loud, ", "cut off at the start: ", "cut off at the end: "]
    places = [out.find(problem) for problem in problems]
    assert -1 not in places and places == sorted(places)
    assert out.count("again, press Enter") == 4


def test_lost_samples_are_recorded_again(run, microphone):
    microphone(0.2, overflows=True)
    code, out, err = run("--words=on", "--count=1", keys="\n")
    assert code == 2 and "some samples were lost" in out and not Path("my_words/on").exists()
    assert "standard input ended; my_words has 0 of 1 recordings" in err


def test_a_second_start_goes_on(run, microphone):
    microphone(*[0.2] * 3)
    code, _, err = run("--words=on,off", "--count=2", keys="\n\n\n")
    assert code == 2 and "my_words has 3 of 4 recordings, run the same command again" in err
    microphone(0.2)
    code, out, _ = run("--words=on,off", "--count=2", keys="\n")
    assert code == 0 and out.count("press Enter") == 1 and "off 2/2: " in out
    assert "on: 2 recordings by me are there" in out
    code, out, _ = run("--words=on,off", "--count=2")
    assert code == 0 and "press Enter" not in out
    microphone(0.2, 0.2)
    assert run("--words=on", "--count=2", "--speaker=ben", keys="\n\n")[0] == 0
    assert names("my_words")[2:] == [f"on/{name}_nohash_{number}.wav" for name in ("ben", "me") for number in (0, 1)]


def test_control_c_keeps_what_is_recorded(run, microphone, caplog):
    def interrupt(waveform):
        raise KeyboardInterrupt

    microphone(0.2, interrupt)
    caplog.set_level("INFO")
    code, _, err = run("--words=on", "--count=3", keys="\n\n")
    assert code == 130 and "run the same command to resume" in err and "my_words has 1 of 3 recordings" in caplog.text
    assert names("my_words") == ["on/me_nohash_0.wav"]


def test_without_a_microphone_a_recording_is_asked_for(run, microphone, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    code, _, err = run("--words=on")
    assert code == 2 and err.count("\n") == 1
    assert "pip install 'quartet-audio[live]'" in err and "or give a recording of the words" in err
    microphone(has_device=False)
    assert "there is no microphone" in run("--words=on")[2]


def test_two_cannot_record_into_one_folder_at_a_time(run, tmp_path, rng):
    path = spoken(tmp_path / "a.wav", 1, rng)
    program = f"import time; from common.files import locks; locks.acquire({str(tmp_path / 'my_words')!r}); print(flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        other.stdout.readline()
        code, _, err = run("--words=on", path)
        assert code == 2 and "my_words is in use by process" in err
    finally:
        other.kill()
        other.communicate()


def test_training_reads_the_folder_with_the_command_that_is_printed(run, tmp_path, rng):
    for speaker in ("anna", "ben", "zoë"):
        for name in ("on", "off"):
            path = spoken(tmp_path / "a.wav", 2, rng)
            code, out, _ = run(f"--words={name}", "--output_dir=my words", f"--speaker={speaker}", path)
            assert code == 0
    found = folder_corpus.index(tmp_path / "my words")
    assert len(found) == 12 and set(found["speaker"]) == {"anna", "ben", "zoë"} and set(found["label"]) == {"on", "off"}
    assert (found.groupby("speaker")["split"].nunique() == 1).all() and found["split"].nunique() == 3
    last = out.splitlines()[-1]
    assert last.startswith("train: python -m kws.train ")
    values = record.configs.FlagValues()
    train.define_flags(values)
    values(shlex.split(last.removeprefix("train: python -m ")))
    assert (values.corpus, values.data_dir, values.run_dir) == ("folder", "my words", "runs/kws/mine")


@pytest.mark.parametrize("variants", [(), ("few",)])
def test_the_command_names_the_variant_for_few_recordings(variants, tmp_path, monkeypatch):
    monkeypatch.setattr(record, "VARIANTS", variants)
    command = record.what_next(takes.Folder(tmp_path / "train", "anna"))
    assert ("--variant=few" in command) == bool(variants)
    assert f"--data_dir={tmp_path} " in command


def test_it_starts_without_what_training_needs(tmp_path):
    """Pandas is as heavy as all the rest."""
    program = "import sys; from kws import record; print({'tensorflow', 'pandas', 'sounddevice'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
