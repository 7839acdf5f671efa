"""Kokoro: what the network is given. The network itself speaks where its files are."""

import types
from pathlib import Path

import numpy as np
import pytest

from common.errors import UserError
from common.synthesis.speech import kokoro, kokoro_phonemes


@pytest.fixture
def folder(tmp_path):
    voices = tmp_path / "voices"
    voices.mkdir()
    for place, name in enumerate(("af_sky", "af_nova")):
        rows = np.arange(510, dtype=np.float32)[:, np.newaxis] + 1000 * place
        np.repeat(rows, 256, axis=1).tofile(voices / f"{name}.bin")
    (tmp_path / "model.onnx").write_bytes(b"not a network")
    return tmp_path


@pytest.mark.parametrize("language", ["en", "en-gb", "es", "fr", "hi", "it", "pt"])
def test_no_voice_is_in_two_splits(language):
    voices = kokoro.voices(language)
    listed = sum(voices.values(), [])
    assert voices["train"]
    assert len(set(listed)) == len(listed)
    assert {kokoro.sex(voice) for voice in listed} <= {"F", "M"}


def test_english_has_28_voices():
    assert len(sum(kokoro.voices("en").values(), [])) == 28


def test_another_language_is_refused():
    with pytest.raises(UserError, match=r'does not speak "de"; it speaks en, es'):
        kokoro.voices("de")


def test_blends_are_of_one_accent_and_sex():
    rng = np.random.default_rng(0)
    drawn = {kokoro.draw_voice(kokoro.voices("en")["train"], rng) for _ in range(300)}
    blends = [voice.split("+") for voice in drawn if "+" in voice]
    assert len(blends) > 50
    assert all(first[:2] == second[:2] and first != second for first, second in blends)


def test_the_network_is_given_tokens_the_mean_style_and_the_speed(folder, monkeypatch):
    pytest.importorskip("espeakng_loader")
    given = {}

    def run(_, inputs):
        given.update(inputs)
        return [np.zeros((1, 7), np.float32)]

    session = types.SimpleNamespace(run=run, get_inputs=lambda: [types.SimpleNamespace(name="input_ids")])
    monkeypatch.setattr(kokoro, "_session", lambda _: session)
    assert kokoro.synthesize("yes!", "af_sky+af_nova", 1.15, folder).shape == (7,)
    tokens = kokoro_phonemes.tokens("jˈɛs", "en-us", "!")
    assert given["input_ids"].tolist() == [[0, *tokens, 0]]
    # The style of five phonemes is in row five, and the other voice is a thousand higher.
    assert np.unique(given["style"]).tolist() == [505.0]
    assert given["style"].shape == (1, 256)
    assert given["speed"] == np.float32(1.15)


@pytest.mark.parametrize("content", [b"", b"123", np.full(256, np.nan, np.float32).tobytes()])
def test_a_damaged_voice_is_one_line(folder, content):
    (folder / "voices" / "am_adam.bin").write_bytes(content)
    with pytest.raises(UserError, match=r"cannot read the voice .*am_adam.bin"):
        kokoro._voice(folder, "am_adam")


def test_a_damaged_network_is_one_line(folder):
    pytest.importorskip("onnxruntime")
    with pytest.raises(UserError, match=r"cannot load .*model.onnx"):
        kokoro._session(folder)


def test_kokoro_speaks():
    pytest.importorskip("onnxruntime")
    folder = Path(__file__).parents[4] / kokoro.FOLDER
    if not (folder / "voices").exists():
        pytest.skip(f"the files of Kokoro are not in {kokoro.FOLDER}")
    short, long = (
        kokoro.synthesize(text, "af_heart", 1.0, folder) for text in ("yes.", "yes, turn on all the lights.")
    )
    assert 0.2 < len(short) / kokoro.SAMPLE_RATE < 2
    assert len(long) > 1.2 * len(short)
    assert 0.05 < np.abs(short).max() < 1.5
