import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from common.data import excerpts
from common.data.speech_bank import SpeechBank
from common.errors import UserError
from counting import mixing
from counting.config import Config
from tests.errors import refused

RATE = 16000
QUIET = {"max_speed": 0.0, "noise_probability": 0.0, "reverberation_probability": 0.0}


def make_bank(num_speakers=6, seconds=3, active=None, rng=None):
    """Speakers of noise, each at a level of their own, women and men in turn."""
    import pandas as pd

    rng = rng or np.random.default_rng(0)
    samples = seconds * RATE
    pcm = np.concatenate([rng.normal(0, 1000 * (number + 1), samples) for number in range(num_speakers)])
    frames = np.ones(num_speakers * samples // 160, bool) if active is None else active
    table = pd.DataFrame(
        {
            "path": [f"{number}.wav" for number in range(num_speakers)],
            "speaker": [f"speaker{number}" for number in range(num_speakers)],
            "sex": ["FM"[number % 2] for number in range(num_speakers)],
            "first": np.arange(num_speakers) * samples,
            "num_samples": samples,
            "start": 0,
        }
    )
    total = np.concatenate([[0], np.cumsum(frames, dtype=np.int64)])
    return SpeechBank(np.clip(pcm, -32768, 32767).astype(np.int16), table, total, RATE)


def draw(config, source, num_mixtures=30, seed=0):
    numbers = np.arange(num_mixtures)
    return mixing.draw(source, numbers, mixing.balanced_counts(config, numbers), config.max_speakers, seed)


def mix(config, source, drawn, seed=(1, 2), noise=None):
    places = excerpts.Places(np.minimum(drawn.positions, 0), drawn.positions)
    cut = excerpts.read(source.bank.tracks, places, source.cut_samples)[..., 0]
    return mixing.mix(config, tf.constant(cut), tf.constant(drawn.counts), tf.constant(seed), noise).numpy()


def test_a_mixture_has_different_speakers_and_counts_are_balanced():
    config = Config()
    drawn = draw(config, mixing.open_source(config, make_bank(), "train"))
    assert np.bincount(drawn.counts).tolist() == [0, 10, 10, 10]
    for count, speakers, positions in zip(*drawn, strict=True):
        assert len(set(speakers[:count])) == count
        assert (speakers[:count] >= 0).all() and (speakers[count:] == -1).all()
        assert (positions[:count] >= 0).all() and (positions[count:] == -1).all()


def test_a_mixture_depends_on_its_seed_and_number_alone():
    config = Config()
    source = mixing.open_source(config, make_bank(), "train")
    all_at_once = draw(config, source)
    later = mixing.draw(source, np.arange(20, 30), all_at_once.counts[20:], 3, 0)
    np.testing.assert_array_equal(later.positions, all_at_once.positions[20:])
    assert (draw(config, source, seed=1).positions != all_at_once.positions).any()


def test_the_mean_of_the_cuts_is_the_reports_equation():
    config = Config(level_rule="mean", cuts="random", **QUIET)
    source = mixing.open_source(config, make_bank(), "train")
    drawn = draw(config, source)
    waveforms = mix(config, source, drawn)
    for waveform, count, positions in zip(waveforms, drawn.counts, drawn.positions, strict=True):
        excerpts = [source.bank.pcm[start : start + RATE] / 2**15 for start in positions[:count]]
        np.testing.assert_allclose(waveform, np.mean(excerpts, axis=0), atol=1e-6)


@pytest.mark.parametrize("level_rule", ["drawn", "equal"])
def test_the_level_says_nothing_about_the_count(level_rule):
    config = Config(level_rule=level_rule, min_level_db=-30.0, max_level_db=-20.0, **QUIET)
    source = mixing.open_source(config, make_bank(), "train")
    drawn = draw(config, source, 300)
    levels_db = 20 * np.log10(np.sqrt(np.mean(mix(config, source, drawn) ** 2, axis=1)))
    assert -30.01 < levels_db.min() < -29 and -21 < levels_db.max() < -19.99
    means = [levels_db[drawn.counts == count].mean() for count in (1, 2, 3)]
    assert np.ptp(means) < 1.5


def test_speakers_keep_within_their_gain_of_one_another():
    config = Config(max_speakers=2, speaker_gain_db=6.0, **QUIET)
    source = mixing.open_source(config, make_bank(), "train")
    drawn = draw(config, source, 200)
    pairs = drawn.counts == 2
    waveforms = mix(config, source, drawn)[pairs]
    differences = []
    for waveform, positions in zip(waveforms, drawn.positions[pairs], strict=True):
        excerpts = np.stack([source.bank.pcm[start : start + RATE] for start in positions], axis=1)
        gains = np.linalg.lstsq(excerpts / excerpts.std(axis=0), waveform, rcond=None)[0]
        differences.append(20 * np.log10(gains[0] / gains[1]))
    assert np.abs(differences).max() < 12.01
    assert np.abs(differences).max() > 6  # though recordings differ by a fixed 6 dB and more


def test_nobody_is_background_noise_alone(rng):
    config = Config(min_speakers=0, max_speakers=1, **QUIET)
    source = mixing.open_source(config, make_bank(), "train")
    drawn = draw(config, source, 20)
    noise = rng.normal(0, 1, (4, RATE)).astype(np.float32)
    silent = mix(config, source, drawn, noise=tf.constant(noise))[drawn.counts == 0]
    for waveform in silent:
        correlation = max(abs(np.corrcoef(waveform, row)[0, 1]) for row in noise)
        assert correlation == pytest.approx(1, abs=1e-5)


def test_varied_noise_is_two_recordings_or_coloured_forwards_or_backwards(rng):
    config = Config(min_speakers=0, max_speakers=1, vary_noise=True, **QUIET)
    source = mixing.open_source(config, make_bank(), "train")
    drawn = draw(config, source, 200)
    noise = rng.normal(0, 1, (4, RATE)).astype(np.float32)
    both = np.concatenate([noise, noise[:, ::-1]])
    found = []
    for waveform in mix(config, source, drawn, noise=tf.constant(noise))[drawn.counts == 0]:
        found.append(sorted(abs(np.corrcoef(waveform, row)[0, 1]) for row in both)[::-1])
    found = np.array(found)
    recorded = found[:, 0] > 0.6
    assert 0.65 < recorded.mean() < 0.85
    # The second one is the quieter, and no third is there.
    np.testing.assert_allclose(np.square(found[recorded, :2]).sum(axis=1), 1, atol=0.05)
    assert found[recorded, 1].max() > 0.5 and found[~recorded, 0].max() < 0.1


def test_training_changes_what_is_heard_and_keeps_its_length():
    config = Config(reverberation_probability=1.0, noise_probability=1.0)
    source = mixing.open_source(config, make_bank(), "train", varied=True)
    assert source.cut_samples == 18432
    drawn = draw(config, source, 6)
    first, again, other = (mix(config, source, drawn, seed) for seed in ((1, 2), (1, 2), (1, 3)))
    assert first.shape == (6, RATE) and np.isfinite(first).all()
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


def test_active_speakers_are_counted_where_most_speak_at_once():
    # Speaker 0 is active in the first half of every second, speaker 1 in the second half, speaker 2 always.
    pattern = {0: np.arange(300) % 100 < 50, 1: np.arange(300) % 100 >= 50, 2: np.ones(300, bool)}
    bank = make_bank(3, active=np.concatenate([pattern[number] for number in range(3)]))
    config = Config(label_rule="active", min_activity=0.2)
    source = mixing.open_source(config, bank, "train")
    starts = np.array([[0, 48000, 96000]])
    drawn = mixing.Drawn(np.array([3]), np.array([[0, 1, 2]]), starts)
    assert mixing.heard(config, source, drawn).tolist() == [[True, False, True]]
    assert mixing.truth(config, source, drawn).tolist() == [[2, 0]]
    mixed = dataclasses.replace(config, label_rule="mixed")
    assert mixing.truth(mixed, source, drawn).tolist() == [[2, 1]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_speakers": 7}, r"the train split has 6 speakers .* expected at least --max_speakers=7"),
        ({"clip_seconds": 5.0}, r"0 speakers with voiced excerpts of 5 s.*longest recording lasts 3 s"),
    ],
)
def test_too_few_speakers_is_one_line(changes, message):
    with refused(message):
        config = Config(**changes)
        mixing.open_source(config, make_bank(), "train")


def test_silence_has_no_voiced_cuts():
    bank = make_bank(active=np.zeros(6 * 300, bool))
    with pytest.raises(UserError, match="0 speakers with voiced excerpts"):
        mixing.open_source(Config(), bank, "test")


def test_unknown_sexes_are_refused_where_they_are_asked_for():
    bank = make_bank()
    bank = dataclasses.replace(bank, table=bank.table.assign(sex=["F", "M", "", "M", "F", "M"]))
    with pytest.raises(UserError, match=r"head=sex needs .* speaker2 is unknown .*head=class"):
        mixing.open_source(Config(head="sex"), bank, "train")
    assert mixing.open_source(Config(head="class"), bank, "train").sexes[2] == ""
