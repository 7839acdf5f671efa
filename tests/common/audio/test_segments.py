import numpy as np
import pytest

from common import audio
from common.audio import segments

RATE = 16000
# Known words: their begin and length in seconds.
WORDS = ((1.0, 0.5), (2.2, 0.3), (3.1, 0.8), (5.0, 0.15), (6.0, 0.6))


def voiced(seconds, rng, rate=RATE):
    """A buzz like that of a voice: harmonics of a pitch, not quite steady."""
    time = np.arange(round(seconds * rate)) / rate
    pitch_hz = 120 + 20 * np.sin(2 * np.pi * rng.uniform(2, 4) * time)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / rate
    return 0.1 * sum(np.sin(number * phase) / number for number in range(1, 20))


def spoken(words, noise, rng, seconds=8.0, rate=RATE):
    """A recording with sounds at the given places, in white noise of the given RMS."""
    waveform = rng.normal(0, noise, round(seconds * rate)) if noise else np.zeros(round(seconds * rate))
    for start, length in words:
        word = voiced(length, rng, rate)
        first = round(start * rate)
        waveform[first : first + len(word)] += word
    return waveform.astype(np.float32)


def seconds_of(found, rate=RATE):
    return [(one.start / rate, (one.end - one.start) / rate) for one in found]


def check_places(found, words, tolerance=0.03, rate=RATE):
    assert len(found) == len(words), seconds_of(found, rate)
    np.testing.assert_allclose(seconds_of(found, rate), words, atol=tolerance)


@pytest.mark.parametrize("noise_db", [None, -80, -60, -50, -40])
def test_words_are_found_where_they_are(noise_db, rng):
    waveform = spoken(WORDS, noise_db and 10 ** (noise_db / 20), rng)
    found = segments.find(waveform, RATE)
    check_places(found, WORDS)
    if noise_db and noise_db > -80:
        assert [one.noise_db for one in found] == pytest.approx([noise_db] * len(found), abs=2.5)
    assert all(one.snr_db > 14 for one in found)


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_other_rates(rate, rng):
    check_places(segments.find(spoken(WORDS, 0.001, rng, rate=rate), rate), WORDS, rate=rate)


@pytest.mark.parametrize("gain", [0.03, 0.3])
def test_the_level_does_not_matter(gain, rng):
    check_places(segments.find(gain * spoken(WORDS, 0.002, rng), RATE), WORDS)


def test_short_gaps_are_part_of_a_word_and_long_ones_are_not(rng):
    inside = spoken([(1.0, 0.3), (1.5, 0.3)], 0.001, rng)
    check_places(segments.find(inside, RATE), [(1.0, 0.8)])
    between = spoken([(1.0, 0.3), (1.65, 0.3)], 0.001, rng)
    check_places(segments.find(between, RATE), [(1.0, 0.3), (1.65, 0.3)])


def test_clicks_are_no_words(rng):
    waveform = spoken([(1.0, 0.5), (2.0, 0.5)], 0.001, rng)
    waveform[4 * RATE : 4 * RATE + 400] += rng.normal(0, 0.3, 400)
    check_places(segments.find(waveform, RATE), [(1.0, 0.5), (2.0, 0.5)])


def test_breaths_are_no_words(rng):
    """They are far weaker than the words, if well above the noise."""
    waveform = spoken([(1.0, 0.5), (2.0, 0.5), (3.0, 0.5)], 1e-5, rng)
    waveform[6 * RATE : 6 * RATE + 4800] += rng.normal(0, 0.001, 4800)
    check_places(segments.find(waveform, RATE), [(1.0, 0.5), (2.0, 0.5), (3.0, 0.5)])


def test_digital_silence_is_no_measure_of_noise(rng):
    """Clips with a faint noise, put together with digital silence between them: the noise is no part of the words."""
    waveform = spoken([(1.3, 0.4), (3.3, 0.4), (5.3, 0.4)], 0, rng)
    for start in (1, 3, 5):
        waveform[start * RATE : (start + 1) * RATE] += rng.normal(0, 3e-5, RATE)
    check_places(segments.find(waveform, RATE), [(1.3, 0.4), (3.3, 0.4), (5.3, 0.4)])


def test_hum_is_not_heard(rng):
    hum = 0.2 * np.sin(2 * np.pi * 50 * np.arange(8 * RATE) / RATE) + 0.1
    check_places(segments.find(spoken(WORDS, 0.001, rng) + hum, RATE), WORDS)


def test_noise_that_changes(rng):
    """A fan is switched on in the middle: what is loud before is quiet after."""
    words = [(start, 0.4) for start in range(2, 58, 2)]
    noise = np.where(np.arange(60 * RATE) < 30 * RATE, 0.0003, 0.01) * rng.normal(size=60 * RATE)
    found = segments.find((spoken(words, 0, rng, 60.0) + noise).astype(np.float32), RATE)
    far = [one for one in seconds_of(found) if not 21 < one[0] < 39]
    np.testing.assert_allclose(far, [word for word in words if not 21 < word[0] < 39], atol=0.05)


@pytest.mark.parametrize(
    "waveform",
    [np.zeros(RATE), np.zeros(0), np.ones(10), np.random.default_rng(0).normal(0, 0.1, 10 * RATE), np.full(RATE, 0.5)],
    ids=["silence", "empty", "ten samples", "steady noise", "offset"],
)
def test_nothing_is_found_where_nothing_is(waveform):
    assert segments.find(waveform.astype(np.float32), RATE) == []


def test_a_word_at_both_ends(rng):
    waveform = spoken([(0.0, 0.5), (1.5, 0.5)], 0.001, rng, 2.0)
    first, last = segments.find(waveform, RATE)
    assert first.start == 0 and last.end == len(waveform)
    assert [len(one) for one in segments.cut(waveform, [first, last], RATE)] == pytest.approx(
        [0.65 * RATE] * 2, abs=500
    )


def test_pieces_are_padded_and_share_no_samples():
    def pieces(*places, least_seconds=0.0):
        found = [segments.Segment(start, end, -20.0, -60.0) for start, end in places]
        return [(one[0], one[-1] + 1) for one in segments.cut(np.arange(10000), found, 1000, least_seconds)]

    assert pieces((1000, 2000)) == [(850, 2150)]
    assert pieces((100, 2000), (2200, 9950)) == [(0, 2100), (2100, 10000)]
    assert pieces((1000, 1400), least_seconds=1.0) == [(700, 1700)]
    assert pieces((1000, 1400), (1600, 2000), least_seconds=1.0) == [(700, 1500), (1500, 2300)]
    assert pieces() == []


def test_levels_are_those_of_sines():
    time = np.arange(RATE) / RATE
    levels = segments.levels_db(0.1 * np.sin(2 * np.pi * 1000 * time), RATE)
    assert len(levels) == 100
    assert levels[5:-5] == pytest.approx(-23.01, abs=0.1)


def test_words_of_people_are_found(real_data, rng):
    """Clips of Speech Commands with pauses between them: a few are damaged or hold a noise, beside the word."""
    num_clips = num_wrong = 0
    for word in ("yes", "no", "left", "stop", "marvin"):
        clips = sorted((real_data / "speech_commands" / word).glob("*.wav"))[:20]
        pause = np.zeros(RATE)
        parts = [pause]
        for clip in clips:
            parts += [audio.at_peak(audio.read(clip, RATE)[0], 0.5), pause]
        waveform = np.concatenate(parts)
        waveform += rng.normal(0, 0.001, len(waveform))
        found = segments.find(waveform.astype(np.float32), RATE)
        lengths = np.cumsum([len(part) for part in parts])
        bounds = list(zip(lengths[0::2], lengths[1::2], strict=False))
        inside = [
            sum(first - RATE // 4 < one.start and one.end < last + RATE // 4 for one in found) for first, last in bounds
        ]
        num_clips += len(clips)
        num_wrong += sum(count != 1 for count in inside)
    assert num_clips > 50
    assert num_wrong <= 0.03 * num_clips
