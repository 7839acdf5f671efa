"""Speech from text, spoken by espeak-ng."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import signal

from common.errors import UserError
from common.synthesis.speech import espeak

WITHOUT_THE_WHEEL = """
import sys
sys.modules["espeakng_loader"] = None
from common.corpora import synthetic_words
from common.synthesis.speech import espeak
from common.errors import UserError
calls = lambda: espeak.accents("en"), lambda: espeak.synthesize("yes"), lambda: synthetic_words.index(".")
for call in calls:
    try:
        call()
    except UserError as error:
        print(error)
"""


@pytest.fixture(scope="module", autouse=True)
def wheel():
    pytest.importorskip("espeakng_loader", reason="needs the extra `speech`")


def _pitches_hz(waveform, sample_rate):
    """Return the pitch of each 50 ms from its autocorrelation, NaN where there is no voice.

    librosa.pyin is better, but compiles for half a minute.
    """
    length = sample_rate // 20
    frames = waveform[: len(waveform) // length * length].reshape(-1, length)
    lags = slice(sample_rate // 400, sample_rate // 60)
    pitches_hz = np.full(len(frames), np.nan)
    for index, frame in enumerate(frames):
        similarity = signal.correlate(frame, frame)[length - 1 :]
        if similarity[lags].max() > 0.4 * similarity[0] > 0:
            pitches_hz[index] = sample_rate / (lags.start + similarity[lags].argmax())
    return pitches_hz


def test_english_has_its_accents_and_no_other_alphabet():
    accents = espeak.accents("EN")
    assert accents[0] == "en-gb"
    assert {"en-us", "en-gb-scotland", "en-029"} < set(accents)
    assert "en-shaw" not in accents


@pytest.mark.parametrize(
    ("language", "accents"),
    [
        ("es", ["es", "es-419"]),
        ("en-us", ["en-us", "en-us-nyc"]),
        ("zh", ["cmn"]),
        ("es-mx", ["es-419"]),
        ("fa", ["fa"]),
        ("fa-latn", ["fa-latn"]),
    ],
)
def test_accents_of_a_language_or_of_a_region(language, accents):
    assert espeak.accents(language) == accents


@pytest.mark.parametrize(("wrong", "right"), [("english", '"en"'), ("Spanish", '"es"'), ("en-usa", '"en-us"')])
def test_an_unknown_language_is_refused_with_the_nearest(wrong, right):
    with pytest.raises(UserError, match=f'does not support "{wrong}".*Did you mean {right}'):
        espeak.accents(wrong)


def test_a_word_has_the_length_and_the_voicing_of_speech():
    waveform, sample_rate = espeak.synthesize("seven")
    assert waveform.dtype == np.float32
    assert 0.25 < len(waveform) / sample_rate < 1.0
    assert 0.1 < np.abs(waveform).max() <= 1.0
    pitches_hz = _pitches_hz(waveform, sample_rate)
    assert np.isfinite(pitches_hz).mean() > 0.4
    assert 70 < np.nanmedian(pitches_hz) < 140


def test_rate_pitch_and_variant_do_what_they_say():
    def seconds_and_pitch_hz(**settings):
        waveform, sample_rate = espeak.synthesize("one two three", **settings)
        return len(waveform) / sample_rate, np.nanmedian(_pitches_hz(waveform, sample_rate))

    seconds, pitch_hz = seconds_and_pitch_hz()
    assert seconds_and_pitch_hz(rate_wpm=120)[0] > 1.2 * seconds
    assert seconds_and_pitch_hz(pitch=80)[1] > 1.2 * pitch_hz
    assert seconds_and_pitch_hz(variant="f2")[1] > 1.5 * pitch_hz


def test_every_english_accent_speaks_with_a_variant_of_its_own():
    for accent in espeak.accents("en"):
        male, _ = espeak.synthesize("yes", accent, "m3")
        female, _ = espeak.synthesize("yes", accent, "f3")
        assert len(male) > 1000
        assert len(female) != len(male) or not np.allclose(female, male)


def test_emphasis_makes_a_word_stronger():
    def rms(emphasis):
        waveform, _ = espeak.synthesize("left & right", emphasis=emphasis)
        return np.sqrt(np.mean(np.square(waveform[np.abs(waveform) > 0.01])))

    assert rms("reduced") < 0.8 * rms("") < 0.64 * rms("strong")


def test_phoneme_code_sounds_like_the_word_it_came_from():
    for word, accent in (("stop it", "en-us"), ("buenos días", "es"), ("нет", "ru"), ("你好", "cmn"), ("oui", "fr-fr")):
        code = " ".join("".join(phonemes) for phonemes in espeak.segments(word, accent))
        assert espeak.phonemes(f"[[{code}]]", accent) == espeak.phonemes(word, accent)
    spoken, _ = espeak.synthesize("left")
    coded, _ = espeak.synthesize("[[l'Eft]]")
    assert len(coded) == pytest.approx(len(spoken), rel=0.05)


@pytest.mark.parametrize(
    "settings", [{"emphasis": "loud"}, {"rate_wpm": 20}, {"pitch": 100}, {"variant": "nobody"}, {"accent": "xx"}]
)
def test_settings_that_espeak_would_silently_change_are_refused(settings):
    with pytest.raises(ValueError, match="espeak-ng|received"):
        espeak.synthesize("yes", **settings)


def test_phonemes_follow_the_accent():
    assert espeak.phonemes("know", "en-us") == espeak.phonemes("no", "en-us")
    assert espeak.phonemes("no", "en-us") != espeak.phonemes("no", "es")
    assert espeak.phonemes("1", "es") == espeak.phonemes("uno", "es")
    assert len(espeak.phonemes("yes. no, go!", "en-us").split()) == 3


@pytest.mark.parametrize(
    ("word", "language", "expected"),
    [
        ("yes", "en", False),
        ("I", "en", False),
        ("kws", "en", True),
        ("привет", "en", True),
        ("привет", "ru", False),
        ("שלום", "he", False),
        ("你好", "zh", False),
        ("你好", "en", True),
        ("はい", "ja", False),
        ("日本", "ja", True),
        ("γεια", "en", True),
        ("שלום", "en", True),
        ("привет", "es", True),
        ("ia", "haw", False),
        ("ใช่", "th", False),
    ],
)
def test_words_that_are_only_spelled_are_told_apart(word, language, expected):
    assert espeak.is_spelled_out(word, espeak.accents(language)[0]) is expected


def test_without_the_extra_one_line_says_what_to_install():
    result = subprocess.run([sys.executable, "-c", WITHOUT_THE_WHEEL], capture_output=True, text=True, check=True)
    lines = result.stdout.splitlines()
    assert len(lines) == 3
    assert all(
        "pip install 'quartet-audio[speech]', or in a clone of the project: make setup" in line for line in lines
    )
