import dataclasses

import numpy as np
import pytest
import soundfile

from benchmarks.example_corpora.songs import RATE, write_songs
from common.errors import UserError
from separation import data
from separation.config import VARIANTS

TINY = dataclasses.replace(VARIANTS["tiny"], corpus="folder")


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    return write_songs(tmp_path_factory.mktemp("corpus") / "songs", channels=2)


@pytest.fixture
def load(songs, tmp_path):
    def run(**changes):
        config = dataclasses.replace(TINY, data_dir=str(songs), **changes)
        return data.load_corpus(config, tmp_path)

    return run


def test_the_corpus_gives_rate_and_channels_unless_told(load):
    assert (load().config.sample_rate, load().config.num_channels) == (RATE, 2)
    told = load(sample_rate=16000, num_channels=1)
    assert (told.config.sample_rate, told.config.num_channels) == (16000, 1)
    split = data.prepare_split(told, "test")
    assert split.bank.pcm[0].shape == (48000, 2, 1)


def test_the_mixture_is_the_sum_of_its_stems(load):
    corpus = load(max_speed=0.1)
    for training in (True, False):
        split = data.prepare_split(corpus, "train")
        mixture, stems = next(iter(data.build_dataset(corpus.config, split, training=training)))
        assert mixture.shape == (4, corpus.config.window_samples, 2)
        assert stems.shape == (4, 2, corpus.config.window_samples, 2)
        np.testing.assert_allclose(mixture, stems.numpy().sum(axis=1), atol=1e-6)


@pytest.mark.parametrize("stems", [("vocals",), ("vocals", "drums")])
@pytest.mark.parametrize("training", [True, False])
def test_a_mixture_has_all_of_its_song_whatever_is_asked_for(load, stems, training):
    pairs = []
    for asked in (stems, ("vocals", "accompaniment")):
        corpus = load(stems=asked)
        split = data.prepare_split(corpus, "train")
        plain = dataclasses.replace(
            corpus.config, remix_probability=0.0, min_gain=1.0, max_gain=1.0, flip_probability=0.0
        )
        plain = dataclasses.replace(plain, swap_probability=0.0)
        pairs.append(next(iter(data.build_dataset(plain, split, training=training))))
    (mixture, found), (whole, both) = pairs
    assert found.shape[1] == len(stems)
    np.testing.assert_allclose(mixture, whole, atol=1e-3)
    np.testing.assert_allclose(found[:, 0], both[:, 0], atol=1e-6)
    assert np.abs(mixture - found.numpy().sum(axis=1)).max() > 0.01


def test_a_resumed_training_hears_what_it_would_have_heard(load):
    corpus = load()
    split = data.prepare_split(corpus, "train")
    whole = [mixture.numpy() for mixture, _ in data.build_dataset(corpus.config, split, training=True).take(5)]
    resumed = next(iter(data.build_dataset(corpus.config, split, training=True, initial_step=3)))[0]
    np.testing.assert_array_equal(resumed, whole[3])
    assert len({wave.tobytes() for wave in whole}) == 5


def test_validation_is_always_the_same_whatever_the_seed(load):
    one, other = (load(seed=seed) for seed in (0, 1))
    split = data.prepare_split(one, "validation")
    passes = [np.concatenate([m for m, _ in data.build_dataset(c.config, split)]) for c in (one, other)]
    assert len(passes[0]) == TINY.validation_excerpts
    np.testing.assert_array_equal(*passes)


def test_a_random_split_divides_windows_and_no_window_is_in_two(load):
    corpus = load(split_rule="random")
    splits = [data.prepare_split(corpus, name) for name in ("train", "validation", "test")]
    windows = [set(zip(s.windows.tracks[:, 0], s.windows.starts[:, 0], strict=True)) for s in splits]
    assert not windows[0] & windows[1] and not windows[0] & windows[2] and not windows[1] & windows[2]
    sizes = np.array([len(each) for each in windows])
    np.testing.assert_allclose(sizes / sizes.sum(), [0.81, 0.09, 0.1], atol=0.02)
    assert "windows in this one" in data.describe(splits[0])
    assert data.steps_per_epoch(dataclasses.replace(corpus.config, epoch_examples=0), splits[0]) == sizes[0] // 4
    drawn = next(iter(data.build_dataset(corpus.config, splits[0], training=True)))
    assert drawn[0].shape[0] == 4


def test_folds_deal_the_tracks(load):
    tested = [
        set(load(split_rule="folds", num_folds=3, fold=fold).manifest.query("split == 'test'")["track"])
        for fold in range(3)
    ]
    assert sum(map(len, tested)) == 9 == len(set().union(*tested))
    corpus = load(split_rule="folds", num_folds=3)
    assert not data.groups_of(corpus, "train") & data.groups_of(corpus, "test")


def test_whole_tracks_are_read_and_unusable_ones_left_out(load, caplog):
    corpus = load()
    names = [name for name, _, _ in data.read_tracks(corpus, "test")]
    assert len(names) == data.num_tracks(corpus, "test") == 2
    broken = dataclasses.replace(corpus, config=dataclasses.replace(corpus.config, stems=("vocals", "flute")))
    assert not list(data.read_tracks(broken, "test")) and "has no stem 'flute'" in caplog.text


def test_a_corpus_needs_its_folder(tmp_path):
    with pytest.raises(UserError, match="corpus=musdb needs data_dir"):
        data.load_corpus(dataclasses.replace(TINY, corpus="musdb"), tmp_path)


@pytest.mark.parametrize("split_rule", ["official", "random"])
def test_the_files_of_a_batch_are_those_it_was_cut_from(load, songs, split_rule):
    unchanged = {"min_gain": 1.0, "max_gain": 1.0, "flip_probability": 0.0, "swap_probability": 0.0}
    corpus = load(**unchanged, remix_probability=0.5, split_rule=split_rule, max_speed=0.0)
    split = data.prepare_split(corpus, "train")
    _, stems = next(iter(data.build_dataset(corpus.config, split, training=True, initial_step=3)))
    files = data.batch_files(corpus.config, split, 3)
    assert len(files) == len(stems)
    for text, example in zip(files, stems.numpy(), strict=True):
        track, seconds = text.split(" + ")[0].removesuffix(" s").rsplit(" at ", 1)
        recorded, _ = soundfile.read(songs / track / "vocals.wav", dtype="float32")
        vocals = example[corpus.config.stems.index("vocals")]
        about = round(float(seconds) * RATE)
        differences = [
            np.abs(recorded[start : start + len(vocals)] - vocals[: len(recorded) - start]).max()
            for start in range(max(0, about - 41), about + 42)
        ]
        assert min(differences) < 1e-4
