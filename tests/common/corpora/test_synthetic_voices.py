"""The corpus of synthetic speakers."""

import subprocess
import sys
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile

from common.corpora import manifest, synthetic_voices, synthetic_words
from common.errors import UserError
from common.synthesis.speech import espeak
from tests.errors import refused


@pytest.fixture(scope="module", autouse=True)
def wheel():
    pytest.importorskip("espeakng_loader", reason="needs the extra `speech`")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return synthetic_voices.index(tmp_path_factory.mktemp("utterances"), num_speakers=12, utterances_per_speaker=2)


@pytest.fixture(scope="module")
def waveforms(corpus):
    return [soundfile.read(path, dtype="float32")[0] for path in corpus["path"]]


def _bytes(table) -> list[bytes]:
    return [Path(path).read_bytes() for path in table["path"]]


def test_the_manifest_lists_speakers_of_both_sexes_in_every_split(corpus):
    assert tuple(corpus.columns) == manifest.COLUMNS and len(corpus) == 24
    assert set(corpus["label"]) == {""} and (corpus["start"] == 0).all() and corpus["duration"].isna().all()
    people = corpus.drop_duplicates("speaker")
    assert people["split"].value_counts().to_dict() == {"train": 6, "validation": 3, "test": 3}
    assert people["sex"].value_counts().to_dict() == {"F": 6, "M": 6}
    assert (people.groupby("split")["sex"].nunique() == 2).all()
    assert (corpus.groupby("speaker")[["split", "sex"]].nunique() == 1).all(axis=None)
    assert all(
        Path(path).parent.name == speaker for path, speaker in zip(corpus["path"], corpus["speaker"], strict=True)
    )


def test_no_variant_is_heard_in_two_splits(corpus):
    for row in corpus.itertuples():
        assert row.speaker.split("+")[1] in synthetic_words.VARIANTS[row.split][row.sex].split()
    assert (corpus["split"].groupby(corpus["speaker"].str.split("+").str[1]).nunique() == 1).all()


@pytest.mark.parametrize(
    ("num_speakers", "held_out"), [(12, 3), (13, 3), (31, 7), (32, 8), (33, 8), (60, 9), (160, 24)]
)
def test_shares_of_the_splits(num_speakers, held_out):
    speakers = synthetic_voices._draw_speakers(["en-us", "en-gb"], num_speakers, 0)
    splits = [speaker.split for speaker in speakers]
    assert len({speaker.name for speaker in speakers}) == len({speaker.seed for speaker in speakers}) == num_speakers
    assert splits.count("test") == splits.count("validation") == held_out
    assert sum(speaker.sex == "F" for speaker in speakers) == num_speakers // 2
    for split in manifest.SPLITS:
        sexes = [speaker.sex for speaker in speakers if speaker.split == split]
        assert abs(sexes.count("F") - sexes.count("M")) <= 1


def test_a_few_speakers_of_a_split_have_variants_of_their_own():
    speakers = synthetic_voices._draw_speakers(["en-us", "en-gb"], 160, 3)
    for split, sexes in synthetic_words.VARIANTS.items():
        for sex, names in sexes.items():
            heard = [speaker.variant for speaker in speakers if (speaker.split, speaker.sex) == (split, sex)]
            assert len(set(heard)) == min(len(heard), len(names.split()))


def test_recordings_are_16_khz_mono_several_seconds_long_and_all_different(corpus):
    for path in corpus["path"]:
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        assert 3.5 < info.duration < 9
    assert 5 < np.mean([soundfile.info(path).duration for path in corpus["path"]]) < 7
    assert len(set(_bytes(corpus))) == len(corpus)


def test_speech_stands_above_its_noise_and_varies_in_level(waveforms):
    levels_db = []
    for waveform in waveforms:
        power_db = 10 * np.log10(
            np.square(waveform[: len(waveform) // 160 * 160]).reshape(-1, 160).mean(axis=1) + 1e-12
        )
        assert np.percentile(power_db, 90) - np.percentile(power_db, 2) > 25
        assert (power_db > power_db.max() - 35).mean() > 0.5
        assert 0 < np.abs(waveform).max() < 1
        levels_db.append(power_db.max())
    assert np.std(levels_db) > 3


def _pitch_hz(waveform) -> float:
    pitches = librosa.yin(waveform, fmin=60, fmax=500, sr=16000)
    loudness = librosa.feature.rms(y=waveform)[0]
    return float(np.median(pitches[loudness > 0.4 * loudness.max()]))


def test_women_speak_higher_than_men(corpus, waveforms):
    pitches = np.array([_pitch_hz(waveform) for waveform in waveforms])
    women = (corpus["sex"] == "F").to_numpy()
    assert np.median(pitches[women]) > 1.4 * np.median(pitches[~women])
    assert 140 < np.median(pitches[women]) < 270 and 75 < np.median(pitches[~women]) < 170


def test_a_speaker_sounds_alike_in_all_utterances(corpus, waveforms):
    colours = []
    for waveform in waveforms:
        mel_db = librosa.power_to_db(librosa.feature.melspectrogram(y=waveform, sr=16000, n_mels=40), top_db=None)
        loud = mel_db[:, mel_db.mean(axis=0) > np.median(mel_db.mean(axis=0))].mean(axis=1)
        colours.append(loud - loud.mean())
    distances = np.linalg.norm(np.subtract.outer(colours, colours).diagonal(axis1=1, axis2=3), axis=2)
    np.fill_diagonal(distances, np.inf)
    speakers = corpus["speaker"].to_numpy()
    assert (speakers[distances.argmin(axis=1)] == speakers).mean() > 0.8


def test_what_is_said_differs(corpus, monkeypatch):
    said = []
    monkeypatch.setattr(
        espeak,
        "synthesize",
        lambda text, *voice: (said.append((text, voice)), (np.ones(66150, "f"), 22050))[1],
    )
    speaker = synthetic_voices._draw_speakers(["en-gb"], 12, 0)[0]
    for number in range(8):
        synthetic_voices._say(speaker, 5.0, np.random.default_rng(number))
    assert {voice for _, voice in said} == {
        ("en-gb", speaker.variant, speaker.rate_wpm, speaker.pitch, speaker.pitch_range)
    }
    assert len({text for text, _ in said}) == len(said) == 16


def test_every_rule_of_the_grammar_ends_in_words():
    rng = np.random.default_rng(0)
    sentences = [synthetic_voices._draw_sentence("en-us", rng) for _ in range(2000)]
    assert len(set(sentences)) > 1900
    assert not any(mark in sentence for sentence in sentences for mark in "{}|")
    assert {sentence[-1] for sentence in sentences} == {".", "?", "!"}
    assert all(4 <= len(sentence.split()) <= 25 for sentence in sentences)


def test_a_second_call_makes_nothing_and_an_interrupted_one_goes_on(corpus):
    root = Path(corpus["path"][0]).parents[2]
    lost = Path(corpus["path"][5])
    lost.unlink()
    times = {path: Path(path).stat().st_mtime_ns for path in corpus["path"] if Path(path) != lost}
    again = synthetic_voices.index(root, num_speakers=12, utterances_per_speaker=2)
    assert again.equals(corpus) and lost.exists()
    assert times == {path: Path(path).stat().st_mtime_ns for path in times}


def test_more_speakers_and_utterances_add_to_what_is_there(tmp_path, corpus):
    few = synthetic_voices._draw_speakers(["en-us", "en-gb"], 12, 0)
    many = synthetic_voices._draw_speakers(["en-us", "en-gb"], 40, 0)
    assert set(few) < set(many)
    first = synthetic_voices.index(tmp_path, num_speakers=12, utterances_per_speaker=1)
    folder = Path(corpus["path"][0]).parents[1]
    assert {str(folder / Path(path).parent.name / "0.wav") for path in first["path"]} < set(corpus["path"])


def test_seeds_and_languages_lie_apart(tmp_path, corpus):
    tables = [
        synthetic_voices.index(tmp_path, language, 12, 1, seed)
        for language, seed in (("en", 1), ("es", 0), ("EN-gb ", 0))
    ]
    folders = [Path(table["path"][0]).parents[1].name for table in (*tables, corpus)]
    assert len(set(folders)) == 4 and all(name.startswith("utterances-e") for name in folders)
    contents = [content for table in (*tables, corpus) for content in _bytes(table)]
    assert len(set(contents)) == len(contents) == 60
    assert 4 < np.mean([soundfile.info(path).duration for path in tables[1]["path"]]) < 8


@pytest.mark.slow
def test_a_fresh_process_makes_the_same_corpus(tmp_path):
    for name in ("a", "b"):
        command = (
            "from common.corpora import synthetic_voices;"
            f"synthetic_voices.index({str(tmp_path / name)!r}, num_speakers=12, utterances_per_speaker=1)"
        )
        subprocess.run([sys.executable, "-c", command], check=True)
    made = [{p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*.wav")} for n in ("a", "b")]
    assert len(made[0]) == 12 and made[0] == made[1]


@pytest.mark.slow
def test_many_are_shared_between_processes_and_the_same_every_time(tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic_voices, "_MANY_UTTERANCES", 8)
    tables = [synthetic_voices.index(tmp_path / name, num_speakers=12, utterances_per_speaker=1) for name in ("a", "b")]
    assert len(set(_bytes(tables[0]))) == 12 and _bytes(tables[0]) == _bytes(tables[1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_speakers": 11}, "at least 12 speakers.*received 11"),
        ({"utterances_per_speaker": 0}, "at least one utterance per speaker; received 0"),
        ({"language": "englisch"}, "does not support"),
        ({"language": "cv"}, 'cannot speak numbers in "cv"'),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(tmp_path, settings, message):
    with refused(message) as caught:
        synthetic_voices.index(tmp_path, **settings)
    assert "\n" not in caught.value.command_line
    assert not list(tmp_path.iterdir())


def test_a_file_in_place_of_the_folder_is_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="is a file; expected a folder"):
        synthetic_voices.index(tmp_path / "file")
