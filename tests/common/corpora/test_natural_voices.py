import types

import numpy as np
import pytest

from common.corpora import kokoro_files, natural_voices, synthetic_words
from common.errors import UserError
from common.synthesis.speech import flite


@pytest.fixture
def spoken(monkeypatch):
    """Replace Kokoro and Flite by tones, whose pitch tells the text; return what was spoken."""
    texts = []

    def synthesize(text, voice, speed, folder):
        texts.append(text)
        return np.sin(np.arange(round(8000 / speed)) * (0.1 + 0.01 * len(text))).astype(np.float32)

    def module(held_out):
        return types.SimpleNamespace(
            FOLDER="", SAMPLE_RATE=16000, SPEEDS=(0.8, 1.0), ENDINGS=("", "."),
            voices=lambda language: {"train": ["a", "b"], "validation": held_out[:1], "test": held_out[1:]},
            sex=lambda voice: "F", draw_voice=lambda names, rng: str(rng.choice(names)),
            synthesize=synthesize,
        )  # fmt: skip

    monkeypatch.setattr(kokoro_files, "prepare", lambda folder, fetch: None)
    monkeypatch.setattr(flite, "check_installed", lambda: None)
    monkeypatch.setattr(natural_voices, "SYNTHESIZERS", {"kokoro": module(["c", "d"]), "flite": module([])})
    return texts


def _speakers(tmp_path, *names):
    return natural_voices.Speakers(natural_voices.Choice(names), "en", tmp_path)


def test_synthesizers_take_turns(spoken, tmp_path):
    speakers = _speakers(tmp_path, "espeak", "kokoro", "flite")
    drawn = [speakers.draw("train", "yes", number) for number in range(6)]
    assert [item and item.synthesizer for item in drawn] == [None, "kokoro", "flite"] * 2
    # Flite has no voice for the test, and cannot speak phoneme code.
    assert [item and item.synthesizer for item in (speakers.draw("test", "yes", n) for n in range(2))] == [
        None,
        "kokoro",
    ]
    code = [speakers.draw("train", "[[j'Es]]", number) for number in range(2)]
    assert [item and item.synthesizer for item in code] == [None, "kokoro"]


def test_voices_of_a_split_are_its_own_and_utterances_are_few(spoken, tmp_path):
    speakers = _speakers(tmp_path, "kokoro")
    assert {speakers.draw("test", "yes", number).voice for number in range(50)} == {"d"}
    drawn = {speakers.draw("train", "yes", number) for number in range(500)}
    # Two voices, two speeds, two endings.
    assert len(drawn) == 8
    assert speakers.draw("train", "yes", 3) == speakers.draw("train", "yes", 3 + natural_voices.NUM_UTTERANCES["train"])


def test_only_training_voices_are_refused(spoken, tmp_path):
    with pytest.raises(UserError, match="synthesizers=flite: all voices are for training; add espeak"):
        _speakers(tmp_path, "flite")


def test_an_utterance_is_spoken_once(spoken, tmp_path):
    utterances = [_speakers(tmp_path, "kokoro").draw("train", "yes", number) for number in range(6)]
    natural_voices.speak([*utterances, *utterances])
    assert len(spoken) == len(set(utterances))
    natural_voices.speak(utterances)
    assert len(spoken) == len(set(utterances))
    waveform = natural_voices.load(utterances[0], 8000)
    assert waveform.dtype == np.float32
    assert abs(np.abs(waveform).max() - 0.9) < 0.05


def test_a_corpus_holds_the_voices_of_all(spoken, tmp_path):
    pytest.importorskip("espeakng_loader")
    choice = natural_voices.Choice(("espeak", "kokoro", "flite"))
    table = synthetic_words.index(tmp_path, ("up", "go"), num_clips_per_word=10, unknown=True, synthesizers=choice)
    kinds = table["speaker"].str.split("-").str[0].value_counts()
    assert min(kinds["en"], kinds["kokoro"], kinds["flite"]) >= 5
    assert table["path"].is_unique
    alone = synthetic_words.index(tmp_path, ("up", "go"), num_clips_per_word=10)
    shared = set(alone["path"]) & set(table["path"])
    assert shared  # clips of espeak-ng do not depend on the other synthesizers
    num_spoken = len(spoken)
    again = synthetic_words.index(tmp_path, ("up", "go"), num_clips_per_word=10, unknown=True, synthesizers=choice)
    assert len(spoken) == num_spoken
    assert again["path"].tolist() == table["path"].tolist()


def test_silence_of_a_synthesizer_is_told(spoken, tmp_path, monkeypatch):
    monkeypatch.setattr(natural_voices.SYNTHESIZERS["kokoro"], "synthesize", lambda *_: np.zeros(100, np.float32))
    with pytest.raises(UserError, match='kokoro speaks nothing for "yes'):
        natural_voices.speak([_speakers(tmp_path, "kokoro").draw("train", "yes", 0)])
